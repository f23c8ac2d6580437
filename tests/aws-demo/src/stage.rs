//! Everything that the demonstration runs on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weir_app::SystemClock;
use weir_aws::DynamoStore;
use weir_demo::cluster::Cluster;
use weir_demo::github;
use weir_demo::load::Load;
use weir_demo::repository::Repository;
use weir_demo::slack::{self, Slack};
use weir_lambda_host::{Given, Stack, Template, entrance};
use weir_live::{Gate, GitServer};

use crate::args::Args;
use crate::datadog::{self, Datadog};
use crate::rights::{self, Entered};
use crate::weather::{self, Weather};

/// The functions' programs.
const PROGRAMS: [&str; 4] = [
    "approval-callback",
    "metric-check",
    "stage-executor",
    "webhook-intake",
];

/// A revision that was sent back is kept for two seconds, and its streams may take thirty more to end.
const GONE_LIMIT: Duration = Duration::from_secs(120);

/// What EKS calls the cluster.
const EKS_CLUSTER: &str = "prod-1";

/// Events of one function that are handled at once.
const AT_ONCE: usize = 2;

/// Where functions are killed or things go wrong, the sweep finds what was lost within this instead of within a minute.
const SHORT_MINUTE: Duration = Duration::from_secs(5);

/// Where the programs are and where files go.
pub(crate) struct Places {
    project: PathBuf,
    cluster_bin: PathBuf,
    /// The functions' programs.
    programs: PathBuf,
    /// Pods and users.
    bin: PathBuf,
    state: PathBuf,
}

impl Places {
    /// The programs that were built with this one; those of the functions may be elsewhere.
    pub(crate) fn of_this_build(programs: Option<PathBuf>) -> Result<Self> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()?;
        let cluster_bin = std::env::var_os("WEIR_CLUSTER_BIN")
            .context("WEIR_CLUSTER_BIN is not set: run `make demo-aws`")?;
        let this = std::env::current_exe()?;
        let bin = this.parent().context("a program lies in a folder")?.to_owned();
        let programs = programs.unwrap_or_else(|| bin.clone());
        let functions = PROGRAMS.map(|name| programs.join(name));
        let others = ["weir-simulator", "weir-load"].map(|name| bin.join(name));
        for program in functions.iter().chain(&others) {
            ensure!(
                program.exists(),
                "{} is not built: run `make demo-aws`",
                program.display()
            );
        }
        Ok(Self {
            state: project.join(".cache/demo-aws"),
            cluster_bin: cluster_bin.into(),
            project,
            programs,
            bin,
        })
    }
}

/// Cluster, repository, Slack, the stack and, once something serves, users.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) repository: Repository,
    pub(crate) git: GitServer,
    pub(crate) slack: Slack,
    pub(crate) datadog: Datadog,
    pub(crate) stack: Arc<Stack>,
    pub(crate) store: DynamoStore,
    api: github::Api,
    gate: Option<Arc<Gate>>,
    state: PathBuf,
    load_binary: PathBuf,
    load: Option<Load>,
}

impl Stage {
    /// Starts everything but the users.
    pub(crate) async fn start(places: &Places, args: &Args) -> Result<Self> {
        let state = &places.state;
        if state.exists() {
            std::fs::remove_dir_all(state).with_context(|| format!("could not empty {}", state.display()))?;
        }
        std::fs::create_dir_all(state.join("logs"))?;
        let sample = places.project.join("tests/demo/sample");
        let repository = Repository::create(&sample, &state.join("repository"), 0).await?;
        let git = GitServer::start(state).await?;
        let template = Template::read(include_str!("../../../infra/aws/template.yaml"))?;
        let side = Template::read(include_str!("../../../infra/aws/cluster.yaml"))?;
        let entrance = entrance(&template, &side, EKS_CLUSTER)?;
        println!("   starting the control plane, GPU nodes and the gateway …");
        let (bin, simulator) = (&places.cluster_bin, places.bin.join("weir-simulator"));
        let manifests = rights::manifests();
        let cluster = Cluster::start(bin, state, &simulator, git.port(), &manifests, Some(&entrance)).await?;
        let (slack, datadog) = (Slack::start().await?, Datadog::serve().await);
        let api = github::Api::serve(repository.path.clone()).await?;
        let gate = match args.faults {
            true => Some(Arc::new(weather::gate(&cluster, state).await?)),
            false => None,
        };
        let address = match &gate {
            Some(gate) => format!("https://{}", gate.address),
            None => cluster.address.clone(),
        };
        println!("   making the stack of infra/aws/template.yaml …");
        let entered = (address, cluster.authority.clone());
        let given = given(places, args, entered, (&slack, &api, &datadog));
        let mut stack = Stack::make(template, given).await?;
        stack.run()?;
        let store = DynamoStore::new(
            stack.dynamodb.clone(),
            stack.reference("Table"),
            Arc::new(SystemClock),
        );
        println!(
            "   function URL of webhook-intake: {}",
            stack.url("WebhookIntake")
        );
        Ok(Self {
            cluster,
            repository,
            git,
            slack,
            datadog,
            stack: Arc::new(stack),
            store,
            api,
            gate,
            state: state.clone(),
            load_binary: places.bin.join("weir-load"),
            load: None,
        })
    }

