//! Errors in words.

/// An error with its causes, for a log or a person.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        at = cause.source();
    }
    words
}
