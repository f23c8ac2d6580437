//! Who may do what: exactly the calls that the code makes, and those that Lambda makes in a function's name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use weir_lambda_host::Template;

use super::sources::{ASKS, SOURCES};
use super::{FUNCTIONS, referred, template};

/// Calls of the SDK, and the actions by which they are granted. A transaction is granted by what it is made of.
const ACTIONS: [(&str, &[&str]); 13] = [
    ("get_item", &["dynamodb:GetItem"]),
    ("query", &["dynamodb:Query"]),
    ("update_item", &["dynamodb:UpdateItem"]),
    ("delete_item", &["dynamodb:DeleteItem"]),
    (
        "transact_write_items",
        &["dynamodb:PutItem", "dynamodb:UpdateItem"],
    ),
    ("send_message", &["sqs:SendMessage"]),
    ("get_queue_attributes", &["sqs:GetQueueAttributes"]),
    ("create_schedule", &["scheduler:CreateSchedule", "iam:PassRole"]),
    ("get_secret_value", &["secretsmanager:GetSecretValue"]),
    ("describe_cluster", &["eks:DescribeCluster"]),
    ("get_web_identity_token", &["sts:GetWebIdentityToken"]),
    // `weir redrive` makes these, with the rights of whoever runs it.
    ("receive_message", &[]),
    ("delete_message", &[]),
];

/// Actions that AWS grants for everything or not at all.
const EVERYTHING: [(&str, &str); 4] = [
    (
        "cloudwatch:GetMetricData",
        "Service Authorization Reference, CloudWatch: the action has no resource type",
    ),
    (
        "sts:GetWebIdentityToken",
        "IAM User Guide, outbound identity federation: the action is limited by audience, not by resource",
    ),
    (
        "xray:PutTraceSegments",
        "Service Authorization Reference, X-Ray: the action has no resource type",
    ),
    (
        "xray:PutTelemetryRecords",
        "Service Authorization Reference, X-Ray: the action has no resource type",
    ),
];

/// What Lambda does in every function's name.
const BY_LAMBDA: [&str; 4] = [
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
];

/// What Lambda does in the name of a function that a queue feeds.
const FOR_A_QUEUE: [&str; 3] = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
];

/// A grant: an action, on the resource with this id, or on what a text names.
type Grant = (String, String);

pub(crate) fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    }
}

pub(crate) fn on(resource: &Value) -> String {
    match resource["Fn::Sub"].as_str().or_else(|| resource.as_str()) {
        Some(text) => text.to_owned(),
        None => referred(resource),
    }
}

fn statements(template: &Template, role: &str) -> Vec<Value> {
    let properties = &template.resources[role].properties;
    let managed = properties["ManagedPolicyArns"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let managed = managed
        .iter()
        .map(|policy| template.resources[&referred(policy)].properties["PolicyDocument"].clone());
    let own = properties["Policies"].as_array().cloned().unwrap_or_default();
    let own = own.into_iter().map(|policy| policy["PolicyDocument"].clone());
    let given = template.of_kind("AWS::IAM::Policy");
    let given =
        given.filter(|(_, policy)| list(&policy.properties["Roles"]).contains(&json!({ "Ref": role })));
    let given = given.map(|(_, policy)| policy.properties["PolicyDocument"].clone());
    managed
        .chain(own)
        .chain(given)
        .flat_map(|document| list(&document["Statement"]))
        .collect()
}

fn grants(template: &Template, role: &str) -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for statement in statements(template, role) {
        assert_eq!(statement["Effect"], "Allow", "{role}: {statement}");
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                grants.insert((action.as_str().unwrap().to_owned(), on(&resource)));
            }
        }
    }
    grants
}

fn role_of(template: &Template, function: &str) -> String {
    referred(&template.function(function)["Role"])
}

/// The calls of the SDK in the sources of what functions are made of.
fn calls() -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for folder in ["../../shared/aws/src", "../../shared/lambda/src"] {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut |text| {
            let words: String = text.split_whitespace().collect();
            for (at, _) in words.match_indices("client") {
                let rest = &words[at + "client".len()..];
                let name = rest.strip_prefix('.').and_then(|rest| rest.split_once("()"));
                calls.extend(name.map(|(name, _)| name.to_owned()).filter(|name| is_name(name)));
            }
            // A client that is made where it is used.
            for part in words.split("from_conf(config).").skip(1) {
                calls.extend(part.split_once("()").map(|(name, _)| name.to_owned()));
            }
        });
    }
    calls
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

