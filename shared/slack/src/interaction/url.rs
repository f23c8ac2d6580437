//! The address that an answer may go to.

use std::fmt;

use reqwest::Url;

/// Where Slack takes answers to one interaction. Whoever knows it can write there, so it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(Url);

/// Slack's own host for answers.
const HOST: &str = "hooks.slack.com";

impl ResponseUrl {
    /// Accepts `https://hooks.slack.com/…`, and for each of `extra_hosts` (`host` or `host:port`) `http` and `https`.
    /// Anything else would make us send requests where somebody else wants them.
    pub fn parse(text: &str, extra_hosts: &[String]) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?;
        let with_port = url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let slack = url.scheme() == "https" && with_port == HOST;
        let extra = matches!(url.scheme(), "http" | "https") && extra_hosts.contains(&with_port);
        let plain = url.username().is_empty() && url.password().is_none();
        ((slack || extra) && plain).then_some(Self(url))
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// The address, to be stored with the interaction that it belongs to and shown nowhere.
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseUrl({}/…)", self.0.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slacks_host_over_https_is_answered() {
        let accepted = |text: &str| ResponseUrl::parse(text, &["127.0.0.1:9".to_owned()]).is_some();
        assert!(accepted("https://hooks.slack.com/actions/T1/2/3"));
        assert!(accepted("http://127.0.0.1:9/answer"));
        let refused = [
            "http://hooks.slack.com/actions/T1/2/3",
            "https://hooks.slack.com:8443/x",
            "https://hooks.slack.com.evil.example/x",
            "https://evil.example/hooks.slack.com",
            "https://hooks.slack.com@evil.example/x",
            "https://user@hooks.slack.com/x",
            "https://169.254.169.254/latest",
            "http://127.0.0.1:10/answer",
            "file:///etc/passwd",
            "",
        ];
        for text in refused {
            assert!(!accepted(text), "{text}");
        }
    }

    #[test]
    fn debug_shows_the_host_alone() {
        let url = ResponseUrl::parse("https://hooks.slack.com/actions/T1/2/secret", &[]).unwrap();
        assert_eq!(format!("{url:?}"), "ResponseUrl(hooks.slack.com/…)");
    }
}
