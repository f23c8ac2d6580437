//! What people see of runs, as pure functions from state to text. Everything that somebody outside chose is escaped on
//! its way; nothing is said by colour alone; lines fit 80 columns.

mod gauges;
mod line;
mod list;
mod live;
mod rollout;
#[cfg(test)]
pub(crate) mod sample;
mod show;
pub(crate) mod text;
mod timeline;
mod zone;

pub(crate) use line::line;
pub(crate) use list::list;
pub(crate) use live::live;
pub(crate) use show::show;
pub(crate) use zone::Zone;

use weir_domain::approval::{ApprovalState, progress, words_of};
use weir_domain::experiment::leader_of;
use weir_domain::run::{PartStatus, Run};
use weir_domain::time::Timestamp;

use text::clean;

/// How something is shown.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// The reader's zone.
    pub(crate) zone: Zone,
    /// Columns of a line: at least 80, but for a page that is drawn over itself.
    pub(crate) width: usize,
    /// Whether words of state may be coloured.
    pub(crate) color: bool,
    /// Lines of a page that is drawn again.
    pub(crate) height: usize,
    /// Now.
    pub(crate) now: Timestamp,
}

impl Look {
    /// Colours a word of state.
    fn state(&self, word: &str) -> String {
        let code = match word {
            "succeeded" => "32",
            "failed" | "rolled back" => "31",
            "running" => "36",
            _ => return word.to_owned(),
        };
        match self.color {
            true => colored(word, code),
            false => word.to_owned(),
        }
    }

    /// Colours the mark that a line of the page begins with.
    fn mark(&self, line: &str) -> String {
        let code = match line.chars().next() {
            Some('✓') => "32",
            Some('!') => "33",
            Some('✗') => "31",
            _ => return line.to_owned(),
        };
        match (self.color, line.split_once(' ')) {
            (true, Some((mark, rest))) => format!("{} {rest}", colored(mark, code)),
            _ => line.to_owned(),
        }
    }
}

fn colored(word: &str, code: &str) -> String {
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

/// `LLM-Model-Update #42`.
pub(crate) fn name(run: &Run) -> String {
    clean(&run.title())
}

/// First ten digits of a commit.
fn short(commit: &str) -> String {
    clean(&commit.chars().take(10).collect::<String>())
}

/// The environments that a run brings its commit to, in order.
fn environments(run: &Run) -> String {
    let mut names: Vec<String> = Vec::new();
    for (id, ..) in run.steps() {
        if let Some(rule) = run.rule(id) {
            let name = clean(rule.lane.environment.as_str());
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.join(", ")
}

/// One word for how a part stands.
fn part_word(status: &PartStatus) -> &'static str {
    match status {
        PartStatus::Pending => "pending",
        PartStatus::Running => "running",
        PartStatus::Succeeded => "succeeded",
        PartStatus::Failed { .. } => "failed",
        PartStatus::Stopped => "stopped",
        PartStatus::Skipped => "skipped",
    }
}

/// What a run does or waits for now, one sentence each.
fn doing(run: &Run, zone: &Zone) -> Vec<String> {
    let mut now: Vec<String> = run.partly_back().map(|words| clean(&words)).into_iter().collect();
    for (index, stage) in run.stages.iter().enumerate() {
        let (Some(approval), Some(rule)) = (&stage.approval, run.approval_rule(index)) else {
            continue;
        };
        if approval.state == ApprovalState::Waiting {
            let needs = words_of(&progress(approval, rule, &run.pipeline.groups));
            now.push(format!(
                "waits for approval: {}, expires {}",
                clean(&needs),
                zone.full(approval.expires)
            ));
        }
    }
    for (id, step, state) in run
        .steps()
        .filter(|(.., state)| state.status == PartStatus::Running)
    {
        let mut words = clean(&step.name);
        if let Some(rollout) = &state.rollout {
            words.push_str(&format!(": {}", rollout.words()));
        }
        let leader = leader_of(&run.pipeline, id);
        if let Some(experiment) = leader.and_then(|leader| run.experiment(leader)) {
            words.push_str(&format!(": {}", experiment.words()));
        }
        if !state.waits_for.is_empty() {
            words.push_str(&format!("; {}", clean(&state.waits_for)));
        }
        now.push(words);
    }
    now
}
