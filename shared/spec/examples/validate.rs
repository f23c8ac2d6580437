//! Checks definition files and prints the complaints as text.

use std::io::Write;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let report = weir_spec::validate_paths(&paths)?;
    std::io::stdout().write_all(report.text(false).as_bytes())
}
