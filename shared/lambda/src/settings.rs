//! Settings, read once from the environment. The names are here and nowhere else.

use std::collections::BTreeMap;

use weir_domain::ids::ClusterName;
use weir_domain::seen::Bounds;
use weir_metrics::provider::{Named, NamedError};

use crate::bounds::bounds;
use crate::ways::{self, Way};

/// Every variable that is read. The template sets no other, and a test compares both.
pub const NAMES: [&str; 19] = [
    "WEIR_TABLE",
    "WEIR_STEPS_QUEUE_URL",
    "WEIR_STEPS_QUEUE_ARN",
    "WEIR_TRAFFIC_QUEUE_URL",
    "WEIR_TRAFFIC_QUEUE_ARN",
    "WEIR_DEAD_LETTERS_URL",
    "WEIR_SCHEDULE_GROUP",
    "WEIR_SCHEDULE_ROLE_ARN",
    "WEIR_SECRET_ID",
    "WEIR_CLUSTERS",
    "WEIR_BOUNDS",
    "WEIR_KUBECONFIG",
    "WEIR_REGISTRY",
    "WEIR_SOURCES",
    "WEIR_GITHUB_API",
    "WEIR_SLACK_API",
    "WEIR_SLACK_CHANNEL",
    "WEIR_SLACK_APP",
    "WEIR_SLACK_TEAM",
];

const GITHUB_API: &str = "https://api.github.com";
const SLACK_API: &str = "https://slack.com/api";

/// A queue, for requests and for schedules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueNames {
    /// Its URL.
    pub url: String,
    /// Its ARN.
    pub arn: String,
}

/// What a function is told about where it runs. No secret is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The table of all state.
    pub table: String,
    /// Hints for stage-executor.
    pub steps: QueueNames,
    /// Hints for metric-check.
    pub traffic: QueueNames,
    /// Where records go that nobody will ever handle.
    pub dead_letters: String,
    /// The group that schedules are created in.
    pub schedule_group: String,
    /// The role that they send with.
    pub schedule_role: String,
    /// The secret with everything that [`crate::Secrets`] holds.
    pub secret: String,
    /// What the clusters of definitions are, and how they are entered.
    pub clusters: BTreeMap<ClusterName, Way>,
    /// What was measured of them, where it was: plans count on it and tell it.
    pub bounds: BTreeMap<ClusterName, Bounds>,
    /// A file for clusters that are not in the list, where functions run beside a cluster of their own.
    pub kubeconfig: Option<String>,
    /// What `${REGISTRY}` stands for in definitions that do not say it themselves.
    pub registry: Option<String>,
    /// Servers of metrics that definitions may name.
    pub sources: Vec<Named>,
    /// GitHub.
    pub github_api: String,
    /// Slack.
    pub slack_api: String,
    /// The channel that people are told things in; nobody is told anything without.
    pub slack_channel: Option<String>,
    /// The app that requests must be meant for.
    pub slack_app: Option<String>,
    /// The workspace that requests must come from.
    pub slack_team: Option<String>,
}

/// A variable cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// It is not a list of clusters.
    #[error("WEIR_CLUSTERS: {0}; clusters are separated by commas, options by semicolons")]
    Clusters(String),
    /// It is not what was measured of clusters.
    #[error(
        "WEIR_BOUNDS: {0}; expected {{\"CLUSTER\":{{\"bounds\":{{…}}}},…}}, with what `weir conformance --format json` printed for each cluster"
    )]
    Bounds(String),
    /// It is not a list of servers of metrics.
    #[error("WEIR_SOURCES: {0}; sources are separated by spaces")]
    Sources(String),
}

