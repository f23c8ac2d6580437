//! `weir simulate` as a person calls it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const DEFINITION: &str = include_str!("watched.yaml");

fn run(folder: &Path, world: &str) -> Output {
    let (definition, file) = (folder.join("weir.yaml"), folder.join("world.json"));
    std::fs::write(&definition, DEFINITION).unwrap();
    std::fs::write(&file, world).unwrap();
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["simulate", "--format", "json", "--pipeline"])
        .arg(definition)
        .arg("--world")
        .arg(file)
        .output()
        .unwrap()
}

fn simulate(world: &Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &world.to_string());
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
