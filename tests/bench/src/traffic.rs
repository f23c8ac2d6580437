//! The same traffic for every rule: blocks of fifteen seconds of a stable revision and a candidate.
//!
//! Healthy is 1 % errors and latencies of median 250 ms and 99th percentile 800 ms (lognormal), seen through the
//! buckets of vLLM's time to first token. The candidate gets 5 %.

use weir_domain::judge::special::{normal_below, normal_quantile};

use crate::random::Random;

/// Blocks of a run: half an hour.
pub(crate) const BLOCKS: usize = 120;
/// Blocks of stable alone before that, while the candidate loads: two minutes.
pub(crate) const BEFORE: usize = 8;
/// Blocks of a minute.
pub(crate) const MINUTE: usize = 4;
const BLOCK_SECONDS: f64 = 15.0;
/// The candidate's share.
pub(crate) const WEIGHT: f64 = 0.05;
/// Replicas of the candidate.
pub(crate) const REPLICAS: usize = 3;
/// Replicas of stable.
const STABLES: usize = 8;
/// Share of requests that fail.
pub(crate) const ERRORS: f64 = 0.01;
const MEDIAN_MS: f64 = 250.0;
/// Spread of the logarithm that puts the 99th percentile at 800 ms.
const SIGMA: f64 = 0.5;
/// Normal value from which on a request is in the slowest fifth.
const TAIL: f64 = 0.841_62;
/// From there to the 99th percentile, where a tail that is a fifth slower is a fifth slower.
const TAIL_STEP: f64 = 1.484_73;
/// Upper edges in milliseconds.
pub(crate) const EDGES: [u64; 10] = [60, 80, 100, 250, 500, 750, 1_000, 2_500, 5_000, 10_000];

/// Place of the line's edge, one second.
pub(crate) const LINE: usize = 6;

/// What is true of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scenario {
    /// Identical versions.
    Same,
    /// Twice the errors.
    Errors2,
    /// Five times the errors.
    Errors5,
    /// Every request a fifth slower.
    Slower,
    /// The slowest fifth slower, more so further out; a fifth at the 99th percentile.
    Tail,
    /// Every request twice as slow.
    TwiceAsSlow,
    /// Identical; for a minute at a time both arms have six times the errors together.
    BurstsTogether,
    /// Identical; for a minute at a time the whole candidate or the whole stable arm has six times the errors.
    BurstsApart,
    /// Identical; for a minute at a time one replica of either arm has six times the errors.
    BurstsByReplica,
    /// Identical; replicas differ for good: errors by 30 %, latencies by 5 %.
    Replicas,
    /// Identical; one of the candidate's three replicas is twice as slow.
    OneSlowReplica,
    /// Identical; traffic and errors rise fourfold over the half hour.
    Ramp,
    /// Identical; one block in five is missing.
    MissingScrapes,
    /// Identical; counters of the candidate start again once in twenty blocks, and what was counted before is lost.
    CounterResets,
    /// Identical; one look in five is too late and leaves its counts to the next, and every one is repeated.
    Looks,
}

impl Scenario {
    /// All of them, in the order of the tables: identical, harmful, then identical under trouble.
    pub(crate) const ALL: [Self; 15] = [
        Self::Same,
        Self::Errors2,
        Self::Errors5,
        Self::Slower,
        Self::Tail,
        Self::TwiceAsSlow,
        Self::BurstsTogether,
        Self::BurstsByReplica,
        Self::BurstsApart,
        Self::Replicas,
        Self::OneSlowReplica,
        Self::Ramp,
        Self::MissingScrapes,
        Self::CounterResets,
        Self::Looks,
    ];

    /// What readers of the table see.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Errors2 => "2x errors",
            Self::Errors5 => "5x errors",
            Self::Slower => "+20 % latency",
            Self::Tail => "+20 % tail only",
            Self::TwiceAsSlow => "2x latency",
            Self::BurstsTogether => "bursts in both arms at once",
            Self::BurstsApart => "bursts of a whole arm alone",
            Self::BurstsByReplica => "bursts of single replicas",
            Self::Replicas => "replicas that differ",
            Self::OneSlowReplica => "one slow replica",
            Self::Ramp => "ramp",
            Self::MissingScrapes => "missing scrapes",
            Self::CounterResets => "counter resets",
            Self::Looks => "looks late or twice",
        }
    }

    /// Whether the candidate is worse.
    pub(crate) fn harmful(self) -> bool {
        matches!(
            self,
            Self::Errors2 | Self::Errors5 | Self::Slower | Self::Tail | Self::TwiceAsSlow
        )
    }
}

