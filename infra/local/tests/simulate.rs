//! `weir simulate` as a person calls it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const DEFINITION: &str = include_str!("watched.yaml");

fn run(folder: &Path, world: &str) -> Output {
    let definition = folder.join("weir.yaml");
    std::fs::write(&definition, DEFINITION).unwrap();
    run_of(&definition, &[], folder, world)
}

fn run_of(definition: &Path, more: &[&str], folder: &Path, world: &str) -> Output {
    let file = folder.join("world.json");
    std::fs::write(&file, world).unwrap();
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["simulate", "--format", "json", "--pipeline"])
        .arg(definition)
        .arg("--world")
        .arg(file)
        .args(more)
        .output()
        .unwrap()
}

fn simulate(world: &Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    told(&run(folder.path(), &world.to_string()))
}

fn told(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn at(told: &Value, event: &str) -> f64 {
    let moments = told["timeline"].as_array().unwrap();
    let found = moments.iter().find(|moment| moment["event"] == event);
    found.unwrap_or_else(|| panic!("no {event} in {moments:#?}"))["at_s"]
        .as_f64()
        .unwrap()
}

#[test]
fn a_good_model_is_promoted_and_watched_for_a_week() {
    let told = simulate(&json!({
        "pool": {"gpus": 8, "usd_per_gpu_hour": 3.0}, "approve_after_s": 90, "run_for_s": 1_000_000,
    }));
    assert_eq!(told["result"], "succeeded", "{told:#}");
    assert_eq!(told["gpu_peak"], 8);
    assert_eq!(at(&told, "approval_given"), 90.0);
    let promoted = at(&told, "promoted");
    assert!((604_800.0..620_000.0).contains(&promoted), "{promoted}");
    // Eight GPUs for a week, at three dollars an hour.
    let cost = told["cost_usd"].as_f64().unwrap();
    assert!((4_000.0..4_200.0).contains(&cost), "{cost}");
}

#[test]
fn a_model_that_turns_bad_after_two_days_is_back_within_minutes() {
    let told = simulate(&json!({
        "candidate": {"errors": 0.2, "healthy_s": 172_800}, "approve_after_s": 0,
    }));
    assert_eq!(told["result"], "rolled_back", "{told:#}");
    let back = at(&told, "revert_decided");
    assert!((172_800.0..173_200.0).contains(&back), "{back}");
    assert!(told["exposed_bad"].as_u64().unwrap() > 0);
}

#[test]
fn a_bad_model_in_a_small_pool_borrows_its_gpu_and_gives_it_back() {
    let told = simulate(&json!({
        "traffic": {"steps": [[0, 20], [43_200, 80]], "repeat_s": 86_400},
        "candidate": {"errors": 0.1}, "pool": {"gpus": 4}, "approve_after_s": 0,
    }));
    // Four GPUs are the stable revision's, which gives one up and gets it back.
    assert_eq!(told["result"], "rolled_back", "{told:#}");
    assert_eq!(told["gpu_peak"], 4);
    assert!(
        at(&told, "reverted") > at(&told, "revert_decided"),
        "stable grew back first"
    );
    let roomy = simulate(&json!({"candidate": {"errors": 0.1}, "pool": {"gpus": 8}, "approve_after_s": 0}));
    assert_eq!(
        (&roomy["result"], &roomy["gpu_peak"]),
        (&json!("rolled_back"), &json!(5))
    );
    for told in [told, roomy] {
        let bad = told["exposed_bad"].as_u64().unwrap();
        assert!((1..60).contains(&bad), "{bad}");
    }
}

#[test]
fn the_same_files_tell_the_same_timeline_and_nobody_answers_for_people() {
    let world = json!({"run_for_s": 200_000});
    let told = simulate(&world);
    assert_eq!(told, simulate(&world));
    assert_eq!(
        told["timeline"].as_array().unwrap().last().unwrap()["event"],
        "run_ended"
    );
    assert_eq!(told["result"], "failed", "the approval expired");
}

/// The examples where a repository has them.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join(".weir");
    std::fs::create_dir(&inner).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, inner.join(path.file_name().unwrap())).unwrap();
        }
    }
    folder
}

#[test]
fn every_strategy_of_the_examples_is_simulated_from_where_a_repository_has_them() {
    let folder = repository();
    for name in [
        "Chat-Rolling",
        "LLM-Model-Update",
        "Chat-Blue-Green",
        "Chat-Shadow",
        "Model-AB-Test",
        "AI-Model-Deploy",
        "Chat-Worldwide",
    ] {
        let world = json!({"approve_after_s": 60, "run_for_s": 1_209_600}).to_string();
        let told = told(&run_of(folder.path(), &["--name", name], folder.path(), &world));
        assert_eq!(told["result"], "succeeded", "{name}: {told:#}");
        assert_eq!(told["notes"], Value::Null, "{name}");
    }
}

#[test]
fn the_examples_are_taken_from_their_own_folder_too() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let folder = tempfile::tempdir().unwrap();
    let more = ["--name", "AI-Model-Deploy"];
    let told = told(&run_of(
        &examples,
        &more,
        folder.path(),
        r#"{"approve_after_s": 0}"#,
    ));
    assert_eq!(told["result"], "succeeded");
}