impl Settings {
    /// Reads every variable.
    ///
    /// # Errors
    /// One that is needed is missing, or cannot be read.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let given = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &'static str| given(name).ok_or(SettingsError::Missing(name));
        let clusters =
            ways::clusters(&given("WEIR_CLUSTERS").unwrap_or_default()).map_err(SettingsError::Clusters)?;
        let kubeconfig = given("WEIR_KUBECONFIG");
        // A file is for every cluster that is not in the list.
        let known = |name: &ClusterName| clusters.contains_key(name) || kubeconfig.is_some();
        let bounds =
            bounds(&given("WEIR_BOUNDS").unwrap_or_default(), known).map_err(SettingsError::Bounds)?;
        Ok(Self {
            table: needed("WEIR_TABLE")?,
            steps: QueueNames {
                url: needed("WEIR_STEPS_QUEUE_URL")?,
                arn: needed("WEIR_STEPS_QUEUE_ARN")?,
            },
            traffic: QueueNames {
                url: needed("WEIR_TRAFFIC_QUEUE_URL")?,
                arn: needed("WEIR_TRAFFIC_QUEUE_ARN")?,
            },
            dead_letters: needed("WEIR_DEAD_LETTERS_URL")?,
            schedule_group: needed("WEIR_SCHEDULE_GROUP")?,
            schedule_role: needed("WEIR_SCHEDULE_ROLE_ARN")?,
            secret: needed("WEIR_SECRET_ID")?,
            clusters,
            bounds,
            kubeconfig,
            registry: given("WEIR_REGISTRY"),
            sources: sources(&given("WEIR_SOURCES").unwrap_or_default()).map_err(SettingsError::Sources)?,
            github_api: given("WEIR_GITHUB_API").unwrap_or_else(|| GITHUB_API.into()),
            slack_api: given("WEIR_SLACK_API").unwrap_or_else(|| SLACK_API.into()),
            slack_channel: given("WEIR_SLACK_CHANNEL"),
            slack_app: given("WEIR_SLACK_APP"),
            slack_team: given("WEIR_SLACK_TEAM"),
        })
    }

    /// Host and port of a Slack that is not Slack's own: answers may go there too.
    pub fn slack_stand_in(&self) -> Vec<String> {
        if self.slack_api == SLACK_API {
            return Vec::new();
        }
        let rest = self
            .slack_api
            .split_once("://")
            .map_or(&*self.slack_api, |(_, rest)| rest);
        vec![rest.split('/').next().unwrap_or(rest).to_owned()]
    }
}

