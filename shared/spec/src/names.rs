//! Rules across sections that concern no single pipeline.

use std::collections::BTreeMap;

use weir_domain::people::{Group, Person};

use crate::definition::{Definition, PipelineDef, Trigger};
use crate::diagnostic::{Diagnostic, Sink};
use crate::render::{list, short};
use crate::resolve::check_need;
use crate::source::Place;

pub(crate) fn check(definition: &Definition, sink: &mut Sink) {
    policy(definition, sink);
    isolation(definition, sink);
    adoptions(definition, sink);
    clusters(definition, sink);
    providers(definition, sink);
    for rule in &definition.automatic_rollback {
        crate::weighed::check(&rule.condition, &rule.place, &definition.measures, sink);
    }
    people(definition, sink);
    definition
        .pipelines
        .iter()
        .for_each(|pipeline| triggers(pipeline, sink));
}

fn policy(definition: &Definition, sink: &mut Sink) {
    let names = || definition.environments.iter().map(|e| e.name.value.as_str());
    for approval in &definition.policy.approvals {
        let written = &approval.environment;
        if !names().any(|name| name == written.value) {
            let found = format!(
                "a policy for `{}`, which is no environment",
                short(&written.value)
            );
            sink.push(Diagnostic::reference(&written.place, found).nearest(&written.value, names()));
        }
        approval
            .needs
            .iter()
            .for_each(|need| check_need(definition, need, sink));
    }
}

/// A block for an environment that nobody declares does nothing; with several files that is worth a word.
fn isolation(definition: &Definition, sink: &mut Sink) {
    if definition.environments.is_empty() {
        return;
    }
    for block in &definition.isolation {
        let name = &block.name.value;
        let fits = |e: &&crate::definition::EnvironmentDef| {
            e.name.value == *name || e.name.value.eq_ignore_ascii_case(name) || e.namespace() == *name
        };
        if !definition.environments.iter().any(|e| fits(&e)) {
            let found = format!("`{name}` has no effect: no environment has that name or namespace");
            sink.push(Diagnostic::warning(&block.name.place, found));
        }
    }
}

/// A service that nobody declares adopts nothing, and its first release would go to everything at once.
fn adoptions(definition: &Definition, sink: &mut Sink) {
    if definition.services.is_empty() {
        return;
    }
    let names = || definition.services.iter().map(|s| s.name.value.as_str());
    for (service, _) in definition.environments.iter().flat_map(|e| &e.adopt) {
        if !names().any(|name| name == service.value) {
            let found = format!("`adopt` for `{}`, which is no service", short(&service.value));
            sink.push(Diagnostic::reference(&service.place, found).nearest(&service.value, names()));
        }
    }
}

fn clusters(definition: &Definition, sink: &mut Sink) {
    if definition.clusters.is_empty() {
        return;
    }
    let names = || {
        definition
            .clusters
            .iter()
            .map(|cluster| cluster.name.value.as_str())
    };
    let environments = definition
        .environments
        .iter()
        .map(|environment| &environment.cluster);
    for cluster in environments.chain(definition.builds.cluster.as_ref()) {
        if !names().any(|name| name == cluster.value) {
            let found = format!(
                "cluster `{}` is not in `clusters`: the host must know it",
                short(&cluster.value)
            );
            sink.push(Diagnostic::warning(&cluster.place, found).nearest(&cluster.value, names()));
        }
    }
}

/// What cannot be driven yet is told before a run is refused for it.
fn providers(definition: &Definition, sink: &mut Sink) {
    for environment in definition
        .environments
        .iter()
        .filter(|e| !e.provider.can_be_driven())
    {
        let found = format!(
            "{} cannot be driven yet: a run that would reach `{}` is refused before it starts",
            environment.provider.as_str(),
            short(&environment.name.value)
        );
        sink.push(Diagnostic::warning(&environment.name.place, found));
    }
}

/// An identity belongs to one name, and a name has one set of identities: else nobody can tell who acted.
fn people(definition: &Definition, sink: &mut Sink) {
    let mut by_name: BTreeMap<&str, &Person> = BTreeMap::new();
    let mut by_identity: BTreeMap<String, &str> = BTreeMap::new();
    for (group, place) in definition.groups.iter().zip(&definition.group_places) {
        repeated(group, place, sink);
        for person in &group.members {
            let name = person.name.as_str();
            if *by_name.entry(name).or_insert(person) != person {
                let found = format!("`{}` is declared twice with different identities", short(name));
                sink.push(Diagnostic::error(place, found));
                continue;
            }
            let identities = identities(person);
            if identities.is_empty() {
                let found = format!("`{}` has no identity and cannot approve", short(name));
                let help = "add `slack:`, `github:` or `uid:`";
                sink.push(Diagnostic::warning(place, found).help(help));
            }
            for identity in identities {
                let owner = by_identity.entry(identity.clone()).or_insert(name);
                if *owner != name {
                    let found = format!("{identity} is `{}` and `{}`", short(owner), short(name));
                    sink.push(Diagnostic::error(place, found).expected("one person"));
                }
            }
        }
    }
}

fn repeated(group: &Group, place: &Place, sink: &mut Sink) {
    for (i, person) in group.members.iter().enumerate() {
        if group.members[..i].iter().any(|other| other.name == person.name) {
            let found = format!(
                "`{}` is twice in group `{}`",
                short(person.name.as_str()),
                group.name
            );
            sink.push(Diagnostic::error(place, found));
        }
    }
}

fn identities(person: &Person) -> Vec<String> {
    let slack = person.slack.iter().map(|id| format!("Slack user {}", short(id)));
    let github = person
        .github
        .iter()
        .map(|login| format!("GitHub user {}", short(&login.to_lowercase())));
    let uid = person.uid.iter().map(|uid| format!("user id {uid}"));
    slack.chain(github).chain(uid).collect()
}

/// Lists that exclude one another, and lists that can never match.
fn triggers(pipeline: &PipelineDef, sink: &mut Sink) {
    for trigger in &pipeline.triggers {
        let (branches, paths, place) = match trigger {
            Trigger::Push {
                branches,
                branches_ignore,
                paths,
                paths_ignore,
                place,
                ..
            } => {
                both("branches", branches, branches_ignore, place, sink);
                both("paths", paths, paths_ignore, place, sink);
                (branches, paths, place)
            }
            Trigger::Git {
                branches,
                paths,
                on_change,
                place,
                ..
            } => {
                if on_change.is_none() {
                    let found = "a Git trigger has no effect yet: a `Webhook` trigger starts runs";
                    sink.push(Diagnostic::warning(place, found));
                }
                (branches, paths, place)
            }
        };
        for (name, patterns) in [("branches", branches), ("paths", paths)] {
            if !patterns.is_empty() && patterns.iter().all(|pattern| pattern.starts_with('!')) {
                let found = format!(
                    "`{name}` only excludes: {}",
                    list(patterns.iter().map(String::as_str))
                );
                let complaint = Diagnostic::error(place, found).expected("at least one pattern without `!`");
                sink.push(complaint.help(format!("put `'**'` first, or write `{name}_ignore`")));
            }
        }
    }
}

fn both(name: &str, wanted: &[String], ignored: &[String], place: &Place, sink: &mut Sink) {
    if !wanted.is_empty() && !ignored.is_empty() {
        let found = format!("`{name}` and `{name}_ignore` in one trigger");
        sink.push(
            Diagnostic::error(place, found)
                .expected("one of them")
                .help("exclude with `!` in the list"),
        );
    }
}
