//! The run of a test: one Plugin step, then one rollout.

use serde_json::{Value, json};
use weir_domain::ids::{RevisionId, StepId};
use weir_domain::pipeline::Pipeline;
use weir_domain::rollout::{Rollout, StableSide};
use weir_domain::run::Run;
use weir_domain::time::Timestamp;
use weir_domain::workload::Workload;

use crate::cluster::SIMULATOR;

/// Time that a pod has to leave: a third of it until the gateway has noticed, the rest for streams of 1 to 2 s and a second
/// without any request.
const GRACE_S: u64 = 9;

/// The Plugin step.
pub const PLUGIN: StepId = StepId { stage: 0, step: 0 };
/// The rollout step.
pub const ROLLOUT: StepId = StepId { stage: 1, step: 0 };

/// What a run is made of. The rest is the same for all tests.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Version of the model: each is a revision of its own.
    pub version: String,
    /// Version that is stable, if any.
    pub stable: Option<String>,
    /// GPUs of one replica.
    pub gpus: u32,
    /// Commands of the Plugin step.
    pub commands: Vec<String>,
    /// Where the commit is fetched from.
    pub clone_url: String,
    /// The commit.
    pub commit: String,
    /// How the model behaves, beside what all do.
    pub model: Value,
    /// The only node that its pods may go to.
    pub node: Option<&'static str>,
}

impl Shape {
    /// A candidate, and what is stable.
    pub fn rollout(version: &str, stable: Option<&str>) -> Self {
        Self {
            version: version.to_owned(),
            stable: stable.map(str::to_owned),
            gpus: 1,
            commands: vec!["true".to_owned()],
            clone_url: "file:///nowhere".to_owned(),
            commit: "0".repeat(40),
            model: json!({}),
            node: None,
        }
    }

    /// The revision of a version of this shape.
    pub fn revision(&self, version: &str) -> RevisionId {
        let workload: Workload =
            serde_json::from_value(self.workload(version)).expect("the workload is well formed");
        workload.revision()
    }

    /// A pipeline of one canary: 10 % for ten seconds, then the rest, on `replicas` replicas.
    ///
    /// # Panics
    /// Never: the parts are well formed.
    pub fn canary(&self, namespace: &str, builds: &str, replicas: u32) -> Pipeline {
        let strategy = json!({"canary": {
            "steps": [{"weight": 10, "interval": 10_000}], "threshold": 0.95, "min_samples": 20,
        }});
        self.pipeline(namespace, builds, replicas, strategy)
    }

    /// A pipeline of one rollout by this strategy, on `replicas` replicas.
    ///
    /// # Panics
    /// Never: the parts are well formed.
    pub fn pipeline(&self, namespace: &str, builds: &str, replicas: u32, strategy: Value) -> Pipeline {
        let mut step = self.step(namespace);
        let rule = &mut step["work"]["rollout"];
        rule["strategy"] = strategy;
        rule["rollback"] = json!({"compare": {
            "metric": "error_rate", "op": ">", "line": {"value": 0.05, "dimension": "ratio", "written": "5%"},
        }});
        rule["workload"]["replicas"] = replicas.into();
        rule["bake"] = 5_000.into();
        serde_json::from_value(json!({
            "name": "model-update",
            "digest": "d",
            "stages": [{"name": "Production", "work": {"steps": {"parallel": false, "steps": [step]}}}],
            "groups": [{"name": "ml", "members": [{"name": "ana", "slack": "U1", "github": null, "uid": null}]}],
            "builds": {"cluster": "main", "namespace": builds, "fetch_image": "git"},
        }))
        .expect("the pipeline is well formed")
    }

    /// A pipeline of an experiment: variants of these versions and shares, collected for so many milliseconds, and commands
    /// after that.
    ///
    /// # Panics
    /// Never: the parts are well formed.
    pub fn experiment(
        &self,
        namespace: &str,
        builds: &str,
        variants: &[(&str, u8)],
        duration_ms: u64,
    ) -> Pipeline {
        let stage = |name: &str, step: Value| json!({"name": name, "work": {"steps": {"parallel": false, "steps": [step]}}});
        let mut stages: Vec<Value> = variants
            .iter()
            .map(|(version, weight)| {
                let mut step = self.step(namespace);
                (step["name"], step["slug"]) = (json!(version), json!(version));
                let rule = &mut step["work"]["rollout"];
                rule["strategy"] = json!({"variant": {"version": version, "weight": weight}});
                rule["workload"]["gpus"] = 0.into();
                stage(version, step)
            })
            .collect();
        let metrics: Vec<String> = variants
            .iter()
            .map(|(version, _)| format!("{version}.latency"))
            .collect();
        let collect = json!({"metrics": metrics, "duration": duration_ms, "source": "datadog"});
        stages.push(stage(
            "Monitor",
            json!({"name": "Monitor", "slug": "monitor", "work": {"collect": collect}}),
        ));
        stages.push(stage("Analyze", self.plugin()));
        serde_json::from_value(json!({
            "name": "ab-test",
            "digest": "d",
            "stages": stages,
            "groups": [{"name": "ml", "members": [{"name": "ana", "slack": "U1", "github": null, "uid": null}]}],
            "builds": {"cluster": "main", "namespace": builds, "fetch_image": "git"},
        }))
        .expect("the pipeline is well formed")
    }

