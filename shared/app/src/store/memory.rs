//! The store in memory: the contract in its shortest form, and what stories run over.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use weir_domain::Duty;
use weir_domain::audit::Entry;
use weir_domain::ids::{ApprovalToken, LaneKey, PipelineName, PoolKey, PushKey, RunId, StepId};
use weir_domain::lane::Lane;
use weir_domain::pool::Pool;
use weir_domain::run::Run;
use weir_domain::time::Timestamp;

use super::{Commit, EffectKey, Loaded, Lookout, OutboxRow, Scrape, Store, StoreError};

/// A store that lives as long as the process.
#[derive(Default)]
pub struct MemoryStore {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    runs: BTreeMap<RunId, (Run, u64)>,
    order: Vec<RunId>,
    lanes: BTreeMap<LaneKey, (Lane, u64)>,
    pools: BTreeMap<PoolKey, (Pool, u64)>,
    entries: BTreeMap<RunId, Vec<Entry>>,
    outbox: BTreeMap<EffectKey, OutboxRow>,
    looks: BTreeMap<(RunId, Duty), Timestamp>,
    scrapes: BTreeMap<(RunId, StepId), Value>,
    pushes: BTreeMap<(PipelineName, PushKey), RunId>,
    approvals: BTreeMap<ApprovalToken, RunId>,
}

impl MemoryStore {
    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic while the lock was held cannot leave half a commit: everything is checked before anything is written.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn check(&self, commit: &Commit) -> Result<(), StoreError> {
        if let Some(push) = &commit.push
            && let Some(run) = self.pushes.get(&(commit.run.pipeline.name.clone(), push.clone()))
        {
            return Err(StoreError::Duplicate(run.clone()));
        }
        let version = self.runs.get(&commit.run.id).map_or(0, |(_, version)| *version);
        if version != commit.expected {
            return Err(StoreError::Conflict(format!("run {}", commit.run.id)));
        }
        let numbered =
            |run: &Run| run.pipeline.name == commit.run.pipeline.name && run.number == commit.run.number;
        if commit.expected == 0 && self.runs.values().any(|(run, _)| numbered(run)) {
            return Err(StoreError::Conflict(format!(
                "number {} of {}",
                commit.run.number, commit.run.pipeline.name
            )));
        }
        for (lane, expected) in &commit.lanes {
            let version = self.lanes.get(&lane.key).map_or(0, |(_, version)| *version);
            if version != *expected {
                return Err(StoreError::Conflict(format!("lane {}", lane.key)));
            }
        }
        for (pool, expected) in &commit.pools {
            let version = self.pools.get(&pool.key).map_or(0, |(_, version)| *version);
            if version != *expected {
                return Err(StoreError::Conflict(format!("pool {}", pool.key)));
            }
        }
        Ok(())
    }

    fn write(&mut self, commit: Commit) {
        let forgotten: Vec<StepId> = commit.forgotten().collect();
        let kept = commit.kept_scrape().cloned();
        let Commit {
            run,
            expected,
            lanes,
            pools,
            entries,
            outbox,
            looks,
            scrape: _,
            push,
            closed: _,
        } = commit;
        if expected == 0 {
            self.order.push(run.id.clone());
        }
        if let Some(push) = push {
            self.pushes
                .insert((run.pipeline.name.clone(), push), run.id.clone());
        }
        for (token, _) in run.asking() {
            self.approvals.insert(token.clone(), run.id.clone());
        }
        for (lane, expected) in lanes {
            self.lanes.insert(lane.key.clone(), (lane, expected + 1));
        }
        for (pool, expected) in pools {
            self.pools.insert(pool.key.clone(), (pool, expected + 1));
        }
        self.entries.entry(run.id.clone()).or_default().extend(entries);
        self.outbox
            .extend(outbox.into_iter().map(|row| (row.key.clone(), row)));
        for (duty, at) in looks {
            match at {
                Some(at) => self.looks.insert((run.id.clone(), duty), at),
                None => self.looks.remove(&(run.id.clone(), duty)),
            };
        }
        if let Some(scrape) = kept {
            self.scrapes.insert((run.id.clone(), scrape.step), scrape.value);
        }
        for step in forgotten {
            self.scrapes.remove(&(run.id.clone(), step));
        }
        self.runs.insert(run.id.clone(), (run, expected + 1));
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, id: &RunId) -> Result<Option<Loaded>, StoreError> {
        let table = self.table();
        let Some((run, version)) = table.runs.get(id).cloned() else {
            return Ok(None);
        };
        let lanes = run
            .lanes()
            .into_iter()
            .filter_map(|key| table.lanes.get(&key).cloned());
        let pools = run
            .pools()
            .into_iter()
            .filter_map(|key| table.pools.get(&key).cloned());
        let (lanes, pools) = (lanes.collect(), pools.collect());
        let due = |duty| table.looks.get(&(id.clone(), duty)).map(|at| (duty, *at));
        let looks = Duty::ALL.into_iter().filter_map(due).collect();
        let rows = table.outbox.values().filter(|row| row.key.run == *id);
        let scrapes = table.scrapes.iter().filter(|((run, _), _)| run == id);
        let scrapes = scrapes.map(|((_, step), value)| Scrape {
            step: *step,
            value: value.clone(),
        });
        Ok(Some(Loaded {
            looks,
            outbox: rows.cloned().collect(),
            scrapes: scrapes.collect(),
            ..Loaded::new(run, version, lanes, pools)
        }))
    }

