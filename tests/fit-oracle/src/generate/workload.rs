//! The workload that is to be placed.

use serde_json::{Value, json};

use super::Maker;

impl Maker<'_> {
    /// A pod that asks for one kind of thing too many in most cases. `contested`: somebody was promised a node.
    pub(super) fn workload(&mut self, contested: bool) -> Value {
        let mut pod = self.pod("r", "");
        pod["metadata"]["labels"]["app"] = json!("web");
        if self.random.percent(60) {
            pod["metadata"]["labels"]["tier"] = json!("front");
        }
        let spec = &mut pod["spec"];
        spec["nodeSelector"] = json!({"oracle": self.name});
        if self.random.percent(18) {
            spec["nodeSelector"]["disk"] = json!(*self.random.one(&["ssd", "hdd"]));
        }
        if contested {
            spec["priorityClassName"] = json!(*self.random.one(&["above", "top"]));
        } else if self.random.percent(15) {
            spec["priorityClassName"] = json!("above");
        }
        spec["tolerations"] = self.tolerations();
        self.affinities(spec);
        if self.random.percent(26) {
            let count = if self.random.percent(30) { 2 } else { 1 };
            let mut all: Vec<Value> = (0..count).map(|_| self.spread()).collect();
            all.dedup_by(|a, b| a["topologyKey"] == b["topologyKey"]);
            spec["topologySpreadConstraints"] = Value::Array(all);
        }
        if self.random.percent(14) {
            spec["schedulingGates"] = json!([{"name": "oracle.test/hold"}]);
        }
        pod
    }

    fn tolerations(&mut self) -> Value {
        let mut all = Vec::new();
        if self.random.percent(40) {
            all.push(json!({"key": "nvidia.com/gpu", "operator": "Exists"}));
        }
        if self.random.percent(25) {
            all.push(json!({"key": "team", "operator": "Equal", "value": "blue"}));
        }
        if self.random.percent(12) {
            all.push(json!({"key": "team", "operator": "Exists", "effect": "NoSchedule"}));
        }
        if self.random.percent(4) {
            all.push(json!({"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}));
        }
        Value::Array(all)
    }

    fn affinities(&mut self, spec: &mut Value) {
        if self.random.percent(22) {
            spec["affinity"]["nodeAffinity"] = self.node_affinity(3);
        }
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        if self.random.percent(18) {
            let term = if self.random.percent(60) {
                self.own_term()
            } else {
                self.pod_term()
            };
            let mut terms = vec![term];
            if self.random.percent(15) {
                terms.push(self.pod_term());
            }
            spec["affinity"]["podAffinity"] = json!({ required: terms });
        }
        if self.random.percent(18) {
            let term = if self.random.percent(50) {
                self.own_term()
            } else {
                self.pod_term()
            };
            spec["affinity"]["podAntiAffinity"] = json!({ required: [term] });
        }
    }
}
