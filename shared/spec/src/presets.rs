//! Queries of Prometheus that are known to fit: what servers of models, gateways and GPUs call their counters.
//!
//! They are counters, not increases, so that they can be subtracted series by series. `or vector(0)` makes a counter
//! that has not been raised yet a zero: without it, a query that is misspelt would look like no errors.

use weir_domain::pipeline::Query;

/// Names that `preset:` takes.
pub(crate) const NAMES: &[&str] = &[
    "vllm", "sglang", "triton", "http", "envoy", "istio", "traefik", "dcgm",
];

/// The pods of a revision, as a selector.
const PODS: &str = r#"namespace="${namespace}",pod=~"${revision}-.*""#;
/// The beginning of a selector of what DCGM says of faults. The exporter tells the first three unless it is told not to.
const FAULTS: &str = r#"{__name__=~"DCGM_FI_DEV_(XID_ERRORS|ROW_REMAP_FAILURE|UNCORRECTABLE_REMAPPED_ROWS|ECC_DBE_VOL_TOTAL|THERMAL_VIOLATION)""#;
/// Milliseconds of a second.
const SECONDS: u32 = 1_000;

/// What a preset asks, by the name of what it measures. `None`: there is no such preset.
pub(crate) fn preset(name: &str) -> Option<Vec<(&'static str, Query)>> {
    let pods = |query: &str| query.replace("PODS", PODS);
    let requests = |total: &str, bad: &str| {
        let bad = format!("{bad} or vector(0)");
        let (total, bad) = (pods(total), pods(&bad));
        ("requests", Query::Requests { total, bad })
    };
    let latencies = |buckets: &str, unit_ms| {
        let buckets = pods(buckets);
        ("latency", Query::Latencies { buckets, unit_ms })
    };
    let value = |name, query: &str| (name, Query::Value(pods(query)));
    Some(match name {
        // vLLM and SGLang count no failures: those come from the gateway.
        "vllm" => vec![latencies(
            "vllm:time_to_first_token_seconds_bucket{PODS}",
            SECONDS,
        )],
        "sglang" => vec![latencies(
            "sglang:time_to_first_token_seconds_bucket{PODS}",
            SECONDS,
        )],
        // Triton's own latencies are sums without buckets, from which no quantile can be had.
        "triton" => vec![requests(
            r#"{__name__=~"nv_inference_request_success|nv_inference_request_failure",PODS}"#,
            "nv_inference_request_failure{PODS}",
        )],
        "http" => vec![
            requests(
                "http_requests_total{PODS}",
                r#"http_requests_total{PODS,code=~"5.."} or http_requests_total{PODS,status=~"5.."}"#,
            ),
            latencies("http_request_duration_seconds_bucket{PODS}", SECONDS),
        ],
        "envoy" => vec![
            requests(
                r#"envoy_cluster_upstream_rq_completed{envoy_cluster_name=~".*${revision}.*"}"#,
                r#"envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name=~".*${revision}.*"}"#,
            ),
            latencies(
                r#"envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=~".*${revision}.*"}"#,
                1,
            ),
        ],
        "istio" => vec![
            requests(
                &istio("istio_requests_total", ""),
                &istio("istio_requests_total", r#",response_code=~"5..|0""#),
            ),
            latencies(&istio("istio_request_duration_milliseconds_bucket", ""), 1),
        ],
        "traefik" => vec![
            requests(
                r#"traefik_service_requests_total{service=~".*${revision}.*"}"#,
                r#"traefik_service_requests_total{service=~".*${revision}.*",code=~"5.."}"#,
            ),
            latencies(
                r#"traefik_service_request_duration_seconds_bucket{service=~".*${revision}.*"}"#,
                SECONDS,
            ),
        ],
        // The exporter's own pod may take the names; the model's are then `exported_…`.
        "dcgm" => vec![
            value(
                "gpu_utilization",
                r#"avg(DCGM_FI_DEV_GPU_UTIL{PODS} or DCGM_FI_DEV_GPU_UTIL{exported_pod=~"${revision}-.*"}) / 100"#,
            ),
            value(
                "gpu_memory_used",
                r#"avg(DCGM_FI_DEV_FB_USED{PODS} or DCGM_FI_DEV_FB_USED{exported_pod=~"${revision}-.*"}) * 1048576"#,
            ),
            (
                "gpu_faults",
                Query::Gpus(pods(&format!(
                    "{FAULTS},PODS}} or {FAULTS},exported_pod=~\"${{revision}}-.*\"}}"
                ))),
            ),
        ],
        _ => return None,
    })
}

/// Counted where the request was sent, which sees a dead pod; a waypoint is that place in ambient mode.
fn istio(name: &str, more: &str) -> String {
    format!(
        r#"{name}{{reporter=~"source|waypoint",destination_service_name="${{revision}}",destination_service_namespace="${{namespace}}"{more}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_selects_one_revision_and_never_takes_silence_for_success() {
        for name in NAMES {
            for (what, query) in preset(name).unwrap() {
                let texts = match &query {
                    Query::Value(query) | Query::Gpus(query) => vec![query],
                    Query::Requests { total, bad } => {
                        assert!(bad.ends_with(" or vector(0)"), "{name}: {bad}");
                        vec![total, bad]
                    }
                    Query::Latencies { buckets, .. } => vec![buckets],
                };
                for text in texts {
                    assert!(text.contains("${revision}"), "{name} {what}: {text}");
                    assert!(!text.contains("PODS") && !text.contains("${window}"), "{text}");
                    assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
                }
            }
        }
        assert!(preset("zabbix").is_none());
    }
}
