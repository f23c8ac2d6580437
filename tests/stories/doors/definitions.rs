//! The definition at the pushed commit: read, wrong, missing, or out of reach.

use serde_json::{Value, json};
use weir_app::Retry;
use weir_domain::effect::CommitState;
use weir_domain::time::Span;
use weir_tests::{once, push_of, replay, sample};

use super::{PIPELINE, WORLD, nobody_approves, people, ready, sample_commits};

#[test]
fn a_definition_that_does_not_validate_is_a_failed_run_with_a_red_status_and_nothing_else() {
    replay(async |world| {
        let (before, after) = sample_commits();
        let broken = PIPELINE.replace("strategy: canary", "strategy: canery");
        let files = [
            (".weir/model-update.yaml", broken.as_str()),
            (".weir/world.yaml", WORLD),
        ];
        world.source.commit(&after, &files);
        let (status, told) = world.deliver_push(&push_of(&before, &after)).await;
        assert_eq!(status, 202);
        let refused = told["runs"][0]["refused"].as_str().unwrap();
        assert!(refused.starts_with(".weir/model-update.yaml:"), "{refused}");
        assert!(refused.contains("did you mean `canary`?"), "{refused}");
        world.run_until_idle().await;
        let runs = world.runs().await;
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].pipeline.name.as_str(), "LLM-Model-Update");
        assert_eq!(runs[0].status.words(), format!("failed: {refused}"));
        let (state, words) = world.source.statuses.lock().unwrap()[&after].clone();
        assert_eq!((state, words.as_str()), (CommitState::Error, refused));
        assert_eq!(
            world.cluster.route_writes("Production") + world.cluster.route_writes("Staging"),
            0
        );
        world
    });
}

#[test]
fn where_not_even_the_names_can_be_read_one_run_stands_for_the_definition() {
    once(async |world| {
        let (before, after) = sample_commits();
        world
            .source
            .commit(&after, &[(".weir/pipeline.yaml", "pipeline: [\n")]);
        world.deliver_push(&push_of(&before, &after)).await;
        world.run_until_idle().await;
        let runs = world.runs().await;
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].pipeline.name.as_str(), ".weir");
        assert!(
            runs[0].status.words().contains(".weir/pipeline.yaml:"),
            "{}",
            runs[0].status.words()
        );
        world
    });
}

#[test]
fn a_fault_in_a_definition_is_told_to_who_made_it_and_not_to_who_pushes_elsewhere() {
    once(async |world| {
        let (before, after) = sample_commits();
        let broken = PIPELINE.replace("strategy: canary", "strategy: canery");
        let files = [
            (".weir/model-update.yaml", broken.as_str()),
            (".weir/world.yaml", WORLD),
        ];
        world.source.commit(&after, &files);
        let on_a_branch = |file: &str| {
            let mut push: Value = serde_json::from_slice(&push_of(&before, &after)).unwrap();
            push["ref"] = "refs/heads/feature".into();
            push["commits"][1]["modified"] = json!([file]);
            push.to_string().into_bytes()
        };
        let (status, told) = world.deliver_push(&on_a_branch("models/x")).await;
        assert_eq!(
            (status, told["runs"].as_array().unwrap().len()),
            (200, 0),
            "{told}"
        );
        let (status, told) = world.deliver_push(&on_a_branch(".weir/model-update.yaml")).await;
        assert_eq!(
            (status, &told["runs"][0]["pipeline"]),
            (202, &json!(".weir")),
            "{told}"
        );
        world
    });
}

#[test]
fn a_commit_without_a_definition_starts_nothing_and_says_so() {
    once(async |world| {
        let (before, after) = sample_commits();
        world.source.commit(&after, &[("README.md", "hello")]);
        let (status, told) = world.deliver_push(&push_of(&before, &after)).await;
        assert_eq!(status, 200);
        assert!(
            told["note"].as_str().unwrap().contains("no .weir/*.yaml"),
            "{told}"
        );
        world
    });
}

#[test]
fn an_environment_that_cannot_be_driven_yet_is_refused_before_anything_moves() {
    once(async |world| {
        let (before, after) = sample_commits();
        let (head, tail) = WORLD
            .split_once("  - name: Production\n    type: Kubernetes")
            .unwrap();
        let elsewhere = format!("{head}  - name: Production\n    provider: AWS-ECS{tail}");
        let files = [
            (".weir/model-update.yaml", PIPELINE),
            (".weir/world.yaml", &elsewhere),
        ];
        world.source.commit(&after, &files);
        let run = world.deliver_push_that_runs(&push_of(&before, &after)).await;
        world.run_until_idle().await;
        let words = world.run(&run).await.status.words();
        assert!(
            words.contains("AWS-ECS") && words.contains("cannot drive"),
            "{words}"
        );
        world
    });
}

#[test]
fn every_cloud_whose_clusters_can_be_entered_is_driven() {
    for provider in ["AWS-EKS", "GCP-GKE", "Azure-AKS"] {
        once(async |world| {
            let (before, after) = sample_commits();
            let there = WORLD.replace("    type: Kubernetes", &format!("    provider: {provider}"));
            assert!(there.contains(provider));
            let files = [
                (".weir/model-update.yaml", PIPELINE),
                (".weir/world.yaml", &there),
            ];
            world.source.commit(&after, &files);
            let run = world.deliver_push_that_runs(&push_of(&before, &after)).await;
            nobody_approves(&world).await;
            let words = world.run(&run).await.status.words();
            assert!(!words.contains("cannot drive"), "{provider}: {words}");
            world
        });
    }
}

