//! What DCGM's exporter says of the GPUs of pods.
//!
//! It gives every series the pod that holds the GPU. Where a server already has a label of that name, for the exporter's own pod,
//! the model's is `exported_pod`.

use std::collections::BTreeMap;

use weir_domain::seen::{GpuSigns, Gpus};

use crate::provider::Labels;

/// Signs by pod and GPU. Series of other names, and those that name no pod or no GPU, say nothing.
pub(crate) fn read(series: &BTreeMap<Labels, f64>) -> BTreeMap<String, Gpus> {
    let mut pods: BTreeMap<String, Gpus> = BTreeMap::new();
    for (labels, value) in series {
        let label = |name: &str| labels.get(name).filter(|value| !value.is_empty());
        let pod = label("exported_pod").or(label("pod"));
        let gpu = label("UUID").or(label("gpu"));
        let (Some(name), Some(pod), Some(gpu)) = (label("__name__"), pod, gpu) else {
            continue;
        };
        let signs = pods
            .entry(pod.clone())
            .or_default()
            .entry(gpu.clone())
            .or_default();
        add(signs, name, *value);
    }
    pods
}

fn add(signs: &mut GpuSigns, name: &str, value: f64) {
    // The range of a whole number takes what is negative or no number as zero.
    let count = value as u64;
    match name.strip_prefix("DCGM_FI_DEV_") {
        Some("XID_ERRORS") => signs.xid = count,
        Some("ROW_REMAP_FAILURE" | "UNCORRECTABLE_REMAPPED_ROWS" | "ECC_DBE_VOL_TOTAL") => {
            signs.memory = signs.memory.saturating_add(count);
        }
        Some("THERMAL_VIOLATION") => signs.heat = count,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels as the exporter writes them; the error's own number and text change with the value.
    fn series(name: &str, more: &[(&str, &str)]) -> Labels {
        let all = [
            ("__name__", name),
            ("gpu", "0"),
            ("device", "nvidia0"),
            ("modelName", "NVIDIA A100-SXM4-80GB"),
            ("Hostname", "gpu-node-1"),
            ("container", "server"),
            ("namespace", "production"),
        ];
        let all = all.iter().chain(more);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn signs_are_found_by_pod_and_gpu() {
        let own = [("UUID", "GPU-a"), ("pod", "w-1")];
        let error = [
            ("UUID", "GPU-a"),
            ("pod", "w-1"),
            ("err_code", "79"),
            ("err_msg", "GPU has fallen off the bus"),
        ];
        let second = [("UUID", "GPU-b"), ("pod", "w-1")];
        let renamed = [
            ("UUID", "GPU-c"),
            ("pod", "dcgm-exporter-x"),
            ("exported_pod", "w-2"),
        ];
        let found = read(
            &[
                (series("DCGM_FI_DEV_XID_ERRORS", &error), 79.0),
                (series("DCGM_FI_DEV_ROW_REMAP_FAILURE", &own), 1.0),
                (series("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", &own), 2.0),
                (series("DCGM_FI_DEV_GPU_TEMP", &own), 91.0),
                (series("DCGM_FI_DEV_XID_ERRORS", &second), 0.0),
                (series("DCGM_FI_DEV_THERMAL_VIOLATION", &renamed), 1.5e9),
                // An idle GPU has no pod.
                (
                    series("DCGM_FI_DEV_XID_ERRORS", &[("UUID", "GPU-d"), ("pod", "")]),
                    48.0,
                ),
            ]
            .into(),
        );
        let signs = |xid, memory, heat| GpuSigns { xid, memory, heat };
        let expected = [
            (
                "w-1".to_owned(),
                Gpus::from([
                    ("GPU-a".to_owned(), signs(79, 3, 0)),
                    ("GPU-b".to_owned(), signs(0, 0, 0)),
                ]),
            ),
            (
                "w-2".to_owned(),
                Gpus::from([("GPU-c".to_owned(), signs(0, 0, 1_500_000_000))]),
            ),
        ];
        assert_eq!(found, expected.into());
    }
}
