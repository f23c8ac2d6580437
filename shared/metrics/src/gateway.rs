//! What an Envoy gateway counts of a route, endpoint by endpoint.

use std::collections::BTreeMap;

use weir_domain::pipeline::Target;

use crate::text::samples;

/// Where the Envoy pods of Envoy Gateway tell their statistics.
pub(crate) const PORT: u16 = 19001;
/// Bytes of a filtered answer: 1 KiB for an endpoint and rule, so 4,000 of them.
pub(crate) const BYTES_MAX: usize = 4 * 1024 * 1024;

const TOTAL: &str = "envoy_cluster_endpoint_rq_total";
const SUCCESS: &str = "envoy_cluster_endpoint_rq_success";
const ERROR: &str = "envoy_cluster_endpoint_rq_error";

/// The path whose answer holds the route's endpoints and little else: 1 KiB each instead of 100 KiB and more.
/// Namespaces and routes are DNS names, so that nothing in them needs escaping in a query.
pub(crate) fn path(target: &Target) -> String {
    format!("/stats/prometheus?filter={}.*endpoint.*rq_", prefix(target))
}

/// How Envoy Gateway begins the names of the clusters of a route; the number of the rule follows.
fn prefix(target: &Target) -> String {
    format!("httproute/{}/{}/rule/", target.namespace, target.route)
}

/// The counters of one endpoint in one rule of the route.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Endpoint {
    /// Attempts for which a connection was found.
    pub(crate) total: u64,
    /// Answered with less than 500.
    pub(crate) success: u64,
    /// Answered with 500 or more, reset before an answer began, timed out, or not even connected.
    pub(crate) error: u64,
}

/// A rule's number, and a pod's address.
pub(crate) type Place = (String, String);

/// The endpoints of the route.
pub(crate) type Endpoints = BTreeMap<Place, Endpoint>;

/// Reads a page; nothing if it is no page of statistics, or a line about the route is broken or no count. A whole page
/// is left out because what is missing on a page means something: its endpoint was removed. An empty page is fine: no
/// endpoint has a series yet.
pub(crate) fn read(page: &str, target: &Target) -> Option<Endpoints> {
    let prefix = prefix(target);
    let mut found: BTreeMap<Place, [Option<u64>; 3]> = BTreeMap::new();
    for sample in samples(page, |name| [TOTAL, SUCCESS, ERROR].contains(&name)) {
        let sample = sample.ok()?;
        let rule = sample
            .label("envoy_cluster_name")
            .and_then(|name| name.strip_prefix(&prefix));
        let ip = sample.label("envoy_endpoint_address").and_then(ip);
        let (Some(rule), Some(ip)) = (rule, ip) else {
            continue;
        };
        let part = match sample.name {
            TOTAL => 0,
            SUCCESS => 1,
            _ => 2,
        };
        found.entry((rule.to_owned(), ip.to_owned())).or_default()[part] = Some(sample.count()?);
    }
    let endpoint = |(place, [total, success, error]): (Place, [Option<u64>; 3])| {
        let endpoint = Endpoint {
            total: total?,
            success: success?,
            error: error?,
        };
        Some((place, endpoint))
    };
    found.into_iter().map(endpoint).collect()
}

/// The address without its port: `10.0.0.7:8000`, `[fd00::7]:8000`.
fn ip(address: &str) -> Option<&str> {
    let (host, _) = address.rsplit_once(':')?;
    Some(host.trim_start_matches('[').trim_end_matches(']'))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use weir_domain::ids::{ClusterName, Namespace};
    use weir_domain::pipeline::Provider;

    /// An answer of a real Envoy to [`path`], after 30 requests to three endpoints: one that answers 200, one that
    /// answers 500, and one that refuses connections.
    pub(crate) const RECORDED: &str = include_str!("../tests/recorded/envoy.txt");

    pub(crate) fn target() -> Target {
        Target {
            cluster: ClusterName::new("local"),
            provider: Provider::Kubernetes,
            namespace: Namespace::new("shop"),
            route: "sentiment".into(),
            service: "sentiment".into(),
            gateway: None,
        }
    }

    fn place(ip: &str) -> Place {
        ("0".into(), ip.into())
    }

    #[test]
    fn a_real_envoy_counts_a_dead_endpoint_by_its_errors_only() {
        let found = read(RECORDED, &target()).unwrap();
        let endpoint = |total, success, error| Endpoint {
            total,
            success,
            error,
        };
        let expected = [
            (place("127.0.0.2"), endpoint(10, 10, 0)),
            (place("127.0.0.3"), endpoint(10, 0, 10)),
            (place("127.0.0.4"), endpoint(0, 0, 10)),
        ];
        assert_eq!(found, Endpoints::from(expected));
    }

    #[test]
    fn other_routes_are_left_out_even_if_the_filter_lets_them_through() {
        let other = RECORDED.replace("httproute/shop/sentiment", "httproute/shop/sentiment-old");
        assert_eq!(read(&other, &target()), Some(Endpoints::new()));
        let path = path(&target());
        assert_eq!(
            path,
            "/stats/prometheus?filter=httproute/shop/sentiment/rule/.*endpoint.*rq_"
        );
    }

    #[test]
    fn a_page_with_a_broken_line_about_the_route_is_not_half_read() {
        let nan = RECORDED.replace("127.0.0.3:19920\"} 10", "127.0.0.3:19920\"} NaN");
        assert_eq!(read(&nan, &target()), None);
        let unquoted = RECORDED.replace("127.0.0.3:19920\"} 10", "127.0.0.3:19920} 10");
        assert_eq!(read(&unquoted, &target()), None);
        let successes = |line: &&str| line.contains("rq_success");
        let without: Vec<&str> = RECORDED.lines().filter(|line| !successes(line)).collect();
        assert_eq!(read(&without.join("\n"), &target()), None);
        let other = nan.replace("httproute/shop/sentiment", "httproute/shop/other");
        assert_eq!(read(&other, &target()), Some(Endpoints::new()));
    }

    #[test]
    fn no_series_yet_is_an_answer_and_a_web_page_is_none() {
        assert_eq!(read("", &target()), Some(Endpoints::new()));
        assert_eq!(read("<html>\n<p>Not Found</p>", &target()), None);
    }

    #[test]
    fn addresses_lose_their_port() {
        assert_eq!(ip("10.0.0.7:8000"), Some("10.0.0.7"));
        assert_eq!(ip("[fd00::7]:8000"), Some("fd00::7"));
        assert_eq!(ip("unix"), None);
    }
}
