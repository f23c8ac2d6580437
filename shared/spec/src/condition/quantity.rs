//! Numbers with units, in the base unit of what they count.

use weir_domain::condition::{Dimension, Quantity};

use crate::shape::parse_span;

/// Reads `2%`, `1000ms`, `1m30s`, `8 GiB`, `120 tokens/s`, `3`. The error says what was expected.
pub(crate) fn parse_quantity(text: &str) -> Result<Quantity, String> {
    let text = text.trim();
    let wanted = "a number with a unit: %, ms, s, m, h, B, KiB, MiB, GiB, tokens/s, or none";
    if let Some(quantity) = of_parts(text) {
        return Ok(quantity);
    }
    let length = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
            .len();
    let (number, unit) = text.split_at(length);
    let value: f64 = number.parse().map_err(|_| wanted.to_owned())?;
    let unit = unit.trim_start();
    let (dimension, factor, divisor) = meaning(unit).ok_or_else(|| wanted.to_owned())?;
    let value = value * factor / divisor;
    if !value.is_finite() {
        return Err("a smaller number".into());
    }
    Ok(Quantity {
        value,
        dimension,
        written: format!("{number}{unit}"),
    })
}

/// A time of several parts, `1m30s`. One of a single part may have a point in it.
fn of_parts(text: &str) -> Option<Quantity> {
    let starts = |pair: &[u8]| !pair[0].is_ascii_digit() && pair[1].is_ascii_digit();
    if !text.as_bytes().windows(2).any(starts) {
        return None;
    }
    let span = parse_span(text).ok()?;
    Some(Quantity {
        value: span.as_seconds(),
        dimension: Dimension::Seconds,
        written: text.replace(' ', ""),
    })
}

/// Dimension of a unit, and the factor and divisor to its base unit; a division keeps `5%` at exactly 0.05.
fn meaning(unit: &str) -> Option<(Dimension, f64, f64)> {
    const KI: f64 = 1024.0;
    Some(match unit {
        "" | "requests/s" | "req/s" => (Dimension::Number, 1.0, 1.0),
        "%" => (Dimension::Ratio, 1.0, 100.0),
        "ms" => (Dimension::Seconds, 1.0, 1_000.0),
        "s" => (Dimension::Seconds, 1.0, 1.0),
        "m" => (Dimension::Seconds, 60.0, 1.0),
        "h" => (Dimension::Seconds, 3_600.0, 1.0),
        "B" => (Dimension::Bytes, 1.0, 1.0),
        "KiB" => (Dimension::Bytes, KI, 1.0),
        "MiB" => (Dimension::Bytes, KI * KI, 1.0),
        "GiB" => (Dimension::Bytes, KI * KI * KI, 1.0),
        "TiB" => (Dimension::Bytes, KI * KI * KI * KI, 1.0),
        "tokens/s" => (Dimension::TokensPerSecond, 1.0, 1.0),
        _ => return None,
    })
}

/// A dimension in words.
pub(super) fn spoken(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Ratio => "a percentage, for example 2%",
        Dimension::Seconds => "a time, for example 1000ms",
        Dimension::Bytes => "a size, for example 8GiB",
        Dimension::TokensPerSecond => "a rate, for example 50 tokens/s",
        Dimension::Number => "a plain number",
    }
}

/// The quantity as one of the dimension, if it is one: a plain number may stand for a proportion up to 1 and for a
/// rate, and nothing else is turned into anything.
pub(super) fn as_dimension(quantity: Quantity, wanted: Dimension) -> Option<Quantity> {
    let plain = quantity.dimension == Dimension::Number;
    let turns = match wanted {
        Dimension::Ratio => plain && quantity.value <= 1.0,
        Dimension::TokensPerSecond => plain,
        _ => false,
    };
    let fits = quantity.dimension == wanted || turns;
    fits.then_some(Quantity {
        dimension: wanted,
        ..quantity
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_base_units() {
        let table = [
            ("2%", 0.02, Dimension::Ratio),
            ("1000ms", 1.0, Dimension::Seconds),
            ("5s", 5.0, Dimension::Seconds),
            ("2 m", 120.0, Dimension::Seconds),
            ("1m30s", 90.0, Dimension::Seconds),
            ("1h 30m", 5_400.0, Dimension::Seconds),
            ("1s500ms", 1.5, Dimension::Seconds),
            ("1.5GiB", 1_610_612_736.0, Dimension::Bytes),
            ("50 tokens/s", 50.0, Dimension::TokensPerSecond),
            ("7", 7.0, Dimension::Number),
        ];
        for (text, value, dimension) in table {
            let quantity = parse_quantity(text).unwrap();
            assert_eq!((quantity.value, quantity.dimension), (value, dimension), "{text}");
        }
        for text in [
            "",
            "%",
            "1.2.3",
            "5 parsecs",
            "1e999",
            "ms",
            "--1",
            "NaN",
            "inf",
            "1m30",
            "1m30%",
            "1.5m30s",
            "5%2s",
        ] {
            assert!(parse_quantity(text).is_err(), "{text}");
        }
    }
}
