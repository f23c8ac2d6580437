//! Callers that stay with their variant, whatever its share is.

use serde::{Deserialize, Serialize};

use super::shares::Side;
use crate::ids::RevisionId;
use crate::strategy::Sticky;
use crate::units::Weight;

/// Who stays with whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Keep {
    /// What a caller is known by.
    pub by: Sticky,
    /// The callers of each variant.
    pub callers: Vec<Callers>,
}

/// The callers of one variant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Callers {
    /// The variant.
    pub revision: RevisionId,
    /// Its version, which is what its callers say.
    pub version: String,
    /// Of a hundred of their requests, how many it gets. The others get the rest.
    pub weight: Weight,
}

/// What each variant gets of its own callers' requests: all, as long as it carries the share that it was given, and less as it
/// carries less of that (invariant 3).
pub fn keep(by: &Sticky, sides: &[Side], split: &[(RevisionId, Weight)]) -> Keep {
    let callers = |side: &Side| Callers {
        revision: side.revision.clone(),
        version: side.version.clone(),
        weight: kept(side, split),
    };
    Keep {
        by: by.clone(),
        callers: sides.iter().map(callers).collect(),
    }
}

fn kept(side: &Side, split: &[(RevisionId, Weight)]) -> Weight {
    let has = split.iter().find(|(id, _)| *id == side.revision);
    let has = u32::from(has.map_or(0, |(_, weight)| weight.percent()));
    let given = u32::from(side.weight.percent()).max(1);
    let percent = u8::try_from((has * 100 / given).min(100)).unwrap_or(100);
    Weight::new(percent).unwrap_or(Weight::FULL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::StepId;
    use crate::seen::RevisionSeen;

    #[test]
    fn callers_stay_as_far_as_their_variant_carries_its_share() {
        let side = |n: usize, weight: u8| Side {
            step: StepId { stage: n, step: 0 },
            version: format!("model-{n}"),
            revision: RevisionId::new(format!("v{n}")),
            weight: Weight::new(weight).unwrap(),
            seen: RevisionSeen::default(),
        };
        let sides = [side(0, 30), side(1, 70)];
        let kept = |split: &[(&str, u8)]| -> Vec<u8> {
            let split = split.iter();
            let split: Vec<_> = split
                .map(|(id, weight)| (RevisionId::new(*id), Weight::new(*weight).unwrap()))
                .collect();
            let keep = keep(&Sticky::Header("x-model".into()), &sides, &split);
            let callers = keep.callers.iter();
            callers.map(|callers| callers.weight.percent()).collect()
        };
        assert_eq!(kept(&[("v0", 30), ("v1", 70)]), [100, 100]);
        assert_eq!(kept(&[("v0", 10), ("v1", 90)]), [33, 100]);
        assert_eq!(kept(&[("v1", 100)]), [0, 100]);
        assert_eq!(kept(&[]), [0, 0]);
    }
}
