//! A value that must not be seen.

use std::fmt;

/// A signing secret or an API token. Its `Debug` shows nothing of it, and it has no `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the value; one trailing line end, as a file of one line has it, is dropped. An empty value is no secret.
    pub fn new(value: impl Into<String>) -> Option<Self> {
        let value: String = value.into();
        let value = value.strip_suffix('\n').unwrap_or(&value);
        let value = value.strip_suffix('\r').unwrap_or(value);
        (!value.is_empty()).then(|| Self(value.to_owned()))
    }

    /// The value itself, for a signature or an `Authorization` header alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        let secret = Secret::new("hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn a_line_end_is_dropped_and_emptiness_is_refused() {
        assert_eq!(Secret::new("a b\r\n").unwrap().expose(), "a b");
        assert!(Secret::new("\n").is_none());
        assert!(Secret::new("").is_none());
    }
}
