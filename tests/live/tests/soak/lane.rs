//! One service with its users, on which cells are played one after another.

use serde_json::{Value, json};
use tokio::time::Instant;
use weir_live::{Carriers, Load, Mix, Sampler, Stage, above_warm, backend, eventually, rollout};

use crate::cell::{Cell, Strategy};
use crate::experiment;
use crate::harm::keep_for_own;
use crate::losses::Counts;
use crate::rollout as rolled;
use crate::standing::Standing;
use crate::table::Told;

/// Replicas of the service.
pub(crate) const REPLICAS: u32 = 3;
/// Most GPUs of a lane: stable beside two variants of two replicas, or beside a candidate of three.
pub(crate) const GPUS_OF_A_LANE: u32 = REPLICAS + 4;
/// Requests a second.
const RPS: u32 = 25;
/// An answer that does not begin, or does not go on, is given up after 10 s; see `weir-load`.
const GIVEN_UP_MS: u64 = 10_500;

/// The service.
pub(crate) struct Lane {
    pub(crate) stage: Stage,
    sampler: Sampler,
    load: Load,
    number: usize,
    played: usize,
    /// A node for pods that may lose it, and for nothing else.
    pub(crate) own_node: String,
    /// The version that serves, and its backend.
    stable: (String, String),
}

/// How a cell ended, as whoever played it saw it.
pub(crate) struct Ended {
    /// What was not as it must be, in words.
    pub(crate) broken: Vec<String>,
    /// Counts once traffic was back.
    pub(crate) back: Counts,
    /// Milliseconds from the last decision about traffic until requests followed.
    pub(crate) back_ms: Option<u64>,
    /// Backends that are new.
    pub(crate) new: Vec<String>,
    /// Versions that were at fault, if any was.
    pub(crate) bad: Vec<String>,
    /// GPUs that the plan declared.
    pub(crate) gpus: u32,
    /// It went to its end.
    pub(crate) succeeded: bool,
}

impl Lane {
    /// Makes it, with a first release and users.
    pub(crate) async fn open(number: usize, own_node: String) -> Self {
        let stage = Stage::of(&format!("soak-{number}"), json!("rolling"), REPLICAS, 1).await;
        let stage = stage.of_groups().await;
        keep_for_own(&stage.world, &own_node).await;
        let version = format!("l{number}");
        let run = stage.push(&version, json!({})).await;
        let run = stage.ends(&run, "succeeded").await;
        let load = stage.users_of(&version, Mix::of(RPS)).await;
        Self {
            sampler: Sampler::start(&stage.world),
            stable: (version, backend(&rollout(&run).candidate)),
            stage,
            load,
            number,
            played: 0,
            own_node,
        }
    }

    /// Counts of all requests so far.
    pub(crate) async fn counts(&self) -> Counts {
        Counts::of(&self.load.totals().await)
    }

    /// Waits until whoever asks has given up what was under way: who has no power does not say that nothing comes.
    pub(crate) async fn given_up(&self) {
        let now = async || self.load.totals().await["t"].as_u64().unwrap_or(0);
        let until = now().await + GIVEN_UP_MS;
        eventually("what was under way is given up", async || match now().await {
            at if at >= until => Ok(()),
            at => Err(format!("{} ms are left", until - at)),
        })
        .await;
    }

    /// Waits until what stands now was seen from outside.
    pub(crate) async fn sampled(&self) {
        self.sampler.next().await;
    }

    /// Plays a cell, and looks at what became of it.
    pub(crate) async fn play(&mut self, cell: Cell) -> Told {
        self.played += 1;
        let version = format!("l{}c{}", self.number, self.played);
        let began = Instant::now();
        let of_variants = cell.strategy == Strategy::Variants;
        if of_variants {
            experiment::furnish(self, &cell).await;
        }
        let before = Standing::of(&self.stage.world).await;
        self.sampler.restart();
        let asked = self.counts().await;
        let mut ended = match of_variants {
            true => experiment::play(self, &cell, &version).await,
            false => rolled::play(self, &cell, &version).await,
        };
        let unsettled = self.settle(&cell, version, &before, &ended).await;
        ended.broken.extend(unsettled);
        let now = self.counts().await;
        let (all, after) = (now.since(&asked), now.since(&ended.back));
        let bad: Vec<&str> = ended.bad.iter().map(String::as_str).collect();
        ended.broken.extend(all.unforgiven(&after, &cell, &bad));
        let samples = self.sampler.samples();
        let peak = samples.iter().map(|sample| sample.gpus).max().unwrap_or(0);
        if peak > ended.gpus {
            ended.broken.push(format!("{peak} GPUs of {}", ended.gpus));
        }
        ended
            .broken
            .extend(above_warm(&samples, &self.carriers(&cell, &ended)));
        if of_variants {
            experiment::clear(&self.stage).await;
        }
        Told {
            cell,
            seconds: began.elapsed().as_secs(),
            requests: all.sent,
            lost: all.lost(),
            gpus: (peak, ended.gpus),
            back_ms: ended.back_ms,
            samples: samples.len(),
            broken: ended.broken,
        }
    }

    /// Waits until users are answered by one version and everything stands as it must; what does not, in words.
    async fn settle(
        &mut self,
        cell: &Cell,
        version: String,
        before: &Standing,
        ended: &Ended,
    ) -> Option<String> {
        let world = &self.stage.world;
        let stays = matches!(cell.strategy, Strategy::Shadow | Strategy::Variants);
        let stands = async {
            match &ended.new[..] {
                [new] if ended.succeeded && !stays => {
                    self.stable = (version, new.clone());
                    Standing::serves_alone(new, REPLICAS.into(), world).await
                }
                _ => Standing::is_back(before, world).await,
            }
        };
        let standing = tokio::select! {
            standing = stands => standing,
            // What a run that is over still has to do.
            () = self.stage.host.go_on() => Ok(()),
        };
        self.stage.answers(&self.stable.0).await;
        standing.err()
    }

    fn carriers(&self, cell: &Cell, ended: &Ended) -> Carriers {
        let new = ended.new.clone();
        match cell.strategy {
            Strategy::Variants => Carriers {
                new,
                stable: None,
                needed: 1,
            },
            _ => Carriers {
                new,
                stable: Some(self.stable.1.clone()),
                needed: REPLICAS,
            },
        }
    }
}

/// How a strategy is defined; the steps are those of `Strategy::places`.
pub(crate) fn defined(strategy: Strategy) -> Value {
    let judged = |steps: Value| json!({"steps": steps, "threshold": 0.95, "min_samples": 20});
    match strategy {
        Strategy::Canary => json!({"canary": judged(json!([
            {"weight": 25, "interval": 8_000}, {"weight": 66, "interval": 8_000},
        ]))}),
        Strategy::BlueGreen => json!({"blue-green": {
            "preview": 6_000, "switch": judged(json!([{"weight": 100, "interval": 8_000}])),
        }}),
        Strategy::Shadow => json!({"shadow": {"copied": judged(json!([{"weight": 25, "interval": 8_000}]))}}),
        Strategy::Rolling => json!({"rolling": {"surge": 1, "pause": {"at": 50, "within": 600_000}}}),
        Strategy::Variants => unreachable!("an experiment is defined by its variants"),
    }
}
