//! Moments, as senders write them.

use serde::Deserialize;
use weir_domain::time::Timestamp;

/// Larger numbers are milliseconds, smaller ones seconds: as seconds this one lies in the year 5138, as milliseconds in
/// 1973.
const MILLIS_FROM: f64 = 1e11;

/// RFC 3339, or seconds or milliseconds since 1970 as a number or its text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Moment {
    Number(f64),
    Text(String),
}

impl Moment {
    /// When; nothing: it cannot be read.
    pub(crate) fn read(&self) -> Option<Timestamp> {
        match self {
            Self::Number(number) => from_number(*number),
            Self::Text(text) => {
                let number = text.trim().parse().ok().and_then(from_number);
                number.or_else(|| from_text(text.trim()))
            }
        }
    }
}

fn from_number(number: f64) -> Option<Timestamp> {
    let millis = if number < MILLIS_FROM {
        number * 1_000.0
    } else {
        number
    };
    let known = (0.0..1e15).contains(&millis);
    known.then_some(Timestamp(millis as i64))
}

/// CloudWatch writes the zone as `+0000`, without the colon that RFC 3339 wants.
fn from_text(text: &str) -> Option<Timestamp> {
    let text = match text.strip_suffix("+0000") {
        Some(local) => format!("{local}Z"),
        None => text.to_owned(),
    };
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sender_s_way_of_writing_is_read() {
        let expected = Some(Timestamp(1_764_072_000_123));
        for text in [
            r#""2025-11-25T12:00:00.123Z""#,
            r#""2025-11-25T12:00:00.123+0000""#,
            r#""2025-11-25T13:00:00.123+01:00""#,
            r#""1764072000123""#,
            "1764072000123",
            "1764072000.123",
        ] {
            let moment: Moment = serde_json::from_str(text).unwrap();
            assert_eq!(moment.read(), expected, "{text}");
        }
        for text in [r#""yesterday""#, r#""""#, "-1", "1e300", r#""NaN""#] {
            let moment: Moment = serde_json::from_str(text).unwrap();
            assert_eq!(moment.read(), None, "{text}");
        }
    }
}
