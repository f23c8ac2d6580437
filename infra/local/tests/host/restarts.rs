//! Ends and starts of the host: no run is lost, no two hosts share a folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use crate::world::{World, waits_for_cluster};

#[test]
fn a_host_that_was_killed_goes_on_with_its_runs_and_cleans_its_socket() {
    let world = World::new();
    let host = world.host();
    let run = host.pushed();
    assert_eq!(host.run(&["approve", "1"]).status.code(), Some(0));
    let before = host.until(&run, waits_for_cluster);
    host.kill();
    assert!(
        world.path("state/weir.sock").exists(),
        "it could not clean up any more"
    );
    let away = world.weir(&["runs"]).output().unwrap();
    assert_eq!(away.status.code(), Some(2));

    let host = world.host();
    let after = host.until(&run, waits_for_cluster);
    assert_eq!(
        before["entries"], after["entries"],
        "it waits on, and says so once"
    );
    // It can still be moved by people, so somebody looks at it again.
    let cancelled = host.run(&["cancel", "1", "--reason", "enough"]);
    assert_eq!(cancelled.status.code(), Some(0), "{cancelled:?}");
    host.until(&run, |run| run["status"] != "running");
}

#[test]
fn a_watch_goes_on_over_a_restart_of_the_host() {
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
    assert_eq!(host.stop(), Some(0));
    let host = world.host();
    host.run(&["cancel", &run, "--reason", "enough"]);
    let rest: Vec<String> = lines.collect();
    assert!(rest.last().unwrap().contains("run_ended"), "{rest:?}");
    assert!(!rest.contains(&first), "nothing is told twice: {rest:?}");
    watch.wait().unwrap();
}

#[test]
fn a_host_that_is_told_to_stop_ends_well_and_leaves_no_socket() {
    let world = World::new();
    let host = world.host();
    host.pushed();
    assert_eq!(host.stop(), Some(0));
    assert!(!world.path("state/weir.sock").exists());
}

#[test]
fn two_hosts_never_share_a_folder() {
    let world = World::new();
    let host = world.host();
    let second = world.up().output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    let told = String::from_utf8(second.stdout).unwrap();
    assert!(told.contains("another weir runs on the state folder"), "{told}");
    // The first one is not disturbed.
    host.pushed();
}

#[test]
fn nobody_but_the_owner_reads_the_state_or_connects() {
    let world = World::new();
    let host = world.host();
    host.pushed();
    let mode = |name: &str| fs::metadata(world.path(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/weir.sock")), (0o700, 0o600));
    for entry in fs::read_dir(world.path("state")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let world = World::new();
    let host = world.host();
    let other = World::new();
    let taken = other.up_on(&host.address).output().unwrap();
    assert_eq!(taken.status.code(), Some(2));
    let told = String::from_utf8(taken.stdout).unwrap();
    assert!(
        told.contains(&host.address) && told.contains("give another --listen"),
        "{told}"
    );
}
