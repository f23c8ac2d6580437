//! Is the GPU of a bad replica to blame? Asked once the candidate is bad, of what its GPUs said since the weights were set.
//!
//! A sign counts if it is *new*: the driver keeps its last error until the node starts again, and says it of every pod that
//! has the GPU from then on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::carried::Suspect;
use crate::seen::{GpuSigns, Gpus, Replica};

/// Errors that a program causes on a good GPU: exception, page fault, stopped, cleaned up, video, time-out. NVIDIA's device plugin
/// goes on giving out a GPU after these, and after no other.
const OF_PROGRAMS: [u64; 6] = [13, 31, 43, 45, 68, 109];

/// What each replica's GPUs have said.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Hardware {
    /// When the present weights were set, or when the replica was first seen.
    from: BTreeMap<String, Gpus>,
    /// At the last look.
    now: BTreeMap<String, Gpus>,
}

impl Hardware {
    /// Nothing was ever said: it need not be stored.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// Takes what the GPUs of the replicas that are there say. Where nobody could be asked, what was said before stands.
    pub fn see(&mut self, replicas: &[Replica]) {
        let there = |pod: &String| replicas.iter().any(|replica| replica.pod == *pod);
        self.from.retain(|pod, _| there(pod));
        self.now.retain(|pod, _| there(pod));
        for replica in replicas {
            let Some(gpus) = &replica.gpus else { continue };
            self.from
                .entry(replica.pod.clone())
                .or_insert_with(|| gpus.clone());
            self.now.insert(replica.pod.clone(), gpus.clone());
        }
    }

    /// New weights: what was said before is not new any more.
    pub fn restart(&mut self) {
        self.from.clone_from(&self.now);
    }

    /// The first replica of which a GPU has said something new that a program does not cause.
    pub fn suspect(&self) -> Option<Suspect> {
        self.now.iter().find_map(|(pod, gpus)| {
            let words = gpus.iter().find_map(|(gpu, now)| {
                let before = self.from.get(pod).and_then(|from| from.get(gpu));
                let sign = sign(before.copied().unwrap_or_default(), *now)?;
                Some(format!("{gpu}: {sign}"))
            });
            Some(Suspect {
                pod: pod.clone(),
                words: words?,
            })
        })
    }
}

fn sign(before: GpuSigns, now: GpuSigns) -> Option<String> {
    if now.xid != before.xid && now.xid != 0 && !OF_PROGRAMS.contains(&now.xid) {
        return Some(format!("XID {}", now.xid));
    }
    if now.memory > before.memory {
        let more = now.memory - before.memory;
        return Some(format!("{more} new memory errors that could not be corrected"));
    }
    (now.heat > before.heat).then(|| "slowed down because it is too hot".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::Counts;

    fn replica(pod: &str, gpus: Option<&[GpuSigns]>) -> Replica {
        let named = |(n, signs): (usize, &GpuSigns)| (format!("GPU-{n}"), *signs);
        Replica {
            pod: pod.into(),
            node: "node-1".into(),
            counts: Counts::default(),
            gpus: gpus.map(|gpus| gpus.iter().enumerate().map(named).collect()),
        }
    }

    fn signs(xid: u64, memory: u64, heat: u64) -> GpuSigns {
        GpuSigns { xid, memory, heat }
    }

    /// What is said of a GPU that goes from one state to another while the candidate has its share.
    fn said(before: GpuSigns, now: GpuSigns) -> Option<String> {
        let mut hardware = Hardware::default();
        hardware.see(&[replica("a", Some(&[before]))]);
        hardware.restart();
        hardware.see(&[replica("a", Some(&[now]))]);
        hardware.suspect().map(|suspect| suspect.words)
    }

    #[test]
    fn only_what_is_new_and_no_programs_fault_is_a_sign() {
        let good = GpuSigns::default();
        for (before, now, expected) in [
            (good, good, None),
            (good, signs(79, 0, 0), Some("GPU-0: XID 79")),
            (signs(48, 0, 0), signs(79, 0, 0), Some("GPU-0: XID 79")),
            (
                good,
                signs(0, 2, 0),
                Some("GPU-0: 2 new memory errors that could not be corrected"),
            ),
            (
                signs(0, 3, 7),
                signs(0, 3, 8),
                Some("GPU-0: slowed down because it is too hot"),
            ),
            // From before, gone, or what a program does to a good GPU.
            (signs(79, 2, 5), signs(79, 2, 5), None),
            (signs(79, 2, 5), good, None),
            (good, signs(31, 0, 0), None),
            (good, signs(43, 0, 0), None),
            // A program's fault does not hide another sign.
            (
                good,
                signs(31, 1, 0),
                Some("GPU-0: 1 new memory errors that could not be corrected"),
            ),
        ] {
            assert_eq!(said(before, now).as_deref(), expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn the_replica_is_named_whose_gpu_has_spoken() {
        let mut hardware = Hardware::default();
        let good = [GpuSigns::default(); 2];
        hardware.see(&[replica("a", Some(&good)), replica("b", Some(&good))]);
        hardware.see(&[
            replica("a", Some(&good)),
            replica("b", Some(&[good[0], signs(79, 0, 0)])),
        ]);
        let suspect = hardware.suspect().unwrap();
        assert_eq!(
            (suspect.pod.as_str(), suspect.words.as_str()),
            ("b", "GPU-1: XID 79")
        );
        // Nobody could be asked: what was said stands. A pod that is gone takes it along.
        hardware.see(&[replica("a", None), replica("b", None)]);
        assert!(hardware.suspect().is_some());
        hardware.see(&[replica("a", None)]);
        assert_eq!(hardware.suspect(), None);
    }

    #[test]
    fn a_gpu_without_a_series_has_said_nothing_and_one_that_comes_late_is_what_it_was() {
        let mut hardware = Hardware::default();
        hardware.see(&[replica("a", Some(&[]))]);
        hardware.restart();
        hardware.see(&[
            replica("a", Some(&[signs(79, 0, 0)])),
            replica("b", Some(&[signs(79, 0, 0)])),
        ]);
        assert_eq!(
            hardware.suspect().map(|suspect| suspect.pod),
            Some("a".to_owned())
        );
    }
}
