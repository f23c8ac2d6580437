//! How long `weir simulate` takes for a rollout that is watched for seven days, as a person calls it: start, files, every
//! look of the engine, and the answer. Figures are printed, not asserted.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints and measures"
)]

use std::process::Command;
use std::time::Instant;

/// Calls of one measurement.
const CALLS: usize = 9;

const DEFINITION: &str = include_str!("../tests/watched.yaml");

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let (definition, world) = (folder.path().join("weir.yaml"), folder.path().join("world.json"));
    std::fs::write(&definition, DEFINITION).expect("the folder is new");
    for (what, text) in [
        (
            "good for seven days",
            r#"{"pool": {"gpus": 8}, "approve_after_s": 0, "run_for_s": 1000000}"#,
        ),
        (
            "bad after two days",
            r#"{"candidate": {"errors": 0.2, "healthy_s": 172800}, "approve_after_s": 0}"#,
        ),
    ] {
        std::fs::write(&world, text).expect("the folder is ours");
        let mut seconds: Vec<f64> = (0..CALLS)
            .map(|_| {
                let began = Instant::now();
                let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
                command.args(["simulate", "--format", "json", "--pipeline"]);
                let output = command.arg(&definition).arg("--world").arg(&world).output();
                let answer = output.expect("the program is there").stdout;
                let answer: serde_json::Value = serde_json::from_slice(&answer).expect("an answer");
                assert!(answer["result"].is_string(), "{answer}");
                began.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        println!(
            "weir simulate, {what}: {:.2} s (least {:.2}, most {:.2}, of {CALLS})",
            seconds[CALLS / 2],
            seconds[0],
            seconds[CALLS - 1]
        );
    }
}
