//! What a call asks for, as IAM sees it: actions on resources.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;
use weir_emulators::decoded;

use super::{ACCOUNT, REGION};

/// A call of a service.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) access_key: String,
    pub(crate) service: String,
    /// The operation, as services of JSON name it; the path of others.
    pub(crate) operation: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) parsed: Value,
}

/// One action on one resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    pub(crate) action: String,
    pub(crate) resource: String,
    /// The partition key, where it is of a table.
    pub(crate) leading: Option<String>,
    /// Whom a token is for, where one is asked for.
    pub(crate) audience: Option<String>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)?;
        if let Some(audience) = &self.audience {
            write!(f, " for {audience}")?;
        }
        match &self.leading {
            Some(key) => write!(f, " with key {key}"),
            None => Ok(()),
        }
    }
}

impl Call {
    /// Reads a request by its credential's scope, `KEY/DATE/REGION/SERVICE/aws4_request`.
    pub(crate) fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Option<Self> {
        let authorization = headers.get("authorization")?.to_str().ok()?;
        let (_, credential) = authorization.split_once("Credential=")?;
        let mut scope = credential.split([',', '/']);
        let access_key = scope.next()?.to_owned();
        let service = scope.nth(2)?.to_owned();
        let target = headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok());
        let operation = match target {
            Some(target) => target.rsplit('.').next()?.to_owned(),
            None => format!("{method} {}", uri.path()),
        };
        Some(Self {
            access_key,
            service,
            operation,
            headers: headers.clone(),
            parsed: serde_json::from_slice(&body).unwrap_or_default(),
            body,
        })
    }
}

/// Everything that a call asks for.
pub(crate) fn by(call: &Call, queues: &BTreeMap<String, String>) -> Vec<Asked> {
    let body = &call.parsed;
    let one = |action: &str, resource: &str| {
        vec![Asked {
            action: format!("{}:{action}", call.service),
            resource: resource.to_owned(),
            leading: None,
            audience: None,
        }]
    };
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match (call.service.as_str(), call.operation.as_str()) {
        ("dynamodb", operation) => of_a_table(operation, body),
        ("sqs", operation) => {
            let url = text("QueueUrl");
            one(operation, queues.get(url).map_or(url, String::as_str))
        }
        ("secretsmanager", operation) => one(operation, text("SecretId")),
        ("scheduler", path) => {
            let name = path.rsplit('/').next().unwrap_or_default();
            let group = text("GroupName");
            let arn = format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{group}/{name}");
            let mut asked = one("CreateSchedule", &arn);
            asked.push(Asked {
                action: "iam:PassRole".to_owned(),
                resource: body["Target"]["RoleArn"].as_str().unwrap_or_default().to_owned(),
                leading: None,
                audience: None,
            });
            asked
        }
        ("eks", path) => {
            let name = path.rsplit('/').next().unwrap_or_default();
            one(
                "DescribeCluster",
                &format!("arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{name}"),
            )
        }
        ("sts", _) => for_an_audience(&call.body),
        (_, operation) => one(operation, "?"),
    }
}

/// Services of forms name their action in the body.
fn for_an_audience(body: &[u8]) -> Vec<Asked> {
    let body = String::from_utf8_lossy(body);
    let value = |name: &str| {
        let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .map(|(_, value)| decoded(value))
    };
    vec![Asked {
        action: format!("sts:{}", value("Action").unwrap_or_default()),
        resource: "*".to_owned(),
        leading: None,
        audience: value("Audience.member.1"),
    }]
}

/// A transaction asks for what it is made of.
fn of_a_table(operation: &str, body: &Value) -> Vec<Asked> {
    if operation == "TransactWriteItems" {
        let parts = body["TransactItems"].as_array().into_iter().flatten();
        return parts
            .flat_map(|part| part.as_object().into_iter().flatten())
            .map(|(kind, part)| of_an_item(&format!("{kind}Item"), part))
            .collect();
    }
    vec![of_an_item(operation, body)]
}

fn of_an_item(action: &str, body: &Value) -> Asked {
    let table = body["TableName"].as_str().unwrap_or_default();
    let mut resource = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}");
    if let Some(index) = body["IndexName"].as_str() {
        resource.push_str(&format!("/index/{index}"));
    }
    let values = &body["ExpressionAttributeValues"];
    let keys = [
        &body["Key"]["pk"],
        &body["Item"]["pk"],
        &values[":pk"],
        &values[":shard"],
    ];
    Asked {
        action: format!("dynamodb:{action}"),
        resource,
        leading: keys.iter().find_map(|key| key["S"].as_str()).map(str::to_owned),
        audience: None,
    }
}
