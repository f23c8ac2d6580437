//! What an Envoy gateway counts of a route, endpoint by endpoint.

use std::collections::{BTreeMap, BTreeSet};

use weir_domain::pipeline::Target;

use crate::text::{Sample, samples};

/// Where the Envoy pods of Envoy Gateway tell their statistics.
pub(crate) const PORT: u16 = 19001;
/// Bytes of a filtered answer: 1 KiB for an endpoint and rule, so 4,000 of them.
pub(crate) const BYTES_MAX: usize = 4 * 1024 * 1024;

const TOTAL: &str = "envoy_cluster_endpoint_rq_total";
const SUCCESS: &str = "envoy_cluster_endpoint_rq_success";
const ERROR: &str = "envoy_cluster_endpoint_rq_error";

/// How Envoy Gateway begins the names of the clusters of routes; namespace, route, `rule` and its number follow.
const CLUSTERS: &str = "httproute/";

/// Namespace and name of a route.
pub(crate) type Route = (String, String);

/// The route of a target.
pub(crate) fn route(target: &Target) -> Route {
    (target.namespace.to_string(), target.route.clone())
}

/// The path whose answer holds the routes' endpoints and little else: 1 KiB each instead of 100 KiB and more.
/// Namespaces and routes are DNS names, so that nothing in them needs escaping in a query.
pub(crate) fn path(routes: &BTreeSet<Route>) -> String {
    let names: Vec<String> = routes
        .iter()
        .map(|(namespace, name)| format!("{namespace}/{name}"))
        .collect();
    let any = match names.as_slice() {
        [one] => one.clone(),
        // `(a|b)`
        several => format!("%28{}%29", several.join("%7C")),
    };
    format!("/stats/prometheus?filter={CLUSTERS}{any}/rule/.*endpoint.*rq_")
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

/// What a page says of the routes it was asked for; of one that has a broken line, nothing.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Sheet(BTreeMap<Route, Option<Endpoints>>);

impl Sheet {
    /// The endpoints of a route; nothing if they could not be read.
    pub(crate) fn of(&self, route: &Route) -> Option<&Endpoints> {
        self.0.get(route)?.as_ref()
    }
}

/// Reads a page once for all routes; nothing if it is no page of statistics. Where a line about a route is broken or no count,
/// all of that route is left out, because what is missing on a page means something: its endpoint was removed. An empty
/// page is fine: no endpoint has a series yet.
pub(crate) fn read(page: &str, routes: BTreeSet<Route>) -> Option<Sheet> {
    let routes: Vec<Route> = routes.into_iter().collect();
    let mut found: Vec<Found> = vec![Found::default(); routes.len()];
    for sample in samples(page, |name| [TOTAL, SUCCESS, ERROR].contains(&name)) {
        let sample = sample.ok()?;
        let cluster = sample.label("envoy_cluster_name").and_then(cluster);
        let ip = sample.label("envoy_endpoint_address").and_then(ip);
        let (Some((namespace, name, rule)), Some(ip)) = (cluster, ip) else {
            continue;
        };
        let known = routes.binary_search_by(|(a, b)| (a.as_str(), b.as_str()).cmp(&(namespace, name)));
        if let Ok(at) = known {
            found[at].add(&sample, rule, ip);
        }
    }
    let found = found.into_iter().map(Found::endpoints);
    Some(Sheet(routes.into_iter().zip(found).collect()))
}

/// Namespace, route, and number of the rule that a cluster is of.
fn cluster(name: &str) -> Option<(&str, &str, &str)> {
    let mut parts = name.strip_prefix(CLUSTERS)?.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(namespace), Some(route), Some("rule"), Some(rule)) => Some((namespace, route, rule)),
        _ => None,
    }
}

/// What was read of one route so far.
#[derive(Clone, Default)]
struct Found {
    parts: BTreeMap<Place, [Option<u64>; 3]>,
    broken: bool,
}

impl Found {
    fn add(&mut self, sample: &Sample<'_>, rule: &str, ip: &str) {
        let part = match sample.name {
            TOTAL => 0,
            SUCCESS => 1,
            _ => 2,
        };
        let count = sample.count();
        self.broken |= count.is_none();
        self.parts.entry((rule.to_owned(), ip.to_owned())).or_default()[part] = count;
    }

