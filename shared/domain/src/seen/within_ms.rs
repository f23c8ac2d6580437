//! Stored form of a histogram: its edges, and how many lie between each and the one before.
//!
//! Every look writes several, all with the same edges and with few requests far from the middle, so both lists shrink to
//! little when a body is deflated, where a map of growing numbers does not.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::differences;

pub(super) fn serialize<S: Serializer>(within: &BTreeMap<u64, u64>, s: S) -> Result<S::Ok, S::Error> {
    let edges: Vec<u64> = within.keys().copied().collect();
    // Counters that were read while they grew may fall by a few from one edge to the next.
    let mut between: Vec<i64> = within.values().map(|count| count.cast_signed()).collect();
    differences::take(&mut between);
    (edges, between).serialize(s)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<u64, u64>, D::Error> {
    let (edges, mut between) = <(Vec<u64>, Vec<i64>)>::deserialize(d)?;
    if edges.len() != between.len() {
        let (edges, between) = (edges.len(), between.len());
        return Err(D::Error::custom(format!(
            "a histogram of {edges} edges and {between} counts"
        )));
    }
    differences::add_up(&mut between);
    let within = between.into_iter().map(i64::cast_unsigned);
    Ok(edges.into_iter().zip(within).collect())
}

#[cfg(test)]
mod tests {
    use crate::seen::Counts;

    #[test]
    fn a_histogram_is_stored_as_its_edges_and_what_lies_between_them() {
        for within in [
            vec![],
            vec![(5, 0), (10, 3), (250, 40), (1_000, 40)],
            vec![(5, 9), (10, 7), (u64::MAX, u64::MAX)],
        ] {
            let counts = Counts {
                within_ms: within.into_iter().collect(),
                ..Counts::default()
            };
            let json = serde_json::to_string(&counts).unwrap();
            assert_eq!(serde_json::from_str::<Counts>(&json).unwrap(), counts, "{json}");
        }
    }

    #[test]
    fn a_histogram_with_a_count_too_many_is_refused() {
        let json = r#"{"requests": 1, "bad": 0, "within_ms": [[5, 10], [0]]}"#;
        let error = serde_json::from_str::<Counts>(json).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("a histogram of 2 edges and 1 counts"),
            "{error}"
        );
    }
}
