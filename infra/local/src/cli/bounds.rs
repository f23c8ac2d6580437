//! What `weir conformance --format json` printed, for plans to count on.

use std::path::Path;

use weir_cluster::conformance;
use weir_domain::seen::Bounds;

use super::cluster::objects;
use super::output::Failure;

/// Reads a file of it.
pub(crate) fn bounds(path: &Path) -> Result<Bounds, Failure> {
    let read = conformance::bounds(&objects(path)?);
    read.map_err(|why| Failure::new(format!("{} holds no bounds: {why}", path.display())))
}