/// One arm, or one replica of it, in one block.
#[derive(Clone, Default, Debug)]
pub(crate) struct Seen {
    /// Requests.
    pub total: u64,
    /// Failed ones.
    pub bad: u64,
    /// Requests that took longer than each edge.
    pub slower: [u64; EDGES.len()],
    /// Every latency, where they are drawn one by one.
    pub latencies: Vec<f64>,
}

impl Seen {
    /// Adds counts alone.
    pub(crate) fn count(&mut self, other: &Self) {
        self.total += other.total;
        self.bad += other.bad;
        for (sum, n) in self.slower.iter_mut().zip(other.slower) {
            *sum += n;
        }
    }

    fn add(&mut self, other: &Self) {
        self.count(other);
        self.latencies.extend_from_slice(&other.latencies);
    }
}

/// One block.
#[derive(Clone, Default, Debug)]
pub(crate) struct Block {
    /// The candidate, and an arm of its size that runs the stable version (the extra one that Kayenta advises).
    pub candidate: Seen,
    /// The extra arm.
    pub extra: Seen,
    /// The stable revision; no single latencies.
    pub stable: Seen,
    /// The same, replica by replica.
    pub stables: Vec<Seen>,
    /// The candidate, replica by replica.
    pub replicas: Vec<Seen>,
    /// What one that comes in place of another would have answered.
    pub spare: Seen,
    /// Whether it could be measured.
    pub measured: bool,
    /// Looks at its end: none if it was too late, two if it was repeated.
    pub looks: usize,
}

/// How a replica behaves.
#[derive(Clone, Copy)]
struct Behaviour {
    errors: f64,
    slower: f64,
    tail: f64,
}

const HEALTHY: Behaviour = Behaviour {
    errors: 1.0,
    slower: 1.0,
    tail: 1.0,
};

/// A run of half an hour, and what the stable revision showed before it, while the candidate loaded.
pub(crate) fn run(scenario: Scenario, rate: f64, random: &mut Random) -> (Vec<Seen>, Vec<Block>) {
    let harm = match scenario {
        Scenario::Errors2 => Behaviour {
            errors: 2.0,
            ..HEALTHY
        },
        Scenario::Errors5 => Behaviour {
            errors: 5.0,
            ..HEALTHY
        },
        Scenario::Slower => Behaviour {
            slower: 1.2,
            ..HEALTHY
        },
        Scenario::Tail => Behaviour { tail: 1.2, ..HEALTHY },
        Scenario::TwiceAsSlow => Behaviour {
            slower: 2.0,
            ..HEALTHY
        },
        _ => HEALTHY,
    };
    let differ = |random: &mut Random| match scenario {
        Scenario::Replicas => Behaviour {
            errors: (0.3 * random.normal()).exp(),
            slower: (0.05 * random.normal()).exp(),
            tail: 1.0,
        },
        _ => HEALTHY,
    };
    // The last one is the spare.
    let mut candidates: Vec<Behaviour> = (0..=REPLICAS).map(|_| differ(random)).collect();
    let stables: Vec<Behaviour> = (0..STABLES).map(|_| differ(random)).collect();
    match scenario {
        Scenario::OneSlowReplica => candidates[0].slower = 2.0,
        Scenario::Replicas => {}
        _ => candidates.fill(harm),
    }
    let mut bursts = vec![0_usize; candidates.len() + stables.len()];
    let mut one = |block| one(scenario, rate, block, &candidates, &stables, &mut bursts, random);
    let before = (0..BEFORE).map(|_| one(0).stable).collect();
    (before, (0..BLOCKS).map(one).collect())
}

