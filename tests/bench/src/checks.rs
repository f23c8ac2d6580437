//! Figures that stand beside the tables: Kayenta's published ones again, power said against power simulated, speed.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use weir_domain::judge::kayenta::{Class, Harm, classify};
use weir_domain::judge::power::{Step, chance};
use weir_domain::judge::{Alpha, Arms, Asked, Metric, Relative, Tally};

use crate::random::Random;

/// Prints all of them.
pub(crate) fn all(seeds: usize) {
    kayenta_again(seeds);
    power(seeds);
    speed();
}

/// False fails on identical N(100, 5), and power with 5 % noise and a shift of 5 %.
fn kayenta_again(seeds: usize) {
    println!(
        "\n## Kayenta's judge on plain series, {seeds} seeds (published: 22.9, 5.0, 1.1, at most 0.3; 14.5, 70.5, 95)\n"
    );
    let rate = |n: usize, shift: f64| {
        let mut random = Random::new(n as u64 * 31 + (shift * 1e3) as u64);
        let mut series = |mean: f64| (0..n).map(|_| mean + 5.0 * random.normal()).collect::<Vec<_>>();
        let harm = if shift > 0.0 { Harm::Increase } else { Harm::Either };
        let fired = (0..seeds).filter(|_| {
            let (control, experiment) = (series(100.0), series(100.0 * (1.0 + shift)));
            classify(&control, &experiment, harm) != Class::Pass
        });
        100.0 * fired.count() as f64 / seeds as f64
    };
    for n in [2, 3, 4, 5] {
        println!("- identical, n={n}: {:.1} %", rate(n, 0.0));
    }
    for n in [10, 30, 50] {
        println!("- +5 %, n={n}: {:.1} %", rate(n, 0.05));
    }
    println!(
        "- the same 30 points, and a hundred thousandth of each: another class in {} of 200 (published: 94)",
        (0..200).filter(|seed| class_depends_on_unit(*seed)).count()
    );
}

/// Kayenta looks for the ends of its interval with an absolute tolerance.
fn class_depends_on_unit(seed: u64) -> bool {
    let mut random = Random::new(seed);
    let mut series = |mean: f64| (0..30).map(|_| mean + 5.0 * random.normal()).collect::<Vec<_>>();
    let (control, experiment) = (series(100.0), series(105.0));
    let in_unit = |unit: f64| {
        let scaled = |series: &[f64]| series.iter().map(|v| v * unit).collect::<Vec<_>>();
        classify(&scaled(&control), &scaled(&experiment), Harm::Increase)
    };
    in_unit(1.0) != in_unit(1e-5)
}

/// What a step is said to show with 80 %, and how often it does.
fn power(seeds: usize) {
    println!("\n## Power before a step of 10 minutes, level 1 %, against {seeds} seeds\n");
    for (rate, weight) in [(5.0, 0.05), (5.0, 0.2), (50.0, 0.05), (50.0, 0.2)] {
        let step = Step {
            rate,
            weight,
            seconds: 600.0,
            level: 0.01,
        };
        println!("- {} ", step.statement(Alpha::default()));
        let shown = step.shows(Alpha::default()).unwrap_or(1.0);
        for ratio in [shown, 1.0 + (shown - 1.0) * 0.7] {
            let fired = (0..seeds).filter(|seed| fires(step, ratio, *seed as u64)).count();
            let requests = rate * 600.0;
            let said = chance(
                requests * weight,
                requests * (1.0 - weight),
                0.01,
                ratio,
                Alpha::default(),
            );
            println!(
                "  {ratio:.2}×: said {:.0} %, simulated {:.0} %",
                100.0 * said,
                100.0 * fired as f64 / seeds as f64
            );
        }
    }
}

fn fires(step: Step, ratio: f64, seed: u64) -> bool {
    let mut random = Random::new(seed);
    let mut metric = Metric::new(Asked::default());
    let requests = step.rate * 15.0;
    (0..40).any(|_| {
        let (a, b) = (
            random.poisson(requests * step.weight),
            random.poisson(requests * (1.0 - step.weight)),
        );
        metric.add(Arms {
            candidate: Tally::new(random.binomial(a, step.level * ratio), a),
            stable: Tally::new(random.binomial(b, step.level), b),
        });
        metric.shown().ln_e >= Alpha::default().ln_needed()
    })
}

fn speed() {
    println!("\n## Speed, one core\n");
    let arms = |i: u64| Arms {
        candidate: Tally::new(i % 3, 37),
        stable: Tally::new(5 + i % 5, 713),
    };
    let blocks = 1_000_000_u64;
    let relative = best_of(|| {
        let mut relative = Relative::default();
        (0..blocks).for_each(|i| relative.add(black_box(arms(i)), 1.0));
        black_box(relative.ln_e());
    });
    println!(
        "- evidence against stable: {:.2} million blocks a second",
        blocks as f64 / relative / 1e6
    );
    let mut metric = Metric::new(Asked {
        limit: Some(0.02),
        margin: None,
    });
    let whole = best_of(|| (0..blocks).for_each(|i| metric.add(black_box(arms(i)))));
    println!(
        "- a whole metric (stable, limit, bounds, bursts): {:.2} million blocks a second",
        blocks as f64 / whole / 1e6
    );
    let begun = Instant::now();
    (0..2_000).for_each(|_| {
        black_box(metric.ratio_bounds(0.01));
    });
    println!(
        "- bounds of the ratio: {:.1} µs",
        begun.elapsed().as_secs_f64() / 2_000.0 * 1e6
    );
}

/// Seconds of the quickest of five: others may use the same core.
fn best_of(mut work: impl FnMut()) -> f64 {
    let took = (0..5).map(|_| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64()
    });
    took.fold(f64::INFINITY, f64::min)
}
