//! Which pushes start a run.

use serde_json::{Value, json};
use weir_domain::ids::Commit;
use weir_domain::run::Run;
use weir_tests::{World, github_push, once, push_of, replay, sample, samples, slack_press};

use super::{JSON, answer, asks, body, header, holds_the_article, nobody_approves, ready, sample_commits};

/// Every valid sample, whether it runs, and a part of the reason.
const SAMPLES: [(&str, bool, &str); 14] = [
    ("branch-models.json", true, "matches paths"),
    ("branch-models.form", true, "matches paths"),
    ("branch-rename.json", true, "matches paths"),
    ("branch-forced.json", true, "counts as matched"),
    ("branch-without-sender.json", true, "matches paths"),
    ("branch-docs-only.json", false, "no changed file matches"),
    ("branch-no-commits.json", false, "no commits"),
    ("branch-empty-commit.json", false, "no file changed"),
    (
        "branch-created-from-existing.json",
        false,
        "does not match branches",
    ),
    ("branch-created.json", false, "does not match branches"),
    ("branch-odd-names.json", false, "does not match branches"),
    ("branch-deleted.json", false, "deletions start no run"),
    ("tag-deleted.json", false, "deletions start no run"),
    ("tag.json", false, "no tags: list"),
];

#[test]
fn every_kind_of_push_starts_what_the_rules_say_and_nothing_by_mistake() {
    let known: Vec<String> = samples("github-push", "valid")
        .into_iter()
        .map(|(_, name, _)| name)
        .collect();
    assert_eq!(known.len(), SAMPLES.len(), "{known:?}");
    for (name, runs, reason) in SAMPLES {
        once(async |world| {
            let (content_type, _, bytes) = samples("github-push", "valid")
                .into_iter()
                .find(|(_, own, _)| *own == format!("valid/{name}"))
                .unwrap();
            hold_everywhere(&world);
            let answer = answer(&world, &world.from_github("push", content_type, &bytes)).await;
            let told = body(&answer);
            assert_eq!(answer.status, if runs { 202 } else { 200 }, "{name}: {told}");
            assert_eq!(
                told["runs"].as_array().unwrap().len(),
                usize::from(runs),
                "{name}: {told}"
            );
            assert!(told.to_string().contains(reason), "{name}: {told}");
            assert_eq!(world.runs().await.len(), usize::from(runs), "{name}");
            nobody_approves(&world).await;
            world
        });
    }
}

/// Every commit that a sample names carries the article's definition.
fn hold_everywhere(world: &World) {
    for (content_type, _, bytes) in samples("github-push", "valid") {
        if content_type == JSON {
            let push: Value = serde_json::from_slice(&bytes).expect("a valid sample is JSON");
            holds_the_article(
                world,
                &Commit::new(push["after"].as_str().expect("it names a commit")),
            );
        }
    }
}

#[test]
fn beyond_a_thousand_commits_and_at_the_end_of_the_list_paths_count_as_matched() {
    for (commits, reason) in [
        (1_001, "1001 commits are more than 1000"),
        (2_048, "2048 commits"),
    ] {
        once(async |world| {
            let world = ready(world);
            let body = github_push(|push| {
                let mut one = push["commits"][0].clone();
                one["modified"] = json!(["README.md"]);
                push["commits"] = vec![one; commits].into();
            });
            let (status, told) = world.deliver_push(&body).await;
            assert_eq!(status, 202, "{told}");
            assert!(
                told["runs"][0]["reason"].as_str().unwrap().contains(reason),
                "{told}"
            );
            nobody_approves(&world).await;
            world
        });
    }
}

#[test]
fn a_push_that_comes_again_under_another_delivery_id_starts_nothing_new() {
    replay(async |world| {
        let world = ready(world);
        let bytes = sample("github-push", "valid/branch-models.json");
        let run = world.deliver_push_that_runs(&bytes).await;
        let mut again = world.from_github("push", JSON, &bytes);
        *header(&mut again, "X-GitHub-Delivery") = "00000000-0000-0000-0000-000000000000".into();
        let told = body(&answer(&world, &again).await);
        let runs = told["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!((&runs[0]["run"], &runs[0]["new"]), (&json!(run), &json!(false)));
        assert_eq!(world.runs().await.len(), 1);
        nobody_approves(&world).await;
        world
    });
}

#[test]
fn an_older_commit_pushed_again_never_goes_out_silently() {
    once(async |world| {
        let (older, newer) = sample_commits();
        holds_the_article(&world, &older);
        holds_the_article(&world, &newer);
        let first = world.deliver_push_that_runs(&push_of(&older, &newer)).await;
        world.run_until_run(&first, asks).await;
        let token = world.approval(&first).await;
        world.press(&slack_press("approve", "U0BEN", &token)).await;
        world.run_until_run(&first, Run::is_over).await;
        // Somebody takes main back to the commit before.
        let run = world.deliver_push_that_runs(&push_of(&newer, &older)).await;
        world.run_until_idle().await;
        world.expect_status(&run, "failed").await;
        let why = world.run(&run).await.status.words();
        assert!(why.contains("does not descend"), "{why}");
        world
    });
}
