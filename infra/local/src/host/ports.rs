//! What the host was given, as the ports of the loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use weir_app::door::Request;
use weir_app::{People, Ports, RandomIds, SystemClock, with_causes};
use weir_approval_callback::Callback;
use weir_cluster::{Access, Fleet, Places};
use weir_domain::event::Limits;
use weir_domain::ids::ClusterName;
use weir_github::{GitHubApi, LocalRepository, Repositories};
use weir_metrics::provider::Servers;
use weir_slack::{Addressee, SlackClient, SlackPeople};
use weir_webhook_intake::{Alarms, Intake};

use super::http::{Door, shut};
use super::secrets::{ALARM_SECRET, GITHUB_SECRET, SLACK_SIGNING_SECRET, SLACK_TOKEN, Secrets, Values};
use super::silent::SilentPeople;
use super::start::Starts;
use crate::cli::{Failure, Up, bounds};
use crate::queue::LocalQueue;
use crate::store::SqliteStore;

/// Slack's answers go to this host; those of a stand-in for Slack go to the stand-in's.
const SLACK_API: &str = "https://slack.com/api";

/// Builds every client once. Nothing is sent yet.
pub(crate) fn ports(
    args: &Up,
    secrets: &Secrets,
    servers: Servers,
    store: Arc<SqliteStore>,
    queue: Arc<LocalQueue>,
) -> Result<Ports, Failure> {
    let clock = Arc::new(SystemClock);
    let fleet = Arc::new(fleet(args, clock.clone())?);
    let direct = Arc::new(weir_metrics::Direct::new(fleet.clone()));
    let traffic =
        weir_metrics::Sources::new(direct, servers, clock.clone(), weir_cluster::names::revision_name);
    Ok(Ports {
        store,
        clusters: fleet,
        traffic: Arc::new(traffic),
        source: Arc::new(repositories(args, secrets)?),
        people: people(args, secrets)?,
        queue,
        clock,
        ids: Arc::new(RandomIds),
        limits: args.check_every.map_or_else(Limits::default, Limits::every),
    })
}

fn fleet(args: &Up, clock: Arc<SystemClock>) -> Result<Fleet, Failure> {
    let mut fleet = Fleet::new(places(args), clock);
    for (cluster, file) in &args.bounds {
        fleet = fleet.measured(cluster.as_ref().map(ClusterName::new), bounds(Path::new(file))?);
    }
    Ok(fleet)
}

fn places(args: &Up) -> Places {
    let access = |context: Option<&String>| Access::kubeconfig(&args.kubeconfig, context.cloned());
    let every = args.contexts.iter().find(|(cluster, _)| cluster.is_none());
    let mut places = Places::all(access(every.map(|(_, context)| context))).allow_exec(args.allow_exec);
    for (cluster, context) in &args.contexts {
        if let Some(cluster) = cluster {
            places = places.with(ClusterName::new(cluster), access(Some(context)));
        }
    }
    places
}

fn repositories(args: &Up, secrets: &Secrets) -> Result<Repositories, Failure> {
    let local = args
        .repositories
        .iter()
        .map(|(name, path)| (name.clone(), LocalRepository::new(path)))
        .collect();
    let token = secrets.github_token.first().and_then(weir_github::Secret::new);
    let api = GitHubApi::new(&args.github_api, token);
    // A host has time while it starts, and none when it answers.
    let prepared = api.and_then(|api| api.prepare().map(|()| api));
    let unusable = |error| {
        Failure::new(format!(
            "--github-api {}: {}",
            args.github_api,
            with_causes(&error)
        ))
    };
    Ok(Repositories::new(local, Some(prepared.map_err(unusable)?)))
}

/// Where pods clone from: as it was said, else the folder itself for repositories on this machine.
fn clone_urls(args: &Up) -> BTreeMap<String, String> {
    let mut urls: BTreeMap<String, String> = BTreeMap::new();
    for (name, path) in &args.repositories {
        // A relative path means something else in a pod.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        urls.insert(name.clone(), format!("file://{}", path.display()));
    }
    urls.extend(args.clone_urls.iter().cloned());
    urls
}

