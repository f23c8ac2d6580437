//! Which share each variant may have: what its warm pods carry; what a variant cannot carry goes to the others.

use serde::{Deserialize, Serialize};

use crate::ids::{RevisionId, StepId};
use crate::ladder::Load;
use crate::seen::RevisionSeen;
use crate::units::Weight;

/// One variant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Side {
    /// The step that names it.
    pub step: StepId,
    /// Its version label.
    pub version: String,
    /// What it is called among revisions.
    pub revision: RevisionId,
    /// The share it was given.
    pub weight: Weight,
    /// Its pods at the last look.
    #[serde(default)]
    pub seen: RevisionSeen,
}

impl Side {
    /// Pods that carry its share at the present load, which is not known: services are sized for 70 %.
    pub(super) fn needed(&self) -> u32 {
        let pods = u64::from(self.seen.pods.max(self.seen.desired));
        u32::try_from(Load::default().reserve(pods))
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// Whether its warm pods carry its whole share.
    pub fn is_warm(&self) -> bool {
        self.seen.warm >= self.needed()
    }

    /// The part of its share that its warm pods carry, in whole percent of all traffic, rounded down.
    fn carried(&self) -> u8 {
        let part = Weight::carried_by(self.seen.warm, self.needed());
        let percent = u16::from(self.weight.percent()) * u16::from(part.percent()) / 100;
        u8::try_from(percent).unwrap_or(100)
    }
}

/// The shares as the pods stand, in the order of the variants; those without any are left out. `None`: no variant is warm.
///
/// What a variant cannot carry goes to those that carry theirs wholly, else to all that have a warm pod, in proportion to the
/// shares they were given: it has to go somewhere, and what served before is not part of the experiment.
pub fn shares(sides: &[Side]) -> Option<Vec<(RevisionId, Weight)>> {
    let mut parts: Vec<u8> = sides.iter().map(Side::carried).collect();
    let mut rest = 100_u16.saturating_sub(parts.iter().map(|part| u16::from(*part)).sum());
    let whole: Vec<usize> = chosen(sides, Side::is_warm);
    let takers = match whole.is_empty() {
        true => chosen(sides, |side| side.seen.warm > 0),
        false => whole,
    };
    let sum: u16 = takers.iter().map(|i| u16::from(sides[*i].weight.percent())).sum();
    let spread = rest;
    for (n, i) in takers.iter().enumerate() {
        // The last takes what rounding left over.
        let mine = match n + 1 == takers.len() {
            true => rest,
            false => spread * u16::from(sides[*i].weight.percent()) / sum.max(1),
        };
        rest -= mine;
        parts[*i] = parts[*i].saturating_add(u8::try_from(mine).unwrap_or(100));
    }
    let shared = sides.iter().zip(parts).filter(|(_, part)| *part > 0);
    let split = shared.map(|(side, part)| Some((side.revision.clone(), Weight::new(part)?)));
    split.collect::<Option<Vec<_>>>().filter(|_| !takers.is_empty())
}

/// Variants with a share of their own that `which` holds of.
fn chosen(sides: &[Side], which: impl Fn(&Side) -> bool) -> Vec<usize> {
    let all = sides.iter().enumerate();
    let some = all.filter(|(_, side)| side.weight > Weight::ZERO && which(side));
    some.map(|(i, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variants as share, warm pods, pods; the shares that they may have.
    fn of(variants: &[(u8, u32, u32)]) -> Option<Vec<(String, u8)>> {
        let side = |(n, (weight, warm, pods)): (usize, &(u8, u32, u32))| Side {
            step: StepId { stage: n, step: 0 },
            version: format!("model-{n}"),
            revision: RevisionId::new(format!("v{n}")),
            weight: Weight::new(*weight).unwrap(),
            seen: RevisionSeen {
                warm: *warm,
                pods: *pods,
                ..RevisionSeen::default()
            },
        };
        let sides: Vec<Side> = variants.iter().enumerate().map(side).collect();
        let split = shares(&sides)?;
        let sum: u16 = split.iter().map(|(_, weight)| u16::from(weight.percent())).sum();
        assert_eq!(sum, 100, "{split:?}");
        let all = split.into_iter();
        Some(
            all.map(|(id, weight)| (id.to_string(), weight.percent()))
                .collect(),
        )
    }

    fn named(shares: &[(&str, u8)]) -> Option<Vec<(String, u8)>> {
        Some(
            shares
                .iter()
                .map(|(id, share)| ((*id).to_owned(), *share))
                .collect(),
        )
    }

    #[test]
    fn warm_variants_have_the_shares_they_were_given() {
        assert_eq!(of(&[(50, 4, 4), (50, 4, 4)]), named(&[("v0", 50), ("v1", 50)]));
        assert_eq!(
            of(&[(34, 1, 1), (33, 1, 1), (33, 1, 1)]),
            named(&[("v0", 34), ("v1", 33), ("v2", 33)])
        );
        assert_eq!(
            of(&[(50, 3, 4), (50, 4, 4)]),
            named(&[("v0", 50), ("v1", 50)]),
            "three of four carry the load of four at 70 %"
        );
    }

    #[test]
    fn what_a_variant_cannot_carry_goes_to_the_others_in_proportion() {
        assert_eq!(of(&[(50, 0, 4), (50, 4, 4)]), named(&[("v1", 100)]));
        assert_eq!(of(&[(50, 0, 0), (50, 4, 4)]), named(&[("v1", 100)]));
        assert_eq!(of(&[(50, 1, 4), (50, 4, 4)]), named(&[("v0", 16), ("v1", 84)]));
        assert_eq!(
            of(&[(40, 0, 2), (40, 2, 2), (20, 2, 2)]),
            named(&[("v1", 66), ("v2", 34)])
        );
        assert_eq!(
            of(&[(50, 1, 4), (50, 1, 4)]),
            named(&[("v0", 50), ("v1", 50)]),
            "nobody carries a whole share, and all of it goes somewhere"
        );
    }

    #[test]
    fn without_a_warm_pod_there_is_no_share() {
        assert_eq!(of(&[(50, 0, 4), (50, 0, 4)]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(
            of(&[(100, 0, 1), (0, 1, 1)]),
            None,
            "a share of 0 % takes nothing over"
        );
    }
}
