//! The two binaries as processes: arguments, signals, exit status.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const SIMULATOR: &str = env!("CARGO_BIN_EXE_weir-simulator");
const LOAD: &str = env!("CARGO_BIN_EXE_weir-load");
const QUICK: &str = r#"{"version":"v1","load_seconds":0,"warm_up_generations":0,"drain_quiet_ms":20,
    "latency_ms":{"p50":2,"p99":4}}"#;

/// A child that is killed when the test ends early.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn terminate(&self) {
        let done = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
    }
}

fn simulator(model: &str) -> Command {
    let mut command = Command::new(SIMULATOR);
    command
        .env_clear()
        .env("MODEL_JSON", model)
        .env("LISTEN", "127.0.0.1:0");
    command
}

/// Starts a simulator and reads its log until it is ready.
fn serving(model: &str) -> (Process, String, BufReader<std::process::ChildStderr>) {
    let mut process = Process(simulator(model).stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(process.0.stderr.take().unwrap());
    let mut lines = Vec::new();
    while !lines
        .last()
        .is_some_and(|line: &String| line.starts_with("ready after"))
    {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "{lines:?}");
        lines.push(line);
    }
    let address = lines[0].trim().strip_prefix("listening on ").unwrap().to_owned();
    (process, address, log)
}

fn output(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    (output, errors)
}

#[test]
fn a_crash_is_status_139_and_says_so() {
    let model = r#"{"load_seconds":0,"warm_up_generations":0,"crash_after_seconds_serving":0.05}"#;
    let (output, errors) = output(&mut simulator(model));
    assert_eq!(output.status.code(), Some(139));
    assert!(
        errors.ends_with("crashed: segmentation fault after 0.05 s of serving\n"),
        "{errors}"
    );
}

#[test]
fn a_load_reports_every_line_as_json_and_the_simulator_drains_to_status_0() {
    let (mut process, target, mut log) = serving(QUICK);
    let mut command = Command::new(LOAD);
    command.args([
        "--target",
        &target,
        "--host",
        "demo.example",
        "--path",
        "/inference",
        "--rps",
        "50",
    ]);
    command.args(["--streams", "0", "--duration", "1s", "--report-every", "250ms"]);
    let (output, errors) = output(command.args(["--stats-listen", "127.0.0.1:0"]));
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["target"], target);
    assert!(
        lines[0]["stats"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
    let last = &lines.last().unwrap()["total"];
    assert!(last["ok"].as_u64().unwrap() > 25, "{text}");
    assert_eq!(last["sent"], last["ok"], "{text}");
    assert!(lines.len() >= 5, "{text}");

    process.terminate();
    assert_eq!(process.0.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "draining 0 requests\n");
}

#[test]
fn a_load_stops_when_its_standard_input_closes_or_on_sigterm() {
    let (_simulator, target, _log) = serving(QUICK);
    let start = |stdin: Stdio| {
        let mut command = Command::new(LOAD);
        command.args(["--target", &target, "--streams", "0", "--stop-on-stdin-close"]);
        let mut process = Process(command.stdin(stdin).stdout(Stdio::piped()).spawn().unwrap());
        let mut report = BufReader::new(process.0.stdout.take().unwrap());
        let mut first = String::new();
        report.read_line(&mut first).unwrap();
        (process, report)
    };
    let closing = |mut process: Process, mut report: BufReader<_>| {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut report, &mut rest).unwrap();
        assert!(process.0.wait().unwrap().success());
        let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!(last["total"]["in_flight"], 0);
    };
    let (mut process, report) = start(Stdio::piped());
    drop(process.0.stdin.take());
    closing(process, report);
    let (process, report) = start(Stdio::piped());
    process.terminate();
    closing(process, report);
}

#[test]
fn wrong_arguments_are_refused_with_their_reason() {
    let (_, errors) = output(&mut simulator(r#"{"latency":1}"#));
    assert!(errors.contains("unknown field `latency`"), "{errors}");
    let (_, errors) = output(simulator(QUICK).env("MODEL_PATH", "/tmp/model.json"));
    assert!(errors.contains("cannot be used with"), "{errors}");
    let (_, errors) = output(Command::new(SIMULATOR).env_clear());
    assert!(errors.contains("--model"), "{errors}");
    let (_, errors) = output(Command::new(LOAD).args(["--target", "http://10.0.0.1:80"]));
    assert!(errors.contains("loopback"), "{errors}");
    let (_, errors) =
        output(Command::new(LOAD).args(["--target", "http://127.0.0.1:1", "--duration", "31m"]));
    assert!(errors.contains("at most 30m"), "{errors}");
    let held = [
        "--target",
        "http://127.0.0.1:1",
        "--stop-on-stdin-close",
        "--duration",
        "361m",
    ];
    let (_, errors) = output(Command::new(LOAD).args(held));
    assert!(errors.contains("is 361, expected at most 360m"), "{errors}");
}
