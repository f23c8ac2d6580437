//! `weir validate PATH…`

use super::args::Validate;
use super::output::{Exit, Failure, Output};

pub(super) fn validate(args: &Validate, out: &mut Output) -> Result<Exit, Failure> {
    for path in &args.paths {
        std::fs::metadata(path).map_err(|error| Failure::reading(path, &error))?;
    }
    let report = weir_spec::validate_paths(&args.paths)
        .map_err(|error| Failure::new(format!("the definition cannot be read: {error}")))?;
    let color = out.color;
    out.answer(&report, || report.text(color));
    Ok(if report.valid {
        Exit::Answered
    } else {
        Exit::Negative
    })
}
