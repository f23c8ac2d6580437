//! Tells a story again and again, each time with another fault.

use std::future::Future;

use crate::faults::Fault;
use crate::version::Owner;
use crate::world::World;

/// Tells `story` without a fault, then with each of them: duplicates, reordering, messages that are lost, early or late, a
/// crash after each commit, before and after each effect, and a conflict on each commit. Every telling must satisfy the story's own
/// expectations and end in silence.
pub fn replay<F, Fut>(story: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = World>,
{
    let runtime = runtime();
    let tell = |fault: Fault| {
        eprintln!("telling the story with {fault:?}");
        runtime.block_on(async {
            let world = story(World::new(fault)).await;
            world.expect_silence().await;
            world.counted()
        })
    };
    let (commits, effects) = tell(Fault::None);
    for fault in [
        Fault::Duplicates,
        Fault::Reordered,
        Fault::LostMessages,
        Fault::EarlySchedules,
        Fault::LateMessages,
        Fault::ConflictOnEveryCommit,
    ] {
        tell(fault);
    }
    for n in 1..=commits {
        tell(Fault::CrashAfterCommit(n));
    }
    for n in 1..=effects {
        tell(Fault::CrashBeforeEffect(n));
        tell(Fault::CrashAfterEffect(n));
    }
}

/// Tells a story once and without a fault: for what stands before the loop, where no message, crash or conflict can come
/// in between.
pub fn once<F, Fut>(story: F)
where
    F: Fn(World) -> Fut,
    Fut: Future<Output = World>,
{
    runtime().block_on(async { story(World::new(Fault::None)).await.expect_silence().await });
}

/// Tells a story four times, each time with another function of this version among functions of the next, which write what
/// this one does not know. The story must go the same way, and nothing that the newer ones wrote may get lost.
pub fn with_one_older<F, Fut>(story: F)
where
    F: Fn(World, Owner) -> Fut,
    Fut: Future<Output = World>,
{
    for owner in Owner::ALL {
        eprintln!("telling the story with an older {owner:?}");
        let told = async { story(World::with_one_older(owner), owner).await };
        runtime().block_on(async { told.await.expect_silence().await });
    }
}

/// Waiting costs no time: the runtime's clock jumps to whatever is waited for, beside the story's own.
fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime without I/O can always be built")
}
