//! `weir simulate`: the real engine in virtual time.

use weir_domain::json;
use weir_simulation::{Told, WorldFile, simulate};

use super::args::Simulate as Args;
use super::definition::{read_text, sound};
use super::output::{Exit, Failure, Output};
use weir_app::with_causes;

/// Exit code 1: the candidate did not come through.
pub(super) fn answer(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let sound = sound(&args.pipeline)?;
    let name = &sound.pipeline(args.name.as_deref())?.name.value;
    // Checked once beforehand, so that a fault of the definition is told as one.
    sound
        .resolve(name, None)
        .map_err(|complaints| Failure::unresolved(&complaints))?;
    let world = world(&read_text(&args.world)?)?;
    let pipeline = |commit: &str| {
        sound
            .resolve(name, Some(commit))
            .expect("a commit's name does not change what can be resolved")
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| Failure::new(format!("the simulation could not start: {error}")))?;
    let told = runtime
        .block_on(simulate(pipeline, &world))
        .map_err(|error| Failure::new(with_causes(&error)))?;
    let value = serde_json::to_value(&told).map_err(|error| Failure::new(error.to_string()))?;
    out.answer(&value, || text(&told));
    Ok(Exit::Answered)
}

fn world(text: &str) -> Result<WorldFile, Failure> {
    let world: WorldFile = json::read(text).map_err(|fault| Failure::unread("the world", &fault))?;
    match world.fault() {
        Some(fault) => Err(Failure::new(format!("the world cannot be: {fault}"))),
        None => Ok(world),
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
    let notes: String = told.notes.iter().map(|note| format!("\nnote: {note}")).collect();
    format!(
        "{}\n\n{}: {} GPUs at most, {} bad answers of the candidate, {:.2} USD{notes}",
        lines.join("\n"),
        told.result,
        told.gpu_peak,
        told.exposed_bad,
        told.cost_usd
    )
}
