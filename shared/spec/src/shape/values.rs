//! Values with a unit.

use weir_domain::judge::Alpha;
use weir_domain::time::{NotASpan, Span};

/// The longest time that a definition may ask for: a year.
const LONGEST: Span = Span::hours(366 * 24);

/// A length of time as a definition may ask for: a year at most.
pub(crate) fn parse_span(text: &str) -> Result<Span, String> {
    let wanted = "a time with a unit, for example 30s, 10m, 24h or 7d";
    match text.parse() {
        Ok(span) if span <= LONGEST => Ok(span),
        Ok(_) | Err(NotASpan::TooLong) => Err("a time of a year at most".to_owned()),
        Err(NotASpan::Unit) => Err(format!("{wanted} (units: ms, s, m, h, d, w)")),
        Err(NotASpan::Shape) => Err(wanted.to_owned()),
    }
}

/// A percentage: `5`, `98.5`, `70%`.
pub(crate) fn parse_percent(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%').map_or(text, str::trim_end);
    let shaped = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    shaped.then(|| number.parse().ok()).flatten()
}

/// A chance above 0 and below 1: `1%`, `0.01`. A plain `1` is no chance, whatever was meant.
pub(crate) fn parse_chance(text: &str) -> Option<Alpha> {
    let number = parse_percent(text)?;
    let parts = if text.ends_with('%') { 100.0 } else { 1.0 };
    Alpha::new(number / parts)
}

/// Whether Kubernetes reads the text as a quantity.
pub(super) fn is_quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 15] = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi",
    ];
    let digits = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
            .len();
    let (number, suffix) = text.split_at(digits);
    number.parse::<f64>().is_ok() && SUFFIXES.contains(&suffix)
}

/// Whether Kubernetes takes the text as the name of an object or container.
pub(super) fn is_dns_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().last())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// What is wrong with a path that must stay inside the commit.
pub(super) fn path_fault(text: &str) -> Option<&'static str> {
    let windows = text.len() >= 2 && text.as_bytes()[1] == b':';
    if text.starts_with('/') || text.starts_with('~') || windows {
        return Some("a path relative to the root of the repository");
    }
    if text.contains('\\') || text.chars().any(char::is_control) {
        return Some("a path with `/` between its parts");
    }
    if text.split('/').any(|part| part == ".." || part == ".git") {
        return Some("a path that stays inside the commit");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units_and_nothing_else() {
        let table = [
            ("500ms", 500),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ];
        for (text, ms) in table {
            assert_eq!(parse_span(text), Ok(Span::millis(ms)), "{text}");
        }
        for text in [
            "",
            "10",
            "m",
            "10 minutes",
            "-5m",
            "1.5h",
            "5M",
            "99999999999999999999s",
            "9000d",
            "10m!",
        ] {
            assert!(parse_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_that_leave_the_commit_are_refused() {
        for path in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "~/x",
            "C:\\x",
            "a\\..\\b",
            ".git/config",
        ] {
            assert!(path_fault(path).is_some(), "{path}");
        }
        for path in ["a.yaml", "deploy/a.yaml", "./a.yaml", "a..b/c.yaml"] {
            assert!(path_fault(path).is_none(), "{path}");
        }
    }

    #[test]
    fn quantities_are_kubernetes_own() {
        for text in ["8Gi", "4", "500m", "0.5", "16G"] {
            assert!(is_quantity(text), "{text}");
        }
        for text in ["8GB", "lots", "", "Gi", "8 Gi", "-1"] {
            assert!(!is_quantity(text), "{text}");
        }
    }
}
