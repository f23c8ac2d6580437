//! Counts from the source that the definition names; what it names none for is counted directly.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_app::{Clock, Counting, Measured, Placed, Traffic};
use weir_domain::condition::Reading;
use weir_domain::ids::{LaneKey, RevisionId, StepId};
use weir_domain::pipeline::{Collect, Measure, Query, RolloutRule};
use weir_domain::run::Run;
use weir_domain::seen::{Counts, Gpus, TrafficSeen};
use weir_domain::time::{Span, Timestamp};

use crate::asked::{Grown, first, next_window};
use crate::gpus;
use crate::provider::{Answer, Fold, Labels, Provider, Window};

/// A plain number is asked for over this time, where the server folds points.
const VALUE_OVER: Span = Span::seconds(60);

/// What a revision's Deployment and Service are called on a cluster.
pub type Naming = fn(&LaneKey, &RevisionId) -> String;

/// The direct source, and servers of metrics by name.
pub struct Sources {
    direct: Arc<dyn Traffic>,
    servers: BTreeMap<String, Arc<dyn Provider>>,
    clock: Arc<dyn Clock>,
    naming: Naming,
}

/// What is kept between two counts.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// The direct source's own.
    #[serde(default)]
    direct: Option<Value>,
    /// By measure.
    #[serde(default)]
    asked: BTreeMap<String, Asked>,
}

/// One measure.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Asked {
    /// End of the last window.
    to: Option<Timestamp>,
    /// By revision, and by query where there are two.
    grown: BTreeMap<RevisionId, [Grown; 2]>,
}

impl Sources {
    /// Servers that definitions may name, and the direct source for everything else.
    pub fn new(
        direct: Arc<dyn Traffic>,
        servers: BTreeMap<String, Arc<dyn Provider>>,
        clock: Arc<dyn Clock>,
        naming: Naming,
    ) -> Self {
        Self {
            direct,
            servers,
            clock,
            naming,
        }
    }

    fn server(&self, measure: &Measure) -> Result<&Arc<dyn Provider>, String> {
        let name = &measure.source;
        self.servers.get(name).ok_or_else(|| unknown(name))
    }

    /// Asks for everything that was added since the last time. The state is as it was if anything failed.
    async fn ask(
        &self,
        rule: &RolloutRule,
        measure: &Measure,
        revisions: &[RevisionId],
        before: &Asked,
    ) -> Result<Asked, Unanswered> {
        let server = self.server(measure).map_err(Unanswered::Error)?;
        let queries: Vec<&String> = match &measure.query {
            Query::Value(_) | Query::Gpus(_) => return Ok(before.clone()),
            Query::Requests { total, bad } => vec![total, bad],
            Query::Latencies { buckets, .. } => vec![buckets],
        };
        let (now, pace) = (self.clock.now(), server.pace());
        let windowed = queries.iter().any(|query| query.contains("${window}"));
        // A server without series is asked for windows, whatever the query says.
        let counters = !windowed && server.has_series();
        let mut asked = before.clone();
        let window = if counters {
            Window { from: now, to: now }
        } else {
            let begun = *asked.to.get_or_insert(first(now, pace));
            match next_window(begun, now, pace) {
                Some(window) => window,
                // Nothing new is whole yet.
                None => return Ok(asked),
            }
        };
        let each = revisions.iter().flat_map(|revision| {
            let queries = queries.iter().enumerate();
            queries.map(move |(part, query)| (revision, part, *query))
        });
        let answers = join_all(each.map(|(revision, part, query)| async move {
            let query = filled(
                query,
                rule,
                revision,
                &(self.naming)(&rule.lane, revision),
                window,
            );
            let answer = series(server.as_ref(), &query, window).await;
            (revision, part, answer)
        }))
        .await;
        let mut empty = Vec::new();
        let mut any = false;
        for (revision, part, answer) in answers {
            let grown = &mut asked.grown.entry(revision.clone()).or_default()[part];
            match answer {
                Answer::Value(series) if counters => grown.counters(&series),
                Answer::Value(series) => grown.window(&series),
                Answer::NoData(why) => {
                    // A revision without a series of its own has had no requests yet; failed requests that cannot be
                    // found among others that can are a misspelt query.
                    if part == 1 {
                        empty.push((revision, why));
                    }
                    continue;
                }
                Answer::Error(why) => return Err(Unanswered::Error(format!("{}: {why}", measure.source))),
            }
            any |= part == 0;
        }
        if !any {
            let why = "no revision has a series that the query matches";
            return Err(Unanswered::NoData(format!("{}: {why}", measure.source)));
        }
        let counted = |revision: &RevisionId| asked.grown.get(revision).is_some_and(|g| g[0].count() > 0);
        if let Some((revision, why)) = empty.iter().find(|(revision, _)| counted(revision)) {
            let help = "write `or vector(0)` after the query if that is right";
            return Err(Unanswered::NoData(format!(
                "{}: failed requests of {revision}: {why}; {help}",
                measure.source
            )));
        }
        asked.to = Some(window.to);
        Ok(asked)
    }

