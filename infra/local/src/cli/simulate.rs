//! `weir simulate`: the real engine in virtual time.

use weir_domain::pipeline::Pipeline;
use weir_simulation::{Told, WorldFile, simulate};
use weir_spec::{Definition, Diagnostic, ResourceFiles, Severity, Variables};

use super::args::Simulate as Args;
use super::definition::{read_definition, read_text};
use super::output::{Exit, Failure, Output};
use crate::words::chain;

/// Exit code 1: the candidate did not come through.
pub(super) fn answer(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let (files, scope) = read_definition(&args.pipeline)?;
    let loaded = weir_spec::load(&files, scope);
    if let Some(fault) = loaded.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        return Err(at(fault));
    }
    let name = name(&loaded.definition, args.name.as_deref())?;
    // Checked once beforehand, so that a fault of the definition is told as one.
    resolve(&loaded.definition, &name, &"0".repeat(40))?;
    let world = world(&read_text(&args.world)?)?;
    let pipeline = |commit: &str| {
        resolve(&loaded.definition, &name, commit)
            .expect("a commit's name does not change what can be resolved")
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| Failure::new(format!("the simulation could not start: {error}")))?;
    let told = runtime
        .block_on(simulate(pipeline, &world))
        .map_err(|error| Failure::new(chain(&error)))?;
    let value = serde_json::to_value(&told).map_err(|error| Failure::new(error.to_string()))?;
    out.answer(&value, || text(&told));
    Ok(Exit::Answered)
}

fn world(text: &str) -> Result<WorldFile, Failure> {
    let world: WorldFile = serde_json::from_str(text).map_err(|error| Failure {
        message: format!("the world cannot be read: {error}"),
        line: Some(error.line()),
        column: Some(error.column()),
    })?;
    match world.fault() {
        Some(fault) => Err(Failure::new(format!("the world cannot be: {fault}"))),
        None => Ok(world),
    }
}

fn name(definition: &Definition, wanted: Option<&str>) -> Result<String, Failure> {
    let names: Vec<&str> = definition
        .pipelines
        .iter()
        .map(|pipeline| pipeline.name.value.as_str())
        .collect();
    match (wanted, names.as_slice()) {
        (Some(name), names) if names.contains(&name) => Ok(name.to_owned()),
        (None, [one]) => Ok((*one).to_owned()),
        (_, []) => Err(Failure::new("the definition has no pipeline")),
        (Some(name), _) => Err(Failure::new(format!(
            "no pipeline `{name}`; there are: {}",
            names.join(", ")
        ))),
        (None, _) => Err(Failure::new(format!(
            "several pipelines, say --name: {}",
            names.join(", ")
        ))),
    }
}

fn resolve(definition: &Definition, name: &str, commit: &str) -> Result<Pipeline, Failure> {
    let variables = Variables {
        git_commit: commit.to_owned(),
        branch: "main".into(),
        run_id: "simulated".into(),
        registry: Some("registry".into()),
        ..Variables::default()
    };
    let resolved = weir_spec::resolve(definition, name, &variables, &ResourceFiles::default());
    resolved.map_err(|complaints| {
        complaints
            .first()
            .map_or_else(|| Failure::new("the definition cannot be resolved"), at)
    })
}

fn at(fault: &Diagnostic) -> Failure {
    Failure {
        message: format!("{}: {}; see weir validate", fault.place.file, fault.message()),
        line: Some(fault.place.line as usize),
        column: Some(fault.place.column as usize),
    }
}

fn text(told: &Told) -> String {
    let lines = told.timeline.iter().map(|moment| {
        let seconds = moment.at_s as u64;
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let at = format!("{hours}:{minutes:02}:{seconds:02}");
        format!("{at:>10}  {:<18} {}", moment.event, moment.detail)
    });
    let lines: Vec<String> = lines.collect();
    format!(
        "{}\n\n{}: {} GPUs at most, {} bad answers of the candidate, {:.2} USD",
        lines.join("\n"),
        told.result,
        told.gpu_peak,
        told.exposed_bad,
        told.cost_usd
    )
}
