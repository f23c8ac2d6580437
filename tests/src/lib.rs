//! The kit of the stories: a world in memory around the real handlers, with a clock that only the story moves.
//!
//! A story reads aloud: `world.push(good()); world.run_until_idle(); world.expect_serving("production", good)`. The
//! harness ([`replay`]) tells every story again with each message twice, with messages out of order, lost, early and late, with a
//! crash after each commit and around each effect, and with a conflict on each write; it must end in the same place (invariants 6
//! to 8). Every story ends in silence: nothing left to deliver, nothing left to do.

mod cluster;
mod doors;
mod events;
mod faults;
mod pipelines;
mod ports;
mod replay;
mod store;
mod version;
mod world;

pub use cluster::{DAWDLES, FakeCluster};
pub use doors::{Doors, FakeReplies};
pub use events::{github_push, push_of, sample, samples, slack_press, slack_reason};
pub use faults::{Fault, Faults};
pub use pipelines::{
    adopting, canary_of_another_service, canary_to_production, canary_with, commit, experiment,
    experiment_with_approval, release, sticky_experiment, with_approval, with_approval_of, with_rules,
    workload,
};
pub use ports::{FakePeople, FakeSource};
pub use replay::{once, replay, with_one_older};
pub use version::Owner;
pub use weir_simulation::{Behaviour, ManualClock, Outcome};
pub use world::World;
