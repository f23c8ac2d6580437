//! How near a candidate is to being sent back, drawn: time, each comparison between zero and its line, and the evidence.
//!
//! ```text
//! step 1 of 4            █████▊             3m 10s of 10m, until 06:24:00
//! ✓ error_rate > 2%      ████░░░░     │     0.8 %, at most 1.5 %; sees 2.3×
//! ! latency_p99 > 1000ms █████████████│███▶ 1.6 %, at most 4.0 %; sees 2.9×
//! evidence               ██                 2.1 : 1 (needs 847 : 1)
//! ```
//! Full blocks are what was counted, light ones what the truth may be beyond that; the bar stands at the line.

use weir_domain::judge::{Side, Standing, Stands, words};
use weir_domain::pipeline::RolloutRule;
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::time::Span;
use weir_domain::units::Weight;

use super::Look;
use super::text::{clean, cut, fit};

/// Columns of what a line is about.
const LABEL: usize = 23;
/// Columns of a bar on a page of 80, and the most of any.
const BAR: usize = 18;
const BAR_MAX: usize = 48;
/// Columns of the page beside the bar.
const BESIDE: usize = 62;
/// Parts of a full column.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// It is not known yet; shown to be within the line; over it as counted; shown to be over it.
const OPEN: char = '·';
const GOOD: char = '✓';
const DOUBTFUL: char = '!';
const BAD: char = '✗';

/// Lines about a rollout that has traffic.
pub(super) fn gauges(rollout: &Rollout, rule: &RolloutRule, look: &Look) -> Vec<String> {
    let wide = bar_of(look);
    let mut lines: Vec<String> = time(rollout, rule, look, wide).into_iter().collect();
    let judged = rollout.can_revert() && rollout.weight != Weight::ZERO;
    if let Some(condition) = rule.rollback.as_ref().filter(|_| judged) {
        let alpha = rollout.alpha(rule);
        let standings = rollout.weighing.standings(condition, rule.alpha, alpha);
        lines.extend(standings.iter().map(|one| standing(one, wide)));
        if let Some(evidence) = rollout.weighing.weigh(condition) {
            let bar = full(evidence.part_of_breach(alpha), wide);
            lines.push(line("evidence", &bar, &evidence.odds(alpha)));
        }
    }
    lines
        .iter()
        .map(|line| look.mark(&cut(line, look.width)))
        .collect()
}

/// A bar of a share of all requests.
pub(super) fn of_everything(weight: Weight, look: &Look) -> String {
    full(f64::from(weight.percent()) / 100.0, bar_of(look))
}

/// Columns of the bars of a page.
fn bar_of(look: &Look) -> usize {
    look.width.saturating_sub(BESIDE).clamp(BAR, BAR_MAX)
}

/// When traffic goes back if nothing changes, for a rollout that is held.
pub(super) fn deadline(rollout: &Rollout, rule: &RolloutRule, look: &Look) -> Option<String> {
    let held = |since, before: Span| since + Span(rule.hold_exposure.0.saturating_sub(before.0));
    let blind = rollout
        .blind_since
        .map(|since| (held(since, rollout.blind_before), "nothing can be measured"));
    let unfair = rollout
        .unfair_since
        .map(|since| (held(since, Span::ZERO), "the split stays wrong"));
    let asked = rollout.inconclusive.as_ref().and_then(|kept| kept.until);
    let asked = asked.map(|until| (until, "nobody lets the step pass"));
    let (until, why) = blind.or(unfair).or(asked)?;
    let (at, left) = (look.zone.time(until), whole(until.since(look.now)));
    Some(format!("traffic goes back at {at}, in {left}, if {why}"))
}

/// How far the step is in its time.
fn time(rollout: &Rollout, rule: &RolloutRule, look: &Look, wide: usize) -> Option<String> {
    let begun = rollout.changes.last().and_then(|change| change.accepted);
    let begun = begun.unwrap_or(rollout.since).max(rollout.since);
    let (label, from, hold) = match rollout.phase {
        Phase::Watching { step } => {
            let label = format!("step {} of {}", step + 1, rollout.plan.steps.len());
            (label, begun, rollout.plan.steps.get(step)?.hold)
        }
        Phase::Baking if look.now < rollout.since + rule.bake => {
            ("bake".to_owned(), rollout.since, rule.bake)
        }
        Phase::Baking => ("watch".to_owned(), rollout.since + rule.bake, rule.watch),
        _ => return None,
    };
    if hold == Span::ZERO {
        return None;
    }
    let gone = look.now.since(from);
    let bar = full(gone.0 as f64 / hold.0 as f64, wide);
    let until = from + hold;
    let words = match until > look.now {
        true => format!("{} of {hold}, until {}", whole(gone), look.zone.time(until)),
        false => format!("{hold} of {hold}, and {} more", whole(look.now.since(until))),
    };
    Some(line(&label, &bar, &words))
}

