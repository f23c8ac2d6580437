//! Is what served before well enough to have the traffic again? Asked when a person wants it back, who may not have looked at
//! it; what Weir itself measured of a bad candidate asks nobody.

use super::phases::Rollout;
use crate::judge::weigh;
use crate::pipeline::RolloutRule;
use crate::seen::Counts;
use crate::units::Weight;

impl Rollout {
    /// What speaks against stable, by the last look; `None`: nothing does, or it would get nothing that it has not already.
    pub(crate) fn unfit_stable(&self, rule: &RolloutRule) -> Option<String> {
        let stable = self.stable.as_ref()?;
        if self.weight == Weight::ZERO || self.mirrors() {
            return None;
        }
        let revision = &stable.revision;
        // What it has lent comes back before the traffic does.
        if self.stable_seen.warm == 0 && !self.has_lent() {
            let (wanted, seen) = (stable.replicas, &self.stable_seen.words);
            return Some(format!(
                "none of the {wanted} replicas of {revision} is warm: {seen}"
            ));
        }
        let none = Counts::default();
        let from = self.counted_from.get(revision).unwrap_or(&none);
        let counts = self.counted.get(revision)?.since(from);
        let evidence = weigh(rule.rollback.as_ref()?, &counts)?;
        let alpha = self.alpha(rule);
        evidence
            .shows_breach(alpha)
            .then(|| format!("{revision} breaches too: {}", evidence.told(alpha)))
    }
}
