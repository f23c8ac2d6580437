//! `make bench-judge`: Weir's judge and the rules of others on the same traffic.
//!
//! Everything is drawn from seeds: the same binary prints the same figures. `bench-judge [SEEDS] [FOLDER] [WORDS]`: the plots
//! go to the folder; with words, only the scenarios that have them in their name are run.
#![allow(clippy::print_stdout, reason = "its figures are its output")]

mod agreement;
mod checks;
mod contest;
mod exposure;
mod goals;
mod random;
mod report;
mod rules;
mod tally;
mod traffic;
mod weir;

use std::path::PathBuf;

/// Seeds per scenario unless the command line says otherwise.
const SEEDS: usize = 2_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seeds = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SEEDS);
    let folder = arguments.next().map(PathBuf::from);
    let words = arguments.next().unwrap_or_default();
    let many = report::traffic(50.0, seeds, folder.as_deref(), &words);
    let few = report::traffic(5.0, seeds, None, &words);
    if words.is_empty() {
        goals::print(&many, &few);
        checks::all(seeds);
    }
}