#[test]
fn a_bad_variant_is_what_the_world_says_and_its_pods_are_there_before() {
    let folder = repository();
    let bad = |variants: Value| {
        let world = json!({"approve_after_s": 0, "run_for_s": 1_209_600, "variants": variants});
        let told = told(&run_of(
            folder.path(),
            &["--name", "Model-AB-Test"],
            folder.path(),
            &world.to_string(),
        ));
        assert_eq!(told["result"], "succeeded", "{told:#}");
        told["exposed_bad"].as_u64().unwrap()
    };
    let usual = bad(json!({}));
    let errs = bad(json!({"model-b": {"behaves": {"errors": 0.02}}}));
    // Half of the requests fail five times as often.
    assert!((29..32).contains(&(10 * errs / usual)), "{usual} {errs}");
}

#[test]
fn a_paused_rollout_goes_on_when_people_answer_and_back_when_nobody_does() {
    let folder = repository();
    for (answers, result) in [
        (json!({"approve_after_s": 30}), "succeeded"),
        (json!({}), "rolled_back"),
    ] {
        let more = ["--name", "Chat-Rolling"];
        let told = told(&run_of(folder.path(), &more, folder.path(), &answers.to_string()));
        assert_eq!(told["result"], result, "{answers}");
    }
}

#[test]
fn a_revision_that_no_commit_changes_is_another_all_the_same_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let definition = folder.path().join("weir.yaml");
    std::fs::write(&definition, DEFINITION.replace("${GIT_COMMIT}", "latest")).unwrap();
    let world = json!({"candidate": {"errors": 0.2}, "approve_after_s": 0}).to_string();
    let told = told(&run_of(&definition, &[], folder.path(), &world));
    assert_eq!(told["result"], "rolled_back", "{told:#}");
    let note = told["notes"][0].as_str().unwrap();
    assert!(
        note.starts_with("nothing of llm in Production changes with the commit"),
        "{note}"
    );
}

#[test]
fn only_what_the_candidate_answers_in_the_run_is_counted() {
    let told = simulate(&json!({
        "stable": {"errors": 0.5}, "candidate": {"errors": 0.0}, "approve_after_s": 0, "run_for_s": 3_600,
    }));
    assert_eq!(told["exposed_bad"], 0, "{told:#}");
}

#[test]
fn every_sample_of_a_world_is_taken_and_every_invalid_one_refused() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/simulation-world");
    let folder = tempfile::tempdir().unwrap();
    for (kind, code) in [("valid", 0), ("invalid", 2)] {
        for entry in std::fs::read_dir(samples.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let output = run(folder.path(), &std::fs::read_to_string(&path).unwrap());
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(code), "{}: {said}", path.display());
        }
    }
}

#[test]
fn a_world_that_cannot_be_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    for (world, expected) in [
        (
            r#"{"candidate":{"errors":2}}"#,
            "candidate.errors is 2: expected a share",
        ),
        ("{\"traffic\":{\"steps\":[]}}", "traffic.steps is empty"),
        (
            "{\"traffic\":{\"steps\":[[5,1],[5,2]]}}",
            "traffic.steps are out of order",
        ),
        ("{\"traffic\":{\"rps\":-1}}", "traffic.rps is -1: expected 0 to"),
        (
            "{\"traffic\":{\"rps\":1,\"steps\":[[0,1]]}}",
            "traffic: expected either `rps`",
        ),
        (
            "{\"traffic\":{\"steps\":[[0,1]],\"repeat_s\":0}}",
            "traffic.repeat_s is 0",
        ),
        (
            "{\"traffic\":{\"steps\":[[0,\"x\"]]}}",
            "traffic.steps[0][1]: invalid type",
        ),
        (
            "{\"stable\":{\"load_s\":-1}}",
            "stable.load_s is -1: expected 0 to 31622400 seconds",
        ),
        (
            "{\"candidate\":{\"crash_after_s\":1e300}}",
            "candidate.crash_after_s is 1",
        ),
        (
            "{\"run_for_s\":18446744073709551615}",
            "run_for_s is 18446744073709552000: expected 0 to 31622400",
        ),
        (
            "{\"approve_after_s\":18446744073709551615}",
            "approve_after_s is 18446744073709552000",
        ),
        (
            "{\"pool\":{\"usd_per_gpu_hour\":-3}}",
            "pool.usd_per_gpu_hour is -3: expected 0 to 1000000",
        ),
        (
            "{\"pool\":{\"gpus_per_node\":0}}",
            "pool.gpus_per_node is 0: expected 1 to 100000",
        ),
        (
            "{\"variants\":{\"b\":{\"replicas\":4294967295}}}",
            "variants.b.replicas is 4294967295",
        ),
        (
            "{\"metrics\":{\"q\":{\"mean\":1,\"spread\":-1}}}",
            "metrics.q.spread is -1",
        ),
        ("{\"stable\":{},\"stable\":{}}", "the key `stable` stands twice"),
        ("[]", "invalid type: sequence, expected an object"),
        ("{\"trafic\":{}}", "unknown field `trafic`"),
        ("{", "EOF"),
    ] {
        let output = run(folder.path(), world);
        assert_eq!(output.status.code(), Some(2), "{world}");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let message = said["error"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
}
