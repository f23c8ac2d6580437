//! A person starts what a push would.

use weir_app::Started;
use weir_domain::ids::Commit;
use weir_domain::people::Identity;
use weir_domain::run::Repository;
use weir_domain::time::Span;
use weir_tests::{World, once};
use weir_webhook_intake::{ByHand, ByHandError, start_by_hand};

use super::{holds_the_article, sample_commits};

fn wish<'a>(git_ref: &'a str, pipeline: Option<&'a str>) -> ByHand<'a> {
    let (before, commit) = sample_commits();
    ByHand {
        repository: Repository {
            name: "acme/llm-service".into(),
            clone_url: "https://git.example/acme/llm-service".into(),
        },
        git_ref,
        before,
        commit,
        pipeline,
        by: Identity::Github("ben-example".into()),
        headline: "Update the model (Ada)".into(),
        registry: None,
    }
}

async fn start(world: &World, wish: ByHand<'_>) -> Result<Vec<Started>, ByHandError> {
    start_by_hand(&world.doors.intake.engine, wish).await
}

#[test]
fn what_the_ref_triggers_is_started_as_if_all_its_paths_had_changed() {
    once(async |world| {
        holds_the_article(&world, &sample_commits().1);
        let started = start(&world, wish("refs/heads/main", None)).await.unwrap();
        assert!(matches!(started[..], [Started::New(_)]));
        let run = world.run(started[0].run()).await;
        assert!(
            run.cause.reason.contains("counts as matched"),
            "{}",
            run.cause.reason
        );
        assert_eq!(run.cause.actor.to_string(), "ben");
        world.pass(Span::hours(30)).await;
        world
    });
}

#[test]
fn a_named_pipeline_is_started_whatever_its_trigger_says_and_again_when_asked_again() {
    once(async |world| {
        holds_the_article(&world, &sample_commits().1);
        let named = wish("refs/heads/feature", Some("LLM-Model-Update"));
        let first = start(&world, named.clone()).await.unwrap();
        world.pass(Span::seconds(1)).await;
        let second = start(&world, named).await.unwrap();
        assert_ne!(first[0].run(), second[0].run());
        assert!(matches!(second[0], Started::New(_)));
        world.pass(Span::hours(60)).await;
        world
    });
}

#[test]
fn where_nothing_is_started_the_reason_is_told() {
    once(async |world| {
        let error = start(&world, wish("refs/heads/main", None)).await.unwrap_err();
        assert!(matches!(error, ByHandError::NoDefinition(_)), "{error}");
        holds_the_article(&world, &sample_commits().1);
        let error = start(&world, wish("refs/heads/feature", None)).await.unwrap_err();
        assert!(
            error.to_string().contains("branch feature does not match"),
            "{error}"
        );
        let error = start(&world, wish("refs/heads/main", Some("LLM")))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("there are: LLM-Model-Update"),
            "{error}"
        );
        let error = start(&world, wish("main", None)).await.unwrap_err();
        assert!(error.to_string().contains("impossible ref"), "{error}");
        let short = ByHand {
            commit: Commit::new("1d06a0d"),
            ..wish("refs/heads/main", None)
        };
        assert!(start(&world, short).await.is_err());
        assert!(world.runs().await.is_empty());
        world
    });
}
