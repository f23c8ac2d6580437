//! What people ask and do over the socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::world::{World, own_uid, text, waits_for_cluster};

#[test]
fn an_approved_run_goes_on_and_says_that_its_cluster_is_away() {
    let world = World::new();
    let host = world.host();
    let run = host.pushed();
    let page = text(&host.run(&["show", "1"]));
    assert!(page.contains("waits for approval: ml-team 0/1"), "{page}");
    let approved = host.run(&["approve", "model-update#1"]);
    assert_eq!(approved.status.code(), Some(0), "{approved:?}");
    assert!(text(&approved).starts_with("approved by ana"), "{approved:?}");
    host.until(&run, waits_for_cluster);
    let list = text(&host.run(&["runs"]));
    assert!(
        list.contains("Model-Update #1") && list.contains("does not answer"),
        "{list}"
    );
    let again = host.run(&["approve", "1"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again).contains("waits for no approval: it is running; its last approval is approved"),
        "{again:?}"
    );
}

#[test]
fn somebody_whom_no_group_names_is_refused_and_the_log_says_so() {
    let world = World::with_approver(own_uid() + 1);
    let host = world.host();
    host.pushed();
    for arguments in [
        &["approve", "1"][..],
        &["reject", "1", "--reason", "no"],
        &["cancel", "1", "--reason", "no"],
        &["rollback", "1", "--reason", "no"],
        &["hold", "1", "--reason", "no"],
        &["skip", "1", "--reason", "no"],
    ] {
        let refused = host.run(arguments);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let told = text(&refused);
        assert!(
            told.contains(&format!("user id {} is not mapped to a person", own_uid())),
            "{told}"
        );
    }
    let shown = host.json(&["show", "1"]);
    assert_eq!(shown["run"]["status"], "running");
    let refusals = shown["entries"].as_array().unwrap().iter();
    let refusals = refusals.filter(|entry| entry["action"] == "approval_refused");
    assert_eq!(refusals.count(), 6);
}

#[test]
fn what_does_not_move_cannot_be_held_or_taken_to_its_end() {
    let world = World::new();
    let host = world.host();
    host.pushed();
    for (word, says) in [("hold", "could be held"), ("skip", "could be skipped")] {
        let refused = host.run(&[word, "1", "--reason", "a look"]);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(text(&refused).contains(says), "{refused:?}");
    }
    let resumed = host.run(&["resume", "1"]);
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
}

#[test]
fn a_rejection_ends_the_run_with_its_reason() {
    let world = World::new();
    let host = world.host();
    let run = host.pushed();
    let rejected = host.run(&["reject", "1", "--reason", "the evaluation is\nmissing"]);
    assert_eq!(rejected.status.code(), Some(0), "{rejected:?}");
    let shown = host.until(&run, |run| run["status"] != "running");
    assert!(
        shown["run"]["status"]["failed"]["why"]
            .as_str()
            .unwrap()
            .contains("the evaluation is")
    );
}

#[test]
fn the_audit_log_of_a_run_verifies_and_a_changed_one_does_not() {
    let world = World::new();
    let host = world.host();
    host.pushed();
    let log = text(&host.run(&["audit", "1"]));
    let file = world.path("audit.jsonl");
    std::fs::write(&file, &log).unwrap();
    let verified = host.json(&["audit", "verify", file.to_str().unwrap()]);
    let entries = log.lines().count();
    assert!(entries >= 3);
    assert_eq!(
        verified,
        json!({"valid": true, "entries": entries, "first_bad": null})
    );
    std::fs::write(&file, log.replacen("ada-example", "eve-example", 1)).unwrap();
    let changed = host.run(&["audit", "verify", file.to_str().unwrap()]);
    assert_eq!(changed.status.code(), Some(1));
}

