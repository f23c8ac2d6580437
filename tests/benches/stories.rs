//! Stories a second: a first release and a canary of ten minutes, through the real handlers in virtual time. Figures are
//! printed, not asserted.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints and measures"
)]

use std::time::Instant;

use weir_tests::{Behaviour, Fault, World, canary_to_production, commit};

/// Stories of one measurement.
const STORIES: u32 = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O can always be built");
    let began = Instant::now();
    let (mut commits, mut effects) = (0, 0);
    for _ in 0..STORIES {
        let counted = runtime.block_on(tell());
        commits += counted.0;
        effects += counted.1;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "stories: {:.0} a second ({STORIES} in {seconds:.2} s; {commits} commits, {effects} effects)",
        f64::from(STORIES) / seconds
    );
}

async fn tell() -> (usize, usize) {
    let world = World::new(Fault::None);
    for n in [1, 2] {
        let pipeline = canary_to_production(&commit(n));
        let run = world.push(&commit(n), Behaviour::default(), pipeline).await;
        world.run_until_run(&run, |run| run.is_over()).await;
    }
    world.counted()
}
