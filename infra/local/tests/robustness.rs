//! Whatever an offline command is given, it ends with 0, 1 or 2, and says why in the form that was asked.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use weir_domain::audit::{Action, Note, chain, genesis};
use weir_domain::ids::RunId;
use weir_domain::people::Actor;
use weir_domain::time::Timestamp;

/// Numbers that look like chance and are the same for the same seed: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// What may stand where something else is expected.
const ODD: [&str; 16] = [
    "0",
    "-1",
    "-0.0",
    "1.5",
    "1e308",
    "1e-308",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999999999",
    "null",
    "\"\"",
    "[]",
    "{}",
    "\"\u{202e}\\u0000\"",
];

/// A value of the JSON, somewhere in it.
fn replace_a_value(value: &mut Value, random: &mut Random) {
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    let at = random.below(inner.len() + 1);
    let chosen = inner.into_iter().nth(at);
    match chosen {
        Some(inner) => replace_a_value(inner, random),
        None => *value = serde_json::from_str(ODD[random.below(ODD.len())]).unwrap_or_default(),
    }
}

fn mutated(valid: &str, random: &mut Random) -> Vec<u8> {
    let mut bytes = valid.as_bytes().to_vec();
    match random.below(6) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => {
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
        }
        2 => {
            let (from, length) = (random.below(bytes.len()), random.below(40));
            let piece: Vec<u8> = bytes[from..].iter().take(length).copied().collect();
            let at = random.below(bytes.len());
            drop(bytes.splice(at..at, piece));
        }
        3 => bytes = (0..random.below(200)).map(|_| random.next() as u8).collect(),
        _ => match serde_json::from_str::<Value>(valid) {
            Ok(mut value) => {
                replace_a_value(&mut value, random);
                bytes = value.to_string().into_bytes();
            }
            // Of YAML and of lines, a number.
            Err(_) => {
                let digits = |b: &u8| b.is_ascii_digit();
                let places: Vec<usize> = (0..bytes.len()).filter(|at| digits(&bytes[*at])).collect();
                let at = places.get(random.below(places.len())).copied().unwrap_or(0);
                let odd = ODD[random.below(ODD.len())].bytes();
                drop(bytes.splice(at..(at + 1).min(valid.len()), odd));
            }
        },
    }
    bytes
}

