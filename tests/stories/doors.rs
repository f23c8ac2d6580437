//! What comes through the doors: signed requests in the senders' own JSON, through the real handlers.

mod alarms;
mod by_hand;
mod definitions;
mod github;
mod patience;
mod pushes;
mod scenario_one;
mod slack;

pub(crate) use alarms::raised;
use serde_json::Value;
use weir_app::door::{Request, Response};
use weir_domain::ids::{Commit, RunId};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{World, push_of, sample};

/// The content type that GitHub offers first.
const JSON: &str = "application/json";

/// The article's first scenario.
const PIPELINE: &str = include_str!("../../docs/examples/model-update.yaml");

/// Its service, environments, groups and builder.
const WORLD: &str = include_str!("../../docs/examples/world.yaml");

/// The commits of the sample push.
fn sample_commits() -> (Commit, Commit) {
    (
        Commit::new("1405df66cbe219b0bf6355bc3d60361a8376b6b4"),
        Commit::new("1d06a0d76f000e6edd18de492383983feefced4e"),
    )
}

/// The definition's people are those of the samples: ada pushes, ben approves.
fn people() -> String {
    WORLD
        .replace("U0000000A", "U0ADA")
        .replace("ana", "ada")
        .replace("U0000000B", "U0BEN")
}

/// A commit that carries the article's definition.
fn holds_the_article(world: &World, commit: &Commit) {
    let people = people();
    let files = [
        (".weir/model-update.yaml", PIPELINE),
        (".weir/world.yaml", &people),
    ];
    world.source.commit(commit, &files);
}

/// The sample push has arrived, and its run waits for somebody of ml-team.
async fn waits_for_ml_team(world: &World) -> RunId {
    let (before, after) = sample_commits();
    holds_the_article(world, &after);
    let run = world.deliver_push_that_runs(&push_of(&before, &after)).await;
    world.run_until_run(&run, asks).await;
    run
}

fn asks(run: &Run) -> bool {
    let mut approvals = run.stages.iter().filter_map(|stage| stage.approval.as_ref());
    approvals.any(|approval| approval.message.is_some())
}

fn push(world: &World) -> Request {
    world.from_github("push", JSON, &sample("github-push", "valid/branch-models.json"))
}

fn header<'a>(request: &'a mut Request, name: &str) -> &'a mut String {
    let found = request.headers.iter_mut().find(|(own, _)| own == name);
    &mut found.expect("the request has the header").1
}

async fn answer(world: &World, request: &Request) -> Response {
    world.doors.intake.handle(request).await
}

fn body(answer: &Response) -> Value {
    serde_json::from_str(&answer.body).expect("this door answers in JSON")
}

/// A world whose sample commit carries the article's definition.
fn ready(world: World) -> World {
    holds_the_article(&world, &sample_commits().1);
    world
}

/// Lets what was started expire, so that the story can end in silence.
async fn nobody_approves(world: &World) {
    world.pass(Span::hours(30)).await;
}
