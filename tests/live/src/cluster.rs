//! The cluster that all tests of a binary share.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::api::Api;
use crate::clock::WallClock;
use crate::eks;
use crate::jwt;
use crate::manifests;
use crate::process::Process;
use crate::wait::eventually;

/// Image name that stands for the simulated inference server.
pub const SIMULATOR: &str = "weir/simulator";

/// GPUs of a node that has some.
pub const GPUS_OF_A_NODE: usize = 4;

/// Starts a cluster and stops it when its own input ends: that is when the tests' process is gone, however it went.
const GUARD: &str = r#"
"$1" up --state "$2" --image "$3" --eks "$5" --jwt "$6" --kwok-nodes "$7" \
    --gpu-nodes "$8" --gpus-per-node "$9" &
pid=$!
exec >&-
cat >/dev/null
kill -TERM "$pid"
wait "$pid"
rm -rf "$4"
mv "$2/logs" "$4"
rm -rf "$2"
"#;

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Kubeconfig of its administrator.
    pub kubeconfig: PathBuf,
    /// Where its gateway listens on this machine.
    pub gateway: String,
    /// Directory for files of the tests; gone with the cluster.
    pub state: PathBuf,
    /// Its GPUs, for whoever shares it with others.
    pub gpus: Semaphore,
    // Closed by the end of the process; see `GUARD`.
    _lives_while_open: ChildStdin,
}

/// What `weir-cluster up` prints once it is ready.
#[derive(Deserialize)]
struct Ready {
    kubeconfig: PathBuf,
    gateway: String,
    state: PathBuf,
}

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The cluster of this process, started at the first call, with the roles and policies of `infra/cluster`.
///
/// # Panics
/// It cannot be started. Every test says so then; none is skipped.
pub fn shared() -> &'static Cluster {
    shared_with(Nodes::default())
}

/// A second cluster of this process beside the first, for what is done in two.
///
/// # Panics
/// It cannot be started.
pub fn another() -> &'static Cluster {
    static ANOTHER: OnceLock<Result<Cluster>> = OnceLock::new();
    held(&ANOTHER, Nodes::default(), "-another")
}

/// The nodes of a cluster beside the one without GPUs.
#[derive(Clone, Copy, Debug)]
pub struct Nodes {
    /// Those with four GPUs each.
    pub with_gpus: usize,
    /// Those whose pods are pretended by kwok: Ready at once, and nothing runs.
    pub pretended: usize,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            with_gpus: 2,
            pretended: 0,
        }
    }
}

/// The same with these nodes, which count at the first call alone.
///
/// # Panics
/// It cannot be started.
pub fn shared_with(nodes: Nodes) -> &'static Cluster {
    static SHARED: OnceLock<Result<Cluster>> = OnceLock::new();
    held(&SHARED, nodes, "")
}

fn held(one: &'static OnceLock<Result<Cluster>>, nodes: Nodes, suffix: &'static str) -> &'static Cluster {
    // A thread of its own, because the caller's is one of a runtime already.
    let start = || {
        std::thread::spawn(move || start(nodes, suffix))
            .join()
            .expect("the start of a cluster does not panic")
    };
    match one.get_or_init(start) {
        Ok(cluster) => cluster,
        Err(error) => panic!("no test cluster: {error:#}"),
    }
}

