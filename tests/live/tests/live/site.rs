//! What a rollout needs beside its own objects, as the identity that moves traffic finds it.

use serde_json::{Value, json};
use weir_app::Clusters;
use weir_domain::pipeline::{RolloutRule, StageWork, StepWork};
use weir_domain::run::Run;
use weir_domain::seen::SiteSeen;
use weir_live::{ROLLOUT, Role, Shape, World};

async fn problems(world: &World, run: &Run, role: Role) -> Vec<String> {
    match world.fleet(role).site(run, ROLLOUT).await {
        SiteSeen::Seen { problems } => problems,
        away @ SiteSeen::Unreachable(_) => panic!("{away:?}"),
    }
}

/// The run with another target.
fn with(run: &Run, change: impl Fn(&mut RolloutRule)) -> Run {
    let mut run = run.clone();
    let StageWork::Steps { steps, .. } =
        &mut std::sync::Arc::make_mut(&mut run.pipeline).stages[ROLLOUT.stage].work
    else {
        panic!("it has steps")
    };
    let StepWork::Rollout(rule) = &mut steps[ROLLOUT.step].work else {
        panic!("it is a rollout")
    };
    change(rule);
    run
}

#[tokio::test]
async fn what_is_missing_or_somebody_elses_is_told_by_name_with_the_fix() {
    let world = World::new("site").await;
    let run = world.run(&Shape::rollout("v1", None));
    assert_eq!(
        problems(&world, &run, Role::MetricCheck).await,
        Vec::<String>::new()
    );

    // Route and Service that are not there, both at once.
    let nowhere = with(&run, |rule| {
        rule.target.route = "nowhere".into();
        rule.target.service = "nobody".into();
    });
    let told = problems(&world, &nowhere, Role::MetricCheck).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("HTTPRoute live-site/nowhere does not exist; create an HTTPRoute `nowhere`"),
        "{told:?}"
    );
    assert!(
        told[1].contains("Service live-site/nobody does not exist: create it"),
        "{told:?}"
    );

    // A route without a rule for the Service.
    let unruled = with(&run, |rule| rule.target.service = "admin".into());
    assert_eq!(
        problems(&world, &unruled, Role::MetricCheck).await,
        Vec::<String>::new()
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "lonely"}, "spec": {"ports": [{"port": 80}]}});
    world.admin.create(&world.core("services"), &service).await.ok();
    let unruled = with(&run, |rule| rule.target.service = "lonely".into());
    let told = problems(&world, &unruled, Role::MetricCheck).await;
    assert!(
        told[0].contains("HTTPRoute live-site/chat: no rule sends traffic to the Service `lonely`"),
        "{told:?}"
    );

    // A route that is split for somebody else, with a backend of a stranger, that a controller makes.
    let taken: Value = json!({"metadata": {
        "annotations": {"weir.dev/lane": "other/Production"},
        "ownerReferences": [{
            "apiVersion": "example.com/v1", "kind": "InferenceService", "name": "chat", "uid": "1", "controller": true,
        }],
    }});
    world.admin.merge(&world.route_path(), &taken).await.ok();
    let told = problems(&world, &run, Role::MetricCheck).await;
    assert!(
        told[0].contains("split for `other/Production` already"),
        "{told:?}"
    );
    assert!(told[1].contains("belongs to InferenceService chat"), "{told:?}");

    // Somebody without the rights.
    let told = problems(&world, &run, Role::StageExecutor).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("get/create/patch/delete deployments")
            && told[0].contains("infra/cluster/namespace.yaml"),
        "{told:?}"
    );
}
