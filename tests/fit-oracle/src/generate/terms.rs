//! Affinity, spread and selectors.

use serde_json::{Value, json};

use super::Maker;

/// Names that pods go by; the workload's own is the first.
const APPS: [&str; 4] = ["web", "web", "train", "cache"];

impl Maker<'_> {
    /// One of the names that pods of a case go by.
    pub(super) fn app(&mut self) -> &'static str {
        let app: &&'static str = self.random.one(&APPS);
        app
    }

    fn domain_key(&mut self) -> String {
        let name = *self.random.one(&["zone", "zone", "rack", "host"]);
        self.key(name)
    }

    /// A selector of pods of this case.
    fn pods_selector(&mut self) -> Value {
        let app = self.app();
        match self.random.within(0, 4) {
            0 => json!({"matchExpressions": [{"key": "app", "operator": "In", "values": [app, "none"]}]}),
            1 => json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [app]}]}),
            2 => {
                json!({"matchLabels": {"app": app}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]})
            }
            _ => json!({"matchLabels": {"app": app}}),
        }
    }

    /// A required term on other pods.
    pub(super) fn pod_term(&mut self) -> Value {
        let mut term = json!({"topologyKey": self.domain_key(), "labelSelector": self.pods_selector()});
        match self.random.within(0, 9) {
            0 => term["namespaces"] = json!([format!("{}-b", self.space)]),
            1 => term["namespaceSelector"] = json!({"matchLabels": {"oracle": self.space}}),
            2 => term["namespaceSelector"] = json!({"matchLabels": {"side": "b", "oracle": self.space}}),
            _ => {}
        }
        term
    }

    /// A required term on pods like the workload's own.
    pub(super) fn own_term(&mut self) -> Value {
        json!({"topologyKey": self.domain_key(), "labelSelector": {"matchLabels": {"app": "web", "tier": "front"}}})
    }

    pub(super) fn spread(&mut self) -> Value {
        let mut constraint = json!({
            "topologyKey": self.domain_key(),
            "maxSkew": *self.random.one(&[1, 1, 2]),
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
        });
        if self.random.percent(15) {
            constraint["labelSelector"] = self.pods_selector();
        }
        if self.random.percent(20) {
            constraint["minDomains"] = json!(self.random.within(2, 4));
        }
        if self.random.percent(25) {
            constraint["nodeTaintsPolicy"] = json!("Honor");
        }
        if self.random.percent(20) {
            constraint["nodeAffinityPolicy"] = json!("Ignore");
        }
        let own = constraint["labelSelector"] == json!({"matchLabels": {"app": "web"}});
        if own && self.random.percent(10) {
            constraint["matchLabelKeys"] = json!(["tier"]);
        }
        constraint
    }

    /// Required node affinity with one or two alternatives.
    pub(super) fn node_affinity(&mut self, nodes: i64) -> Value {
        let terms: Vec<Value> = (0..self.random.within(1, 2))
            .map(|_| self.node_term(nodes))
            .collect();
        json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}})
    }

    fn node_term(&mut self, nodes: i64) -> Value {
        if self.random.percent(10) {
            let operator = *self.random.one(&["In", "NotIn", "NotIn"]);
            let name = format!("{}-n{}", self.name, self.random.within(0, nodes));
            return json!({"matchFields": [{"key": "metadata.name", "operator": operator, "values": [name]}]});
        }
        let zone = self.key("zone");
        let expression = match self.random.within(0, 6) {
            0 => json!({"key": zone, "operator": "In", "values": ["a", "b"]}),
            1 => json!({"key": zone, "operator": "NotIn", "values": ["a"]}),
            2 => json!({"key": self.key("rack"), "operator": "Exists"}),
            3 => json!({"key": "disk", "operator": "DoesNotExist"}),
            4 => json!({"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["40000"]}),
            5 => json!({"key": "nvidia.com/gpu.memory", "operator": "Lt", "values": ["81900"]}),
            _ => json!({"key": "disk", "operator": "In", "values": ["ssd"]}),
        };
        json!({"matchExpressions": [expression]})
    }
}