    async fn lanes(&self, keys: &[LaneKey]) -> Result<Vec<(Lane, u64)>, StoreError> {
        let table = self.table();
        Ok(keys
            .iter()
            .filter_map(|key| table.lanes.get(key).cloned())
            .collect())
    }

    async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        let mut table = self.table();
        table.check(&commit)?;
        table.write(commit);
        Ok(())
    }

    async fn run_of_approval(&self, token: &ApprovalToken) -> Result<Option<RunId>, StoreError> {
        Ok(self.table().approvals.get(token).cloned())
    }

    async fn run_of_push(
        &self,
        pipeline: &PipelineName,
        push: &PushKey,
    ) -> Result<Option<RunId>, StoreError> {
        Ok(self
            .table()
            .pushes
            .get(&(pipeline.clone(), push.clone()))
            .cloned())
    }

    async fn last_number(&self, pipeline: &PipelineName) -> Result<u64, StoreError> {
        let table = self.table();
        let numbers = table
            .runs
            .values()
            .filter(|(run, _)| &run.pipeline.name == pipeline)
            .map(|(run, _)| run.number);
        Ok(numbers.max().unwrap_or(0))
    }

    async fn settle(&self, key: &EffectKey) -> Result<(), StoreError> {
        self.table().outbox.remove(key);
        Ok(())
    }

    async fn postpone(&self, key: &EffectKey, due: Timestamp) -> Result<(), StoreError> {
        if let Some(row) = self.table().outbox.get_mut(key) {
            row.due = due;
            row.attempts += 1;
        }
        Ok(())
    }

    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<Lookout>, StoreError> {
        let table = self.table();
        let looks = table.looks.iter().map(|((run, duty), at)| Lookout {
            at: *at,
            run: run.clone(),
            duty: *duty,
        });
        let rows = table.outbox.values().map(|row| Lookout {
            at: row.due,
            run: row.key.run.clone(),
            duty: row.effect.duty(),
        });
        let mut due: Vec<Lookout> = looks.chain(rows).filter(|lookout| lookout.at <= now).collect();
        due.sort();
        let mut seen = Vec::new();
        due.retain(|lookout| {
            let who = (lookout.run.clone(), lookout.duty);
            let fresh = !seen.contains(&who);
            seen.push(who);
            fresh
        });
        due.truncate(limit);
        Ok(due)
    }

    async fn wake(&self, run: &RunId, duty: Duty, at: Timestamp) -> Result<(), StoreError> {
        let mut table = self.table();
        if table.runs.contains_key(run) {
            let due = table.looks.entry((run.clone(), duty)).or_insert(at);
            *due = at.min(*due);
        }
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let table = self.table();
        Ok(table
            .looks
            .values()
            .copied()
            .chain(table.outbox.values().map(|row| row.due))
            .min())
    }

    async fn entries(&self, run: &RunId) -> Result<Vec<Entry>, StoreError> {
        Ok(self.table().entries.get(run).cloned().unwrap_or_default())
    }

    async fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        let table = self.table();
        Ok(table
            .order
            .iter()
            .rev()
            .take(limit)
            .map(|id| table.runs[id].0.clone())
            .collect())
    }
}
