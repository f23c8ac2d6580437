//! What will happen to one generation, decided at once when it starts.

use std::time::Duration;

use crate::model::Model;
use crate::random::Random;

/// What the client asked for, already checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) stream: bool,
    pub(crate) prompt_tokens: u32,
    pub(crate) min_tokens: Option<u32>,
    pub(crate) max_tokens: Option<u32>,
}

/// Course of one generation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Until the first token; of an answer that is not streamed, until all of it.
    pub(crate) first_token: Duration,
    /// Between two tokens of a stream, on average.
    pub(crate) gap: Duration,
    pub(crate) tokens: u32,
    pub(crate) ending: Ending,
}

/// How a generation ends when the client stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Complete, by its own end.
    Stop,
    /// Complete, at the number of tokens asked for.
    Length,
    /// Answered with a 500.
    Fail,
    /// The connection is closed after this many tokens of a stream.
    CutAfter(u32),
}

/// Draws the course of a generation while the pod gets `rps` requests a second.
pub(crate) fn plan(model: &Model, ask: Ask, rps: f64, random: &mut Random) -> Plan {
    let factor = model
        .latency_factor_above_rps
        .filter(|load| rps > load.rps)
        .map_or(1.0, |load| load.factor);
    let latency_ms = random.skewed(model.latency_ms.p50, model.latency_ms.p99);
    let drawn = random.between(model.tokens.min, model.tokens.max);
    let tokens = drawn
        .max(ask.min_tokens.unwrap_or(1))
        .min(ask.max_tokens.unwrap_or(u32::MAX));
    Plan {
        first_token: Duration::from_secs_f64(latency_ms / 1000.0 * factor),
        gap: Duration::from_secs_f64(factor / model.tokens.per_second),
        tokens,
        ending: ending(model, ask, rps, tokens, random),
    }
}

fn ending(model: &Model, ask: Ask, rps: f64, tokens: u32, random: &mut Random) -> Ending {
    let loaded = model
        .error_ratio_above_rps
        .filter(|load| rps > load.rps)
        .map_or(0.0, |load| load.ratio);
    if !random.chance(model.error_ratio.max(loaded)) {
        return if ask.max_tokens == Some(tokens) {
            Ending::Length
        } else {
            Ending::Stop
        };
    }
    if ask.stream && random.chance(model.cut_share) {
        return Ending::CutAfter(random.between(1, tokens.saturating_sub(1).max(1)));
    }
    Ending::Fail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SlowUnderLoad, UnderLoad};

    const ASK: Ask = Ask {
        stream: false,
        prompt_tokens: 3,
        min_tokens: None,
        max_tokens: None,
    };
    const STREAM: Ask = Ask { stream: true, ..ASK };

    fn plans(model: &Model, ask: Ask, rps: f64) -> Vec<Plan> {
        (0..1000)
            .map(|n| plan(model, ask, rps, &mut Random::for_request(model.seed, n)))
            .collect()
    }

    fn failing(plans: &[Plan]) -> usize {
        plans.iter().filter(|plan| plan.ending == Ending::Fail).count()
    }

    #[test]
    fn errors_under_load_show_only_above_the_rate() {
        let load = Some(UnderLoad { rps: 0.5, ratio: 0.3 });
        let model = Model {
            error_ratio_above_rps: load,
            ..Model::default()
        };
        assert_eq!(failing(&plans(&model, ASK, 0.5)), 0);
        let found = failing(&plans(&model, ASK, 0.6));
        assert!((250..350).contains(&found), "{found} of 1000");
    }

    #[test]
    fn latency_under_load_is_the_same_draw_times_the_factor() {
        let load = Some(SlowUnderLoad {
            rps: 2.0,
            factor: 8.0,
        });
        let model = Model {
            latency_factor_above_rps: load,
            ..Model::default()
        };
        let (rest, loaded) = (plans(&model, ASK, 2.0), plans(&model, ASK, 2.1));
        for (one, other) in rest.iter().zip(&loaded) {
            let ratio = other.first_token.as_secs_f64() / one.first_token.as_secs_f64();
            assert!((ratio - 8.0).abs() < 0.001, "{ratio}");
            assert_eq!(other.gap, one.gap * 8);
        }
    }

    #[test]
    fn only_streams_are_cut_and_always_before_their_end() {
        let model = Model {
            error_ratio: 1.0,
            cut_share: 1.0,
            ..Model::default()
        };
        assert_eq!(failing(&plans(&model, ASK, 0.0)), 1000);
        for plan in plans(&model, STREAM, 0.0) {
            assert!(
                matches!(plan.ending, Ending::CutAfter(n) if n >= 1 && n < plan.tokens),
                "{plan:?}"
            );
        }
    }

    #[test]
    fn asked_lengths_win_over_the_models_own() {
        let model = Model::default();
        let asked = Ask {
            min_tokens: Some(100),
            max_tokens: Some(100),
            ..STREAM
        };
        assert!(
            plans(&model, asked, 0.0)
                .iter()
                .all(|p| p.tokens == 100 && p.ending == Ending::Length)
        );
        assert!(
            plans(&model, STREAM, 0.0)
                .iter()
                .all(|p| (8..=64).contains(&p.tokens))
        );
        assert!(
            plans(&model, STREAM, 0.0)
                .iter()
                .all(|p| p.ending == Ending::Stop)
        );
    }

    #[test]
    fn the_seed_decides_everything() {
        let model = Model {
            error_ratio: 0.2,
            cut_share: 0.5,
            ..Model::default()
        };
        let other = Model {
            seed: 2,
            ..model.clone()
        };
        assert_eq!(plans(&model, STREAM, 1.0), plans(&model, STREAM, 1.0));
        assert_ne!(plans(&model, STREAM, 1.0), plans(&other, STREAM, 1.0));
    }
}
