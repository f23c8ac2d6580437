//! Strategies: in which steps a service moves, and what each step waits for.

mod answers;
mod shadow;
mod sticky;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::judge::Promote;
use crate::pipeline::Plugin;
use crate::time::Span;
use crate::units::{Ratio, Weight};

pub use answers::{BODY_MAX, PATH_MAX, QUESTIONS_MAX, Question, is_pointer};
pub use shadow::{DEFAULT_COPIED, DEFAULT_SHADOW, Shadow};
pub use sticky::Sticky;

/// How traffic and replicas move.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", remote = "Self")]
pub enum Strategy {
    /// Replica by replica, without a judgement in between.
    Rolling(Rolling),
    /// A small share first, judged, then the rest.
    Canary(Canary),
    /// All replicas beside stable, looked at without traffic, then everything at once.
    BlueGreen(Box<BlueGreen>),
    /// Copies of some requests, judged; then it goes, and nothing was moved.
    Shadow(Shadow),
    /// One variant of an experiment: selected, never made.
    Variant {
        /// The variant's version label.
        version: String,
        /// Its share.
        weight: Weight,
        /// How a caller stays with it; nothing: each request is sent anew.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sticky: Option<Sticky>,
    },
}

impl Strategy {
    /// The name as it is written in a definition.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Rolling(_) => "rolling",
            Self::Canary(_) => "canary",
            Self::BlueGreen(_) => "blue-green",
            Self::Shadow(_) => "shadow",
            Self::Variant { .. } => "variant",
        }
    }

    /// What a step must show before the next, where steps are judged.
    pub fn judged(&self) -> Option<&Canary> {
        match self {
            Self::Canary(canary) => Some(canary),
            Self::BlueGreen(blue_green) => Some(&blue_green.switch),
            Self::Shadow(shadow) => Some(&shadow.copied),
            Self::Rolling(_) | Self::Variant { .. } => None,
        }
    }

    /// What must be seen of a candidate that has no traffic yet before it gets any.
    pub fn previewed(&self) -> Option<&BlueGreen> {
        match self {
            Self::BlueGreen(blue_green) => Some(blue_green),
            _ => None,
        }
    }

    /// What is copied to a candidate that answers nobody.
    pub fn mirrored(&self) -> Option<&Shadow> {
        match self {
            Self::Shadow(shadow) => Some(shadow),
            _ => None,
        }
    }

    /// Whether what is measured of the candidate is held against what stable does meanwhile.
    pub fn compares(&self) -> bool {
        matches!(self, Self::Canary(_) | Self::Shadow(_))
    }

    /// How callers stay with a variant, where they do.
    pub fn sticky(&self) -> Option<&Sticky> {
        match self {
            Self::Variant { sticky, .. } => sticky.as_ref(),
            _ => None,
        }
    }

    /// How rolling is limited, where it is.
    pub fn rolling(&self) -> Option<&Rolling> {
        match self {
            Self::Rolling(rolling) => Some(rolling),
            _ => None,
        }
    }

    /// Whether the candidate may grow in the places of stable replicas where there is no room beside them.
    pub fn may_borrow(&self) -> bool {
        // Two whole colours are what blue-green is, and a shadow takes nothing from what answers.
        self.previewed().is_none() && self.mirrored().is_none()
    }

    /// How long the new revision is watched at 100 % where the definition says nothing: as long as the last judged step.
    pub fn default_bake(&self) -> Span {
        // What was only copied ends with its interval.
        let judged = self.judged().filter(|_| self.mirrored().is_none());
        let last = judged.and_then(|judged| judged.steps.last());
        last.map_or(Span::ZERO, |step| step.interval)
    }
}

impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Strategy {
    /// Runs that were stored before a strategy had settings hold its name alone (invariant 13).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match Value::deserialize(deserializer)? {
            Value::String(name) if matches!(name.as_str(), "blue-green" | "rolling" | "shadow") => {
                json!({ name: {} })
            }
            other => other,
        };
        Self::deserialize(value).map_err(serde::de::Error::custom)
    }
}

/// Rolling: how many GPUs more than stable holds, and fewer than it takes, there may be on the way. With neither, as many
/// more as the pool has room for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rolling {
    /// GPUs beside those of stable, or replicas of a service without; `None`: as many as there is room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surge: Option<u32>,
    /// GPUs by which warm replicas may be fewer than all, or replicas of a service without.
    #[serde(skip_serializing_if = "is_none_at_all")]
    pub unavailable: u32,
    /// Where it waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none_at_all(gpus: &u32) -> bool {
    *gpus == 0
}

