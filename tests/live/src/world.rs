//! A namespace of a test: a service with its route, a place for Plugin steps, and identities with the shipped rights.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use weir_app::Clusters;
use weir_cluster::{Access, Fleet, Places};
use weir_domain::effect::Effect;
use weir_domain::ids::{Fence, RevisionId};
use weir_domain::run::Run;
use weir_domain::units::Weight;

use crate::api::{Answer, Api};
use crate::clock::WallClock;
use crate::cluster::{Cluster, scaled_objects, shared};
use crate::gate::Gate;
use crate::identity::{Identity, Role};
use crate::manifests;
use crate::run::{ROLLOUT, Shape};
use crate::wait::eventually;

/// The surroundings of a test.
pub struct World {
    /// The cluster.
    pub cluster: &'static Cluster,
    /// Its administrator.
    pub admin: Api,
    /// Namespace of the service.
    pub namespace: String,
    /// Namespace of Plugin steps.
    pub builds: String,
    people: Vec<Identity>,
}

impl World {
    /// Makes the surroundings. Every test has a name of its own.
    ///
    /// # Panics
    /// They cannot be made.
    pub async fn new(name: &str) -> Self {
        Self::on(shared(), name).await
    }

    /// The same on another cluster.
    ///
    /// # Panics
    /// They cannot be made.
    pub async fn on(cluster: &'static Cluster, name: &str) -> Self {
        let admin = Api::enter(&cluster.kubeconfig)
            .await
            .expect("the administrator can enter");
        let namespace = format!("live-{name}");
        let builds = format!("{namespace}-builds");
        let mut world = Self {
            cluster,
            admin,
            namespace,
            builds,
            people: Vec::new(),
        };
        world.furnish().await.expect("the surroundings can be made");
        world
    }

    async fn furnish(&mut self) -> Result<()> {
        for name in [&self.namespace, &self.builds] {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.admin.create("/api/v1/namespaces", &object).await.ok();
        }
        for role in Role::ALL {
            let (base, dir) = (&self.cluster.kubeconfig, &self.cluster.state);
            let identity = Identity::of_account(&self.admin, base, dir, &self.namespace, role).await?;
            self.people.push(identity);
        }
        self.bind("namespace.yaml", &self.namespace).await?;
        self.bind("builds.yaml", &self.builds).await?;
        for name in ["chat", "admin"] {
            let service = plain_service(name);
            self.admin.create(&self.core("services"), &service).await.ok();
        }
        let routes = self.path("gateway.networking.k8s.io/v1", "httproutes");
        self.admin.create(&routes, &route(&self.host())).await.ok();
        Ok(())
    }

    /// Applies a binding as it is shipped, with this test's service accounts beside its groups.
    ///
    /// # Errors
    /// It cannot be applied.
    pub async fn bind(&self, file: &str, namespace: &str) -> Result<()> {
        let mut bindings = manifests::read(file)?;
        for binding in &mut bindings {
            // Roles that a file brings with it have none.
            let Some(subjects) = binding.get_mut("subjects").and_then(Value::as_array_mut) else {
                continue;
            };
            let named = |role: &Role| subjects.iter().any(|subject| subject["name"] == role.group());
            let accounts: Vec<Value> = Role::ALL
                .iter()
                .filter(|role| named(role))
                .map(|role| json!({"kind": "ServiceAccount", "name": role.account(), "namespace": self.namespace}))
                .collect();
            subjects.extend(accounts);
        }
        manifests::apply(&self.admin, namespace, &bindings).await
    }

    /// Applies a file that binds for the whole cluster, with this test's service accounts beside its groups.
    ///
    /// # Errors
    /// It cannot be applied.
    pub async fn bind_everywhere(&self, file: &str) -> Result<()> {
        self.bind(file, "").await
    }

