//! `weir fit` and `weir plan` as a person and as a program ask them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

use serde_json::{Value, json};

fn weir(words: &[&str]) -> Output {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fit");
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(words: &[&str]) -> String {
    let output = weir(words);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(words: &[&str]) -> Value {
    let all: Vec<&str> = words.iter().copied().chain(["--format", "json"]).collect();
    serde_json::from_str(&text(&all)).unwrap()
}

const FIT: [&str; 5] = [
    "fit",
    "--cluster",
    "cluster.json",
    "--workload",
    "deployment.yaml",
];
const PLAN: [&str; 7] = [
    "plan",
    "--cluster",
    "cluster.json",
    "--workload",
    "deployment.yaml",
    "--pipeline",
    "canary.yaml",
];

fn with<'a>(words: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    words.iter().chain(more).copied().collect()
}

#[test]
fn a_pool_without_room_says_why_and_what_would_help() {
    insta::assert_snapshot!(text(&with(&FIT, &["--replicas", "2"])), @r"
    does not fit: 2 replicas × 4 nvidia.com/gpu
      12 nodes: 8 taint team=x not tolerated · 3 have 2 of 8 nvidia.com/gpu free, 4 needed · 1 not ready
      then: scale_up: 1 more like gpu-1 (karpenter.sh/nodepool=gpu)
      smallest change: tolerate team=x, or gpu-4 ready again, or 2 replicas borrowed from stable, or 1 more node like gpu-1
    ");
}

#[test]
fn programs_get_the_promised_fields_and_counts_that_add_up() {
    let answer = json_of(&with(&FIT, &["--replicas", "2"]));
    assert_eq!(
        (&answer["fits"], &answer["max_replicas"]),
        (&json!(false), &json!(0))
    );
    assert_eq!(answer["placements"], json!([]));
    let nodes: u64 = answer["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["nodes"].as_u64().unwrap())
        .sum();
    assert_eq!(nodes, 12);
    let actions: Vec<&str> = answer["ladder"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rung| rung["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "surge", "wait", "borrow", "smaller", "repack", "scale_up", "swap", "refuse"
        ]
    );
}

#[test]
fn the_way_back_decides_what_may_be_borrowed() {
    let borrow = |load: &str| {
        let answer = json_of(&with(&FIT, &["--replicas", "1", "--load", load]));
        answer["ladder"][2].clone()
    };
    assert_eq!(borrow("50")["possible"], json!(true));
    assert_eq!(borrow("90")["possible"], json!(false));
}

#[test]
fn a_plan_shows_steps_gpus_and_times_before_anything_moves() {
    let answer = json_of(&with(&PLAN, &["--replicas", "4", "--warm", "100"]));
    let step = |weight: u32, stable: u32, candidate: u32, seconds: u32| {
        json!([weight, stable, candidate, (stable + candidate) * 4, seconds, 2])
    };
    let steps: Vec<Value> = answer["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            json!([
                s["weight"],
                s["stable_replicas"],
                s["candidate_replicas"],
                s["gpus"],
                s["seconds"],
                s["revert_seconds"]
            ])
        })
        .collect();
    assert_eq!(
        steps,
        [step(5, 3, 1, 700), step(50, 3, 2, 700), step(100, 3, 4, 160)]
    );
    assert_eq!(answer["gpu_peak"], json!(28));
    let warnings = answer["warnings"].as_array().unwrap();
    assert!(
        warnings
            .iter()
            .any(|w| w.as_str().unwrap().starts_with("step 1 at 5 % does not fit")),
        "{warnings:?}"
    );
}

