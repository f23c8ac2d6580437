//! What `weir conformance --format json` printed, for plans to count on.

use std::path::Path;

use weir_domain::seen::Bounds;
use weir_domain::time::Span;

use super::cluster::objects;
use super::output::Failure;

/// Reads a file of it.
pub(crate) fn bounds(path: &Path) -> Result<Bounds, Failure> {
    let found = objects(path)?;
    let bound = |what: &str| found["bounds"][what]["bound_ms"].as_u64().map(Span);
    let read = || {
        Some(Bounds {
            observed: bound("observed")?,
            job: bound("job")?,
            pod: bound("pod")?,
            answer: bound("answer")?,
        })
    };
    read().ok_or_else(|| {
        Failure::new(format!(
            "{} holds no bounds: expected what `weir conformance --format json` prints",
            path.display()
        ))
    })
}