/// A share at which a rollout waits for a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pause {
    /// The share.
    pub at: Weight,
    /// Traffic goes back when nobody lets it go on within this time.
    pub within: Span,
}

/// A pause waits for so long, unless the definition says otherwise.
pub const DEFAULT_PAUSE: Span = Span::hours(24);

/// The steps of a canary, and what it asks for before it goes on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Canary {
    /// Steps with rising weights; the article's `weight` and `interval` are a list of one.
    pub steps: Vec<CanaryStep>,
    /// Success rate that the candidate must reach at the end of each step.
    pub threshold: Ratio,
    /// Requests to the candidate without which no step passes.
    pub min_samples: u64,
    /// What promotion needs at the end of each step.
    #[serde(default)]
    pub promote: Promote,
    /// The ratio to stable that a proven promotion must be shown to be under; 1.25 is 25 % worse.
    #[serde(default = "default_margin")]
    pub margin: f64,
}

/// A quarter worse than stable is what a proven promotion rules out, unless the definition says otherwise.
pub const DEFAULT_MARGIN: f64 = 1.25;
/// Success rate that is asked for when the definition says nothing.
pub const DEFAULT_THRESHOLD: f64 = 0.95;
/// Requests without which no step passes: below, a success rate of 95 % says little.
pub const DEFAULT_MIN_SAMPLES: u64 = 50;

fn default_margin() -> f64 {
    DEFAULT_MARGIN
}

/// One step of a canary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CanaryStep {
    /// The candidate's share.
    pub weight: Weight,
    /// For at least this long.
    pub interval: Span,
    /// Then it waits for a person, for at most this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Span>,
}

impl CanaryStep {
    /// A share for so long, without a person.
    pub fn new(weight: Weight, interval: Span) -> Self {
        Self {
            weight,
            interval,
            pause: None,
        }
    }
}

/// Blue-green: a canary with one step, of 100 %, and a wait before it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct BlueGreen {
    /// All replicas of the candidate must be warm for so long, without a break, before it gets traffic.
    pub preview: Span,
    /// Commands that must end well before it does. They find the candidate at [`PREVIEW_VARIABLE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Plugin>,
    /// The switch: one step of 100 %, and what it must show at its end.
    pub switch: Canary,
}

/// The variable in which the checks of a preview find the address of the candidate.
pub const PREVIEW_VARIABLE: &str = "WEIR_PREVIEW";
/// A candidate without traffic is looked at for so long, unless the definition says otherwise.
pub const DEFAULT_PREVIEW: Span = Span::seconds(30);
/// The new colour is judged for so long, unless the definition says otherwise.
pub const DEFAULT_SWITCH: Span = Span::minutes(10);

impl BlueGreen {
    /// A switch that is judged for so long.
    pub fn switch(interval: Span, threshold: Ratio, min_samples: u64) -> Canary {
        Canary {
            steps: vec![CanaryStep::new(Weight::FULL, interval)],
            threshold,
            min_samples,
            // Nothing is left on stable to compare with.
            promote: Promote::Article,
            margin: DEFAULT_MARGIN,
        }
    }

    /// How long the preview may take in all: what can be waited for, one after the other.
    pub fn limit(&self, warm_within: Span) -> Span {
        let checks = self.checks.as_ref().map_or(Span::ZERO, |checks| checks.timeout);
        warm_within + self.preview + checks
    }
}

impl Default for BlueGreen {
    fn default() -> Self {
        let threshold = Ratio::new(DEFAULT_THRESHOLD).expect("95 % is a part of all");
        Self {
            preview: DEFAULT_PREVIEW,
            checks: None,
            switch: Self::switch(DEFAULT_SWITCH, threshold, DEFAULT_MIN_SAMPLES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_survives_being_stored_and_its_name_alone_is_its_defaults() {
        let all = [
            Strategy::Rolling(Rolling::default()),
            Strategy::Shadow(Shadow::default()),
            Strategy::BlueGreen(Box::default()),
        ];
        for strategy in all {
            let stored = serde_json::to_value(&strategy).unwrap();
            assert_eq!(serde_json::from_value::<Strategy>(stored).unwrap(), strategy);
            let name = json!(strategy.as_str());
            assert_eq!(serde_json::from_value::<Strategy>(name).unwrap(), strategy);
        }
        assert!(serde_json::from_value::<Strategy>(json!("purple")).is_err());
    }
}