#[test]
fn budgets_that_are_in_the_way_are_told_with_the_plan_and_no_replica_is_borrowed_past_them() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fit/cluster.json");
    let mut cluster: Value = serde_json::from_str(&std::fs::read_to_string(cluster).unwrap()).unwrap();
    let pods = cluster["items"].as_array_mut().unwrap();
    let stable = pods
        .iter()
        .find(|object| object["metadata"]["labels"]["app"] == "llm");
    let namespace = stable.unwrap()["metadata"]["namespace"].clone();
    pods.push(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "llm", "namespace": namespace},
        "spec": {"maxUnavailable": "0%", "selector": {"matchLabels": {"app": "llm"}}},
    }));
    let path = file(&folder, "cluster.json", &cluster.to_string());
    let mut words = PLAN;
    words[2] = &path;
    let answer = json_of(&with(&words, &["--replicas", "4"]));
    assert!(
        warns(&answer, "(maxUnavailable 0 %) lets none of 3 pods go: draining"),
        "{answer:#}"
    );
    let mut words = FIT;
    words[2] = &path;
    let answer = json_of(&with(&words, &["--replicas", "1", "--load", "50"]));
    let borrow = &answer["ladder"][2];
    assert_eq!(borrow["possible"], json!(false), "{borrow}");
    assert!(
        borrow["why"]
            .as_str()
            .unwrap()
            .contains("(maxUnavailable 0 %) asks for 3"),
        "{borrow}"
    );
}

#[test]
fn what_was_measured_of_the_cluster_is_what_the_plan_counts_on_and_prints() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, said: Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, said.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bound = |ms: u64| json!({"bound_ms": ms, "median_ms": ms, "times": 20});
    let bounds =
        json!({"answer": bound(40), "observed": bound(7_000), "job": bound(2_500), "pod": bound(1_200)});
    let measured = file("bounds.json", json!({"cluster": "prod", "bounds": bounds}));
    let asked = with(
        &PLAN,
        &["--replicas", "4", "--warm", "100", "--bounds", &measured],
    );
    let answer = json_of(&asked);
    let reverts: Vec<&Value> = answer["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| &step["revert_seconds"])
        .collect();
    assert_eq!(reverts, [7, 7, 7]);
    let told = text(&asked);
    assert!(
        told.ends_with("measured: weights are taken up within 7s, a pod is ready within 1.2s, a Kubernetes Job ends within 2.5s, the API server answers within 40ms\n"),
        "{told}"
    );
    let other = file("other.json", json!({"bounds": {}}));
    let refused = weir(&with(&PLAN, &["--replicas", "4", "--bounds", &other]));
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds no bounds"));
}

#[test]
fn a_plan_of_a_step_of_a_release_says_what_it_is_promoted_with() {
    let folder = tempfile::tempdir().unwrap();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples");
    for name in ["release.yaml", "world.yaml"] {
        std::fs::copy(format!("{examples}/{name}"), folder.path().join(name)).unwrap();
    }
    let mut words = with(&PLAN, &["--step", "Canary EU", "--replicas", "4"]);
    words[6] = folder.path().to_str().unwrap();
    let told = "part of release worldwide with ai-inference-service in Production-US: held after its bake until all are through theirs, then promoted with them; until then all go back together";
    assert_eq!(json_of(&words)["release"], told);
    assert!(text(&words).contains(told));
}

#[test]
fn a_first_release_has_one_step_and_no_way_back() {
    let answer = json_of(&with(&PLAN, &["--stable", "0"]));
    assert_eq!(answer["steps"].as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &answer["steps"][0]["weight"],
            &answer["steps"][0]["revert_seconds"]
        ),
        (&json!(100), &Value::Null)
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let table = [
        (
            path("broken.json", "{\"items\": [\n oops"),
            "broken.json",
            Some(2),
        ),
        (
            path("empty.json", "{\"kind\": \"List\", \"items\": []}"),
            "no Node among 0 objects",
            None,
        ),
        (
            path("single.json", "{\"kind\": \"Node\"}"),
            "expected a List",
            None,
        ),
        ("nowhere.json".to_owned(), "cannot be read", None),
    ];
    for (cluster, words, line) in table {
        let output = weir(&[
            "fit",
            "--cluster",
            &cluster,
            "--workload",
            "deployment.yaml",
            "--format",
            "json",
        ]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            error["error"]["message"].as_str().unwrap().contains(words),
            "{error}"
        );
        assert_eq!(error["error"]["line"].as_u64(), line, "{error}");
    }
    let pipeline = path(
        "canary.yaml",
        "pipeline: {name: a, stages: [{stage: s, steps: [{step: {name: n, type: Kubernetes, spec: {namespace: p, strategy: canary, canary: {weight: 500, interval: 1m, threshold: 98}}}}]}]}\n",
    );
    let mut words = PLAN;
    words[6] = &pipeline;
    let output = weir(&with(&words, &["--format", "json"]));
    assert_eq!(output.status.code(), Some(2));
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["line"], json!(1), "{error}");
}

