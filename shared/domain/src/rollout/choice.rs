//! The first rung of the ladder on which a rollout can stand, and the plan that follows.

use super::borrow::borrowing;
use super::claims::Ahead;
use super::lending::Lending;
use super::plan::{Plan, plan};
use super::rolling::Limits;
use super::smaller::{fewer_copies, smaller};
use super::swap::swapping;
use crate::budget::{self, Floor, problems};
use crate::fit::{Counted, Fit, Fits, fit, other_hardware, stable_pods};
use crate::ladder::{Action, Ladder, Load, Rung, ladder, room};
use crate::pipeline::{Parity, RolloutRule, Strategy};
use crate::seen::Ground;
use crate::time::Span;

/// What the ground lets a rollout do.
#[derive(Clone, PartialEq, Debug)]
pub enum Choice {
    /// Begin, with this plan.
    Go(Plan),
    /// Look again later: what would make room is on its way.
    Wait {
        /// What is waited for.
        words: String,
        /// GPUs that are waited for, beside those that stable holds.
        gpus: u32,
    },
    /// Do not begin; why, and what would make it fit.
    Refuse(String),
}

/// A rollout before it begins, and what is known of the place where it wants to go.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What is to be rolled out, and how.
    pub rule: &'a RolloutRule,
    /// Replicas that serve now; `None`: nothing does.
    pub stable: Option<u32>,
    /// Nodes, pods and one replica of the candidate.
    pub ground: &'a Ground,
    /// Rollouts that came before in the pool.
    pub ahead: Ahead,
    /// What stable carries.
    pub load: Load,
    /// For how long it has waited for room.
    pub waited: Span,
}

/// What the ground lets a rollout do, and whether that is on the hardware of stable. First what fits, then that.
pub fn choose(question: &Question<'_>) -> Choice {
    let (rule, ground) = (question.rule, question.ground);
    let choice = first_rung(question);
    let Choice::Go(plan) = choice else {
        return choice;
    };
    match other_hardware(&ground.snapshot, &ground.ask) {
        Some(words) if rule.strategy.compares() && rule.parity == Parity::Refuse => Choice::Refuse(format!(
            "nothing was moved: the candidate would be compared with stable on other hardware: {words}; or say `parity: report`"
        )),
        found => Choice::Go(Plan {
            other_hardware: found.unwrap_or_default(),
            budgets: question.budgets(),
            bounds: ground.bounds,
            ..plan
        }),
    }
}

fn first_rung(question: &Question<'_>) -> Choice {
    let needs = Needs::of(question);
    let verdict = question.fit(needs.all() + needs.given_way);
    if let Some(choice) = needs.surge(question, &verdict) {
        return choice;
    }
    let (snapshot, ask) = (&question.ground.snapshot, &question.ground.ask);
    let found = ladder(snapshot, ask, &verdict, question.load);
    let may_wait = question.waited < question.rule.warm_within;
    let mut not = Vec::new();
    if let Some(limits) = needs.limits {
        match needs.limited(question, limits) {
            Ok(plan) => return Choice::Go(plan),
            Err(why) => not.push(why),
        }
    }
    if let Some(rung) = possible(&found, Action::Wait).filter(|_| may_wait) {
        return needs.wait(format!("room: {}", rung.why));
    }
    let lending = needs.lending(question);
    if let Some(lending) = &lending {
        match borrowed(question.rule, lending) {
            Ok(plan) => return Choice::Go(plan),
            Err(why) => not.push(format!("borrow: {why}")),
        }
    }
    if question.ahead.rollouts > 0 && may_wait {
        return needs.wait("room: rollouts that came before hold GPUs that they may give back".to_owned());
    }
    match lending
        .as_ref()
        .and_then(|lending| reduced(question.rule, lending))
    {
        Some(Ok(plan)) => return Choice::Go(plan),
        Some(Err(why)) => not.push(format!("smaller: {why}")),
        None => {}
    }
    if let Some(grows) = possible(&found, Action::ScaleUp) {
        let (rung, why) = (Action::ScaleUp, grows.why.clone());
        return Choice::Go(Plan {
            rung,
            why,
            ..needs.roomy.clone()
        });
    }
    match lending
        .as_ref()
        .filter(|_| question.rule.strategy.may_borrow())
        .map(swapping)
    {
        Some(Ok(plan)) => return Choice::Go(plan),
        Some(Err(why)) => not.push(format!("swap: {why}")),
        None => {}
    }
    Choice::Refuse(needs.refusal(&found, &verdict.reasons, snapshot.nodes.len(), &not))
}

/// The plan that takes places of stable and keeps an instant way back while the candidate is judged.
fn borrowed(rule: &RolloutRule, lending: &Lending<'_>) -> Result<Plan, String> {
    if rule.strategy.mirrored().is_some() {
        return Err("a shadow takes no places of what answers".to_owned());
    }
    if !rule.strategy.may_borrow() {
        return Err(format!(
            "{} keeps all replicas of both revisions; canary and rolling take the places of stable",
            rule.strategy.as_str()
        ));
    }
    borrowing(lending)
}