    /// Lets the cluster know KEDA's ScaledObject, without anybody who scales by it.
    ///
    /// # Panics
    /// It cannot.
    pub async fn know_scaled_objects(&self) {
        let kind = scaled_objects().expect("it is built with the cluster");
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scaledobjects.keda.sh";
        self.admin.apply(path, &kind).await.expect("it can be applied");
        let path = self.path("keda.sh/v1alpha1", "scaledobjects");
        eventually("ScaledObjects are served", async || {
            match self.admin.get(&path).await.status {
                http::StatusCode::OK => Ok(()),
                status => Err(status.to_string()),
            }
        })
        .await;
    }

    /// Somebody.
    pub fn identity(&self, role: Role) -> &Identity {
        let at = Role::ALL
            .iter()
            .position(|other| *other == role)
            .expect("all roles are listed");
        &self.people[at]
    }

    /// Somebody who is mapped to a role's group, as a cloud's identities are.
    ///
    /// # Errors
    /// The kubeconfig cannot be written.
    pub async fn of_group(&self, role: Role) -> Result<Identity> {
        Identity::of_group(&self.cluster.kubeconfig, &self.cluster.state, role).await
    }

    /// The adapter, with somebody's rights.
    pub fn fleet(&self, role: Role) -> Fleet {
        let access = Access::kubeconfig(&self.identity(role).kubeconfig, None);
        Fleet::new(Places::all(access), Arc::new(WallClock))
    }

    /// The same with the rights of a role's group.
    ///
    /// # Panics
    /// The kubeconfig cannot be written.
    pub async fn fleet_of_group(&self, role: Role) -> Fleet {
        let identity = self.of_group(role).await;
        let identity = identity.expect("kubeconfigs of tests can be written");
        let access = Access::kubeconfig(&identity.kubeconfig, None);
        Fleet::new(Places::all(access), Arc::new(WallClock))
    }

    /// The same by way of a gate, which keeps a list of the requests.
    ///
    /// # Panics
    /// The kubeconfig cannot be written.
    pub fn fleet_by_way_of(&self, gate: &Gate, role: Role) -> Fleet {
        let path = self
            .directory("gate")
            .join(format!("{}-{}.json", role.account(), gate.address.port()));
        let identity = self.identity(role);
        identity
            .by_way_of(gate.address, &path)
            .expect("kubeconfigs of tests can be written");
        Fleet::new(Places::all(Access::kubeconfig(path, None)), Arc::new(WallClock))
    }

    /// A run in this world.
    pub fn run(&self, shape: &Shape) -> Run {
        shape.run(&self.namespace, &self.builds)
    }

    /// Lets metric-check perform effects, all of which must succeed.
    ///
    /// # Panics
    /// One does not.
    pub async fn perform(&self, run: &Run, effects: &[Effect]) {
        let fleet = self.fleet(Role::MetricCheck);
        for effect in effects {
            if let Err(error) = fleet.perform(run, effect).await {
                panic!("{effect:?}: {error}");
            }
        }
    }

    /// Pods of the service's namespace with these labels, as in `version=v1`; all of them with none.
    pub async fn pods(&self, labels: &str) -> Vec<Value> {
        let path = format!("{}?labelSelector={labels}", self.core("pods"));
        let mut found = self.admin.get(&path).await.ok();
        match found["items"].take() {
            Value::Array(pods) => pods,
            _ => Vec::new(),
        }
    }

    /// Gives the service's GPUs back: only when no pod holds one is there room for the next test.
    ///
    /// # Panics
    /// A pod stays.
    pub async fn clear(&self) {
        let deployments = self.path("apps/v1", "deployments");
        self.admin.delete(&deployments).await.ok();
        eventually("no pod is left", async || match self.pods("").await.len() {
            0 => Ok(()),
            left => Err(format!("{left} pods")),
        })
        .await;
    }

    /// Tells the process of a pod what is wrong with it from now on, as the simulator takes it.
    pub async fn spoil(&self, pod: &str, fault: &Value) -> Answer {
        let path = format!("{}/{pod}:8000/proxy/fault", self.core("pods"));
        self.admin.create(&path, fault).await
    }

