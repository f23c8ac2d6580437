//! Kubernetes quantities: `500m`, `1.5Gi`, `2e3`.

use serde_json::Value;
use weir_domain::fit::{CPU, Resources, is_device};

use super::SnapshotError;

/// Digits of a quantity that are looked at; the API server allows no more than fit into 64 bits.
const MAX_DIGITS: usize = 30;

/// What an amount is.
pub(super) const EXPECTED: &str = "an amount such as 4, 500m or 40Gi";

/// An amount in the domain's unit: CPU in thousandths, everything else in ones, rounded up.
pub(crate) fn amount(resource: &str, value: &Value) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    parse(
        &text,
        if resource == CPU || resource.ends_with(".cpu") {
            3
        } else {
            0
        },
    )
}

/// Whether an amount is a whole number, as Kubernetes demands of what is not its own.
fn is_whole(value: &Value) -> bool {
    // Counted in thousandths, as that of CPU is.
    amount(CPU, value).is_none_or(|thousandths| thousandths == i64::MAX || thousandths % 1_000 == 0)
}

/// Reads a `ResourceList`: amounts that Kubernetes takes.
pub(crate) fn resources(list: &Value, of: &str) -> Result<Resources, SnapshotError> {
    let entries = list.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| {
            let wrong = |expected| SnapshotError::Quantity {
                resource: name.clone(),
                of: of.to_owned(),
                text: value.to_string(),
                expected,
            };
            match amount(name, value) {
                None => Err(wrong(EXPECTED)),
                Some(amount) if amount < 0 => Err(wrong("0 or more")),
                Some(_) if is_device(name) && !is_whole(value) => Err(wrong("a whole number")),
                Some(amount) => Ok((name.clone(), amount)),
            }
        })
        .collect()
}

/// The number times ten to the power of `shift`, rounded up.
fn parse(text: &str, shift: i32) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() + fraction.len() > MAX_DIGITS {
        return None;
    }
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let (factor, exponent) = scale(suffix)?;
    let exponent = exponent + shift - i32::try_from(fraction.len()).ok()?;
    let scaled = digits.checked_mul(factor)?;
    let ten = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let exact = if exponent >= 0 {
        scaled.checked_mul(ten)?
    } else {
        (scaled + ten - 1).checked_div(ten)?
    };
    let limited = i64::try_from(exact).unwrap_or(i64::MAX);
    Some(if negative { -limited } else { limited })
}

/// What a suffix multiplies by: a factor, and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    const DECIMAL: [(&str, i32); 10] = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("", 0),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(power) = BINARY.iter().position(|name| *name == suffix) {
        return Some((1_i128 << (10 * (power + 1)), 0));
    }
    if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((1, *exponent));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (-30..=18).contains(&exponent).then_some((1, exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_the_api_server_reads_them() {
        let table = [
            ("cpu", "1", Some(1000)),
            ("cpu", "500m", Some(500)),
            ("cpu", "0.1", Some(100)),
            ("cpu", "1e-1", Some(100)),
            ("cpu", "100u", Some(1)),
            ("cpu", "1n", Some(1)),
            ("memory", "1Gi", Some(1 << 30)),
            ("memory", "1.5Gi", Some(3 << 29)),
            ("memory", "128974848", Some(128_974_848)),
            ("memory", "129e6", Some(129_000_000)),
            ("memory", "129M", Some(129_000_000)),
            ("memory", "123Mi", Some(123 << 20)),
            ("memory", "100m", Some(1)),
            ("memory", "1E", Some(1_000_000_000_000_000_000)),
            ("memory", "16Ei", Some(i64::MAX)),
            ("nvidia.com/gpu", "8", Some(8)),
            ("pods", "110", Some(110)),
            ("memory", ".5Gi", Some(1 << 29)),
            ("memory", "", None),
            ("memory", "Gi", None),
            ("memory", "1 Gi", None),
            ("memory", "1gi", None),
            ("memory", "1e99", None),
            ("memory", "1.2.3", None),
        ];
        for (resource, text, expected) in table {
            assert_eq!(
                amount(resource, &Value::from(text)),
                expected,
                "{text} of {resource}"
            );
        }
        assert_eq!(amount("nvidia.com/gpu", &Value::from(4)), Some(4));
        assert_eq!(amount("cpu", &Value::from(0.5)), Some(500));
    }
}