fn sources(list: &str) -> Result<Vec<Named>, String> {
    let items = list.split_whitespace();
    let named = items.map(|item| item.parse().map_err(|why: NamedError| format!("`{item}`: {why}")));
    let all: Vec<Named> = named.collect::<Result<_, _>>()?;
    for named in &all {
        if let Some(text) = named.believed_by() {
            ways::believed(text).map_err(|why| format!("`{named}`: {why}"))?;
        }
    }
    match Named::twice(&all) {
        Some(name) => Err(format!("`{name}` stands there twice; keep one")),
        None => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use weir_domain::time::Span;

    use super::*;

    const MEASURED: &str = r#"{"cluster":"c","bounds":{"answer":{"bound_ms":23},"observed":{"bound_ms":56},"job":{"bound_ms":1000},"pod":{"bound_ms":84}}}"#;

    fn value(name: &str) -> Option<String> {
        match name {
            "WEIR_CLUSTERS" => Some("prod=eu-central-1/prod-1, edge=us-east-2/edge".into()),
            "WEIR_SOURCES" => {
                Some("dd=datadog:https://api.datadoghq.eu  scores=json:a.example,b.example".into())
            }
            "WEIR_BOUNDS" => Some(format!(r#"{{"prod":{MEASURED}}}"#)),
            _ => Some(format!("{name}'s")),
        }
    }

    #[test]
    fn every_name_is_read_and_no_other() {
        let asked = RefCell::new(BTreeSet::new());
        let settings = Settings::read(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            value(name)
        })
        .unwrap();
        assert_eq!(asked.into_inner(), NAMES.map(str::to_owned).into());
        let prod = &settings.clusters[&ClusterName::new("prod")];
        assert!(matches!(prod, Way::Eks(cluster) if cluster.region == "eu-central-1"));
        assert_eq!(settings.clusters.len(), 2);
        let measured: Vec<(&str, Span)> = settings
            .bounds
            .iter()
            .map(|(name, bounds)| (name.as_str(), bounds.observed))
            .collect();
        assert_eq!(measured, [("prod", Span(56))]);
        let sources: Vec<&str> = settings.sources.iter().map(Named::name).collect();
        assert_eq!(sources, ["dd", "scores"]);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let without = Settings::read(&|name| value(name).filter(|_| name != "WEIR_TABLE"));
        assert_eq!(without.unwrap_err().to_string(), "WEIR_TABLE is not set");
        let table = [
            (
                "WEIR_CLUSTERS",
                "prod=eu",
                "WEIR_CLUSTERS: `prod=eu`: `eu` is no cluster of EKS; expected REGION/CLUSTER; clusters are separated by commas, options by semicolons",
            ),
            (
                "WEIR_SOURCES",
                "a=json:a.example prom",
                "WEIR_SOURCES: `prom`: expected NAME=KIND:WHERE, with a name of lower-case letters, digits and dashes; sources are separated by spaces",
            ),
            (
                "WEIR_SOURCES",
                "prom=prometheus:http://prom.example",
                "WEIR_SOURCES: `prom=prometheus:http://prom.example`: http://prom.example: expected https://HOST, or http:// on this machine; sources are separated by spaces",
            ),
            (
                "WEIR_SOURCES",
                "gmp=prometheus-google:team/weir/aws:https://monitoring.googleapis.com/v1/projects/team/location/global/prometheus",
                "WEIR_SOURCES: `gmp=prometheus-google:team/weir/aws:https://monitoring.googleapis.com/v1/projects/team/location/global/prometheus`: `team/weir/aws`: expected NUMBER/POOL/PROVIDER, with the number of the project, not its id; sources are separated by spaces",
            ),
            (
                "WEIR_SOURCES",
                "a=json:a.example a=cloudwatch:eu-west-1",
                "WEIR_SOURCES: `a` stands there twice; keep one; sources are separated by spaces",
            ),
        ];
        for (wrong, text, expected) in table {
            let read = Settings::read(&|name| match name == wrong {
                true => Some(text.to_owned()),
                false => value(name),
            });
            assert_eq!(read.unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn bounds_that_cannot_be_used_are_told_with_what_is_expected() {
        let told = |bounds: &str, file: Option<&str>| {
            let read = Settings::read(&|name| match name {
                "WEIR_BOUNDS" => Some(bounds.to_owned()),
                "WEIR_KUBECONFIG" => file.map(str::to_owned),
                _ => value(name),
            });
            read.map_err(|error| error.to_string())
        };
        let elsewhere = format!(r#"{{"prd":{MEASURED}}}"#);
        let expected = r#"; expected {"CLUSTER":{"bounds":{…}},…}, with what `weir conformance --format json` printed for each cluster"#;
        for (bounds, found) in [
            (
                "prod=56ms",
                "it is no object in JSON: expected value at line 1 column 1",
            ),
            (&*elsewhere, "`prd` is no cluster of WEIR_CLUSTERS"),
            (
                r#"{"prod":{"bounds":{"observed":{"bound_ms":"56ms"}}}}"#,
                "`prod`: `bounds.observed.bound_ms` is \"56ms\"; expected whole milliseconds, at most 600000, as `weir conformance --format json` prints them",
            ),
        ] {
            assert_eq!(
                told(bounds, None).unwrap_err(),
                format!("WEIR_BOUNDS: {found}{expected}")
            );
        }
        // A file may know more clusters than the list does.
        assert_eq!(told(&elsewhere, Some("file")).unwrap().bounds.len(), 1);
    }

    #[test]
    fn answers_go_to_the_host_that_plays_slack_and_to_no_other() {
        let settings = |api: &str| {
            let api = api.to_owned();
            Settings::read(&move |name| match name {
                "WEIR_SLACK_API" => Some(api.clone()),
                _ => value(name),
            })
            .unwrap()
        };
        assert!(settings(SLACK_API).slack_stand_in().is_empty());
        assert_eq!(
            settings("http://127.0.0.1:99/api").slack_stand_in(),
            ["127.0.0.1:99"]
        );
    }
}