/// A time without parts of a second.
fn whole(span: Span) -> Span {
    Span::seconds(span.0 / 1_000)
}

fn standing(standing: &Standing, wide: usize) -> String {
    let name = clean(&standing.comparison);
    let (mark, bar, words) = match &standing.stands {
        Stands::Point { words, holds } => {
            let mark = if *holds { BAD } else { OPEN };
            let words = match words.as_str() {
                "" => "not measured yet".to_owned(),
                words => clean(words),
            };
            (mark, String::new(), words)
        }
        Stands::Share {
            counted,
            bounds: (low, high),
            line,
            side,
            shows,
        } => match counted.candidate.share() {
            None => (
                OPEN,
                against(0.0, 0.0, *line, wide),
                "nothing was counted yet".to_owned(),
            ),
            Some(share) => (
                mark(*side, (*low, share, *high), *line),
                against(share, *high, *line, wide),
                told(share, *high, *shows),
            ),
        },
    };
    line(&format!("{mark} {name}"), &bar, &words)
}

/// How a share stands to its line, which it may be at least, is counted to be, and may be at most.
fn mark(side: Side, (low, share, high): (f64, f64, f64), line: f64) -> char {
    let harm = |share: f64| match side {
        Side::Over => share > line,
        Side::Under => share < line,
    };
    match (harm(low), harm(share), harm(high)) {
        (true, _, true) => BAD,
        (_, true, _) => DOUBTFUL,
        (false, _, false) => GOOD,
        _ => OPEN,
    }
}

/// `0.8 %, at most 1.5 %; sees 2.3×`
fn told(share: f64, high: f64, shows: Option<f64>) -> String {
    let (share, high) = (words::percent(share), words::percent(high));
    match shows {
        Some(ratio) => format!("{share}, at most {high}; sees {ratio:.1}×"),
        None => format!("{share}, at most {high}; too few yet"),
    }
}

/// A share and what it may be, with the line at three quarters of the bar.
fn against(share: f64, high: f64, line: f64, wide: usize) -> String {
    let before = wide * 3 / 4;
    // Nothing is drawn of a share that is nothing, wherever the line is.
    let reaches = |at: usize, share: f64| share > 0.0 && (at as f64 + 0.5) / before as f64 * line <= share;
    let sign = |at: usize| match (reaches(at, share), reaches(at, high)) {
        (true, _) => '█',
        (false, true) => '░',
        (false, false) => ' ',
    };
    let beyond = before..wide - 1;
    let mut bar: String = (0..before)
        .map(sign)
        .chain(['│'])
        .chain(beyond.map(sign))
        .collect();
    if reaches(wide, high) {
        bar.pop();
        bar.push('▶');
    }
    bar
}

/// A bar of a part of everything.
fn full(part: f64, wide: usize) -> String {
    let eighths = (part.clamp(0.0, 1.0) * wide as f64 * 8.0).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.push(EIGHTHS[rest]);
    }
    fit(&bar, wide)
}

fn line(label: &str, bar: &str, words: &str) -> String {
    let label = fit(label, LABEL);
    match bar {
        "" => format!("{label}{words}"),
        bar => format!("{label}{bar} {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_drawn_between_nothing_and_its_line_and_beyond() {
        let table = [
            ((0.0, 0.0), "      │  "),
            ((0.0, 0.011), "░░░   │  "),
            ((0.01, 0.014), "███░  │  "),
            ((0.021, 0.024), "██████│░ "),
            ((0.03, 1.0), "██████│█▶"),
        ];
        for ((share, high), expected) in table {
            assert_eq!(against(share, high, 0.02, 9), expected, "{share} {high}");
        }
        // A line of nothing: whatever is over it is drawn over all.
        assert_eq!(against(0.01, 0.5, 0.0, 9), "██████│█▶");
    }

    #[test]
    fn a_mark_says_what_is_shown_and_what_is_only_counted() {
        let table = [
            (Side::Over, (0.001, 0.01, 0.015), GOOD),
            (Side::Over, (0.001, 0.01, 0.04), OPEN),
            (Side::Over, (0.01, 0.03, 0.06), DOUBTFUL),
            (Side::Over, (0.021, 0.03, 0.06), BAD),
            (Side::Under, (0.021, 0.03, 0.06), GOOD),
            (Side::Under, (0.001, 0.01, 0.04), DOUBTFUL),
            (Side::Under, (0.001, 0.01, 0.015), BAD),
        ];
        for (side, at, expected) in table {
            assert_eq!(mark(side, at, 0.02), expected, "{side:?} {at:?}");
        }
    }

    #[test]
    fn a_bar_has_parts_of_a_column() {
        assert_eq!(full(0.0, 4), "    ");
        assert_eq!(full(0.5, 4), "██  ");
        assert_eq!(full(0.4, 4), "█▋  ");
        assert_eq!(full(7.0, 4), "████");
    }
}