    /// Pulls the plug of a node, or puts it back: see `tests/cluster/internal/kubelet/power.go`.
    pub async fn power(&self, node: &str, on: bool) {
        let word = if on { Value::Null } else { json!("off") };
        let change = json!({"metadata": {"annotations": {"weir.test/power": word}}});
        let path = format!("/api/v1/nodes/{node}");
        self.admin.merge(&path, &change).await.ok();
    }

    /// The order to give these shares, in percent.
    pub fn weights(&self, split: &[(&RevisionId, u8)], fence: u64) -> Effect {
        let share = |(revision, percent): &(&RevisionId, u8)| {
            (
                (*revision).clone(),
                Weight::new(*percent).expect("at most 100 percent"),
            )
        };
        Effect::SetWeights {
            step: ROLLOUT,
            split: split.iter().map(share).collect(),
            mirror: None,
            keep: None,
            fence: Fence(fence),
        }
    }

    /// Path of core objects of the service's namespace.
    pub fn core(&self, kind: &str) -> String {
        format!("/api/v1/namespaces/{}/{kind}", self.namespace)
    }

    /// Path of other objects of it.
    pub fn path(&self, group: &str, kind: &str) -> String {
        format!("/apis/{group}/namespaces/{}/{kind}", self.namespace)
    }

    /// Path of the route.
    pub fn route_path(&self) -> String {
        self.path("gateway.networking.k8s.io/v1", "httproutes/chat")
    }

    /// The route as it stands.
    pub async fn route(&self) -> Value {
        self.admin.get(&self.route_path()).await.ok()
    }

    /// What was asked of the route. Its gateway writes the rest at any time.
    pub async fn asked(&self) -> Value {
        let route = self.route().await;
        json!([
            route["metadata"]["generation"],
            route["metadata"]["annotations"],
            route["spec"]
        ])
    }

    /// Waits until users are answered by a version.
    pub async fn until_answered(&self, version: &str) {
        eventually("users are answered", async || match self.ask().await {
            Ok(answered) if answered == version => Ok(()),
            other => Err(format!("{other:?}, not {version}")),
        })
        .await;
    }

    /// The version that answers one request through the gateway.
    ///
    /// # Errors
    /// What came back instead.
    pub async fn ask(&self) -> Result<String, String> {
        self.ask_as(None).await.map(|(version, _)| version)
    }

    /// The same for a request with a header more; the cookie that the answer gives beside it.
    ///
    /// # Errors
    /// What came back instead.
    pub async fn ask_as(&self, header: Option<(&str, &str)>) -> Result<(String, Option<String>), String> {
        let request = http::Request::get(format!("{}/health", self.cluster.gateway))
            .header(http::header::HOST, self.host());
        let request = match header {
            Some((name, value)) => request.header(name, value),
            None => request,
        };
        let request = request
            .body(Empty::<Bytes>::new())
            .expect("the gateway's address is one");
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request).await.map_err(|error| error.to_string())?;
        let text = |name: &str| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let version = text("x-model-version").ok_or_else(|| answer.status().to_string())?;
        Ok((version, text("set-cookie")))
    }

    /// Host name that the route answers to.
    pub fn host(&self) -> String {
        format!("{}.example", self.namespace)
    }

    /// A directory in the checkout, where pods can read it.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.cluster.state.join(format!("{}-{name}", self.namespace));
        std::fs::create_dir_all(&path).expect("the directory of the tests can be written");
        path
    }
}

/// A plain Service of the user's.
fn plain_service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8000}]},
    })
}

/// The user's route: the rule that Weir splits, with things of its own, between rules that are none of Weir's business.
fn route(host: &str) -> Value {
    let header = json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-team", "value": "ml"}]}});
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "chat", "annotations": {"team": "ml"}},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateway"}],
            "hostnames": [host],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
                    "filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 301, "hostname": "new.example"}}],
                },
                {
                    "name": "main",
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "filters": [header],
                    "timeouts": {"request": "30s"},
                    "backendRefs": [{"name": "chat", "port": 80}],
                },
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/admin"}}],
                    "backendRefs": [{"name": "admin", "port": 80}],
                },
            ],
        },
    })
}