    async fn count_rule(
        &self,
        run: &Run,
        step: StepId,
        rule: &RolloutRule,
        placed: &Placed,
        before: Option<&Value>,
    ) -> Counting {
        let mut kept: Kept = before
            .and_then(|value| Kept::deserialize(value).ok())
            .unwrap_or_default();
        let revisions = revisions(run, step);
        // All at once: a server that dawdles has the time of one answer, whatever is asked.
        let answers = rule.measures.iter().map(|(name, measure)| {
            let before = kept.asked.get(name).cloned().unwrap_or_default();
            let revisions = &revisions;
            async move { (name, measure, self.ask(rule, measure, revisions, &before).await) }
        });
        let direct = self.direct.count(run, step, placed, kept.direct.as_ref());
        let (direct, answers) = futures::join!(direct, join_all(answers));
        kept.direct = direct.scrape;
        let direct_replicas = direct.replicas;
        let (mut counts, direct) = match direct.seen {
            TrafficSeen::Counts(counts) => (counts, None),
            other => (BTreeMap::new(), Some(other)),
        };
        let mut trouble = direct.filter(|_| !covers(rule));
        for (name, measure, asked) in answers {
            let asked = match asked {
                Ok(asked) => asked,
                Err(why) => {
                    trouble = Some(worse(trouble, why));
                    continue;
                }
            };
            for revision in &revisions {
                let grown = asked.grown.get(revision).cloned().unwrap_or_default();
                overlay(counts.entry(revision.clone()).or_default(), measure, &grown);
            }
            kept.asked.insert(name.clone(), asked);
        }
        Counting {
            seen: trouble.unwrap_or(TrafficSeen::Counts(counts)),
            scrape: Some(json!(kept)),
            // What a server counted is not told apart by pods.
            replicas: match counts_itself(rule) {
                true => BTreeMap::new(),
                false => direct_replicas,
            },
        }
    }
}

fn unknown(name: &str) -> String {
    format!(
        "this host knows no source `{name}`: its owner names it, with --source {name}=… or in `Sources` of its stack"
    )
}

/// Why there are no counts.
enum Unanswered {
    NoData(String),
    Error(String),
}

/// An error says more than no data.
fn worse(known: Option<TrafficSeen>, new: Unanswered) -> TrafficSeen {
    match (known, new) {
        (Some(error @ TrafficSeen::SourceError(_)), _) => error,
        (_, Unanswered::Error(why)) => TrafficSeen::SourceError(why),
        (Some(known), _) => known,
        (None, Unanswered::NoData(why)) => TrafficSeen::NoData(why),
    }
}

/// Whether requests come from a server, so that the direct source is not needed to judge.
fn covers(rule: &RolloutRule) -> bool {
    let mut queries = rule.measures.values().map(|measure| &measure.query);
    queries.any(|query| matches!(query, Query::Requests { .. }))
}

/// Whether a server counts requests or latencies.
fn counts_itself(rule: &RolloutRule) -> bool {
    let mut queries = rule.measures.values().map(|measure| &measure.query);
    queries.any(|query| matches!(query, Query::Requests { .. } | Query::Latencies { .. }))
}

async fn series(server: &dyn Provider, query: &str, window: Window) -> Answer<BTreeMap<Labels, f64>> {
    if server.has_series() {
        return server.series(query, window.to).await;
    }
    match server.number(query, window, Fold::Sum).await {
        Answer::Value(number) => Answer::Value([(Labels::new(), number)].into()),
        Answer::NoData(why) => Answer::NoData(why),
        Answer::Error(why) => Answer::Error(why),
    }
}

fn overlay(counts: &mut Counts, measure: &Measure, grown: &[Grown; 2]) {
    match &measure.query {
        Query::Value(_) | Query::Gpus(_) => {}
        Query::Requests { .. } => {
            counts.requests = grown[0].count();
            counts.bad = grown[1].count().min(counts.requests);
            // Where the gateway cannot be asked, a change is effective when the server's counts say so.
            counts.started = counts.started.max(counts.requests);
        }
        Query::Latencies { unit_ms, .. } => (counts.within_ms, counts.timed) = grown[0].histogram(*unit_ms),
    }
}

fn revisions(run: &Run, step: StepId) -> Vec<RevisionId> {
    let rollout = run.rollout(step);
    if let Some(experiment) = run.experiment(step) {
        return experiment
            .sides
            .iter()
            .map(|side| side.revision.clone())
            .collect();
    }
    let candidate = rollout.map(|rollout| rollout.candidate.clone());
    let stable = rollout.and_then(|rollout| rollout.stable.as_ref().map(|stable| stable.revision.clone()));
    candidate.into_iter().chain(stable).collect()
}

