//! Values with a unit.

use weir_domain::judge::Alpha;
use weir_domain::time::Span;

/// The longest time that a definition may ask for, in milliseconds: a year.
const LONGEST: u64 = 366 * 86_400_000;

/// A length of time: `10m`, `1h30m`, `1h 30m`, `500ms`. Units: w, d, h, m, s, ms.
pub(crate) fn parse_span(text: &str) -> Result<Span, String> {
    let wanted = "a time with a unit, for example 30s, 10m, 24h or 7d";
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(wanted.into());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| wanted.to_owned())?;
        let factor = unit_ms(unit).ok_or_else(|| format!("{wanted} (units: ms, s, m, h, d, w)"))?;
        total = number
            .checked_mul(factor)
            .and_then(|part| total.checked_add(part))
            .filter(|sum| *sum <= LONGEST)
            .ok_or("a time of a year at most")?;
        rest = after.trim_start();
    }
    Ok(Span::millis(total))
}

/// Milliseconds of a unit of time.
pub(crate) fn unit_ms(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    })
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
