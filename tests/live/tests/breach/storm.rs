//! The program that drives the rollouts.

use std::path::PathBuf;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use weir_live::{Role, Shape, World, built};

/// No step ends while the rollouts are measured.
const HOLD_MS: u64 = 3_600_000;

/// `weir-storm`. It ends with this.
pub(crate) struct Storm {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// How the candidates begin to fail.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Breach {
    /// All at the same moment, at which all are checked.
    Together,
    /// One after another, each at a moment that no check knows of.
    InTurn,
}

/// How long each route took, in milliseconds from the check or from the breach.
#[derive(Deserialize)]
pub(crate) struct Back {
    /// Until the source said that the candidate fails.
    pub(crate) told: Vec<u64>,
    /// Until weight 0 was decided.
    pub(crate) decided: Vec<u64>,
    /// Until the API server had it.
    pub(crate) accepted: Vec<u64>,
}

/// From one moment of each route to a later one.
pub(crate) fn between(before: &[u64], after: &[u64]) -> Vec<u64> {
    let both = before.iter().zip(after);
    both.map(|(before, after)| after - before).collect()
}

impl Storm {
    /// Rolls out a first version and a canary of this share on every service, and waits until each has its share. `check_every`
    /// is the option of `weir up`, in milliseconds.
    pub(crate) async fn start(
        world: &World,
        services: &[String],
        share: u8,
        check_every: Option<u64>,
    ) -> Self {
        let mut process = Command::new(program())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut storm = Self {
            input: process.stdin.take().unwrap(),
            output: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        };
        let order = json!({
            "services": services,
            "check_every": check_every,
            "first": pipeline(world, "v1", share),
            "second": pipeline(world, "v2", share),
            "kubeconfigs": {
                "steps": world.identity(Role::StageExecutor).kubeconfig,
                "traffic": world.identity(Role::MetricCheck).kubeconfig,
            },
        });
        assert_eq!(storm.ask(&order).await, json!({"ready": true}));
        storm
    }

    /// Lets all canaries breach, and waits until each route is at weight 0.
    pub(crate) async fn breach(&mut self, breach: Breach) -> Back {
        serde_json::from_value(self.ask(&json!(breach)).await).unwrap()
    }

    async fn ask(&mut self, line: &Value) -> Value {
        self.input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        let line = self.output.next_line().await.unwrap();
        serde_json::from_str(&line.expect("weir-storm ended; what it said is above")).unwrap()
    }
}

/// The program with optimisation, if somebody built it so; else as these tests are built.
fn program() -> PathBuf {
    let named = std::env::var_os("WEIR_STORM");
    named.map_or_else(
        || built("weir-storm", "weir-storm").expect("weir-storm can be built"),
        PathBuf::from,
    )
}

/// A canary of one replica without a GPU, on the pretended nodes.
fn pipeline(world: &World, version: &str, share: u8) -> Value {
    let strategy = json!({"canary": {
        "steps": [{"weight": share, "interval": HOLD_MS}], "threshold": 0.95, "min_samples": 20,
    }});
    let shape = Shape {
        gpus: 0,
        ..Shape::rollout(version, None)
    };
    let mut pipeline = json!(shape.pipeline(&world.namespace, &world.builds, 1, strategy));
    let rule = &mut pipeline["stages"][0]["work"]["steps"]["steps"][0]["work"]["rollout"];
    rule["bake"] = 0.into();
    let template = &mut rule["workload"]["template"];
    template["spec"]["nodeSelector"] = json!({"type": "kwok"});
    template["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    pipeline
}