#[test]
fn a_watch_tells_each_event_on_a_line_until_the_run_is_over() {
    let world = World::new();
    let host = world.host();
    let run = host.pushed();
    let mut watch = world
        .weir(&["watch", &run])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let first = lines.next().unwrap();
    assert!(first.contains("Model-Update#1 run_started"), "{first}");
    let cancelled = host.run(&["cancel", &run, "--reason", "not today"]);
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    let rest: Vec<String> = lines.collect();
    let last = rest.last().unwrap();
    assert!(
        last.contains("run_ended") && last.contains("cancelled by ana: not today"),
        "{rest:?}"
    );
    assert_eq!(watch.wait().unwrap().code(), Some(1), "it did not succeed");
    let told: Vec<Value> = text(&host.run(&["watch", &run, "--format", "json"]))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown = host.json(&["show", &run]);
    assert_eq!(shown["entries"].as_array().unwrap(), &told);
}

#[test]
fn ctrl_c_leaves_the_run_running_and_says_how_to_come_back() {
    let world = World::new();
    let host = world.host();
    let run = host.pushed();
    let mut watch = world
        .weir(&["watch", &run])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(watch.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let pid = watch.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    let output = watch.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("Model-Update #1 goes on without you; come back: weir watch run-"),
        "{told}"
    );
    assert_eq!(host.json(&["show", &run])["run"]["status"], "running");
}

#[test]
fn a_pipeline_is_started_by_hand_as_often_as_asked() {
    let world = World::new();
    let host = world.host();
    let started = host.json(&["run", "--pipeline", "Model-Update"]);
    assert_eq!(started["runs"][0]["number"], 1, "{started}");
    let again = host.run(&["run", "acme/model"]);
    assert!(
        text(&again).starts_with("started Model-Update #2 at "),
        "{again:?}"
    );
    let cause = &host.json(&["show", "2"])["run"]["cause"];
    assert_eq!(cause["headline"], "The first model (Ada)");
    assert_eq!(cause["actor"]["person"]["name"], "ana");
    assert!(
        cause["repository"]["clone_url"]
            .as_str()
            .unwrap()
            .starts_with("file:///")
    );
    for arguments in [
        &["run", "acme/other"][..],
        &["run", "--branch", "none"],
        &["run", "--pipeline", "none"],
    ] {
        let output = host.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn what_cannot_be_answered_is_told_in_the_form_that_was_asked_and_exits_with_two() {
    let world = World::new();
    let message = |output: &std::process::Output| {
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        told["error"]["message"].as_str().unwrap().to_owned()
    };
    let no_host = world.weir(&["runs", "--format", "json"]).output().unwrap();
    assert_eq!(no_host.status.code(), Some(2));
    assert!(message(&no_host).contains("start one with `weir up --state"));
    let usage = world.weir(&["--format=json", "fly"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert!(message(&usage).contains("unrecognized subcommand 'fly'"));
    let host = world.host();
    let unknown = host.run(&["show", "77"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(unknown.stdout.is_empty());
    let told = String::from_utf8(unknown.stderr).unwrap();
    assert!(told.contains("there is no run `77`"), "{told}");
}

#[test]
fn a_request_that_is_none_is_answered_and_harms_nobody() {
    let world = World::new();
    let host = world.host();
    let socket = world.path("state/weir.sock");
    let ask = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(bytes).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    };
    assert!(ask(b"{\"fly\":{}}\n").contains("cannot read the request"));
    assert!(ask(&vec![b'x'; (64 << 10) + 1]).contains("at most 65536 bytes"));
    let _silent: Vec<UnixStream> = (0..64).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    assert!(ask(b"{\"runs\":{\"limit\":1}}\n").contains("answers 64 commands already"));
    drop(_silent);
    host.until(&host.pushed(), |run| run["status"] == "running");
}

#[test]
fn what_was_not_measured_is_named_before_the_host_starts() {
    let world = World::new();
    std::fs::write(world.path("bounds.json"), r#"{"bounds": {}}"#).unwrap();
    for given in ["bounds.json", "prod=bounds.json"] {
        let mut up = world.up();
        let refused = up
            .current_dir(world.path(""))
            .args(["--bounds", given])
            .output()
            .unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let told = text(&refused);
        assert!(told.contains("bounds.json holds no bounds"), "{told}");
    }
}
