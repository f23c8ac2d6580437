//! `weir runs`.

use weir_domain::run::Run;

use super::text::{cut, fit};
use super::{Look, doing, name, short};

/// Runs as they were given, a line each, and a line for what those that go on do or wait for.
pub(crate) fn list(runs: &[Run], look: &Look) -> String {
    if runs.is_empty() {
        return "no runs yet: push, or start one with `weir run`\n".into();
    }
    let mut out = format!(
        "{:<28} {:<10} {:<11} {:<26} TOOK\n",
        "RUN", "COMMIT", "STATUS", "BEGAN"
    );
    for run in runs {
        let took = run.ended.unwrap_or(look.now).since(run.began).to_string();
        let status = run.status.word().replace('_', " ");
        let padding = " ".repeat(11_usize.saturating_sub(status.len()));
        out.push_str(&format!(
            "{} {} {}{padding} {} {took}\n",
            fit(&name(run), 28),
            fit(&short(run.cause.after.as_str()), 10),
            look.state(&status),
            fit(&look.zone.full(run.began), 26),
        ));
        for words in doing(run, &look.zone) {
            out.push_str(&format!("  {}\n", cut(&words, look.width - 2)));
        }
    }
    out
}
