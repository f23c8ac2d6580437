//! The one question that every adapter error answers.

use weir_domain::time::Span;

/// What to do about a failed operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Try again at once: nothing is wrong with the other side.
    Now,
    /// Try again after this time: the other side is away, slow or asks for patience.
    After(Span),
    /// It can never succeed as it stands: a right, an object or a credential is missing.
    Never,
    /// Somebody else was faster: read again, decide again.
    Conflict,
}

/// An error that knows what to do about it.
pub trait Classified: std::error::Error + 'static {
    /// What to do.
    fn retry(&self) -> Retry;
}