pub(crate) fn read(folder: &Path, each: &mut impl FnMut(&str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Tests, and the table as emulators get it, are no function's.
        if path.ends_with("tests.rs") || path.ends_with("table.rs") {
            continue;
        }
        match path.is_dir() {
            true => read(&path, each),
            false => each(&std::fs::read_to_string(&path).unwrap()),
        }
    }
}

/// Every function turns the same loop over the same ports, so each makes all of these calls; on what it makes them is what
/// tells roles apart, and is tested below.
#[test]
fn a_role_may_what_its_function_calls_and_nothing_else() {
    let by_call: BTreeMap<&str, &[&str]> = ACTIONS.into_iter().collect();
    let called = calls();
    let known: BTreeSet<String> = by_call.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        called, known,
        "left: calls in the code; right: calls that this test knows"
    );
    let code: BTreeSet<&str> = by_call
        .values()
        .flat_map(|actions| actions.iter().copied())
        .collect();
    let template = template();
    for (function, _) in FUNCTIONS {
        let mut expected = code.clone();
        expected.extend(BY_LAMBDA);
        if template.function(function)["Events"].is_object() {
            expected.extend(FOR_A_QUEUE);
        }
        if function == ASKS {
            expected.extend(SOURCES.map(|source| source.action));
        }
        let granted = grants(&template, &role_of(&template, function));
        let actions: BTreeSet<&str> = granted.iter().map(|(action, _)| action.as_str()).collect();
        assert_eq!(actions, expected, "{function}");
    }
}

#[test]
fn a_role_reaches_what_its_function_works_with_and_nothing_else() {
    let template = template();
    for (function, _) in FUNCTIONS {
        let own: BTreeMap<&str, Vec<String>> = match function {
            "StageExecutor" => [
                ("sqs:ReceiveMessage", vec!["StepsQueue".to_owned()]),
                ("sqs:SendMessage", vec!["StepsDeadLetters".to_owned()]),
                ("dynamodb:Query", vec!["${Table.Arn}/index/due".to_owned()]),
            ]
            .into(),
            "MetricCheck" => [
                ("sqs:ReceiveMessage", vec!["TrafficQueue".to_owned()]),
                ("sqs:SendMessage", vec!["TrafficDeadLetters".to_owned()]),
            ]
            .into(),
            _ => BTreeMap::new(),
        };
        let mut reached: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let granted = grants(&template, &role_of(&template, function));
        for (action, on) in &granted {
            reached.entry(action).or_default().insert(on.clone());
        }
        for (action, resources) in reached {
            let service = action.split(':').next().unwrap();
            let mut expected: BTreeSet<String> = match (service, action) {
                ("dynamodb", _) => ["Table".to_owned()].into(),
                ("sqs", "sqs:SendMessage" | "sqs:GetQueueAttributes") => ["StepsQueue".to_owned(), "TrafficQueue".to_owned()].into(),
                ("sqs", _) => own["sqs:ReceiveMessage"].iter().cloned().collect(),
                ("secretsmanager", _) => ["SecretArn".to_owned()].into(),
                ("eks", _) => ["ClusterArns".to_owned()].into(),
                ("iam", _) => ["ScheduleRole".to_owned()].into(),
                ("logs", _) => [format!("{function}Log")].into(),
                ("scheduler", _) => [
                    "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${ScheduleGroup}/weir-*"
                        .to_owned(),
                ]
                .into(),
                ("xray" | "sts" | "cloudwatch", _) => ["*".to_owned()].into(),
                ("aps", _) => ["arn:${AWS::Partition}:aps:*:${AWS::AccountId}:workspace/*".to_owned()].into(),
                _ => BTreeSet::new(),
            };
            expected.extend(own.get(action).cloned().into_iter().flatten());
            assert_eq!(resources, expected, "{function}: {action}");
        }
    }
}

