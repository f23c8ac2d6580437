//! Sections of several documents to one definition. A name that is declared twice is an error at the second place.

use std::collections::BTreeMap;

use crate::condition::Metrics;
use crate::definition::{Definition, Trigger};
use crate::diagnostic::{Diagnostic, Sink};
use crate::read;
use crate::render::short;
use crate::source::{Located, Place};
use crate::yaml::{Entry, Node};

/// A trigger outside of a pipeline, and the pipeline that it names.
type Loose = (Trigger, Option<Located<String>>);

pub(crate) struct Merge<'a> {
    pub(crate) sink: &'a mut Sink,
    /// Names of all `metrics` sections: a condition may stand before them.
    pub(crate) metrics: Metrics,
    definition: Definition,
    environments: Vec<String>,
    loose: Vec<Loose>,
    /// Where each name was declared, by kind.
    seen: BTreeMap<(&'static str, String), Place>,
}

impl<'a> Merge<'a> {
    /// Starts with what must be known before anything is read: names of metrics and environments.
    pub(crate) fn new<'n>(documents: impl Iterator<Item = &'n Node>, sink: &'a mut Sink) -> Self {
        let mut merge = Self {
            sink,
            metrics: Metrics::default(),
            definition: Definition::default(),
            environments: Vec::new(),
            loose: Vec::new(),
            seen: BTreeMap::new(),
        };
        for document in documents {
            for (name, dimension, place) in document.get("metrics").map(read::metrics).unwrap_or_default() {
                if merge.is_new("metric", &name, &place) {
                    merge.metrics.declare(name, Some(dimension));
                }
            }
            let (measures, complaints) = document.get("metrics").map(read::measures).unwrap_or_default();
            complaints
                .into_iter()
                .for_each(|complaint| merge.sink.push(complaint));
            for (name, measure, place) in measures {
                if merge.is_new("measure of", &name, &place) {
                    merge.definition.measures.insert(name, measure);
                }
            }
            let environments = document
                .get("environments")
                .map(read::environments)
                .unwrap_or_default();
            merge
                .environments
                .extend(environments.into_iter().map(|e| e.name.value));
        }
        merge
    }

    pub(crate) fn environment_names(&self) -> Vec<String> {
        self.environments.clone()
    }

    fn is_new(&mut self, kind: &'static str, name: &str, place: &Place) -> bool {
        if let Some(first) = self.seen.get(&(kind, name.to_owned())) {
            let found = format!("{kind} `{}` is declared twice", short(name));
            let complaint = Diagnostic::error(place, found).help(format!("the first is at {first}"));
            self.sink.push(complaint);
            return false;
        }
        self.seen.insert((kind, name.to_owned()), place.clone());
        true
    }

    /// Takes a section that has been checked.
    pub(crate) fn section(&mut self, entry: &Entry) {
        let value = &*entry.value;
        match entry.key.as_str() {
            "pipeline" => self.pipeline(value),
            "trigger" | "triggers" => self.loose_triggers(value),
            "service" => self.service(value),
            "services" => value.items().iter().for_each(|item| self.service(item)),
            "environments" => self.environments_section(value),
            "groups" => self.groups(value),
            "policy" => self.policy(value),
            "clusters" => {
                for cluster in read::clusters(value) {
                    if self.is_new("cluster", &cluster.name.value, &cluster.name.place) {
                        self.definition.clusters.push(cluster);
                    }
                }
            }
            "builds" if self.is_new("section", "builds", &entry.key_place) => {
                self.definition.builds = read::builds(value);
            }
            "rollback_policy" => self.rollback_policy(value),
            // Metrics were read first; cost management has no effect; a second `builds` was complained about.
            _ => {}
        }
    }

    pub(crate) fn isolation(&mut self, entry: &Entry) {
        if self.is_new("isolation block", &entry.key, &entry.key_place) {
            self.definition.isolation.push(read::isolation(entry));
        }
    }

    fn pipeline(&mut self, value: &Node) {
        if let Some(pipeline) = read::pipeline(value, &self.metrics)
            && self.is_new("pipeline", &pipeline.name.value, &pipeline.name.place)
        {
            self.definition.pipelines.push(pipeline);
        }
    }

    fn loose_triggers(&mut self, value: &Node) {
        let triggers = read::trigger_list(value);
        self.loose.extend(triggers);
    }

    fn service(&mut self, value: &Node) {
        if let Some(service) = read::service(value)
            && self.is_new("service", &service.name.value, &service.name.place)
        {
            self.definition.services.push(service);
        }
    }

    fn environments_section(&mut self, value: &Node) {
        for environment in read::environments(value) {
            if self.is_new("environment", &environment.name.value, &environment.name.place) {
                self.definition.environments.push(environment);
            }
        }
    }

    fn groups(&mut self, value: &Node) {
        for (group, place) in read::groups(value) {
            if self.is_new("group", group.name.as_str(), &place) {
                self.definition.groups.push(group);
                self.definition.group_places.push(place);
            }
        }
    }

    fn policy(&mut self, value: &Node) {
        let policy = read::policy(value);
        for approval in policy.approvals {
            if self.is_new(
                "approval policy",
                &approval.environment.value,
                &approval.environment.place,
            ) {
                self.definition.policy.approvals.push(approval);
            }
        }
        if let Some(entry) = value.entry("pusher_may_approve")
            && self.is_new("policy key", "pusher_may_approve", &entry.key_place)
        {
            self.definition.policy.pusher_may_approve = policy.pusher_may_approve;
        }
    }

    fn rollback_policy(&mut self, value: &Node) {
        for rule in read::rollback_policy(value, &self.metrics) {
            match rule {
                Ok(rule) => self.definition.automatic_rollback.push(rule),
                Err(place) => {
                    let found = "a `duration` for a condition with `||`, `!` or its own `for`";
                    let help = "write one rule for each part, or `for 5m` after each comparison";
                    self.sink.push(Diagnostic::error(&place, found).help(help));
                }
            }
        }
    }

    /// Hands triggers outside of a pipeline to the one they name, or to the only one there is.
    pub(crate) fn finish(mut self) -> Definition {
        for (trigger, named) in std::mem::take(&mut self.loose) {
            self.hand_over(trigger, named);
        }
        self.definition.metrics = self.metrics;
        self.definition
    }

    fn hand_over(&mut self, trigger: Trigger, named: Option<Located<String>>) {
        let place = match &trigger {
            Trigger::Push { place, .. } | Trigger::Git { place, .. } => place.clone(),
        };
        let pipelines = &mut self.definition.pipelines;
        let names: Vec<String> = pipelines.iter().map(|p| p.name.value.clone()).collect();
        let names = || names.iter().map(String::as_str);
        let target = match &named {
            Some(name) => pipelines.iter_mut().find(|p| p.name.value == name.value),
            None if pipelines.len() == 1 => pipelines.first_mut(),
            None => None,
        };
        match (target, named) {
            (Some(pipeline), _) => pipeline.triggers.push(trigger),
            (None, Some(name)) => {
                let found = format!("unknown pipeline `{}`", short(&name.value));
                self.sink
                    .push(Diagnostic::reference(&name.place, found).nearest(&name.value, names()));
            }
            (None, None) => {
                let found = format!("a trigger for one of {} pipelines", names().count());
                let help = "name the pipeline with `pipeline:`, or move the trigger into it";
                let complaint = Diagnostic::reference(&place, found).help(help);
                // A watched repository starts nothing yet, whichever pipeline it is for.
                self.sink.push(match trigger {
                    Trigger::Git { .. } => Diagnostic::warning(&place, complaint.found).help(help),
                    Trigger::Push { .. } => complaint,
                });
            }
        }
    }
}