/// Ends as commands end: an answer, or an error with a message.
fn ends_well(arguments: &[&str], folder: &Path, stdin: &[u8]) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["--format", "json"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that does not read its stdin is gone before all is written.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let code = output.status.code();
    let given = || (arguments.join(" "), String::from_utf8_lossy(stdin).into_owned());
    assert!(matches!(code, Some(0..=2)), "{code:?}: {:?}\n{output:?}", given());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{:?}", given());
    let last: Value = match said.lines().last() {
        Some(line) => serde_json::from_str(line).unwrap(),
        None => Value::Null,
    };
    let message = last["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(code == Some(2), !message.is_empty(), "{:?}\n{said}", given());
}

const CLUSTER: &str = r#"{"kind": "List", "items": [
    {"kind": "Node", "metadata": {"name": "a", "labels": {"x": "y", "nvidia.com/gpu.memory": "81920"}}, "spec": {"taints": []},
     "status": {"allocatable": {"cpu": "30", "memory": "240Gi", "pods": "58", "nvidia.com/gpu": "8"},
                "conditions": [{"type": "Ready", "status": "True"}]}},
    {"kind": "LimitRange", "metadata": {"namespace": "production"}, "spec": {"limits": [
        {"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}}]}},
    {"kind": "Pod", "metadata": {"name": "llm-1", "namespace": "production", "labels": {"app": "llm"}},
     "spec": {"nodeName": "a", "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "2"}}}]},
     "status": {"phase": "Running"}}]}"#;
const WORKLOAD: &str = r#"{"kind": "Deployment", "metadata": {"name": "llm", "namespace": "production"}, "spec": {
    "replicas": 3, "selector": {"matchLabels": {"app": "llm"}}, "template": {
        "metadata": {"labels": {"app": "llm"}, "annotations": {"weir.dev/gpu-memory": "40Gi"}},
        "spec": {"nodeSelector": {"x": "y"}, "tolerations": [], "containers": [
            {"name": "s", "resources": {"requests": {"cpu": "4"}, "limits": {"nvidia.com/gpu": 2}}}]}}}}"#;
const PIPELINE: &str = "pipeline: {name: a, stages: [{stage: s, steps: [{step: {name: n, type: Kubernetes, spec: {strategy: canary, \
canary: {threshold: 98, steps: [{weight: 5, interval: 2m}, {weight: 50, interval: 1m}]}, bake: 5m}}}]}]}\n\
environments: [{name: Production, spec: {cluster: gpu, namespace: production}}]\n\
service: {name: llm, spec: {replicas: 4, containers: [{name: model, image: 'i:${GIT_COMMIT}', resources: {limits: {nvidia.com/gpu: 1}}}]}}\n";
const WORLD: &str = r#"{"traffic": {"steps": [[0, 60], [600, 20]], "repeat_s": 3600}, "stable": {"load_s": 20},
    "candidate": {"errors": 0.01, "slow": 0.002, "healthy_s": 5, "crash_after_s": null}, "variants": {"b": {"replicas": 2}},
    "metrics": {"m": {"mean": 1, "spread": 0.5}}, "pool": {"gpus": 16, "gpus_per_node": 8, "usd_per_gpu_hour": 2.5},
    "approve_after_s": 5, "run_for_s": 7200}"#;
const VALUES: &str = r#"{"error_rate": [[0, 0.01], [60, "3%"], [400, null]], "latency_p99": "900ms", "queue": {"error": "x"}}"#;
const JUDGE: &str = r#"{"alpha": 0.01, "min_samples": 100, "promote": "article", "metrics": {"errors": {"limit": 0.02, "margin": 1.25}}}"#;
const KAYENTA: &str = r#"{"kayenta": {"metrics": {"errors": {"harm": "increase", "critical": true}}, "pass": 95, "marginal": 75}}"#;
const BLOCK: &str = r#"{"block": 1, "metric": "errors", "stable": {"bad": 7, "total": 700}, "candidate": {"bad": 3, "total": 40}}"#;
const SERIES: &str =
    r#"{"metric": "errors", "control": [0.01, null, 0.02], "experiment": [0.03, 0.02, 0.04]}"#;
const BOUNDS: &str = r#"{"bounds": {"answer": {"bound_ms": 40}, "observed": {"bound_ms": 70}, "job": {"bound_ms": 9}, "pod": {"bound_ms": 1}}}"#;

fn log() -> String {
    let run = RunId::new("run-1");
    let mut previous = genesis(&run);
    let entry = |n: u64| {
        let note = Note {
            actor: Actor::Weir,
            action: Action::StepStarted,
            detail: format!("step {n}"),
            evidence: BTreeMap::new(),
            before: None,
            after: None,
        };
        let entry = chain(note, &run, n, Timestamp(1_000), 0, &previous);
        previous.clone_from(&entry.hash);
        serde_json::to_string(&entry).unwrap()
    };
    let lines: Vec<String> = (1..4).map(entry).collect();
    lines.join("\n")
}

#[test]
fn nothing_that_is_handed_in_makes_a_command_fall_over() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("cluster.json", CLUSTER),
        ("workload.json", WORKLOAD),
        ("pipeline.yaml", PIPELINE),
        ("world.json", WORLD),
        ("judge.json", JUDGE),
        ("kayenta.json", KAYENTA),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let log = log();
    let expression = "error_rate > 2% for 5m || (latency_p99 >= 800ms && !queue < 3)";
    // The command; what it reads from stdin, and how often that is changed.
    let table: [(&[&str], &str, usize); 13] = [
        (&["validate", "FILE"], PIPELINE, 60),
        (&["condition", expression, "--values", "-"], VALUES, 40),
        (
            &["fit", "--cluster", "-", "--workload", "workload.json"],
            CLUSTER,
            60,
        ),
        (
            &["fit", "--cluster", "cluster.json", "--workload", "-"],
            WORKLOAD,
            60,
        ),
        (
            &["plan", "--cluster", "-", "--pipeline", "pipeline.yaml"],
            CLUSTER,
            30,
        ),
        (
            &["plan", "--cluster", "cluster.json", "--pipeline", "-"],
            PIPELINE,
            40,
        ),
        (
            &[
                "plan",
                "--cluster",
                "cluster.json",
                "--pipeline",
                "pipeline.yaml",
                "--workload",
                "-",
            ],
            WORKLOAD,
            30,
        ),
        (
            &[
                "plan",
                "--cluster",
                "cluster.json",
                "--pipeline",
                "pipeline.yaml",
                "--bounds",
                "-",
            ],
            BOUNDS,
            20,
        ),
        (&["judge", "--config", "-"], JUDGE, 40),
        (&["judge", "--config", "judge.json"], BLOCK, 40),
        (&["judge", "--config", "kayenta.json"], SERIES, 40),
        (
            &["simulate", "--pipeline", "pipeline.yaml", "--world", "-"],
            WORLD,
            25,
        ),
        (&["audit", "verify", "-"], &log, 60),
    ];
    let mut random = Random(7);
    for (command, valid, times) in table {
        let ends = |bytes: &[u8]| match command {
            // Folders and files are checked, stdin is not.
            ["validate", _] => {
                std::fs::write(folder.path().join("changed.yaml"), bytes).unwrap();
                ends_well(&["validate", "changed.yaml"], folder.path(), b"");
            }
            command => ends_well(command, folder.path(), bytes),
        };
        ends(valid.as_bytes());
        for _ in 0..times {
            ends(&mutated(valid, &mut random));
        }
    }
}

#[test]
fn numbers_on_the_command_line_have_ranges() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.json"), CLUSTER).unwrap();
    std::fs::write(folder.path().join("p.yaml"), PIPELINE).unwrap();
    let plan = ["plan", "--cluster", "c.json", "--pipeline", "p.yaml"];
    for option in ["--stable", "--replicas", "--warm", "--load"] {
        for number in [
            "0",
            "-1",
            "1.5",
            "100000",
            "100001",
            "604800",
            "4294967295",
            "18446744073709551616",
            "x",
        ] {
            let arguments: Vec<&str> = plan.into_iter().chain([option, number]).collect();
            ends_well(&arguments, folder.path(), b"");
        }
    }
    for (option, number, range) in [
        ("--stable", "4294967295", "0..=100000"),
        ("--replicas", "4294967295", "1..=100000"),
        ("--warm", "4294967295", "0..=604800"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(plan)
            .args([option, number])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(range), "{said}");
    }
}

#[test]
fn conditions_that_are_no_text_of_one_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    for _ in 0..60 {
        let bytes = mutated(
            "error_rate > 2% for 5m || !(latency_p99 >= 800ms && queue != 3)",
            &mut random,
        );
        let text = String::from_utf8_lossy(&bytes).replace('\0', "0");
        ends_well(
            &["condition", "--values", "-", "--", &text],
            folder.path(),
            VALUES.as_bytes(),
        );
    }
}
