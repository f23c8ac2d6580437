//! What DynamoDB said, in the port's words.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use weir_app::StoreError;
use weir_domain::time::Span;

/// Codes that ask for patience, of a call and of one action of a transaction. The client has tried again before they
/// come here.
const BUSY: [&str; 7] = [
    "ThrottlingException",
    "ThrottlingError",
    "ProvisionedThroughputExceededException",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "TransactionInProgressException",
    "LimitExceededException",
];

/// How long to leave it in peace: on-demand capacity grows within seconds.
const PATIENCE: Span = Span::seconds(1);

pub(super) fn is_busy(code: Option<&str>) -> bool {
    code.is_some_and(|code| BUSY.contains(&code))
}

/// DynamoDB did not do it, for no reason that the caller knows of.
pub(super) fn failed<E, R>(operation: &'static str, error: SdkError<E, R>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match is_busy(error.code()) {
        true => busy(operation, error),
        false => unavailable(operation, error),
    }
}

pub(super) fn busy(
    operation: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Busy {
        operation,
        wait: PATIENCE,
        source: source.into(),
    }
}

pub(super) fn unavailable(
    operation: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Unavailable {
        operation,
        source: source.into(),
    }
}
