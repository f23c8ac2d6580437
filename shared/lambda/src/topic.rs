//! Notifications of a topic of SNS that starts the function.
//!
//! The function's policy says whose topic may. A request of the function URL never looks like one, whatever its client sends:
//! Lambda puts it into a payload of its own.

use serde_json::Value;

/// The messages in an event; nothing: it is no event of SNS.
pub(crate) fn messages(event: &Value) -> Option<Vec<Vec<u8>>> {
    let message = |record: &Value| {
        let of_sns = record["EventSource"] == "aws:sns";
        let message = record["Sns"]["Message"].as_str().filter(|_| of_sns)?;
        Some(message.as_bytes().to_vec())
    };
    event.get("Records")?.as_array()?.iter().map(message).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(source: &str, message: &Value) -> Value {
        json!({
            "EventSource": source,
            "EventVersion": "1.0",
            "EventSubscriptionArn": "arn:aws:sns:eu-west-1:123456789012:model-alarms:9f8b5c1e-0000-4000-8000-000000000000",
            "Sns": {
                "Type": "Notification",
                "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                "TopicArn": "arn:aws:sns:eu-west-1:123456789012:model-alarms",
                "Subject": "ALARM: \"weir/llm/Production/errors\" in EU (Ireland)",
                "Message": message,
                "Timestamp": "2025-11-25T12:00:00.456Z",
                "SignatureVersion": "1",
                "MessageAttributes": {},
            },
        })
    }

    #[test]
    fn messages_are_those_of_sns_and_of_nobody_else() {
        let event = json!({"Records": [record("aws:sns", &json!("{\"AlarmName\":\"a\"}"))]});
        assert_eq!(messages(&event), Some(vec![b"{\"AlarmName\":\"a\"}".to_vec()]));
        for other in [
            json!({"Records": [record("aws:sqs", &json!("{}"))]}),
            json!({"Records": [record("aws:sns", &json!({}))]}),
            json!({"Records": [record("aws:sns", &json!("{}")), {}]}),
            json!({"Records": {}}),
            json!({"body": "{\"Records\":[]}", "requestContext": {"http": {"method": "POST"}}}),
            json!(null),
        ] {
            assert_eq!(messages(&other), None, "{other}");
        }
    }
}
