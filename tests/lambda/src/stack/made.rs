//! What the template's resources are called, and how those outside of functions are made.

use std::collections::BTreeMap;

use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use super::StackError;
use crate::account::{ACCOUNT, REGION};
use crate::template::{Names, Template};

/// The table's name.
const TABLE: &str = "weir";
/// The name of the schedules' group.
const GROUP: &str = "weir";

/// Whoever looks from outside: the emulators ask for no more than a name.
pub(super) async fn config(url: &str) -> SdkConfig {
    let credentials = aws_credential_types::Credentials::new("OPERATOR", "secret", None, None, "tests");
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::from_static(REGION))
        .credentials_provider(credentials)
        .load()
        .await
}

/// A function signs with this.
pub(super) fn access_key(function: &str) -> String {
    format!("ASIA{}", function.to_uppercase())
}

/// And proves it with this.
pub(super) fn secret_key(function: &str) -> String {
    format!("secret of {function}")
}

/// What role it has says this.
pub(super) fn session_token(function: &str) -> String {
    format!("session+of/{function}=")
}

/// What Lambda tells a function about its role, and where this account is.
pub(super) fn credentials(function: &str, account: &str) -> Vec<(String, String)> {
    let pairs = [
        ("AWS_ACCESS_KEY_ID", access_key(function)),
        ("AWS_SECRET_ACCESS_KEY", secret_key(function)),
        ("AWS_SESSION_TOKEN", session_token(function)),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ENDPOINT_URL", account.to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

pub(super) fn arn_of(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
}

/// Everything that has a name before it is made.
pub(super) fn names(template: &Template, parameters: &BTreeMap<String, String>) -> Names {
    let mut names = Names::default();
    names.refer("AWS::Partition", "aws");
    names.refer("AWS::Region", REGION);
    names.refer("AWS::AccountId", ACCOUNT);
    for (name, parameter) in &template.parameters {
        let default = || parameter.get("Default").cloned();
        let value = parameters.get(name).cloned().map(Value::from).or_else(default);
        let listed = parameter["Type"] == "CommaDelimitedList";
        match value {
            Some(Value::String(text)) if listed => {
                names.refer(name, text.split(',').map(Value::from).collect::<Vec<_>>());
            }
            Some(value) => names.refer(name, value),
            // Whoever refers to it is told.
            None => {}
        }
    }
    for (id, resource) in &template.resources {
        let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}");
        names.refer(id, id.as_str());
        match resource.kind.as_str() {
            "AWS::Serverless::Function" => names.attribute(id, "Arn", arn_of(id)),
            "AWS::DynamoDB::Table" => {
                names.refer(id, TABLE);
                names.attribute(id, "Arn", arn("dynamodb", &format!("table/{TABLE}")));
            }
            "AWS::Scheduler::ScheduleGroup" => {
                names.refer(id, GROUP);
                names.attribute(id, "Arn", arn("scheduler", &format!("schedule-group/{GROUP}")));
            }
            "AWS::IAM::Role" => names.attribute(id, "Arn", format!("arn:aws:iam::{ACCOUNT}:role/{id}")),
            "AWS::Logs::LogGroup" => names.attribute(id, "Arn", arn("logs", &format!("log-group:{id}:*"))),
            "AWS::SQS::Queue" => {
                names.attribute(id, "Arn", arn("sqs", id));
                names.attribute(id, "QueueName", id.as_str());
            }
            _ => {}
        }
    }
    names
}

/// Makes the queues, those that others send dead letters to first; by URL, their ARNs.
pub(super) async fn queues(
    template: &Template,
    sqs: &aws_sdk_sqs::Client,
    names: &mut Names,
) -> Result<BTreeMap<String, String>, StackError> {
    let mut all: Vec<_> = template.of_kind("AWS::SQS::Queue").collect();
    all.sort_by_key(|(_, queue)| queue.properties.get("RedrivePolicy").is_some());
    let mut made = BTreeMap::new();
    for (id, queue) in all {
        let properties = names.resolve(&queue.properties).map_err(StackError::of)?;
        let mut call = sqs.create_queue().queue_name(id);
        for name in [
            QueueAttributeName::VisibilityTimeout,
            QueueAttributeName::RedrivePolicy,
        ] {
            match &properties[name.as_str()] {
                Value::Null => {}
                Value::String(text) => call = call.attributes(name, text),
                other => call = call.attributes(name, other.to_string()),
            }
        }
        let answer = call
            .send()
            .await
            .map_err(|error| StackError(format!("{id}: {error:?}")))?;
        let url = answer.queue_url.unwrap_or_default();
        names.refer(id, url.as_str());
        let arn = names.text(&json!({ "Fn::GetAtt": [id, "Arn"] }));
        made.insert(url, arn.map_err(StackError::of)?);
    }
    Ok(made)
}

/// Makes the table. Its properties are spelled as the service itself spells them.
pub(super) async fn table(template: &Template, url: &str, names: &mut Names) -> Result<(), StackError> {
    const TAKEN: [&str; 4] = [
        "AttributeDefinitions",
        "BillingMode",
        "GlobalSecondaryIndexes",
        "KeySchema",
    ];
    for (id, table) in template.of_kind("AWS::DynamoDB::Table") {
        let properties = names.resolve(&table.properties).map_err(StackError::of)?;
        let mut body = json!({ "TableName": names.text(&json!({ "Ref": id })).map_err(StackError::of)? });
        for name in TAKEN {
            body[name] = properties[name].clone();
        }
        let scope = format!(
            "Credential=OPERATOR/20260101/{REGION}/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
        );
        let answer = reqwest::Client::new()
            .post(url)
            .header("x-amz-target", "DynamoDB_20120810.CreateTable")
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}"))
            .body(body.to_string())
            .send()
            .await
            .map_err(StackError::of)?;
        if !answer.status().is_success() {
            let words = answer.text().await.unwrap_or_default();
            return Err(StackError(format!("{id}: {words}")));
        }
    }
    Ok(())
}
