//! A function from its start to its last event.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent, run, service_fn};
use serde_json::Value;
use weir_app::door::{Request, Response};
use weir_app::{Clock, Engine, HandleError, People, Ports, RandomIds, SystemClock};
use weir_aws::queue::{Address, DeadLetters, EventBridge, traced};
use weir_aws::whereabouts::Shelf;
use weir_aws::{DynamoStore, SqsQueue};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::event::Limits;
use weir_domain::ids::RunId;
use weir_domain::time::Timestamp;
use weir_github::{GitHubApi, Repositories};
use weir_slack::{SlackClient, SlackPeople};

use crate::clients::Clients;
use crate::gate::{CloudGate, Clouds, authorities};
use crate::kept::{Kept, SECRETS_LIFE};
use crate::people::Silent;
use crate::secrets::Secrets;
use crate::settings::{QueueNames, Settings};
use crate::{metrics, queue, sources, topic, url};

/// A function could not start.
#[derive(Debug, thiserror::Error)]
#[error("the function could not {operation}: {why}")]
pub struct HostError {
    operation: &'static str,
    why: String,
}

fn failed(operation: &'static str, why: impl std::fmt::Display) -> HostError {
    HostError {
        operation,
        why: why.to_string(),
    }
}

/// What a function runs on.
pub struct Host {
    /// Where it runs.
    pub settings: Settings,
    /// What it must not say.
    pub secrets: Secrets,
    function: &'static str,
    clients: Clients,
}

/// Reads settings and secrets of a function, sets up the log, and connects: while a function starts it has the whole CPU,
/// and a connection is mostly cryptography.
///
/// # Errors
/// A setting is missing, or the secrets cannot be read.
pub async fn start(
    function: &'static str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Host, HostError> {
    log(variable);
    let settings = Settings::read(variable).map_err(|error| failed("read its settings", error))?;
    let clients = Clients::of(weir_aws::config::load().await);
    let (secrets, ()) = tokio::join!(clients.secrets(&settings.secret), clients.warm(&settings));
    Ok(Host {
        secrets: secrets.map_err(|why| failed("read its secrets", why))?,
        settings,
        function,
        clients,
    })
}

/// One JSON object a line; the level as for any function.
fn log(variable: &dyn Fn(&str) -> Option<String>) {
    let level = variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| variable("RUST_LOG"));
    let filter = tracing_subscriber::EnvFilter::new(level.unwrap_or_else(|| "info".into()).to_lowercase());
    // A second start in one process keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_current_span(true)
        .try_init();
}

