//! A value that must not be seen.

use std::fmt;

/// A token or key of a source. Its `Debug` shows nothing of it, and it has no `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the value without a trailing line end. An empty value is no secret.
    pub fn new(value: impl Into<String>) -> Option<Self> {
        let value: String = value.into();
        let value = value.trim_end_matches(['\n', '\r']);
        (!value.is_empty()).then(|| Self(value.to_owned()))
    }

    /// The value itself, for a header or a signature alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both are the same value.
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Its parts between colons, for keys that belong together: `API:APPLICATION`.
    pub fn parts(&self) -> Vec<Self> {
        self.0.split(':').filter_map(Self::new).collect()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