#[test]
fn nothing_is_granted_on_everything_but_what_aws_grants_no_other_way() {
    let template = template();
    let cited: BTreeSet<&str> = EVERYTHING.into_iter().map(|(action, _)| action).collect();
    let mut found = BTreeSet::new();
    for (role, _) in template.of_kind("AWS::IAM::Role") {
        for (action, on) in grants(&template, role) {
            assert!(!action.contains('*'), "{role}: {action}");
            if on == "*" {
                assert!(cited.contains(action.as_str()), "{role}: {action} on everything");
                found.insert(action);
            }
        }
    }
    assert_eq!(found.len(), cited.len(), "the list cites what nobody is granted");
}

#[test]
fn a_token_says_who_a_function_is_to_named_audiences_and_for_five_minutes() {
    let template = template();
    let pattern = template.parameters["Audiences"].clone();
    assert_eq!(pattern["Default"], "none", "nobody is told unless it is said");
    for (function, _) in FUNCTIONS {
        let all = statements(&template, &role_of(&template, function));
        let granting: Vec<&Value> = all
            .iter()
            .filter(|statement| list(&statement["Action"]).contains(&json!("sts:GetWebIdentityToken")))
            .collect();
        let conditions = json!({
            "ForAllValues:StringEquals": { "sts:IdentityTokenAudience": { "Ref": "Audiences" } },
            // A condition over all values also holds where there are none.
            "Null": { "sts:IdentityTokenAudience": false },
            "StringEquals": { "sts:SigningAlgorithm": "RS256" },
            "NumericLessThanEquals": { "sts:DurationSeconds": 300 },
        });
        assert_eq!(granting.len(), 1, "{function}");
        assert_eq!(granting[0]["Condition"], conditions, "{function}");
    }
}

#[test]
fn each_function_has_a_role_of_its_own_that_only_lambda_takes() {
    let template = template();
    let roles: BTreeSet<String> = FUNCTIONS
        .iter()
        .map(|(function, _)| role_of(&template, function))
        .collect();
    assert_eq!(roles.len(), FUNCTIONS.len());
    for role in roles {
        let trust = &template.resources[&role].properties["AssumeRolePolicyDocument"];
        let service = &trust["Statement"][0]["Principal"]["Service"];
        assert_eq!(service, "lambda.amazonaws.com", "{role}");
    }
}

#[test]
fn the_table_is_reached_by_the_keys_that_a_function_writes() {
    let template = template();
    for (function, folder) in FUNCTIONS {
        for statement in statements(&template, &role_of(&template, function)) {
            let of_the_table = list(&statement["Resource"]).iter().any(|one| on(one) == "Table");
            let keys = &statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
            assert_eq!(of_the_table, keys.is_array(), "{function}: {statement}");
            // Only webhook-intake starts runs.
            let starts = keys.to_string().contains("PUSH#");
            assert!(!starts || function == "WebhookIntake", "{function}: {statement}");
            // What stands there says whom a function gives its token to: no other may write it.
            let own = json!([format!("CLUSTER#{folder}#*")]);
            let says_where = keys.to_string().contains("CLUSTER#");
            assert!(!says_where || *keys == own, "{function}: {keys}");
            // A condition over all values also holds where there are none.
            assert!(!of_the_table || statement["Condition"]["Null"]["dynamodb:LeadingKeys"] == false);
        }
    }
}

#[test]
fn schedules_send_hints_and_sweep_and_do_nothing_else() {
    let template = template();
    let grant = |action: &str, on: &str| (action.to_owned(), on.to_owned());
    let hints = [
        grant("sqs:SendMessage", "StepsQueue"),
        grant("sqs:SendMessage", "TrafficQueue"),
    ];
    assert_eq!(grants(&template, "ScheduleRole"), hints.into());
    let sweep = [grant("lambda:InvokeFunction", "StageExecutor")];
    assert_eq!(grants(&template, "SweepRole"), sweep.into());
    let pass = template.resources["Decide"].properties["PolicyDocument"]["Statement"].clone();
    let pass = list(&pass)
        .into_iter()
        .find(|statement| statement["Action"] == "iam:PassRole");
    let to = pass.unwrap()["Condition"]["StringEquals"]["iam:PassedToService"].clone();
    assert_eq!(to, "scheduler.amazonaws.com");
}
