//! What came back from a cluster, sorted by what can be done about it.

use http::StatusCode;
use serde_json::Value;
use weir_app::EffectError;
use weir_app::Retry;

/// A request to the API server that did not do what was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// No answer, or one that says to come back later.
    #[error("{0}")]
    Away(String),
    /// The object, or its kind, does not exist.
    #[error("{0}")]
    Missing(String),
    /// An object of that name exists already.
    #[error("it exists already")]
    Exists,
    /// Somebody else wrote in between.
    #[error("{0}")]
    Conflict(String),
    /// A right is missing, or the admission policy said no. Who it is was known.
    #[error("{0}")]
    Denied(String),
    /// The API server does not take the object.
    #[error("{0}")]
    Refused(String),
}

/// What the API server says of a kind that it does not serve, where it says so in JSON.
pub(crate) const NO_KIND: &str = "could not find the requested resource";

/// Sorts an answer that is not a success.
pub(crate) fn sort(status: StatusCode, body: &[u8]) -> Fault {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let said = match text("message") {
        // Of a path that leads to no kind: an object that is missing is told in JSON, with its name.
        "" if status == StatusCode::NOT_FOUND => format!("the server {NO_KIND}"),
        "" => format!("the API server answered {status}"),
        message => message.to_owned(),
    };
    match status {
        StatusCode::NOT_FOUND => Fault::Missing(said),
        StatusCode::CONFLICT if text("reason") == "AlreadyExists" => Fault::Exists,
        StatusCode::CONFLICT => Fault::Conflict(said),
        // A `test` of a JSON Patch that fails is answered like an invalid object, but without naming what is invalid.
        StatusCode::UNPROCESSABLE_ENTITY if answer["details"]["causes"].is_null() => Fault::Conflict(said),
        StatusCode::FORBIDDEN => Fault::Denied(said),
        // A token that ended on its way, or whoever knows tokens is away: another client brings another one.
        StatusCode::UNAUTHORIZED => Fault::Away(format!("the API server does not know who this is: {said}")),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Fault::Away(said),
        status if status.is_server_error() => Fault::Away(said),
        _ => Fault::Refused(said),
    }
}

impl Fault {
    /// The fault as an effect's failure: which operation, on which object, and the fix where there is one.
    pub(crate) fn on(self, operation: &'static str, object: impl Into<String>) -> EffectError {
        let object = object.into();
        let why = self.to_string();
        match self {
            Self::Away(_) => EffectError::later(operation, object, why),
            Self::Conflict(_) | Self::Exists => EffectError {
                operation,
                object,
                why: format!("{why}; others keep writing it"),
                retry: Retry::Conflict,
            },
            Self::Denied(_) => EffectError::never(
                operation,
                object,
                format!(
                    "{why}; grant the right (infra/cluster/rbac.yaml) or see infra/cluster/admission.yaml"
                ),
            ),
            Self::Missing(_) | Self::Refused(_) => EffectError::never(operation, object, why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(status: u16, body: &str) -> Fault {
        sort(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn answers_are_sorted_by_what_can_be_done() {
        assert_eq!(
            sorted(409, r#"{"reason":"AlreadyExists","message":"x"}"#),
            Fault::Exists
        );
        assert_eq!(
            sorted(409, r#"{"reason":"Conflict","message":"x"}"#),
            Fault::Conflict("x".into())
        );
        assert_eq!(
            sorted(404, r#"{"message":"gone"}"#),
            Fault::Missing("gone".into())
        );
        assert_eq!(
            sorted(404, "404 page not found\n"),
            Fault::Missing("the server could not find the requested resource".into())
        );
        assert_eq!(sorted(403, r#"{"message":"no"}"#), Fault::Denied("no".into()));
        assert_eq!(
            sorted(401, r#"{"message":"Unauthorized"}"#),
            Fault::Away("the API server does not know who this is: Unauthorized".into())
        );
        assert_eq!(
            sorted(503, "<html>"),
            Fault::Away("the API server answered 503 Service Unavailable".into())
        );
        assert_eq!(sorted(429, r#"{"message":"slow"}"#), Fault::Away("slow".into()));
        assert_eq!(sorted(400, r#"{"message":"bad"}"#), Fault::Refused("bad".into()));
    }

    #[test]
    fn a_failed_test_of_a_patch_is_a_conflict_and_an_invalid_object_is_refused() {
        let test = r#"{"reason":"Invalid","message":"the server rejected our request due to an error in our request","details":{}}"#;
        assert!(matches!(sorted(422, test), Fault::Conflict(_)));
        let invalid = r#"{"reason":"Invalid","message":"m","details":{"causes":[{"field":"spec"}]}}"#;
        assert_eq!(sorted(422, invalid), Fault::Refused("m".into()));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        let retry = |fault: Fault| fault.on("write", "Deployment a/b").retry;
        assert!(matches!(retry(Fault::Away("x".into())), Retry::After(_)));
        assert_eq!(retry(Fault::Conflict("x".into())), Retry::Conflict);
        assert_eq!(retry(Fault::Denied("x".into())), Retry::Never);
        assert_eq!(retry(Fault::Missing("x".into())), Retry::Never);
    }
}
