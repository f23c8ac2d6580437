//! What Weir's engine does with the same traffic: a breach takes the candidate's traffic away at once, and then it is asked
//! whether one replica carries it. If so, that one is replaced, once, and the step begins again.

use std::collections::{BTreeMap, BTreeSet};

use weir_domain::condition::{Comparison, Condition, Dimension, Mode, Op, Quantity};
use weir_domain::judge::Alpha;
use weir_domain::judge::carried::{Apart, Carried};
use weir_domain::judge::condition::{Block as Weighed, Weighing};
use weir_domain::seen::{Counts, Replica};
use weir_domain::time::Timestamp;

use crate::traffic::{BEFORE, Block, EDGES, REPLICAS, Seen};

/// What came of a run, in blocks from 1.
#[derive(Default)]
pub(crate) struct Judged {
    /// When the version was sent back; `None`: never.
    pub(crate) back: Option<usize>,
    /// When a replica was replaced; the candidate then has no traffic for as long as one takes to load.
    pub(crate) replaced: Option<usize>,
}

impl Judged {
    /// When its traffic was taken away for the first time, for whatever reason.
    pub(crate) fn away(&self) -> Option<usize> {
        self.replaced.or(self.back)
    }

    /// Whether the candidate had no traffic in a block, from 0, although it was not sent back.
    fn loads(&self, block: usize) -> bool {
        self.replaced.is_some_and(|at| (at..at + BEFORE).contains(&block))
    }

    /// What each block showed users of the candidate, until it was sent back.
    pub(crate) fn exposed(&self, blocks: &[Block], bad: impl Fn(&Seen) -> u64) -> f64 {
        let until = self.back.unwrap_or(blocks.len());
        let served = (0..until).filter(|block| !self.loads(*block));
        served.map(|block| bad(&blocks[block].candidate) as f64).sum()
    }
}

/// `error_rate > 2% || latency_p99 > 1000ms`, the article's condition.
pub(crate) fn article() -> Condition {
    let latency = compare("latency_p99", 1.0, "1000ms", Dimension::Seconds);
    Condition::Or(vec![errors(), latency])
}

/// `error_rate > 2%`.
pub(crate) fn errors() -> Condition {
    compare("error_rate", 0.02, "2%", Dimension::Ratio)
}

fn compare(metric: &str, value: f64, written: &str, dimension: Dimension) -> Condition {
    let line = Quantity {
        value,
        dimension,
        written: written.into(),
    };
    Condition::Compare(Comparison {
        metric: metric.into(),
        window: None,
        op: Op::Above,
        line,
        during: None,
        mode: Mode::Evidence,
    })
}

/// The candidate and stable as the engine reads them: counters since the rollout began.
struct Engine<'a> {
    condition: &'a Condition,
    weighing: Weighing,
    carried: Carried,
    /// Counters of each replica, of those that are gone, and of stable, now and when they were looked at last.
    replicas: BTreeMap<usize, Seen>,
    gone: Seen,
    stables: Vec<Seen>,
    /// What stable answered before its replicas were told apart.
    earlier: Seen,
    looked: (Counts, Counts),
}

impl<'a> Engine<'a> {
    fn new(condition: &'a Condition) -> Self {
        Self {
            condition,
            weighing: Weighing::default(),
            carried: Carried::default(),
            replicas: BTreeMap::new(),
            gone: Seen::default(),
            stables: Vec::new(),
            earlier: Seen::default(),
            looked: Default::default(),
        }
    }

    /// As a rollout does at every look: what was counted since the last one is a block.
    fn look(&mut self) {
        let mut all = self.gone.clone();
        self.replicas.values().for_each(|seen| all.count(seen));
        let mut serving = self.earlier.clone();
        self.stables.iter().for_each(|seen| serving.count(seen));
        let (candidate, stable) = (counts(&all), counts(&serving));
        let (before, now) = (&self.looked, (candidate, stable));
        // Times of blocks matter to conditions with a time alone.
        self.weighing.add(
            self.condition,
            &Weighed {
                candidate: &now.0.since(&before.0),
                stable: &now.1.since(&before.1),
                values: &BTreeMap::new(),
                at: Timestamp(0),
                cold: false,
            },
        );
        self.looked = now;
        let replicas: Vec<Replica> = self
            .replicas
            .iter()
            .map(|(n, seen)| Replica {
                pod: n.to_string(),
                node: String::new(),
                counts: counts(seen),
                gpus: None,
            })
            .collect();
        let pods = self.stables.iter().enumerate();
        let apart = Apart {
            candidate: &replicas,
            stable: &pods.map(|(n, seen)| (n.to_string(), counts(seen))).collect(),
        };
        self.carried
            .see(self.condition, &mut self.weighing, &apart, false);
    }

    /// New weights.
    fn restart(&mut self) {
        self.weighing.restart();
        self.carried.restart();
    }

    fn breaches(&self, parts: usize) -> bool {
        let evidence = self.weighing.weigh(self.condition);
        evidence.is_some_and(|evidence| evidence.shows_breach(Alpha::default().of_steps(parts)))
    }
}

/// What the engine does in a step that has one of so many parts of the error rate.
pub(crate) fn judge(condition: &Condition, before: &[Seen], blocks: &[Block], parts: usize) -> Judged {
    let mut engine = Engine::new(condition);
    for seen in before {
        engine.earlier.count(seen);
        engine.look();
    }
    engine.restart();
    let mut judged = Judged::default();
    let mut serving: BTreeSet<usize> = (0..REPLICAS).collect();
    for (at, block) in blocks.iter().enumerate() {
        if !block.measured {
            continue;
        }
        engine.stables.resize_with(block.stables.len(), Seen::default);
        for (seen, more) in engine.stables.iter_mut().zip(&block.stables) {
            seen.count(more);
        }
        if !judged.loads(at) {
            for n in &serving {
                let seen = block.replicas.get(*n).unwrap_or(&block.spare);
                engine.replicas.entry(*n).or_default().count(seen);
            }
        }
        if block.looks == 0 {
            continue;
        }
        (0..block.looks).for_each(|_| engine.look());
        if judged
            .replaced
            .is_some_and(|replaced| at + 1 == replaced + BEFORE)
        {
            engine.restart();
        }
        if judged.loads(at) || !engine.breaches(parts) {
            continue;
        }
        let suspect = engine
            .carried
            .by(condition, &engine.weighing)
            .filter(|_| judged.replaced.is_none());
        let Some(n) = suspect.and_then(|suspect| suspect.pod.parse::<usize>().ok()) else {
            judged.back = Some(at + 1);
            break;
        };
        judged.replaced = Some(at + 1);
        serving.remove(&n);
        serving.insert(REPLICAS);
        engine.gone.count(&engine.replicas.remove(&n).unwrap_or_default());
        engine.restart();
    }
    judged
}

fn counts(seen: &Seen) -> Counts {
    let within = EDGES
        .iter()
        .zip(seen.slower)
        .map(|(edge, slower)| (*edge, seen.total - slower));
    Counts {
        started: seen.total,
        requests: seen.total,
        bad: seen.bad,
        within_ms: within.collect(),
        timed: seen.total,
        ..Counts::default()
    }
}
