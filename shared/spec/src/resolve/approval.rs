//! Who must approve, and whether the policy is met before traffic moves.

use weir_domain::ids::GroupName;
use weir_domain::pipeline::{ApprovalRule, Quorum};
use weir_domain::time::Span;

use super::{Resolver, place};
use crate::definition::{ApprovalDef, EnvironmentDef, NeedDef, StageDef, StepDef, StepDefWork};
use crate::diagnostic::Diagnostic;
use crate::render::short;

/// An approval that says no deadline expires after a day.
const DEFAULT_TIMEOUT: Span = Span::hours(24);

/// What the last approval stage asked for.
#[derive(Default)]
pub(super) struct Approved {
    needs: Vec<Quorum>,
}

impl Approved {
    fn covers(&self, need: &Quorum) -> bool {
        self.needs
            .iter()
            .any(|n| n.group == need.group && n.people >= need.people)
    }
}

impl<'a> Resolver<'a> {
    /// The rule of an approval stage; nothing if the policy says that nobody is asked.
    pub(super) fn approval(
        &mut self,
        index: usize,
        stage: &StageDef,
        approved: &mut Approved,
    ) -> Option<ApprovalRule> {
        let opens = self.opens(index);
        let policies: Vec<&ApprovalDef> = opens.iter().filter_map(|e| self.policy_of(e)).collect();
        let needs = if stage.approvers.is_empty() {
            self.needs_by_policy(stage, &opens)?
        } else {
            self.check_repeats(&stage.approvers);
            self.quorums(&stage.approvers)
        };
        approved.needs.clone_from(&needs);
        let by_policy = policies.iter().filter_map(|policy| policy.timeout).min();
        Some(ApprovalRule {
            needs,
            timeout: stage.timeout.or(by_policy).unwrap_or(DEFAULT_TIMEOUT),
            pusher_may_approve: !opens.is_empty() && opens.iter().all(|e| self.pusher_may_approve(e)),
            opens: opens.iter().map(|e| e.name.value.clone()).collect(),
        })
    }

    /// Environments of the rollouts between this stage and the next approval, each once.
    fn opens(&self, index: usize) -> Vec<&'a EnvironmentDef> {
        let after = self.pipeline.stages[index + 1..]
            .iter()
            .take_while(|stage| !stage.approval);
        let mut out: Vec<&EnvironmentDef> = Vec::new();
        for step in after
            .flat_map(|stage| &stage.steps)
            .filter(|step| is_rollout(step))
        {
            if let Ok(environment) = place::environment(self.definition, step)
                && !out.iter().any(|e| e.name.value == environment.name.value)
            {
                out.push(environment);
            }
        }
        out
    }

    fn policy_of(&self, environment: &EnvironmentDef) -> Option<&'a ApprovalDef> {
        let all = &self.definition.policy.approvals;
        all.iter()
            .find(|policy| policy.environment.value == environment.name.value)
    }

    fn pusher_may_approve(&self, environment: &EnvironmentDef) -> bool {
        let own = self
            .policy_of(environment)
            .and_then(|policy| policy.pusher_may_approve);
        own.unwrap_or(self.definition.policy.pusher_may_approve || !environment.is_production())
    }

    /// `type: Approval` without approvers: what the policies of the opened environments ask for together.
    fn needs_by_policy(&mut self, stage: &StageDef, opens: &[&'a EnvironmentDef]) -> Option<Vec<Quorum>> {
        let name = short(&stage.name.value);
        let mut needs: Vec<Quorum> = Vec::new();
        let unknown = opens.iter().find(|e| self.policy_of(e).is_none());
        if opens.is_empty() || unknown.is_some() {
            let whose = unknown.map(|e| e.name.value.as_str());
            let said = whose.unwrap_or("the environment that follows");
            let found =
                format!("stage `{name}` names no approvers, and no policy says who approves for {said}");
            let policy = whose.map(|e| format!(", or `policy: {{approvals: {{{e}: {{needs: [GROUP]}}}}}}`"));
            let help = format!("add `approvers:`{}", policy.unwrap_or_default());
            self.sink
                .push(Diagnostic::reference(&stage.name.place, found).help(help));
            return None;
        }
        for environment in opens {
            let policy = self.policy_of(environment).map(|policy| policy.needs.as_slice());
            for quorum in self.quorums(policy.unwrap_or_default()) {
                match needs.iter_mut().find(|n| n.group == quorum.group) {
                    Some(known) => known.people = known.people.max(quorum.people),
                    None => needs.push(quorum),
                }
            }
        }
        if needs.is_empty() {
            let found = format!("stage `{name}` waits for nobody: the policy asks for no approval");
            self.sink.push(Diagnostic::warning(&stage.name.place, found));
            return None;
        }
        Some(needs)
    }

    fn check_repeats(&mut self, needs: &[NeedDef]) {
        for (i, need) in needs.iter().enumerate() {
            if needs[..i].iter().any(|n| n.group.value == need.group.value) {
                let found = format!("group `{}` is named twice", short(&need.group.value));
                self.sink.push(
                    Diagnostic::error(&need.group.place, found).help("`people: 2` asks for two of them"),
                );
            }
        }
    }

    /// Groups with their numbers; one that is unknown or too small is complained about.
    fn quorums(&mut self, needs: &[NeedDef]) -> Vec<Quorum> {
        for need in needs {
            check_need(self.definition, need, self.sink);
        }
        needs
            .iter()
            .map(|need| Quorum {
                group: GroupName::new(&need.group.value),
                people: need.people,
            })
            .collect()
    }

    /// A rollout into an environment whose policy asks for people stands behind an approval that asks for them.
    pub(super) fn check_policy(&mut self, stage: &StageDef, approved: &Approved) {
        for step in stage.steps.iter().filter(|step| is_rollout(step)) {
            let Ok(environment) = place::environment(self.definition, step) else {
                continue;
            };
            let policy = self.policy_of(environment).map(|policy| policy.needs.as_slice());
            for need in self.quorums(policy.unwrap_or_default()) {
                if !approved.covers(&need) {
                    let found = format!(
                        "step `{}` moves {} without the approval of {} by `{}`",
                        short(&step.name.value),
                        environment.name.value,
                        people(need.people),
                        need.group
                    );
                    let help = "put a stage with `type: Approval` before it";
                    self.sink
                        .push(Diagnostic::error(&step.name.place, found).help(help));
                }
            }
        }
    }
}

fn people(n: u32) -> String {
    if n == 1 {
        "one person".into()
    } else {
        format!("{n} people")
    }
}

fn is_rollout(step: &StepDef) -> bool {
    matches!(step.work, StepDefWork::Rollout(_))
}

/// Complains about a group that nobody declares, and about one with fewer people than must approve.
pub(crate) fn check_need(
    definition: &crate::definition::Definition,
    need: &NeedDef,
    sink: &mut crate::diagnostic::Sink,
) {
    let written = &need.group.value;
    let names = || definition.groups.iter().map(|group| group.name.as_str());
    let Some(group) = definition
        .groups
        .iter()
        .find(|group| group.name.as_str() == written)
    else {
        let found = format!("unknown group `{}`", short(written));
        let complaint = Diagnostic::reference(&need.group.place, found).expected(place::known(names()));
        return sink.push(complaint.nearest(written, names()));
    };
    if group.members.len() < need.people as usize {
        let found = format!(
            "group `{written}` has {}",
            people(u32::try_from(group.members.len()).unwrap_or(0))
        );
        sink.push(Diagnostic::error(&need.group.place, found).expected(format!("at least {}", need.people)));
    }
}
