//! What was measured of clusters: the object `WEIR_BOUNDS`.
//!
//! ```text
//! {"NAME":{"bounds":{…}},…}     for each cluster what `weir conformance --format json` printed; only `bounds` is read
//! ```

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use weir_cluster::conformance;
use weir_domain::ids::ClusterName;
use weir_domain::seen::Bounds;

/// Reads the object. `known`: whether a cluster of this name can be entered.
///
/// # Errors
/// What is wrong with the first cluster that cannot be used.
pub(crate) fn bounds(
    text: &str,
    known: impl Fn(&ClusterName) -> bool,
) -> Result<BTreeMap<ClusterName, Bounds>, String> {
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    let clusters: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("it is no object in JSON: {error}"))?;
    let one = |(name, printed): (String, Value)| {
        let cluster = ClusterName::new(&name);
        if !known(&cluster) {
            return Err(format!("`{name}` is no cluster of WEIR_CLUSTERS"));
        }
        let read = conformance::bounds(&printed).map_err(|why| format!("`{name}`: {why}"))?;
        Ok((cluster, read))
    };
    clusters.into_iter().map(one).collect()
}