    /// Lets users come.
    pub(crate) async fn open(&mut self) -> Result<()> {
        let log = self.state.join("load.log");
        self.load = Some(Load::start(&self.load_binary, &self.cluster.gateway, &log).await?);
        Ok(())
    }

    /// What goes wrong, and when.
    pub(crate) fn weather(&self) -> Weather {
        Weather {
            stack: self.stack.clone(),
            gate: self.gate.clone(),
        }
    }

    /// The users, if they have come.
    pub(crate) fn load(&self) -> Option<&Load> {
        self.load.as_ref()
    }

    /// What GitHub shows beside a commit.
    pub(crate) fn status_at_github(&self, commit: &str) -> String {
        let status = self.api.status(commit).unwrap_or_default();
        status["state"].as_str().unwrap_or("nothing").to_owned()
    }

    /// Who entered the cluster so far.
    pub(crate) fn entered(&self) -> Result<Entered> {
        Entered::read(&self.state)
    }

    /// Waits until nothing of the revisions that were sent back is left.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.cluster.until_one_revision_is_left(GONE_LIMIT).await
    }

    /// Stops everything, the users first.
    pub(crate) async fn stop(self) -> Result<()> {
        if let Some(load) = self.load {
            load.stop().await?;
        }
        drop(self.stack);
        self.cluster.stop().await
    }
}

/// What the stack is made with; the cluster is entered at an address, by the authority of its certificate.
fn given(
    places: &Places,
    args: &Args,
    cluster: (String, String),
    (slack, api, datadog): (&Slack, &github::Api, &Datadog),
) -> Given {
    let parameters = [
        (
            "SecretArn",
            "arn:aws:secretsmanager:eu-central-1:000000000000:secret:weir-abcdef",
        ),
        ("Clusters", "local=eu-central-1/prod-1"),
        (
            "ClusterArns",
            "arn:aws:eks:eu-central-1:000000000000:cluster/prod-1",
        ),
        ("Sources", &datadog.source()),
        ("GitHubApi", &api.url),
        ("SlackApi", &format!("{}/api", slack.address)),
        ("SlackChannel", slack::CHANNEL),
        ("SlackApp", slack::APP),
        ("SlackTeam", slack::TEAM),
    ];
    let parameters = parameters
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let programs: BTreeMap<String, PathBuf> = PROGRAMS
        .iter()
        .map(|name| ((*name).to_owned(), places.programs.join(name)))
        .collect();
    let secret = json!({
        "github_secrets": [github::SECRET],
        "slack_signing_secrets": [slack::SIGNING_SECRET],
        "slack_token": slack::TOKEN,
        "sources": {datadog::NAME: datadog::KEYS},
    });
    Given {
        parameters: parameters.collect(),
        programs,
        secret: secret.to_string(),
        clusters: BTreeMap::from([(EKS_CLUSTER.to_owned(), cluster)]),
        at_once: AT_ONCE,
        minute: (args.kills > 0 || args.faults).then_some(SHORT_MINUTE),
        trouble: args.faults,
        logs: Some(places.state.join("logs")),
        ..Given::default()
    }
}
