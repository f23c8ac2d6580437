//! Nodes: sizes, GPUs, labels, taints, and states that keep pods away.

use serde_json::{Map, Value, json};

use super::Maker;

/// Products with the memory of one GPU in MiB.
const PRODUCTS: [(&str, i64); 3] = [
    ("NVIDIA-L4", 23_034),
    ("NVIDIA-A100-SXM4-80GB", 81_920),
    ("NVIDIA-H100-80GB-HBM3", 81_559),
];

impl Maker<'_> {
    pub(super) fn nodes(&mut self) -> Vec<Value> {
        let count = match self.random.within(0, 19) {
            0 => self.random.within(9, 14),
            1..=6 => self.random.within(5, 8),
            _ => self.random.within(2, 4),
        };
        let tight = self.random.within(0, 9);
        (0..count).map(|number| self.node(number, tight)).collect()
    }

    fn node(&mut self, number: i64, tight: i64) -> Value {
        let name = format!("{}-n{number}", self.name);
        let allocatable = self.allocatable(tight);
        let mut spec = json!({});
        let mut taints = Vec::new();
        for (key, values) in [("team", ["blue", "red"]), ("nvidia.com/gpu", ["present", ""])] {
            if self.random.percent(10) {
                let effect = *self
                    .random
                    .one(&["NoSchedule", "NoSchedule", "NoExecute", "PreferNoSchedule"]);
                taints.push(json!({"key": key, "value": *self.random.one(&values), "effect": effect}));
            }
        }
        spec["taints"] = Value::Array(taints);
        if self.random.percent(9) {
            spec["unschedulable"] = json!(true);
        }
        let ready = if self.random.percent(6) {
            *self.random.one(&["False", "Unknown"])
        } else {
            "True"
        };
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": self.labels(&name)},
            "spec": spec,
            "status": {"allocatable": allocatable, "capacity": allocatable,
                "conditions": [{"type": "Ready", "status": ready, "reason": "Test", "message": ""}]},
        })
    }

    /// `tight`: which resource is scarce in this cluster.
    fn allocatable(&mut self, tight: i64) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, amount: String| all.insert(name.to_owned(), Value::String(amount));
        let gpus = *self.random.one(&[0, 1, 2, 4, 4, 8]);
        if gpus > 0 {
            put("nvidia.com/gpu", gpus.to_string());
        }
        if self.random.percent(15) {
            put("nvidia.com/mig-1g.10gb", self.random.within(1, 7).to_string());
        }
        let (cpu, memory, disk, pods) = match tight {
            0 => (self.random.within(2, 6), 512, 900, 30),
            1 => (64, self.random.within(8, 32), 900, 30),
            2 | 3 => (64, 512, self.random.within(20, 60), 30),
            4 | 5 => (64, 512, 900, self.random.within(1, 4)),
            _ => (
                self.random.within(4, 32),
                self.random.within(16, 128),
                400,
                self.random.within(8, 30),
            ),
        };
        put("cpu", cpu.to_string());
        put("memory", format!("{memory}Gi"));
        put("ephemeral-storage", format!("{disk}Gi"));
        put("pods", pods.to_string());
        Value::Object(all)
    }

    fn labels(&mut self, name: &str) -> Value {
        let mut labels = Map::new();
        let (product, memory) = *self.random.one(&PRODUCTS);
        let zone = *self.random.one(&["a", "a", "b", "c"]);
        let rack = *self.random.one(&["1", "2", "3", "4"]);
        let disk = *self.random.one(&["ssd", "ssd", "hdd"]);
        for (key, value) in [
            ("kubernetes.io/hostname".to_owned(), name.to_owned()),
            ("oracle".to_owned(), self.name.to_owned()),
            ("nvidia.com/gpu.product".to_owned(), product.to_owned()),
            ("nvidia.com/gpu.memory".to_owned(), memory.to_string()),
            (self.key("host"), name.to_owned()),
        ] {
            labels.insert(key, value.into());
        }
        for (key, value, present) in [
            (self.key("zone"), zone, 92),
            (self.key("rack"), rack, 85),
            ("disk".to_owned(), disk, 90),
        ] {
            if self.random.percent(present) {
                labels.insert(key, value.into());
            }
        }
        Value::Object(labels)
    }
}