fn start(nodes: Nodes, suffix: &str) -> Result<Cluster> {
    let bin = executables()?;
    let simulator = built("weir-simulator", "weir-simulator")?;
    let kept = root().join(".cache/live");
    let state = kept.join(format!("{}{suffix}", std::process::id()));
    std::fs::create_dir_all(&state)?;
    let entrance = state.join("eks.json");
    std::fs::write(&entrance, eks::entrance()?.to_string())?;
    let tokens = state.join("jwt.json");
    std::fs::write(&tokens, jwt::file()?.to_string())?;
    let mut guard = Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .arg(bin.join("weir-cluster"))
        .arg(&state)
        .arg(format!("{SIMULATOR}={}", simulator.display()))
        .arg(kept.join(format!("logs-{}{suffix}", asked_for()?)))
        .arg(entrance)
        .arg(tokens)
        .arg(nodes.pretended.to_string())
        .args([nodes.with_gpus, GPUS_OF_A_NODE].map(|n| n.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("`sh` cannot be started")?;
    let ready = ready(&mut guard)?;
    let cluster = Cluster {
        kubeconfig: ready.kubeconfig,
        gateway: ready.gateway,
        state: ready.state,
        gpus: Semaphore::new(nodes.with_gpus * GPUS_OF_A_NODE),
        _lives_while_open: guard.stdin.take().expect("its input is a pipe"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(prepare(&cluster.kubeconfig))?;
    Ok(cluster)
}

/// What tells this process from others that run tests at the same time: the tests that were asked for, or the binary.
fn asked_for() -> Result<String> {
    let filter = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let binary = || {
        let own = std::env::current_exe()?;
        let name = own.file_stem().unwrap_or_default().to_string_lossy();
        Ok(name
            .rsplit_once('-')
            .map_or(&*name, |(name, _hash)| name)
            .to_owned())
    };
    filter.map_or_else(binary, |filter| {
        Ok(filter.replace(|sign: char| !sign.is_alphanumeric(), "-"))
    })
}

fn ready(guard: &mut Child) -> Result<Ready> {
    let output = guard.stdout.take().expect("its output is a pipe");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    if line.is_empty() {
        bail!("`weir-cluster up` ended before it was ready; what it says is above");
    }
    serde_json::from_str(&line).with_context(|| format!("its ready line is {line:?}"))
}

impl Cluster {
    /// The process of its API server.
    ///
    /// # Errors
    /// It is not among the processes of this machine.
    pub fn api_server(&self) -> Result<Process> {
        let own = format!("--cert-dir={}", self.state.join("pki").display());
        let is_it = |id: &u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let mut arguments = line.split(|byte| *byte == 0);
            arguments.any(|argument| argument == b"kube-apiserver")
                && arguments.any(|argument| argument == own.as_bytes())
        };
        let all = std::fs::read_dir("/proc")?;
        let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut found = ids.filter(is_it);
        found
            .next()
            .map(Process::of)
            .with_context(|| format!("no API server of {} is running", self.state.display()))
    }

    /// Lets pods reach a loopback port of this machine, as `host`.
    ///
    /// # Errors
    /// The cluster is gone, or the port is taken inside.
    pub fn expose(&self, port: u16) -> Result<()> {
        let port = port.to_string();
        self.order("expose", &[&port])
    }

    /// Kills its API server. All else goes on.
    ///
    /// # Errors
    /// None runs.
    pub fn end_api_server(&self) -> Result<()> {
        self.order("end-api", &[])
    }

    /// Starts it again, on what the one before has stored; it is ready then.
    ///
    /// # Errors
    /// It runs already, or does not become ready.
    pub fn start_api_server(&self) -> Result<()> {
        self.order("start-api", &[])
    }

    fn order(&self, word: &str, more: &[&str]) -> Result<()> {
        let mut command = Command::new(executables()?.join("weir-cluster"));
        let output = command
            .args([word, "--state"])
            .arg(&self.state)
            .args(more)
            .output()?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// The custom resource definition of KEDA's ScaledObject.
///
/// # Errors
/// It is not beside the cluster's executables.
pub(crate) fn scaled_objects() -> Result<Value> {
    let path = executables()?.join("keda/keda.sh_scaledobjects.yaml");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(serde_saphyr::from_str(&text)?)
}

/// Where the cluster's executables are; built if nobody says so.
fn executables() -> Result<PathBuf> {
    if let Some(bin) = std::env::var_os("WEIR_CLUSTER_BIN") {
        return Ok(bin.into());
    }
    let script = root().join("tests/cluster/build.sh");
    let output = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} cannot be started", script.display()))?;
    if !output.status.success() {
        bail!("{} failed; what is missing stands above", script.display());
    }
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

/// A program of another package, built beside the tests and as they are.
///
/// # Errors
/// It cannot be built.
pub fn built(package: &str, program: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let dir = own
        .ancestors()
        .nth(2)
        .context("the tests lie in a build directory")?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", package, "--bin", program]);
    if dir.ends_with("release") {
        cargo.arg("--release");
    }
    let target = dir.parent().context("a build directory lies in another")?;
    let status = cargo
        .arg("--target-dir")
        .arg(target)
        .current_dir(root())
        .status()?;
    if !status.success() {
        bail!("{program} cannot be built");
    }
    Ok(dir.join(program))
}

/// Applies what is there once per cluster, and waits until the policies are enforced: the API server takes them up in
/// its own time.
async fn prepare(kubeconfig: &Path) -> Result<()> {
    let api = Api::enter(kubeconfig).await?;
    for file in ["rbac.yaml", "admission.yaml"] {
        manifests::apply(&api, "", &manifests::read(file)?).await?;
    }
    let probes = "/api/v1/namespaces/default/configmaps";
    let probe = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "probe", "annotations": {"weir.dev/fence": "2"}},
    });
    api.create(probes, &probe).await.ok();
    let lower = json!({"metadata": {"annotations": {"weir.dev/fence": "1"}}});
    eventually("the fence policy is enforced", async || {
        let answer = api.merge(&format!("{probes}/probe?dryRun=All"), &lower).await;
        match answer.status {
            http::StatusCode::FORBIDDEN => Ok(()),
            status => Err(format!("a lower fence is answered {status}")),
        }
    })
    .await;
    let claims = jwt::claims("MetricCheck", jwt::AUDIENCE, &WallClock);
    let function = Api::bearing(kubeconfig, &jwt::signed(&claims, jwt::Signer::Rs256)).await?;
    eventually("JWTs are read", async || {
        match function.get("/version").await.status {
            http::StatusCode::OK => Ok(()),
            status => Err(format!("a good one is answered {status}")),
        }
    })
    .await;
    Ok(())
}
