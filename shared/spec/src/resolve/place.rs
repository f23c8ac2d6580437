//! Which environment and which service a step means.

use crate::definition::{Definition, EnvironmentDef, ServiceDef, StepDef, StepDefWork};
use crate::diagnostic::Diagnostic;
use crate::render::{list, short};

/// The environment of a step: the one it names, else the only one whose namespace is the step's, else the only one.
pub(super) fn environment<'a>(
    definition: &'a Definition,
    step: &StepDef,
) -> Result<&'a EnvironmentDef, Box<Diagnostic>> {
    let all = &definition.environments;
    let names = || all.iter().map(|e| e.name.value.as_str());
    let namespace = match &step.work {
        StepDefWork::Rollout(rollout) => rollout.namespace.as_ref(),
        _ => None,
    };
    if let Some(written) = &step.environment {
        let found = all
            .iter()
            .find(|e| e.name.value == written.value)
            .ok_or_else(|| {
                let found = format!("unknown environment `{}`", short(&written.value));
                Box::new(
                    Diagnostic::reference(&written.place, found)
                        .expected(known(names()))
                        .nearest(&written.value, names()),
                )
            })?;
        return match namespace.filter(|namespace| namespace.value != found.namespace()) {
            None => Ok(found),
            Some(other) => {
                let said = format!(
                    "namespace `{}` is not that of {}",
                    short(&other.value),
                    found.name.value
                );
                Err(Box::new(
                    Diagnostic::error(&other.place, said).expected(format!("`{}`", found.namespace())),
                ))
            }
        };
    }
    let fitting: Vec<&EnvironmentDef> = match namespace {
        Some(namespace) => all.iter().filter(|e| e.namespace() == namespace.value).collect(),
        None => all.iter().collect(),
    };
    match fitting.as_slice() {
        [one] => return Ok(one),
        [] => {}
        [..] if namespace.is_none() => {}
        several => {
            let names = list(several.iter().map(|e| e.name.value.as_str()));
            let found = format!(
                "several environments fit the step `{}`: {names}",
                short(&step.name.value)
            );
            return Err(Box::new(
                Diagnostic::reference(&step.name.place, found).help("name one with `environment:`"),
            ));
        }
    }
    Err(Box::new(match namespace {
        Some(namespace) => {
            let found = format!("no environment has the namespace `{}`", short(&namespace.value));
            let near: Vec<String> = all.iter().map(EnvironmentDef::namespace).collect();
            let names = near.iter().map(String::as_str);
            Diagnostic::reference(&namespace.place, found)
                .expected(known(names.clone()))
                .nearest(&namespace.value, names)
        }
        None => {
            let found = format!("the step `{}` names no environment", short(&step.name.value));
            Diagnostic::reference(&step.name.place, found)
                .expected(known(names()))
                .help("name one with `environment:`")
        }
    }))
}

/// The service of a step among the declared ones; `Ok(None)`: none is declared, and its manifests must say.
pub(super) fn service<'a>(
    definition: &'a Definition,
    step: &StepDef,
) -> Result<Option<&'a ServiceDef>, Box<Diagnostic>> {
    let all = &definition.services;
    let names = || all.iter().map(|s| s.name.value.as_str());
    if let Some(written) = &step.service {
        return all
            .iter()
            .find(|s| s.name.value == written.value)
            .map(Some)
            .ok_or_else(|| {
                let found = format!("unknown service `{}`", short(&written.value));
                let complaint = Diagnostic::reference(&written.place, found).expected(known(names()));
                Box::new(complaint.nearest(&written.value, names()))
            });
    }
    match all.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => {
            let names = list(several.iter().map(|s| s.name.value.as_str()));
            let found = format!(
                "the step `{}` names none of the services: {names}",
                short(&step.name.value)
            );
            Err(Box::new(
                Diagnostic::error(&step.name.place, found).help("name one with `service:`"),
            ))
        }
    }
}

/// Declared names in a sentence.
pub(super) fn known<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = list(names);
    if names.is_empty() {
        "one that is declared; none is".into()
    } else {
        format!("one of: {names}")
    }
}
