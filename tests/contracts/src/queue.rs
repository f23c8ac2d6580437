//! The contract of [`weir_app::Queue`]: very little, because nothing rests on a hint.

use async_trait::async_trait;
use std::collections::BTreeSet;
use weir_app::Queue;
use weir_domain::Duty;
use weir_domain::ids::RunId;
use weir_domain::time::{Span, Timestamp};

use crate::sample::run_id;

/// A queue with the end where hints come out.
#[async_trait]
pub trait Ends: Send + Sync {
    /// Where hints go in.
    fn queue(&self) -> &dyn Queue;

    /// What the queue takes for now.
    fn now(&self) -> Timestamp;

    /// Lets this time pass.
    async fn pass(&self, span: Span);

    /// A run that is to be looked at now, and is taken care of; nothing once the queue has nothing.
    async fn take(&self, duty: Duty) -> Option<RunId>;
}

/// Runs every case, each on queues of its own.
pub async fn suite<E: Ends>(make: impl AsyncFn() -> E) {
    eprintln!("queue: a hint comes out at its own duty");
    a_hint_comes_out_at_its_own_duty(&make().await).await;
    eprintln!("queue: a hint for later comes out later");
    a_hint_for_later_comes_out_later(&make().await).await;
    eprintln!("queue: many hints come out in any order");
    many_hints_come_out_in_any_order(&make().await).await;
    eprintln!("queue: the same hint again is no fault");
    the_same_hint_again_is_no_fault(&make().await).await;
}

/// Everything that comes out now.
async fn drain(ends: &impl Ends, duty: Duty) -> Vec<RunId> {
    let mut taken = Vec::new();
    while let Some(run) = ends.take(duty).await {
        taken.push(run);
    }
    taken
}

async fn a_hint_comes_out_at_its_own_duty(ends: &impl Ends) {
    let long_past = Timestamp(0);
    ends.queue().hint(&run_id("s"), Duty::Steps, long_past).await;
    ends.queue()
        .hint(&run_id("t#1 ü"), Duty::Traffic, ends.now())
        .await;
    assert_eq!(drain(ends, Duty::Traffic).await, [run_id("t#1 ü")]);
    assert_eq!(drain(ends, Duty::Steps).await, [run_id("s")]);
    assert_eq!(drain(ends, Duty::Steps).await, [], "it was taken care of");
}

async fn a_hint_for_later_comes_out_later(ends: &impl Ends) {
    let wait = Span::seconds(4);
    ends.queue()
        .hint(&run_id("later"), Duty::Steps, ends.now() + wait)
        .await;
    ends.queue().hint(&run_id("now"), Duty::Steps, ends.now()).await;
    assert_eq!(ends.take(Duty::Steps).await, Some(run_id("now")));
    // Whole seconds, rounded up, are as exact as a queue need be.
    ends.pass(wait + Span::seconds(1)).await;
    assert_eq!(ends.take(Duty::Steps).await, Some(run_id("later")));
}

async fn many_hints_come_out_in_any_order(ends: &impl Ends) {
    let runs: BTreeSet<RunId> = (0..25).map(|n| run_id(&n.to_string())).collect();
    for run in &runs {
        ends.queue().hint(run, Duty::Traffic, ends.now()).await;
    }
    let taken: BTreeSet<RunId> = drain(ends, Duty::Traffic).await.into_iter().collect();
    assert_eq!(taken, runs);
}

async fn the_same_hint_again_is_no_fault(ends: &impl Ends) {
    for _ in 0..3 {
        ends.queue().hint(&run_id("a"), Duty::Steps, ends.now()).await;
    }
    let taken = drain(ends, Duty::Steps).await;
    let own = taken.iter().all(|run| *run == run_id("a"));
    assert!(own && (1..=3).contains(&taken.len()), "{taken:?}");
}
