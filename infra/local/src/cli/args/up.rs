//! `weir up`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use weir_domain::time::Span;

/// Checks more often than this would measure the host, not the world.
const CHECK_EVERY_MIN: Span = Span::millis(100);

/// `weir up`. Secrets are read from `WEIR_GITHUB_SECRET`, `WEIR_SLACK_SIGNING_SECRET`, `WEIR_SLACK_TOKEN`,
/// `WEIR_GITHUB_TOKEN` and `WEIR_ALARM_SECRET`, or from files that `…_FILE` names; several accepted secrets stand on lines of
/// their own, and `OWNER/NAME SECRET` is the webhook secret of one repository.
#[derive(Args, Debug)]
pub struct Up {
    /// Address of the webhooks; port 0 takes a free one and prints it
    #[arg(long, default_value = "127.0.0.1:8177", value_name = "HOST:PORT")]
    pub listen: SocketAddr,
    /// Folder of everything that is kept
    #[arg(long, env = "WEIR_STATE", value_name = "DIR")]
    pub state: PathBuf,
    /// How clusters are reached
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// Context in it: for one cluster of the definitions, or for every one that is not named; may be repeated
    #[arg(long = "context", value_name = "[CLUSTER=]CONTEXT", value_parser = context)]
    pub contexts: Vec<(Option<String>, String)>,
    /// What `weir conformance --format json` printed, for one cluster of the definitions or for every one that is not named: plans
    /// count on it and tell it; may be repeated
    #[arg(long = "bounds", value_name = "[CLUSTER=]FILE", value_parser = bounds)]
    pub bounds: Vec<(Option<String>, String)>,
    /// Let the kubeconfig start programs that get credentials, as those of EKS and GKE do
    #[arg(long)]
    pub allow_exec: bool,
    /// A repository on this machine; every other one is asked for at GitHub; may be repeated
    #[arg(long = "repository", value_name = "OWNER/NAME=PATH", value_parser = repository)]
    pub repositories: Vec<(String, PathBuf)>,
    /// Address that pods clone a repository from, if not the push's own, or file://PATH; may be repeated
    #[arg(long = "clone-url", value_name = "OWNER/NAME=URL", value_parser = clone_url)]
    pub clone_urls: Vec<(String, String)>,
    /// What ${REGISTRY} stands for in definitions that do not say it themselves
    #[arg(long, env = "WEIR_REGISTRY", value_name = "HOST/PATH", value_parser = registry)]
    pub registry: Option<String>,
    /// GitHub's API
    #[arg(long, default_value = "https://api.github.com", value_name = "URL")]
    pub github_api: String,
    /// Slack's API
    #[arg(long, default_value = "https://slack.com/api", value_name = "URL")]
    pub slack_api: String,
    /// Channel of approvals and pages, by id or name
    #[arg(long, env = "WEIR_SLACK_CHANNEL", value_name = "CHANNEL")]
    pub slack_channel: Option<String>,
    /// Id of the Slack app whose requests are taken
    #[arg(long, env = "WEIR_SLACK_APP", value_name = "ID")]
    pub slack_app: Option<String>,
    /// Id of the Slack workspace whose requests are taken
    #[arg(long, env = "WEIR_SLACK_TEAM", value_name = "ID")]
    pub slack_team: Option<String>,
    /// A server of metrics that definitions may name, such as prom=prometheus:https://prom.example; its keys are read
    /// from WEIR_SOURCE_NAME; may be repeated
    #[arg(long = "source", value_name = "NAME=KIND:WHERE")]
    pub sources: Vec<String>,
    /// Look at rollouts this often instead of every 5 to 15 s, for tests and demonstrations: `1s`, `500ms`
    #[arg(long, value_name = "TIME", value_parser = check_every)]
    pub check_every: Option<Span>,
    /// Who may connect to the socket: 600 the owner, 660 the group, 666 everyone on this machine. What they may do is
    /// said by the `uid` of a person in the definition's groups
    #[arg(long, default_value = "600", value_name = "MODE", value_parser = socket_mode)]
    pub socket_mode: u32,
}

fn named(text: &str, what: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !value.is_empty() => {
            weir_github::RepositoryName::parse(name).map_err(|error| error.to_string())?;
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!("expected OWNER/NAME={what}")),
    }
}

fn repository(text: &str) -> Result<(String, PathBuf), String> {
    named(text, "PATH").map(|(name, path)| (name, PathBuf::from(path)))
}

fn clone_url(text: &str) -> Result<(String, String), String> {
    named(text, "URL")
}

/// It stands in commands and in names of images, so it may hold nothing that a shell would take apart.
fn registry(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:/".contains(&b);
    match !text.is_empty() && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("expected HOST/PATH without a scheme, such as registry.example.com/acme".into()),
    }
}

fn context(text: &str) -> Result<(Option<String>, String), String> {
    of_cluster(text, "CONTEXT")
}

fn bounds(text: &str) -> Result<(Option<String>, String), String> {
    of_cluster(text, "FILE")
}

/// Something of one cluster, or of every one that is not named.
fn of_cluster(text: &str, what: &str) -> Result<(Option<String>, String), String> {
    match text.split_once('=') {
        Some((cluster, value)) if !cluster.is_empty() && !value.is_empty() => {
            Ok((Some(cluster.to_owned()), value.to_owned()))
        }
        None if !text.is_empty() => Ok((None, text.to_owned())),
        _ => Err(format!("expected {what}, or CLUSTER={what}")),
    }
}

fn check_every(text: &str) -> Result<Span, String> {
    let expected = || "expected a time such as 1s or 500ms, at least 100ms".to_owned();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').ok_or_else(expected)?, 1_000),
    };
    let number: u64 = number.trim().parse().map_err(|_| expected())?;
    let span = Span(number.saturating_mul(unit));
    (span >= CHECK_EVERY_MIN).then_some(span).ok_or_else(expected)
}

fn socket_mode(text: &str) -> Result<u32, String> {
    match text {
        "600" => Ok(0o600),
        "660" => Ok(0o660),
        "666" => Ok(0o666),
        _ => Err("expected 600, 660 or 666".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_for_one_cluster_or_for_every_one() {
        assert_eq!(context("kind"), Ok((None, "kind".into())));
        assert_eq!(context("gpu=kind"), Ok((Some("gpu".into()), "kind".into())));
        assert!(context("gpu=").is_err() && context("=x").is_err() && context("").is_err());
    }

    #[test]
    fn a_registry_is_a_host_and_a_path() {
        assert!(registry("registry.example.com:5000/acme").is_ok());
        for wrong in ["", "a b", "$(id)", "a;b"] {
            assert!(registry(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn checks_are_given_in_seconds_or_milliseconds() {
        assert_eq!(check_every("1s"), Ok(Span::seconds(1)));
        assert_eq!(check_every("250ms"), Ok(Span::millis(250)));
        for wrong in ["1", "0s", "99ms", "s", "1m", "-1s", "1.5s"] {
            assert!(check_every(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn repositories_have_a_name_that_can_stand_in_an_address() {
        assert!(repository("acme/model=/srv/model.git").is_ok());
        assert!(repository("acme=/srv").is_err() && repository("a b/c=/srv").is_err());
        assert_eq!(
            clone_url("acme/model=http://10.0.0.1/x?a=b").unwrap().1,
            "http://10.0.0.1/x?a=b"
        );
    }
}