fn one(
    scenario: Scenario,
    rate: f64,
    block: usize,
    candidates: &[Behaviour],
    stables: &[Behaviour],
    bursts: &mut [usize],
    random: &mut Random,
) -> Block {
    let ramp = match scenario {
        Scenario::Ramp => 0.5 * 4_f64.powf(block as f64 / BLOCKS as f64),
        _ => 1.0,
    };
    let levels = burst_levels(scenario, bursts, random);
    let (levels_a, levels_b) = levels.split_at(candidates.len());
    let requests = rate * ramp * BLOCK_SECONDS;
    let draw = |share: f64, behaviour: &Behaviour, level: f64, single: bool, random: &mut Random| {
        let n = random.poisson(requests * share);
        draw_arm(n, *behaviour, (ERRORS * ramp * level).min(0.9), single, random)
    };
    let mut out = Block {
        measured: true,
        looks: 1,
        ..Block::default()
    };
    // Counters that start again lose a part of what was counted.
    let kept = match scenario {
        Scenario::CounterResets if random.unit() < 0.05 => 1.0 - random.unit(),
        _ => 1.0,
    };
    for (behaviour, level) in candidates.iter().zip(levels_a) {
        let seen = draw(kept * WEIGHT / REPLICAS as f64, behaviour, *level, true, random);
        out.replicas.push(seen);
    }
    out.spare = out.replicas.pop().unwrap_or_default();
    out.replicas.iter().for_each(|seen| out.candidate.add(seen));
    out.extra = draw(WEIGHT, &HEALTHY, levels_b[0], true, random);
    for (behaviour, level) in stables.iter().zip(levels_b) {
        let share = (1.0 - WEIGHT) / stables.len() as f64;
        let seen = draw(share, behaviour, *level, false, random);
        out.stable.add(&seen);
        out.stables.push(seen);
    }
    match scenario {
        Scenario::MissingScrapes => out.measured = random.unit() > 0.2,
        Scenario::Looks => out.looks = if random.unit() < 0.2 { 0 } else { 2 },
        _ => {}
    }
    out
}

/// Levels of errors of each part of the candidate, then of stable, in this block.
fn burst_levels(scenario: Scenario, bursts: &mut [usize], random: &mut Random) -> Vec<f64> {
    let bursting = [
        Scenario::BurstsTogether,
        Scenario::BurstsApart,
        Scenario::BurstsByReplica,
    ];
    if !bursting.contains(&scenario) {
        return vec![1.0; bursts.len()];
    }
    for left in bursts.iter_mut() {
        *left = left.saturating_sub(1);
        // A burst of a minute every ten minutes.
        if *left == 0 && random.unit() < 1.0 / 40.0 {
            *left = MINUTE;
        }
    }
    let candidate = bursts[0];
    match scenario {
        Scenario::BurstsTogether => bursts.fill(candidate),
        Scenario::BurstsApart => bursts[..=REPLICAS].fill(candidate),
        _ => {}
    }
    bursts
        .iter()
        .map(|left| if *left > 0 { 6.0 } else { 1.0 })
        .collect()
}

fn draw_arm(n: u64, behaviour: Behaviour, errors: f64, single: bool, random: &mut Random) -> Seen {
    let mut seen = Seen {
        total: n,
        bad: random.binomial(n, errors * behaviour.errors),
        ..Seen::default()
    };
    if single {
        for _ in 0..n {
            let z = random.normal();
            let tail = behaviour.tail.powf(((z - TAIL) / TAIL_STEP).max(0.0));
            let latency = MEDIAN_MS * (SIGMA * z).exp() * behaviour.slower * tail;
            for (slower, edge) in seen.slower.iter_mut().zip(EDGES) {
                *slower += u64::from(latency > edge as f64);
            }
            seen.latencies.push(latency);
        }
    } else {
        let mut left = (n, 1.0);
        for (slower, edge) in seen.slower.iter_mut().zip(EDGES) {
            let beyond = beyond(edge, behaviour.slower);
            *slower = random.binomial(left.0, beyond / left.1);
            left = (*slower, beyond);
        }
    }
    seen
}

/// Share of requests over an edge where all are so many times slower.
pub(crate) fn beyond(edge: u64, slower: f64) -> f64 {
    1.0 - normal_below((edge as f64 / MEDIAN_MS / slower).ln() / SIGMA)
}

/// 99th percentile of values that are there, between the two nearest ones as most tools take it.
pub(crate) fn p99(latencies: &mut [f64]) -> Option<f64> {
    latencies.sort_by(f64::total_cmp);
    let place = latencies.len().checked_sub(1)? as f64 * 0.99;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(latencies.len() - 1);
    Some(latencies[below] * (1.0 - part) + latencies[above] * part)
}

/// The same of so many healthy requests that nobody draws them one by one.
pub(crate) fn p99_of_stable(requests: u64, random: &mut Random) -> Option<f64> {
    let at = (requests as f64 * 0.99).ceil() as u64;
    (at > 0).then(|| {
        let z = normal_quantile(random.order(at, requests));
        MEDIAN_MS * (SIGMA * z).exp()
    })
}