    fn endpoints(self) -> Option<Endpoints> {
        let endpoint = |(place, [total, success, error]): (Place, [Option<u64>; 3])| {
            let endpoint = Endpoint {
                total: total?,
                success: success?,
                error: error?,
            };
            Some((place, endpoint))
        };
        let all = self.parts.into_iter().map(endpoint).collect();
        if self.broken { None } else { all }
    }
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
    use weir_domain::pipeline::{Provider, SplitBy};

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
            split: SplitBy::Route,
        }
    }

    fn own() -> BTreeSet<Route> {
        [route(&target())].into()
    }

    /// What a page says of the target's route.
    fn read_own(page: &str) -> Option<Endpoints> {
        read(page, own())?.of(&route(&target())).cloned()
    }

    fn place(ip: &str) -> Place {
        ("0".into(), ip.into())
    }

    #[test]
    fn a_real_envoy_counts_a_dead_endpoint_by_its_errors_only() {
        let found = read_own(RECORDED).unwrap();
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
        assert_eq!(read_own(&other), Some(Endpoints::new()));
        let path = path(&own());
        assert_eq!(
            path,
            "/stats/prometheus?filter=httproute/shop/sentiment/rule/.*endpoint.*rq_"
        );
    }

    #[test]
    fn a_page_with_a_broken_line_about_the_route_is_not_half_read() {
        let nan = RECORDED.replace("127.0.0.3:19920\"} 10", "127.0.0.3:19920\"} NaN");
        assert_eq!(read_own(&nan), None);
        let unquoted = RECORDED.replace("127.0.0.3:19920\"} 10", "127.0.0.3:19920} 10");
        assert_eq!(read_own(&unquoted), None);
        let successes = |line: &&str| line.contains("rq_success");
        let without: Vec<&str> = RECORDED.lines().filter(|line| !successes(line)).collect();
        assert_eq!(read_own(&without.join("\n")), None);
        let other = nan.replace("httproute/shop/sentiment", "httproute/shop/other");
        assert_eq!(read_own(&other), Some(Endpoints::new()));
    }

    #[test]
    fn several_routes_are_read_of_one_page_and_a_broken_one_spoils_no_other() {
        let other = RECORDED.replace("httproute/shop/sentiment/", "httproute/web/chat.v2/");
        let broken = other.replace("127.0.0.3:19920\"} 10", "127.0.0.3:19920\"} NaN");
        let (chat, sentiment) = (("web".to_owned(), "chat.v2".to_owned()), route(&target()));
        let silent = ("web".to_owned(), "silent".to_owned());
        let routes = BTreeSet::from([chat.clone(), sentiment.clone(), silent.clone()]);
        let sheet = |page: &str| read(&format!("{page}\n{RECORDED}"), routes.clone()).unwrap();
        let both = sheet(&other);
        assert_eq!(both.of(&chat), both.of(&sentiment));
        assert_eq!(both.of(&sentiment), read_own(RECORDED).as_ref());
        assert_eq!(both.of(&silent), Some(&Endpoints::new()));
        let one = sheet(&broken);
        assert_eq!((one.of(&chat), one.of(&sentiment)), (None, both.of(&sentiment)));
        assert_eq!(
            path(&[chat, sentiment].into()),
            "/stats/prometheus?filter=httproute/%28shop/sentiment%7Cweb/chat.v2%29/rule/.*endpoint.*rq_"
        );
    }

    #[test]
    fn no_series_yet_is_an_answer_and_a_web_page_is_none() {
        assert_eq!(read_own(""), Some(Endpoints::new()));
        assert_eq!(read("<html>\n<p>Not Found</p>", own()), None);
    }

    #[test]
    fn addresses_lose_their_port() {
        assert_eq!(ip("10.0.0.7:8000"), Some("10.0.0.7"));
        assert_eq!(ip("[fd00::7]:8000"), Some("fd00::7"));
        assert_eq!(ip("unix"), None);
    }
}