#[test]
fn a_source_host_that_hiccups_is_asked_again_before_github_stops_waiting() {
    once(async |world| {
        let world = ready(world);
        let hiccup = [Retry::Now, Retry::After(Span::seconds(1)), Retry::Now];
        world.source.troubles.lock().unwrap().extend(hiccup);
        world
            .deliver_push_that_runs(&sample("github-push", "valid/branch-models.json"))
            .await;
        nobody_approves(&world).await;
        world
    });
}

#[test]
fn a_source_host_that_stays_away_is_a_503_that_says_what_to_do_and_a_redelivery_starts_the_run() {
    once(async |world| {
        let world = ready(world);
        let away = std::iter::repeat_n(Retry::After(Span::seconds(1)), 50);
        world.source.troubles.lock().unwrap().extend(away);
        let bytes = sample("github-push", "valid/branch-models.json");
        let began = tokio::time::Instant::now();
        let (status, told) = world.deliver_push(&bytes).await;
        assert!(began.elapsed().as_secs() < 9, "GitHub waits 10 s");
        assert_eq!(status, 503);
        let words = told["error"]["message"].as_str().unwrap();
        assert!(
            words.contains("the trouble of the story") && words.contains("redeliver"),
            "{words}"
        );
        assert!(world.runs().await.is_empty());
        world.source.troubles.lock().unwrap().clear();
        world.deliver_push_that_runs(&bytes).await;
        nobody_approves(&world).await;
        world
    });
}

#[test]
fn a_fault_of_the_commit_itself_is_a_failed_run() {
    once(async |world| {
        let world = ready(world);
        world.source.troubles.lock().unwrap().push_back(Retry::Never);
        let run = world
            .deliver_push_that_runs(&sample("github-push", "valid/branch-models.json"))
            .await;
        world.run_until_idle().await;
        let run = world.run(&run).await;
        assert_eq!(run.pipeline.name.as_str(), ".weir");
        assert!(run.status.words().contains("the trouble of the story"));
        world
    });
}

#[test]
fn pods_fetch_from_where_the_host_says() {
    once(async |world| {
        let mut world = ready(world);
        let own = "http://git.weir-builds/llm.git".to_owned();
        world
            .doors
            .intake
            .clone_urls
            .insert("acme/llm-service".into(), own.clone());
        let bytes = sample("github-push", "valid/branch-models.json");
        let run = world.deliver_push_that_runs(&bytes).await;
        assert_eq!(world.run(&run).await.cause.repository.clone_url, own);
        nobody_approves(&world).await;
        world
    });
}

#[test]
fn where_the_definition_names_no_registry_the_hosts_is_meant() {
    once(async |world| {
        let mut world = ready(world);
        let (before, after) = sample_commits();
        let own = "  registry: registry.example.com\n";
        let elsewhere = people();
        assert!(elsewhere.contains(own));
        let elsewhere = elsewhere.replace(own, "");
        let files = [
            (".weir/model-update.yaml", PIPELINE),
            (".weir/world.yaml", &*elsewhere),
        ];
        world.source.commit(&after, &files);
        world.doors.intake.registry = Some("images.example/acme".into());
        let run = world.deliver_push_that_runs(&push_of(&before, &after)).await;
        let pipeline = serde_json::to_string(&world.run(&run).await.pipeline).unwrap();
        let image = format!("docker push images.example/acme/ai-service:{after}");
        assert!(pipeline.contains(&image), "{pipeline}");
        nobody_approves(&world).await;
        world
    });
}

#[test]
fn a_manifest_that_a_step_names_is_read_at_the_pushed_commit() {
    const DEPLOYMENT: &str = include_str!("../../../docs/examples/ai-service-deployment.yaml");
    const FIRST: &str = include_str!("../../../docs/examples/first-pipeline.yaml");
    once(async |world| {
        let (before, after) = sample_commits();
        let people = people();
        let files = [
            (".weir/pipeline.yaml", FIRST),
            (".weir/world.yaml", people.as_str()),
            ("ai-service-deployment.yaml", DEPLOYMENT),
        ];
        world.source.commit(&after, &files);
        let body = {
            let mut push: Value = serde_json::from_slice(&push_of(&before, &after)).unwrap();
            push["ref"] = "refs/heads/release".into();
            push.to_string().into_bytes()
        };
        let (_, told) = world.deliver_push(&body).await;
        assert_eq!(told["runs"][0]["refused"], Value::Null, "{told}");
        world.source.commit(&after, &files[..2]);
        let other = {
            let mut push: Value = serde_json::from_slice(&body).unwrap();
            push["before"] = "2".repeat(40).into();
            push.to_string().into_bytes()
        };
        let (_, told) = world.deliver_push(&other).await;
        let refused = told["runs"][0]["refused"].as_str().unwrap_or_default();
        assert!(refused.contains("ai-service-deployment.yaml"), "{told}");
        nobody_approves(&world).await;
        world
    });
}
