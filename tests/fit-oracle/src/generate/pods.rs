//! Pods that are there before: they hold GPUs, leave slowly, have ended, keep others away.

use serde_json::{Map, Value, json};

use super::{Maker, Setup, Then};

impl Maker<'_> {
    pub(super) fn pods(&mut self, nodes: &[Value]) -> Vec<Setup> {
        let mut all = Vec::new();
        for node in nodes {
            let load = *self.random.one(&[0, 1, 1, 2, 3]);
            for _ in 0..load {
                let number = all.len();
                let mut setup = self.held(node, number);
                free_ports(&mut setup.pod, &all);
                all.push(setup);
            }
        }
        all
    }

    fn held(&mut self, node: &Value, number: usize) -> Setup {
        let side = if self.random.percent(12) { "-b" } else { "" };
        let mut pod = self.pod(&format!("p{number}"), side);
        let spec = &mut pod["spec"];
        spec["nodeName"] = node["metadata"]["name"].clone();
        // It stays whatever taints its node has: what is judged is the moment.
        spec["tolerations"] = json!([{"operator": "Exists"}]);
        if self.random.percent(8) {
            spec["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [self.pod_term()]}});
        }
        let then = match self.random.within(0, 19) {
            0 | 1 => Then::Leaves,
            2 => Then::Ends,
            _ => Then::Stays,
        };
        if then == Then::Leaves {
            pod["metadata"]["finalizers"] = json!(["oracle.test/stays"]);
        }
        Setup { pod, then }
    }

    /// A pod with containers, perhaps steps of initialization and sidecars, and labels.
    pub(super) fn pod(&mut self, name: &str, side: &str) -> Value {
        let mut labels = json!({"oracle": self.name, "app": self.app()});
        if self.random.percent(50) {
            labels["tier"] = json!(*self.random.one(&["front", "back"]));
        }
        let mut spec = json!({"containers": [self.container("main", 60)]});
        if self.random.percent(12) {
            spec["containers"] = json!([self.container("main", 60), self.container("second", 0)]);
        }
        if self.random.percent(15) {
            let mut init = self.container("init", 10);
            if self.random.percent(50) {
                init["restartPolicy"] = json!("Always");
            }
            spec["initContainers"] = json!([init, self.container("init-2", 0)]);
        }
        if self.random.percent(10) {
            spec["runtimeClassName"] = json!("boxed");
        }
        if self.random.percent(32) {
            let port = *self.random.one(&[8080, 8080, 8080, 9090]);
            let protocol = *self.random.one(&["TCP", "TCP", "UDP"]);
            let mut entry = json!({"containerPort": port, "hostPort": port, "protocol": protocol});
            if self.random.percent(30) {
                entry["hostIP"] = json!(*self.random.one(&["10.0.0.1", "10.0.0.2"]));
            }
            spec["containers"][0]["ports"] = json!([entry]);
        }
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": format!("{}{side}", self.space), "labels": labels}, "spec": spec})
    }

    fn container(&mut self, name: &str, with_gpu: i64) -> Value {
        let mut requests = Map::new();
        let mut limits = Map::new();
        if self.random.percent(80) {
            requests.insert(
                "cpu".into(),
                json!(*self.random.one(&["250m", "500m", "1", "1500m", "2", "4"])),
            );
        }
        if self.random.percent(80) {
            requests.insert(
                "memory".into(),
                json!(*self.random.one(&["512Mi", "1Gi", "4Gi", "8Gi", "16Gi"])),
            );
        }
        if self.random.percent(40) {
            requests.insert(
                "ephemeral-storage".into(),
                json!(*self.random.one(&["1Gi", "10Gi", "20Gi", "40Gi"])),
            );
        }
        if self.random.percent(with_gpu) {
            let name = if self.random.percent(88) {
                "nvidia.com/gpu"
            } else {
                "nvidia.com/mig-1g.10gb"
            };
            let count = *self.random.one(&["1", "1", "1", "2", "4"]);
            limits.insert(name.into(), json!(count));
        }
        if self.random.percent(15) && !requests.contains_key("cpu") {
            // A limit alone is a request.
            limits.insert("cpu".into(), json!("1"));
        }
        json!({"name": name, "image": "none", "resources": {"requests": requests, "limits": limits}})
    }

    /// A pod of high priority, on a cluster where only making others leave gives it room.
    pub(super) fn nominee(&mut self, nodes: &[Value], pods: &mut [Setup]) -> Option<Value> {
        if !self.random.percent(5) {
            return None;
        }
        let fit = |node: &&Value| {
            node["spec"]["unschedulable"].is_null()
                && node["status"]["conditions"][0]["status"] == "True"
                && node["spec"]["taints"].as_array().is_none_or(Vec::is_empty)
                && node["status"]["allocatable"]["nvidia.com/gpu"].is_string()
        };
        let node = nodes.iter().find(fit)?;
        let all = node["status"]["allocatable"]["nvidia.com/gpu"].clone();
        let name = node["metadata"]["name"].clone();
        let here = pods
            .iter_mut()
            .find(|setup| setup.pod["spec"]["nodeName"] == name && setup.then == Then::Stays)?;
        here.pod["spec"]["priorityClassName"] = json!("low");
        here.pod["spec"]["containers"] =
            json!([{"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": all}}}]);
        here.pod["spec"]
            .as_object_mut()
            .expect("a spec is an object")
            .remove("initContainers");
        Some(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "nominee", "namespace": self.space, "labels": {"oracle": self.name, "app": "pushes"}},
            "spec": {"priorityClassName": "pushes", "nodeSelector": {"kubernetes.io/hostname": name},
                "containers": [{"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}}))
    }
}

/// Takes back the ports of a pod that others on its node have. A kubelet would refuse it, and the scheduler keeps such a
/// port only once: it would forget it with the first of the two that ends.
fn free_ports(pod: &mut Value, others: &[Setup]) {
    let node = &pod["spec"]["nodeName"];
    let ports = |pod: &Value| pod["spec"]["containers"][0]["ports"][0]["hostPort"].clone();
    let own = ports(pod);
    let same = |other: &&Setup| other.pod["spec"]["nodeName"] == *node && ports(&other.pod) == own;
    if !own.is_null() && others.iter().any(|other| same(&other)) {
        pod["spec"]["containers"][0]["ports"] = Value::Null;
    }
}
