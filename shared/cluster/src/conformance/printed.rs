//! What `weir conformance --format json` prints, and the bounds in it, read again for plans to count on.

use serde_json::{Map, Value, json};
use weir_domain::seen::Bounds;
use weir_domain::time::Span;

use super::{Lack, Measured, Report, What};

/// Nothing is waited for so long: a bound beyond it was not measured.
const MOST: Span = Span::minutes(10);

/// What to do where no pod is reached.
const REACH_FIX: &str = "let the control plane reach the pods' ports (security groups, network policies), or name a server of \
                         metrics (docs/metrics.md): without either, latencies of pods are not known";
/// What to do where a fence may fall.
const FENCE_FIX: &str = "apply infra/cluster/admission.yaml: without it a writer that was stopped for a while may undo what was \
                         decided since";

impl Report {
    /// What to do about the way to pods, if anything.
    pub fn reach_fix(&self) -> Option<&'static str> {
        self.unreached.as_ref().map(|_| REACH_FIX)
    }

    /// What to do about the fence, if anything.
    pub fn fence_fix(&self) -> Option<&'static str> {
        (!self.fence_holds).then_some(FENCE_FIX)
    }
}

/// The report as it is printed.
pub fn printed(cluster: &str, report: &Report) -> Value {
    let bounds: Map<String, Value> = report.measured.iter().map(one).collect();
    let lacks: Vec<Value> = report.rights.lacks.iter().map(lack).collect();
    json!({
        "cluster": cluster,
        "bounds": bounds,
        "proxy": {"reaches": report.unreached.is_none(), "why": report.unreached, "fix": report.reach_fix()},
        "fence_policy": {"holds": report.fence_holds, "fix": report.fence_fix()},
        "rights": {"missing": lacks, "unasked": report.rights.unasked},
    })
}

fn one(measured: &Measured) -> (String, Value) {
    let (bound, median) = (measured.bound().0, measured.median().0);
    let said = json!({"bound_ms": bound, "median_ms": median, "times": measured.took.len()});
    (measured.what.as_str().to_owned(), said)
}

fn lack(lack: &Lack) -> Value {
    json!({
        "role": lack.role, "about": lack.about, "namespace": lack.namespace, "rights": lack.rights, "fix": lack.fix,
    })
}

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
        endpoint: more(printed, What::Endpoint)?,
        drain: more(printed, What::Drain)?,
    })
}

/// A bound that an older weir did not print.
fn more(printed: &Value, what: What) -> Result<Option<Span>, String> {
    match printed["bounds"][what.as_str()] {
        Value::Null => Ok(None),
        _ => bound(printed, what).map(Some),
    }
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
    use super::super::Rights;
    use super::*;

    fn report() -> Report {
        let of = |what, took: [u64; 3]| Measured {
            what,
            took: took.map(Span).to_vec(),
        };
        Report {
            measured: vec![
                of(What::Answer, [7, 23, 6]),
                of(What::Observed, [56, 35, 30]),
                of(What::Job, [900, 1_000, 950]),
                of(What::Pod, [84, 80, 82]),
                of(What::Endpoint, [40, 30, 20]),
                of(What::Drain, [70, 60, 50]),
            ],
            unreached: Some("the pod did not answer: dial tcp 10.0.0.7:8080: i/o timeout".into()),
            fence_holds: false,
            rights: Rights {
                lacks: vec![Lack {
                    role: "weir-ground",
                    about: "sees what fits",
                    namespace: None,
                    rights: vec!["list nodes".into()],
                    fix: "apply it".into(),
                }],
                unasked: vec!["weir-steps"],
            },
        }
    }

    #[test]
    fn what_is_printed_says_what_was_found_and_what_to_do() {
        let printed = printed("prod", &report());
        assert_eq!(
            printed["bounds"]["answer"],
            json!({"bound_ms": 23, "median_ms": 7, "times": 3})
        );
        assert_eq!(printed["bounds"]["proxy"], Value::Null);
        assert_eq!(printed["proxy"]["reaches"], false);
        assert_eq!(printed["proxy"]["why"], json!(report().unreached));
        let fix = |of: &str| printed[of]["fix"].as_str().unwrap().to_owned();
        assert!(fix("proxy").contains("network policies"));
        assert_eq!(printed["fence_policy"]["holds"], false);
        assert!(fix("fence_policy").starts_with("apply infra/cluster/admission.yaml"));
        assert_eq!(printed["rights"]["missing"][0]["rights"], json!(["list nodes"]));
        assert_eq!(printed["rights"]["unasked"], json!(["weir-steps"]));
    }

    #[test]
    fn what_was_printed_is_read_again() {
        let expected = Bounds {
            observed: Span(56),
            job: Span(1_000),
            pod: Span(84),
            answer: Span(23),
            endpoint: Some(Span(40)),
            drain: Some(Span(70)),
        };
        let mut whole = printed("prod", &report());
        assert_eq!(bounds(&whole), Ok(expected));
        // An older weir did not measure how pods leave.
        for later in ["endpoint", "drain"] {
            whole["bounds"].as_object_mut().unwrap().remove(later);
        }
        let expected = Bounds {
            endpoint: None,
            drain: None,
            ..expected
        };
        assert_eq!(bounds(&whole), Ok(expected));
    }

    #[test]
    fn what_is_no_bound_is_told_with_what_is_expected() {
        let expected =
            "; expected whole milliseconds, at most 600000, as `weir conformance --format json` prints them";
        for (found, told) in [
            (Value::Null, "missing"),
            (json!("84ms"), "\"84ms\""),
            (json!(-1), "-1"),
            (json!(0.5), "0.5"),
            (json!(600_001), "600001"),
        ] {
            for what in ["pod", "drain"] {
                let mut whole = printed("prod", &report());
                whole["bounds"][what]["bound_ms"] = found.clone();
                let why = bounds(&whole).unwrap_err();
                assert_eq!(why, format!("`bounds.{what}.bound_ms` is {told}{expected}"));
            }
        }
        for other in [json!([]), json!("text"), json!({"bounds": 1})] {
            let why = bounds(&other).unwrap_err();
            assert!(why.starts_with("`bounds.observed.bound_ms` is missing"), "{why}");
        }
    }
}