/// The plan that is judged with fewer replicas; nothing where none is judged, or where both revisions must be whole.
fn reduced(rule: &RolloutRule, lending: &Lending<'_>) -> Option<Result<Plan, String>> {
    match rule.strategy {
        Strategy::Canary(_) => Some(smaller(lending)),
        Strategy::Shadow(_) => Some(fewer_copies(lending)),
        Strategy::Rolling(_) | Strategy::BlueGreen(_) | Strategy::Variant { .. } => None,
    }
}

fn possible(found: &Ladder, action: Action) -> Option<&Rung> {
    found
        .rungs
        .iter()
        .find(|rung| rung.action == action && rung.possible)
}

impl Question<'_> {
    fn fit(&self, replicas: u64) -> Fit {
        fit(&self.ground.snapshot, &self.ground.ask, replicas)
    }

    /// What budgets ask of the service, no more than will serve.
    fn floor(&self) -> Floor {
        let (ground, stable) = (self.ground, self.stable.unwrap_or(0));
        let Floor { replicas, by } = budget::floor(&ground.snapshot, &ground.ask, stable);
        Floor {
            replicas: replicas.min(self.rule.workload.replicas),
            by,
        }
    }

    /// What is wrong with the budgets of the service, in words.
    fn budgets(&self) -> Vec<String> {
        let Ground { snapshot, ask, .. } = self.ground;
        let (service, replicas) = (&self.rule.target.service, self.rule.workload.replicas);
        problems(snapshot, ask, service, self.stable.unwrap_or(0), replicas)
    }
}

/// What a rollout needs where it has all the room it wants.
struct Needs {
    roomy: Plan,
    /// Limits of rolling, which is planned within them and not within what there is.
    limits: Option<Limits>,
    /// Most replicas of the candidate.
    most: u32,
    /// Stable pods that are missing: they will want their places back.
    unseen: u64,
    /// Replicas' worth of GPUs that rollouts which came before count on.
    given_way: u64,
    /// GPUs of the candidate.
    gpus: u32,
}

impl Needs {
    fn of(question: &Question<'_>) -> Self {
        let (rule, stable, ground) = (question.rule, question.stable, question.ground);
        let roomy = plan(rule, stable);
        let here = u32::try_from(stable_pods(&ground.snapshot, &ground.ask).len()).unwrap_or(u32::MAX);
        let most = roomy.steps.iter().map(|step| step.candidate_replicas).max();
        let most = most.unwrap_or(0);
        Self {
            roomy,
            limits: stable.and_then(|stable| Limits::of(rule, stable)),
            most,
            unseen: u64::from(stable.unwrap_or(0).saturating_sub(here)),
            given_way: u64::from(question.ahead.gpus.div_ceil(rule.workload.gpus.max(1))),
            gpus: most * rule.workload.gpus,
        }
    }

    /// Replicas that must find room.
    fn all(&self) -> u64 {
        u64::from(self.most) + self.unseen
    }

    fn wait(&self, words: String) -> Choice {
        Choice::Wait {
            words,
            gpus: self.gpus,
        }
    }

    /// All fit, or would without the rollouts that came before.
    fn surge(&self, question: &Question<'_>, verdict: &Fit) -> Option<Choice> {
        if self.limits.is_some() {
            return None;
        }
        if verdict.fits == Fits::Yes {
            let why = format!("{} of {} replicas that fit", self.all(), verdict.sure_replicas);
            return Some(Choice::Go(Plan {
                why,
                ..self.roomy.clone()
            }));
        }
        let waits = self.given_way > 0
            && question.waited < question.rule.warm_within
            && question.fit(self.all()).fits == Fits::Yes;
        waits.then(|| {
            self.wait(format!(
                "room: rollouts that came before have a claim on {} GPUs",
                question.ahead.gpus
            ))
        })
    }

    /// The plan of rolling within its limits, and within what there is.
    fn limited(&self, question: &Question<'_>, limits: Limits) -> Result<Plan, String> {
        let (rule, ground) = (question.rule, question.ground);
        let others = self.given_way + self.unseen;
        let wanted = u64::from(rule.workload.replicas) + others;
        let places = room(&ground.snapshot, &ground.ask, wanted).less(others);
        limits.plan_in(rule, &places, &question.floor())
    }

    /// What stable could lend, if all of it is here and the pool alone sets the limit.
    fn lending<'a>(&'a self, question: &Question<'a>) -> Option<Lending<'a>> {
        let (rule, ground) = (question.rule, question.ground);
        let stable = question
            .stable
            .filter(|_| self.unseen == 0 && self.limits.is_none())?;
        let wanted = u64::from(rule.workload.replicas) + self.given_way;
        Some(Lending {
            roomy: &self.roomy,
            rule,
            stable,
            room: room(&ground.snapshot, &ground.ask, wanted).less(self.given_way),
            load: question.load,
            floor: question.floor(),
        })
    }

    /// `4 replicas do not fit: 12 nodes: 8 taint …, 4 have 2 of 4 GPUs free; smallest change: …`
    fn refusal(&self, found: &Ladder, reasons: &[Counted], nodes: usize, not: &[String]) -> String {
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let mut words = format!(
            "{} replicas do not fit, and nothing was moved: {nodes} nodes: {}",
            self.all(),
            reasons.join(", ")
        );
        for why in not {
            words.push_str(&format!("; {why}"));
        }
        if !found.changes.is_empty() {
            words.push_str(&format!("; smallest change: {}", found.changes.join(", or ")));
        }
        words
    }
}
