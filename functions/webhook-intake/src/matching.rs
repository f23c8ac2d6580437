//! Which pipelines of a definition a push starts.

use weir_github::{Answer, Filter, FilterSpec, Push};
use weir_spec::{Definition, Trigger};

/// Every pipeline once, with the first of its triggers that runs, or why none does.
pub fn matching(definition: &Definition, push: &Push) -> Vec<(String, Answer)> {
    definition
        .pipelines
        .iter()
        .map(|pipeline| (pipeline.name.value.clone(), any(&pipeline.triggers, push)))
        .collect()
}

fn any(triggers: &[Trigger], push: &Push) -> Answer {
    let mut reasons = Vec::new();
    for answer in triggers.iter().map(|trigger| one(trigger, push)) {
        if answer.runs() {
            return answer;
        }
        reasons.push(answer.reason().to_owned());
    }
    match reasons.is_empty() {
        true => Answer::Ignore("the pipeline has no trigger".into()),
        false => Answer::Ignore(reasons.join("; ")),
    }
}

fn one(trigger: &Trigger, push: &Push) -> Answer {
    match trigger {
        Trigger::Push {
            branches,
            branches_ignore,
            tags,
            paths,
            paths_ignore,
            ..
        } => {
            let spec = FilterSpec {
                branches: branches.clone(),
                branches_ignore: branches_ignore.clone(),
                tags: tags.clone(),
                paths: paths.clone(),
                paths_ignore: paths_ignore.clone(),
                ..FilterSpec::default()
            };
            match Filter::compile(&spec) {
                Ok(filter) => filter.decide(push),
                Err(error) => Answer::Ignore(format!("the trigger cannot be used: {error}")),
            }
        }
        Trigger::Git { repo, .. } => Answer::Ignore(format!(
            "it watches {repo} instead of pushes, which starts nothing yet"
        )),
    }
}