/// What `weir run` starts from.
pub(crate) fn starts(args: &Up) -> Starts {
    Starts {
        folders: args.repositories.iter().cloned().collect(),
        clone_urls: clone_urls(args),
        registry: args.registry.clone(),
    }
}

fn client(args: &Up, secrets: &Secrets) -> Result<Option<SlackClient>, Failure> {
    let Some(token) = secrets.slack_token.first().and_then(weir_slack::Secret::new) else {
        return Ok(None);
    };
    let client = SlackClient::new(&args.slack_api, token);
    let prepared = client.and_then(|client| client.prepare().map(|()| client));
    let unusable = |error| Failure::new(format!("--slack-api {}: {}", args.slack_api, with_causes(&error)));
    prepared.map(Some).map_err(unusable)
}

fn people(args: &Up, secrets: &Secrets) -> Result<Arc<dyn People>, Failure> {
    match (client(args, secrets)?, &args.slack_channel) {
        (Some(client), Some(channel)) => Ok(Arc::new(SlackPeople {
            client,
            channel: channel.clone(),
        })),
        _ => Ok(Arc::new(SilentPeople)),
    }
}

/// The door of GitHub.
pub(crate) fn github(args: &Up, secrets: &Secrets, ports: &Ports) -> Door {
    if secrets.github_secret.is_empty() {
        return shut(GITHUB_SECRET);
    }
    let intake = Arc::new(Intake {
        engine: weir_webhook_intake::engine(ports.clone()),
        keys: all(&secrets.github_secret, |text| weir_github::Key::parse(&text)),
        clone_urls: clone_urls(args),
        registry: args.registry.clone(),
    });
    Arc::new(move |request: Request| {
        let intake = intake.clone();
        Box::pin(async move { intake.handle(&request).await })
    })
}

/// The door of monitoring systems.
pub(crate) fn alarms(secrets: &Secrets, ports: &Ports) -> Door {
    if secrets.alarm_secret.is_empty() {
        return shut(ALARM_SECRET);
    }
    let alarms = Arc::new(Alarms {
        engine: weir_webhook_intake::engine(ports.clone()),
        secrets: all(&secrets.alarm_secret, weir_app::Secret::new),
    });
    Arc::new(move |request: Request| {
        let alarms = alarms.clone();
        Box::pin(async move { alarms.handle(&request).await })
    })
}

/// The door of Slack.
pub(crate) fn slack(args: &Up, secrets: &Secrets, ports: &Ports) -> Result<Door, Failure> {
    if secrets.slack_signing_secret.is_empty() {
        return Ok(shut(SLACK_SIGNING_SECRET));
    }
    let Some(client) = client(args, secrets)? else {
        return Ok(shut(SLACK_TOKEN));
    };
    let callback = Arc::new(Callback {
        engine: weir_approval_callback::engine(ports.clone()),
        secrets: all(&secrets.slack_signing_secret, weir_slack::Secret::new),
        addressee: Addressee {
            api_app_id: args.slack_app.clone(),
            team_id: args.slack_team.clone(),
            extra_response_hosts: stand_in(&args.slack_api),
        },
        replies: Arc::new(client),
    });
    Ok(Arc::new(move |request: Request| {
        let callback = callback.clone();
        Box::pin(async move { callback.handle(&request).await })
    }))
}

fn all<S>(values: &Values, secret: impl Fn(String) -> Option<S>) -> Vec<S> {
    values
        .iter()
        .filter_map(|value| secret(value.to_owned()))
        .collect()
}

/// Host and port of a Slack that is not Slack's own.
fn stand_in(api: &str) -> Vec<String> {
    if api == SLACK_API {
        return Vec::new();
    }
    let rest = api.split_once("://").map_or(api, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    vec![host.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_the_host_that_plays_slack_and_to_no_other() {
        assert!(stand_in(SLACK_API).is_empty());
        assert_eq!(stand_in("http://127.0.0.1:99/api"), ["127.0.0.1:99"]);
    }
}