/// A file in a folder.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Warnings of a plan of this step, with these words more.
fn planned(spec: &str, more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "pipeline: {{name: a, stages: [{{stage: s, steps: [{{step: {{name: n, type: Kubernetes, spec: {{{spec}}}}}}}]}}]}}\n\
         environments: [{{name: Production, spec: {{cluster: gpu, namespace: production}}}}]\n\
         service: {{name: llm, spec: {{replicas: 2, containers: [{{name: c, image: 'i:1', resources: {{limits: {{nvidia.com/gpu: 4}}}}}}]}}}}\n"
    );
    let pipeline = file(&folder, "pipeline.yaml", &text);
    json_of(&with(
        &["plan", "--cluster", "cluster.json", "--pipeline", &pipeline],
        more,
    ))
}

fn warns(plan: &Value, words: &str) -> bool {
    let warnings = plan["warnings"].as_array().unwrap();
    warnings
        .iter()
        .any(|warning| warning.as_str().unwrap().contains(words))
}

#[test]
fn a_pause_is_shown_where_it_is() {
    let plan = planned("rolling: {pause_at: 50%, pause_within: 2h}", &["--stable", "2"]);
    let pauses: Vec<(&Value, &Value)> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["weight"], &step["pause_seconds"]))
        .collect();
    assert_eq!(pauses, [(&json!(50), &json!(7_200)), (&json!(100), &Value::Null)]);
}

#[test]
fn a_shadow_of_nothing_is_told_to_be_refused() {
    let plan = planned("shadow: {percent: 10}", &["--stable", "0"]);
    assert!(
        warns(
            &plan,
            "the run would be refused: nothing serves llm in Production yet"
        ),
        "{plan:#}"
    );
}

#[test]
fn stable_replicas_that_are_in_the_cluster_are_counted_once() {
    // Three pods with the label `app: llm` hold four GPUs each.
    let seen = planned("canary: {weight: 50, interval: 5m}", &["--stable", "3"]);
    assert!(!warns(&seen, "counted beside all that is there"), "{seen:#}");
    let more = planned("canary: {weight: 50, interval: 5m}", &["--stable", "5"]);
    assert!(warns(&more, "3 of 5 stable replicas are found"), "{more:#}");
}

#[test]
fn what_cannot_be_asked_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples");
    let bare = file(
        &folder,
        "bare.json",
        r#"{"kind": "List", "items": [{"kind": "Node", "metadata": {"name": "a"},
            "status": {"allocatable": {"cpu": "30", "memory": "240Gi", "pods": "9", "nvidia.com/gpu": "8"}}}]}"#,
    );
    let table: [(&[&str], &str); 3] = [
        (
            &[
                "plan",
                "--cluster",
                "cluster.json",
                "--pipeline",
                examples,
                "--name",
                "Model-AB-Test",
            ],
            "is a variant of an experiment",
        ),
        (
            &["fit", "--cluster", "-", "--workload", "-"],
            "only one of the files can be `-`",
        ),
        (
            &["plan", "--cluster", "cluster.json", "--pipeline", examples],
            "several pipelines, say --name",
        ),
    ];
    for (words, expected) in table {
        let child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(words)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fit"))
            .stdin(std::fs::File::open(&bare).unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert_eq!(
            (child.status.code(), said.contains(expected)),
            (Some(2), true),
            "{said}"
        );
    }
    let fits = json_of(&[
        "fit",
        "--cluster",
        &bare,
        "--workload",
        "deployment.yaml",
        "--gpu-memory",
        "40Gi",
    ]);
    let notes = fits["notes"].as_array().unwrap();
    assert!(
        notes
            .iter()
            .any(|note| note.as_str().unwrap().contains("is not known of 1 nodes")),
        "{fits:#}"
    );
}

#[test]
fn a_step_with_a_manifest_is_planned_from_the_examples() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples");
    let words = [
        "plan",
        "--cluster",
        "cluster.json",
        "--pipeline",
        examples,
        "--name",
        "AI-Model-Deploy",
    ];
    let plan = json_of(&with(&words, &["--step", "Deploy to Staging"]));
    assert_eq!(plan["step"], "Deploy to Staging");
}
