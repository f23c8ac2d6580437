//! Request headers, whatever front end they came through.

/// Headers by name, found regardless of case: function URLs send lower case, other front ends the original.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    pairs: Vec<(String, String)>,
}

impl Headers {
    /// Takes name and value pairs in any case and order; a name may occur several times.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: Into<String>,
    {
        let pairs = pairs
            .into_iter()
            .map(|(n, v)| (n.as_ref().to_ascii_lowercase(), v.into()))
            .collect();
        Self { pairs }
    }

    /// All values under a name, in order of arrival.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.pairs
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// The first value under a name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
    }

    /// What the body says it is, in lower case and without parameters; empty where nothing is said.
    pub fn media_type(&self) -> String {
        let said = self.first("content-type").unwrap_or_default();
        let kind = said.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        let headers = Headers::from_pairs([("X-GitHub-Event", "push"), ("x-a", "1"), ("X-A", "2")]);
        assert_eq!(headers.first("x-github-event"), Some("push"));
        assert_eq!(headers.all("X-a"), ["1", "2"]);
        assert_eq!(headers.first("x-b"), None);
    }

    #[test]
    fn a_media_type_is_without_parameters() {
        let of = |said| Headers::from_pairs([("Content-Type", said)]).media_type();
        assert_eq!(of("Application/JSON; charset=utf-8"), "application/json");
        assert_eq!(of(" text/plain ;"), "text/plain");
        assert_eq!(Headers::default().media_type(), "");
    }
}
