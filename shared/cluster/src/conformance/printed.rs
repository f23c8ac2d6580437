//! What `weir conformance --format json` printed, read again for plans to count on.

use serde_json::Value;
use weir_domain::seen::Bounds;
use weir_domain::time::Span;

use super::What;

/// Nothing is waited for so long: a bound beyond it was not measured.
const MOST: Span = Span::minutes(10);

/// The bounds in it.
///
/// # Errors
/// What stands where a bound is expected, in words.
pub fn bounds(printed: &Value) -> Result<Bounds, String> {
    Ok(Bounds {
        observed: bound(printed, What::Observed)?,
        job: bound(printed, What::Job)?,
        pod: bound(printed, What::Pod)?,
        answer: bound(printed, What::Answer)?,
    })
}

fn bound(printed: &Value, what: What) -> Result<Span, String> {
    let found = &printed["bounds"][what.as_str()]["bound_ms"];
    let read = found.as_u64().map(Span).filter(|bound| *bound <= MOST);
    read.ok_or_else(|| {
        let found = match found {
            Value::Null => "missing".to_owned(),
            other => other.to_string(),
        };
        format!(
            "`bounds.{}.bound_ms` is {found}; expected whole milliseconds, at most {}, as `weir conformance --format json` prints \
             them",
            what.as_str(),
            MOST.0
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(pod: Value) -> Value {
        let one = |bound: Value| json!({"bound_ms": bound, "median_ms": 1, "times": 2});
        json!({"cluster": "prod", "bounds": {
            "answer": one(json!(23)), "observed": one(json!(56)), "job": one(json!(1_000)), "pod": one(pod),
        }})
    }

    #[test]
    fn what_was_printed_is_read_again() {
        let expected = Bounds {
            observed: Span(56),
            job: Span(1_000),
            pod: Span(84),
            answer: Span(23),
        };
        assert_eq!(bounds(&printed(json!(84))), Ok(expected));
    }

    #[test]
    fn what_is_no_bound_is_told_with_what_is_expected() {
        let expected = "; expected whole milliseconds, at most 600000, as `weir conformance --format json` prints them";
        for (found, told) in [
            (Value::Null, "missing"),
            (json!("84ms"), "\"84ms\""),
            (json!(-1), "-1"),
            (json!(0.5), "0.5"),
            (json!(600_001), "600001"),
        ] {
            let why = bounds(&printed(found)).unwrap_err();
            assert_eq!(why, format!("`bounds.pod.bound_ms` is {told}{expected}"));
        }
        for other in [json!([]), json!("text"), json!({"bounds": 1})] {
            let why = bounds(&other).unwrap_err();
            assert!(why.starts_with("`bounds.observed.bound_ms` is missing"), "{why}");
        }
    }
}
