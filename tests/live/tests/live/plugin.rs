//! A Plugin step: a Kubernetes Job on a pushed commit, by an identity that may do just that.

use weir_app::Clusters;
use weir_domain::effect::Effect;
use weir_domain::run::Run;
use weir_domain::seen::ExecutionSeen;
use weir_live::{GitServer, PLUGIN, Role, Shape, World, commit_model, eventually};

/// A step on a commit that pods get from a git server; it is there while the second is kept.
async fn shape(world: &World, commands: &[&str]) -> (Shape, GitServer) {
    let path = world.directory("repository");
    let git = GitServer::start(path.parent().unwrap()).await.unwrap();
    world.cluster.expose(git.port()).unwrap();
    let mut shape = Shape::rollout("v1", None);
    shape.commit = commit_model(&path, "weights of v7\n");
    shape.clone_url = git.url(path.file_name().unwrap().to_str().unwrap());
    shape.commands = commands.iter().map(|&command| command.to_owned()).collect();
    (shape, git)
}

/// Starts the step, twice as after a crash, and waits for its end.
async fn ended(world: &World, run: &Run) -> ExecutionSeen {
    let fleet = world.fleet(Role::StageExecutor);
    assert_eq!(fleet.execution(run, PLUGIN).await, ExecutionSeen::Missing);
    for _ in 0..2 {
        fleet
            .perform(run, &Effect::StartExecution { step: PLUGIN })
            .await
            .unwrap();
    }
    eventually("the step has ended", async || {
        match fleet.execution(run, PLUGIN).await {
            seen @ (ExecutionSeen::Finished { .. } | ExecutionSeen::Failed(_)) => Ok(seen),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn a_step_runs_on_the_pushed_commit_and_hands_over_its_outputs() {
    let world = World::new("step").await;
    let (shape, _git) = shape(
        &world,
        &[
            "cat model.txt",
            "echo \"DIGEST=$(sha256sum < model.txt | cut -c1-8)\" >> \"$WEIR_OUTPUTS\"",
            "printf 'ODD=%s\\n' '$(HOME) `id` a=b' >> \"$WEIR_OUTPUTS\"",
            "echo on $BRANCH at $(git rev-parse HEAD)",
        ],
    )
    .await;
    let run = world.run(&shape);
    let ExecutionSeen::Finished {
        exit_code,
        outputs,
        log_tail,
    } = ended(&world, &run).await
    else {
        panic!("it finishes");
    };
    assert_eq!(exit_code, 0, "{log_tail}");
    assert_eq!(outputs["ODD"], "$(HOME) `id` a=b");
    assert_eq!(outputs["DIGEST"].len(), 8);
    let log = world
        .fleet(Role::StageExecutor)
        .logs(&run, PLUGIN, 100)
        .await
        .unwrap();
    assert!(log.contains("+ cat model.txt\nweights of v7\n"), "{log}");
    assert!(log.contains(&format!("on main at {}", shape.commit)), "{log}");
}

#[tokio::test]
async fn the_first_command_that_fails_ends_the_step_with_its_code() {
    let world = World::new("exit").await;
    let (shape, _git) = shape(&world, &["echo before", "exit 7", "echo after"]).await;
    let run = world.run(&shape);
    let ExecutionSeen::Finished {
        exit_code, log_tail, ..
    } = ended(&world, &run).await
    else {
        panic!("it finishes");
    };
    assert_eq!(exit_code, 7);
    assert!(
        log_tail.contains("before") && !log_tail.contains("after"),
        "{log_tail}"
    );
}

#[tokio::test]
async fn a_commit_that_cannot_be_fetched_says_so() {
    let world = World::new("fetch").await;
    let (mut shape, _git) = shape(&world, &["true"]).await;
    shape.commit = "0123456789".repeat(4);
    let run = world.run(&shape);
    let ExecutionSeen::Failed(why) = ended(&world, &run).await else {
        panic!("it fails");
    };
    assert!(why.contains("the commit could not be fetched"), "{why}");
    assert!(why.contains(&shape.commit), "git's own words: {why}");
}

#[tokio::test]
async fn a_step_that_is_stopped_ends_and_a_late_start_does_not_run_it_again() {
    let world = World::new("stop").await;
    let (shape, _git) = shape(&world, &["echo begun", "sleep 1000"]).await;
    let run = world.run(&shape);
    let fleet = world.fleet(Role::StageExecutor);
    let start = Effect::StartExecution { step: PLUGIN };
    fleet.perform(&run, &start).await.unwrap();
    eventually("it runs", async || match fleet.execution(&run, PLUGIN).await {
        ExecutionSeen::Running => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;
    for effect in [&Effect::StopExecution { step: PLUGIN }, &start] {
        fleet.perform(&run, effect).await.unwrap();
    }
    let why = eventually("it has ended", async || {
        match fleet.execution(&run, PLUGIN).await {
            ExecutionSeen::Failed(why) => Ok(why),
            seen => Err(format!("{seen:?}")),
        }
    })
    .await;
    assert!(why.starts_with("stopped"), "{why}");
    fleet.perform(&run, &start).await.unwrap();
    assert!(matches!(
        fleet.execution(&run, PLUGIN).await,
        ExecutionSeen::Failed(_)
    ));
}