impl Host {
    /// The ports on AWS. Nothing is connected yet.
    ///
    /// # Errors
    /// An address in the settings cannot be used.
    pub fn ports(&self) -> Result<Ports, HostError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let table = self.clients.dynamodb.clone();
        let fleet = Arc::new(self.fleet(&clock)?);
        let direct = Arc::new(weir_metrics::Direct::new(fleet.clone()));
        let servers = sources::servers(&self.settings.sources, &self.secrets, &self.clients, &clock);
        let traffic =
            weir_metrics::Sources::new(direct, servers, clock.clone(), weir_cluster::names::revision_name);
        Ok(Ports {
            store: Arc::new(DynamoStore::new(table, &self.settings.table, clock.clone())),
            clusters: fleet,
            traffic: Arc::new(traffic),
            source: Arc::new(Repositories::new(Default::default(), Some(self.github()?))),
            people: self.people()?,
            queue: Arc::new(self.queue(&clock)),
            clock,
            ids: Arc::new(RandomIds),
            limits: Limits::default(),
        })
    }

    fn fleet(&self, clock: &Arc<dyn Clock>) -> Result<Fleet, HostError> {
        let fleet = Fleet::new(self.places(clock)?, clock.clone());
        let measured = self.settings.bounds.iter();
        Ok(measured.fold(fleet, |fleet, (name, bounds)| {
            fleet.measured(Some(name.clone()), *bounds)
        }))
    }

    fn places(&self, clock: &Arc<dyn Clock>) -> Result<Places, HostError> {
        let clusters = &self.settings.clusters;
        let authorities = authorities(clusters, &self.secrets.cluster_authorities);
        let table = self.clients.dynamodb.clone();
        let shelf = Shelf::new(table, &self.settings.table, self.function);
        let gate = Access::Gate(Arc::new(CloudGate {
            clusters: clusters.clone(),
            authorities: authorities.map_err(|why| failed("use cluster_authorities of its secret", why))?,
            function: self.function,
            clouds: Clouds {
                google: self.clients.google.clone(),
                ..Clouds::of(&self.clients.config, Some(shelf))
            },
            clock: clock.clone(),
        }));
        let otherwise = match &self.settings.kubeconfig {
            Some(path) => Access::kubeconfig(path, None),
            None => gate.clone(),
        };
        Ok(clusters.keys().fold(Places::all(otherwise), |places, name| {
            places.with(name.clone(), gate.clone())
        }))
    }

    fn queue(&self, clock: &Arc<dyn Clock>) -> SqsQueue {
        let address = |names: &QueueNames| Address {
            url: names.url.clone(),
            arn: names.arn.clone(),
        };
        let schedules = EventBridge::new(
            aws_sdk_scheduler::Client::new(&self.clients.config),
            &self.settings.schedule_group,
            &self.settings.schedule_role,
        );
        SqsQueue::new(
            self.clients.sqs.clone(),
            address(&self.settings.steps),
            address(&self.settings.traffic),
            Arc::new(schedules),
            clock.clone(),
        )
    }

    fn github(&self) -> Result<GitHubApi, HostError> {
        let token = self
            .secrets
            .github_token
            .clone()
            .and_then(weir_github::Secret::new);
        GitHubApi::new(&self.settings.github_api, token).map_err(|error| failed("use WEIR_GITHUB_API", error))
    }

    fn slack(&self) -> Result<Option<SlackClient>, HostError> {
        let token = self.secrets.slack_token.clone().and_then(weir_slack::Secret::new);
        let made = token.map(|token| SlackClient::new(&self.settings.slack_api, token));
        made.transpose()
            .map_err(|error| failed("use WEIR_SLACK_API", error))
    }

    /// Slack for a function that answers it. What its client reads at the first call takes milliseconds of the 3 s that
    /// Slack waits, and every start would pay for it.
    ///
    /// # Errors
    /// There is no token.
    pub fn slack_answers(&self) -> Result<SlackClient, HostError> {
        let missing = || failed("answer Slack", "the secret has no slack_token");
        self.slack()?.ok_or_else(missing)
    }

    fn people(&self) -> Result<Arc<dyn People>, HostError> {
        match (self.slack()?, self.settings.slack_channel.clone()) {
            (Some(client), Some(channel)) => Ok(Arc::new(SlackPeople { client, channel })),
            _ => Ok(Arc::new(Silent)),
        }
    }

    /// The same function with the secrets as they are now, if they have changed.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) async fn renewed(&self) -> Result<Option<Self>, HostError> {
        let read = self.clients.secrets(&self.settings.secret).await;
        let secrets = read.map_err(|why| failed("read its secrets again", why))?;
        if secrets == self.secrets {
            return Ok(None);
        }
        Ok(Some(Self {
            settings: self.settings.clone(),
            secrets,
            function: self.function,
            clients: self.clients.clone(),
        }))
    }

    /// Answers requests of a function URL until Lambda ends the function. What answers them is built of the host, and
    /// again when the secrets have changed.
    ///
    /// # Errors
    /// It cannot be built, or Lambda cannot be reached.
    pub async fn serve_door<T, F>(
        self,
        build: impl Fn(&Self) -> Result<T, HostError>,
        handle: impl Fn(Arc<T>, Request) -> F,
    ) -> Result<(), crate::Error>
    where
        F: Future<Output = Response>,
    {
        let nobody = |_, _| async { Response::text(400, "this function listens to no topic") };
        self.serve_doors(build, handle, nobody).await
    }

    /// The same for a function that a topic of SNS starts too: what answers its messages beside requests. Lambda brings a
    /// message again that is answered with 5xx.
    ///
    /// # Errors
    /// It cannot be built, or Lambda cannot be reached.
    pub async fn serve_doors<T, F, G>(
        self,
        build: impl Fn(&Self) -> Result<T, HostError>,
        handle: impl Fn(Arc<T>, Request) -> F,
        notice: impl Fn(Arc<T>, Vec<u8>) -> G,
    ) -> Result<(), crate::Error>
    where
        F: Future<Output = Response>,
        G: Future<Output = Response>,
    {
        let (kept, handle, notice) = (&Kept::new(self, SECRETS_LIFE, build)?, &handle, &notice);
        run(service_fn(|event: LambdaEvent<Value>| async move {
            let (function, trace) = (
                &event.context.env_config.function_name,
                event.context.xray_trace_id.clone(),
            );
            if let Some(messages) = topic::messages(&event.payload) {
                for message in messages {
                    let noticed = notice(kept.current().await, message);
                    let answer = Box::pin(traced(trace.clone(), noticed)).await;
                    metrics::tell_door(function, SystemClock.now(), answer.status);
                    if answer.status >= 500 {
                        return Err(Diagnostic {
                            error_type: "Notice".to_owned(),
                            error_message: answer.body,
                        });
                    }
                }
                return Ok(Value::Null);
            }
            let answer = match url::request(&event.payload) {
                Ok(request) => Box::pin(traced(trace, handle(kept.current().await, request))).await,
                Err(answer) => answer,
            };
            metrics::tell_door(function, SystemClock.now(), answer.status);
            Ok(url::response(&answer))
        }))
        .await
    }

    /// Answers batches of a queue, and sweeps, until Lambda ends the function.
    ///
    /// # Errors
    /// A port cannot be made, or Lambda cannot be reached.
    pub async fn serve_queue<F>(
        self,
        engine: impl Fn(Ports) -> Engine,
        look: impl Fn(Arc<Engine>, RunId) -> F,
    ) -> Result<(), crate::Error>
    where
        F: Future<Output = Result<(), HandleError>>,
    {
        let client = self.clients.sqs.clone();
        let parking = &DeadLetters::new(client, &self.settings.dead_letters);
        let kept = &Kept::new(self, SECRETS_LIFE, |host| Ok(engine(host.ports()?)))?;
        let look = &look;
        run(service_fn(|event: LambdaEvent<Value>| async move {
            let engine = kept.current().await;
            let ports = &engine.ports;
            let deadline = Timestamp(i64::try_from(event.context.deadline).unwrap_or(i64::MAX));
            let left = Duration::from_millis(deadline.since(ports.clock.now()).0);
            let look = |run| look(engine.clone(), run);
            let trace = event.context.xray_trace_id.clone();
            let answer = queue::answer(&event.payload, left, ports, parking, &look);
            let answer = traced(trace, answer).await;
            if let Ok(answer) = &answer {
                let records = event.payload["Records"].as_array().map_or(0, Vec::len);
                let function = &event.context.env_config.function_name;
                metrics::tell(function, ports.clock.now(), records, answer);
            }
            // Alarms key on this name, never on that of a Rust type.
            answer.map_err(|error| Diagnostic {
                error_type: "Sweep".to_owned(),
                error_message: error.to_string(),
            })
        }))
        .await
    }
}

#[cfg(test)]
impl Host {
    /// A host whose services are all at one address.
    pub(crate) async fn for_tests(url: &str, secrets: &str) -> Self {
        let key = aws_credential_types::Credentials::new("KEY", "secret", None, None, "tests");
        let config = weir_aws::config::loader()
            .endpoint_url(url)
            .region(aws_config::Region::from_static("eu-central-1"))
            .credentials_provider(key)
            .load()
            .await;
        let mut clients = Clients::of(config);
        clients.google = weir_federation::Google::at(url, url, url).unwrap();
        Self {
            settings: Settings::read(&|name| {
                let listed = ["WEIR_CLUSTERS", "WEIR_SOURCES", "WEIR_BOUNDS"].contains(&name);
                (!listed).then(|| name.to_owned())
            })
            .unwrap(),
            secrets: Secrets::parse(secrets).unwrap(),
            function: "tests",
            clients,
        }
    }
}
