//! Clusters and workloads as files.

use std::path::Path;

use serde_json::Value;
use weir_cluster::snapshot::{ClusterFile, SnapshotError, WorkloadFile, read_cluster, read_quantity};
use weir_domain::json;
use weir_domain::ladder::Load;
use weir_spec::SourceFile;

use super::args::Question;
use super::definition::read_text;
use super::output::Failure;

const MIB: i64 = 1 << 20;

/// The cluster of a question.
pub(super) fn cluster(question: &Question) -> Result<ClusterFile, Failure> {
    let objects = objects(&question.cluster)?;
    read_cluster(&objects).map_err(|error| unread(&question.cluster, &error))
}

/// A workload for it.
pub(super) fn workload(
    cluster: &ClusterFile,
    object: &Value,
    from: &Path,
    question: &Question,
) -> Result<WorkloadFile, Failure> {
    let mut workload = cluster
        .workload(object, question.namespace.as_deref())
        .map_err(|error| unread(from, &error))?;
    if let Some(text) = &question.gpu_memory {
        let bytes = read_quantity(text).filter(|bytes| *bytes > 0);
        let bytes = bytes
            .ok_or_else(|| Failure::new(format!("--gpu-memory {text}: expected an amount such as 40Gi")))?;
        workload.ask.gpu_memory_mib = u64::try_from(bytes / MIB).ok();
    }
    Ok(workload)
}

/// The load that stable carries.
pub(super) fn load(question: &Question) -> Load {
    question.load.map_or_else(Load::default, |percent| Load {
        used: f64::from(percent) / 100.0,
        measured: true,
    })
}

/// A file of JSON, or of YAML with one document or several.
pub(super) fn objects(path: &Path) -> Result<Value, Failure> {
    let text = read_text(path)?;
    if text.trim_start().starts_with(['{', '[']) {
        return json::read(&text).map_err(|fault| Failure::unread(&path.display().to_string(), &fault));
    }
    let file = SourceFile::new(path.to_string_lossy(), text);
    let mut documents = weir_spec::values(&file).map_err(|complaints| match complaints.first() {
        Some(first) => Failure {
            message: format!("{}: {}", path.display(), first.message()),
            line: Some(first.place.line as usize),
            column: Some(first.place.column as usize),
        },
        None => Failure::new(format!("{} cannot be read", path.display())),
    })?;
    Ok(match documents.len() {
        1 => documents.remove(0),
        _ => serde_json::json!({"kind": "List", "items": documents}),
    })
}

fn unread(path: &Path, error: &SnapshotError) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}