    /// A Deployment that somebody else made, whose pods carry this version's label.
    pub fn deployment(&self, version: &str, replicas: u32) -> Value {
        let mut template = self.workload(version)["template"].take();
        template["metadata"]["labels"] = json!({"team": "ml", "version": version});
        let container = &mut template["spec"]["containers"][0];
        container["envFrom"] = json!([]);
        container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 3}}});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": version},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"team": "ml", "version": version}},
                "template": template,
            },
        })
    }

    pub(crate) fn run(&self, namespace: &str, builds: &str) -> Run {
        let steps = |step: Value| json!({"steps": {"parallel": false, "steps": [step]}});
        let value = json!({
            "schema": 1,
            "id": format!("run-{namespace}-{}", self.version),
            "number": 1,
            "cause": {
                "repository": {"name": "acme/models", "clone_url": self.clone_url},
                "git_ref": "refs/heads/main",
                "before": "0".repeat(40),
                "after": self.commit,
                "actor": "weir",
                "headline": "new model",
                "reason": "models/**",
                "received": 0,
            },
            "pipeline": {
                "name": "model-update",
                "digest": "d",
                "stages": [
                    {"name": "Build", "work": steps(self.plugin())},
                    {"name": "Production", "work": steps(self.step(namespace))},
                ],
                "builds": {"cluster": "main", "namespace": builds, "fetch_image": "git"},
            },
            "status": "running",
            "stages": [
                {"status": "running", "steps": [{"status": "running"}]},
                {"status": "pending", "steps": [{"status": "pending"}]},
            ],
            "outputs": {},
            "began": 0,
        });
        let mut run: Run = serde_json::from_value(value).expect("the run is well formed");
        let mut rollout = Rollout::new(self.revision(&self.version), Timestamp(0));
        rollout.stable = self.stable.as_deref().map(|version| StableSide {
            revision: self.revision(version),
            replicas: 1,
            adopted: None,
        });
        run.stages[ROLLOUT.stage].steps[ROLLOUT.step].rollout = Some(Box::new(rollout));
        run
    }

    fn plugin(&self) -> Value {
        json!({"name": "Check", "slug": "check", "work": {"plugin": {
            "image": "python:3.12",
            "commands": self.commands,
            "env": {},
            "secrets": [],
            "outputs": [],
            "timeout": 120_000,
        }}})
    }

    fn step(&self, namespace: &str) -> Value {
        json!({"name": "Production", "slug": "production", "work": {"rollout": {
            "lane": {"service": "chat", "environment": "Production"},
            "target": {
                "cluster": "main", "provider": "kubernetes", "namespace": namespace, "route": "chat", "service": "chat",
            },
            "workload": self.workload(&self.version),
            "strategy": "rolling",
            "bake": 0, "keep": 0, "hold_exposure": 60_000, "warm_within": 600_000,
        }}})
    }

    fn workload(&self, version: &str) -> Value {
        let mut model = json!({"version": version, "warm_up_generations": 0, "load_seconds": 0.0});
        if let (Some(model), Some(more)) = (model.as_object_mut(), self.model.as_object()) {
            model.extend(more.clone());
        }
        let mut workload = json!({
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "chat"}},
                "spec": {
                    "terminationGracePeriodSeconds": GRACE_S,
                    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
                    "containers": [{
                        "name": "server",
                        "image": format!("{SIMULATOR}:{version}"),
                        "env": [
                            {"name": "MODEL_JSON", "value": model.to_string()},
                        ],
                        "envFrom": [{"configMapRef": {"name": "settings"}}],
                        "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1},
                        "resources": {"limits": {"nvidia.com/gpu": self.gpus}},
                    }],
                },
            },
            "config": [{"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"LANGUAGE": "en"}}],
            "replicas": 1,
            "gpus": self.gpus,
            "gpu_resource": "nvidia.com/gpu",
            "port": 8000,
            "metrics": {"port": 8000, "path": "/metrics"},
        });
        if let Some(node) = self.node {
            workload["template"]["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": node});
        }
        workload
    }
}
