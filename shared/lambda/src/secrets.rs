//! Secrets, in one item of Secrets Manager. They are read when a function starts, and every five minutes; one that is
//! exchanged stands beside its successor until every function has read both.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Everything that is secret. Shown, it is counts.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// What GitHub signs deliveries with: a secret, or `owner/name SECRET` for one repository's own; several while one
    /// is exchanged.
    pub github_secrets: Vec<String>,
    /// Lets Weir read files and set statuses at GitHub.
    pub github_token: Option<String>,
    /// What Slack signs requests with; several while one is exchanged.
    pub slack_signing_secrets: Vec<String>,
    /// Lets Weir write in Slack.
    pub slack_token: Option<String>,
    /// What monitoring systems prove themselves by; several while one is exchanged.
    pub alarm_secrets: Vec<String>,
    /// By name of the cluster, the authority of its API server's certificate in PEM, where no cloud says it. Not secret,
    /// but too long for a setting.
    pub cluster_authorities: BTreeMap<String, String>,
    /// By name of the source of metrics, what it is asked with.
    pub sources: BTreeMap<String, String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("github_secrets", &self.github_secrets.len())
            .field("github_token", &self.github_token.is_some())
            .field("slack_signing_secrets", &self.slack_signing_secrets.len())
            .field("slack_token", &self.slack_token.is_some())
            .field("alarm_secrets", &self.alarm_secrets.len())
            .field("cluster_authorities", &self.cluster_authorities.len())
            .field("sources", &self.sources.len())
            .finish()
    }
}

/// The text of the secret is not what it must be. What stands there is not shown.
#[derive(Debug, thiserror::Error)]
#[error(
    "the secret is no JSON object of github_secrets, github_token, slack_signing_secrets, slack_token, alarm_secrets, cluster_authorities, sources: line {line}"
)]
pub struct SecretsError {
    line: usize,
}

impl Secrets {
    /// Reads the text of the secret.
    ///
    /// # Errors
    /// It is not what it must be.
    pub fn parse(text: &str) -> Result<Self, SecretsError> {
        serde_json::from_str(text).map_err(|error| SecretsError { line: error.line() })
    }

    /// What GitHub signs with.
    pub fn github(&self) -> Vec<weir_github::Key> {
        let all = self.github_secrets.iter();
        all.filter_map(|text| weir_github::Key::parse(text)).collect()
    }

    /// What Slack signs with.
    pub fn slack(&self) -> Vec<weir_slack::Secret> {
        let all = self.slack_signing_secrets.iter().cloned();
        all.filter_map(weir_slack::Secret::new).collect()
    }

    /// What alarms prove themselves by.
    pub fn alarms(&self) -> Vec<weir_app::Secret> {
        let all = self.alarm_secrets.iter().cloned();
        all.filter_map(weir_app::Secret::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_and_never_shown() {
        let text = r#"{"github_secrets": ["hunter2", "hunter3"], "slack_token": "xoxb-hunter4", "sources": {"dd": "hunter5:hunter6"}}"#;
        let secrets = Secrets::parse(text).unwrap();
        assert_eq!((secrets.github().len(), secrets.slack().len()), (2, 0));
        assert!(!format!("{secrets:?}").contains("hunter"));
    }

    #[test]
    fn a_secret_that_cannot_be_read_is_not_shown_either() {
        for text in [
            "hunter2",
            r#"{"github_secrets": "hunter2"}"#,
            r#"{"hunter2": 1}"#,
            "",
        ] {
            let error = Secrets::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
