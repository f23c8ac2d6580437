//! Points of a smooth curve, stored as what each differs from what the three before it promise: small numbers, and exact.
//! Every look writes them anew.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::differences;

/// Differences of differences of differences.
const TIMES: usize = 3;

pub(super) fn serialize<S: Serializer>(points: &[i64], s: S) -> Result<S::Ok, S::Error> {
    let mut points = points.to_vec();
    for _ in 0..TIMES {
        differences::take(&mut points);
    }
    points.serialize(s)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<i64>, D::Error> {
    let mut points = Vec::<i64>::deserialize(d)?;
    for _ in 0..TIMES {
        differences::add_up(&mut points);
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(PartialEq, Debug, Serialize, Deserialize)]
    struct Kept(#[serde(with = "super")] Vec<i64>);

    #[test]
    fn any_curve_comes_back_and_a_smooth_one_is_small() {
        let cubic: Vec<i64> = (-20..=20)
            .map(|x: i64| 31 * x * x * x - 7_000 * x * x + 12)
            .collect();
        let json = serde_json::to_string(&Kept(cubic.clone())).unwrap();
        assert!(json.ends_with(",186,186,186]"), "a cubic promises itself: {json}");
        for curve in [
            cubic,
            vec![],
            vec![7],
            vec![i64::MIN, i64::MAX],
            vec![1, -1, 1, -1, 1],
        ] {
            let json = serde_json::to_string(&Kept(curve.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Kept>(&json).unwrap(), Kept(curve));
        }
    }
}