/// The query with its names filled in. All of them are names as Kubernetes takes them, or numbers: none can end a
/// quoted text.
fn filled(query: &str, rule: &RolloutRule, revision: &RevisionId, name: &str, window: Window) -> String {
    query
        .replace("${revision}", name)
        .replace("${revision_id}", revision.as_str())
        .replace("${namespace}", rule.target.namespace.as_str())
        .replace("${service}", &rule.target.service)
        .replace("${route}", &rule.target.route)
        .replace("${window}", &format!("{}s", window.seconds()))
}

#[async_trait]
impl Traffic for Sources {
    async fn count(&self, run: &Run, step: StepId, placed: &Placed, before: Option<&Value>) -> Counting {
        let Some(rule) = run.rule(step).filter(|rule| !rule.measures.is_empty()) else {
            return self.direct.count(run, step, placed, before).await;
        };
        self.count_rule(run, step, rule, placed, before).await
    }

    async fn blocked(&self, run: &Run, step: StepId, placed: &Placed) -> Vec<String> {
        match run.rule(step) {
            Some(rule) if !covers(rule) => self.direct.blocked(run, step, placed).await,
            _ => Vec::new(),
        }
    }

    async fn values(&self, run: &Run, step: StepId) -> BTreeMap<String, Reading> {
        let (Some(rule), Some(rollout)) = (run.rule(step), run.rollout(step)) else {
            return BTreeMap::new();
        };
        let asked = rule
            .rollback
            .iter()
            .flat_map(weir_domain::condition::Condition::metrics);
        let asked: std::collections::BTreeSet<&str> = asked.collect();
        let values = rule
            .measures
            .iter()
            .filter_map(|(name, measure)| match &measure.query {
                Query::Value(query) if asked.contains(name.as_str()) => Some((name, measure, query)),
                _ => None,
            });
        let readings = values.map(|(name, measure, query)| async move {
            let reading = match self.server(measure) {
                Err(why) => Reading::Error(why),
                Ok(server) => {
                    let to = self.clock.now() - server.pace().lag;
                    let over = VALUE_OVER.max(server.pace().step);
                    let window = Window { from: to - over, to };
                    let external = (self.naming)(&rule.lane, &rollout.candidate);
                    let query = filled(query, rule, &rollout.candidate, &external, window);
                    match server.number(&query, window, Fold::Mean).await {
                        Answer::Value(number) => Reading::Number(number),
                        Answer::NoData(_) => Reading::NoData,
                        Answer::Error(why) => Reading::Error(format!("{}: {why}", measure.source)),
                    }
                }
            };
            (name.clone(), reading)
        });
        join_all(readings).await.into_iter().collect()
    }

    async fn gpus(&self, run: &Run, step: StepId) -> Option<BTreeMap<String, Gpus>> {
        let (rule, rollout) = (run.rule(step)?, run.rollout(step)?);
        let asked = rule.measures.values().find_map(|measure| match &measure.query {
            Query::Gpus(query) => Some((measure, query)),
            _ => None,
        });
        let (measure, query) = asked?;
        let server = self.server(measure).ok()?;
        let now = self.clock.now();
        let window = Window { from: now, to: now };
        let external = (self.naming)(&rule.lane, &rollout.candidate);
        let query = filled(query, rule, &rollout.candidate, &external, window);
        match server.series(&query, now).await {
            Answer::Value(series) => Some(gpus::read(&series)),
            // Nobody has said anything.
            Answer::NoData(_) => Some(BTreeMap::new()),
            Answer::Error(why) => {
                tracing::warn!(source = measure.source, why, "the GPUs cannot be asked");
                None
            }
        }
    }

    async fn measure(&self, collect: &Collect, from: Timestamp, to: Timestamp) -> Measured {
        let Some(server) = self.servers.get(&collect.source) else {
            return Measured::Failed(self.unknown(collect).unwrap_or_default());
        };
        if self.clock.now() < to + server.pace().lag {
            return Measured::NotYet;
        }
        let window = Window { from, to };
        let asked = collect.metrics.iter().map(|name| async move {
            let query = server
                .query_of(name)
                .replace("${window}", &format!("{}s", window.seconds()));
            (name, server.number(&query, window, Fold::Mean).await)
        });
        let (mut numbers, mut silence) = (BTreeMap::new(), String::new());
        for (name, answer) in join_all(asked).await {
            match answer {
                Answer::Value(number) => {
                    numbers.insert(name.clone(), number);
                }
                Answer::NoData(why) => silence = format!("{name}: {why}"),
                Answer::Error(why) => return Measured::Failed(format!("{name}: {why}")),
            }
        }
        Measured::Numbers { numbers, silence }
    }

    fn unknown(&self, collect: &Collect) -> Option<String> {
        let name = &collect.source;
        match self.servers.get(name) {
            Some(server) => server.unready().map(|why| format!("{name}: {why}")),
            None => Some(unknown(name)),
        }
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
