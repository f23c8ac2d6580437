//! Effects on the objects of a revision: made, scaled, removed.

use serde_json::{Value, json};
use weir_app::EffectError;
use weir_domain::ids::{Fence, RevisionId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::run::Run;
use weir_domain::workload::Adopted;

use crate::adopt;
use crate::api::Api;
use crate::fault::Fault;
use crate::ledger;
use crate::names;
use crate::render::{self, Objects, Subject};
use crate::split::{Change, fence_of, guarded};
use crate::traffic::{CONFLICTS, Failure, route_path, write};

/// One write to one revision.
pub(crate) struct Hand<'a> {
    api: &'a Api,
    rule: &'a RolloutRule,
    revision: &'a RevisionId,
    /// The Deployment behind it, if somebody else made that.
    adopted: Option<&'a Adopted>,
    fence: Fence,
}

fn deployments(rule: &RolloutRule) -> String {
    format!("/apis/apps/v1/namespaces/{}/deployments", rule.target.namespace)
}

/// Where a Deployment beside the route is.
pub(crate) fn deployment_path(rule: &RolloutRule, name: &str) -> String {
    format!("{}/{name}", deployments(rule))
}

/// Where core objects beside the route are.
pub(crate) fn core_path(rule: &RolloutRule, kind: &str) -> String {
    format!("/api/v1/namespaces/{}/{kind}", rule.target.namespace)
}

impl<'a> Hand<'a> {
    pub(crate) fn new(api: &'a Api, rule: &'a RolloutRule, revision: &'a RevisionId, fence: Fence) -> Self {
        Self {
            api,
            rule,
            revision,
            adopted: None,
            fence,
        }
    }

    /// The same for a revision whose Deployment somebody else made.
    pub(crate) fn of(mut self, adopted: Option<&'a Adopted>) -> Self {
        self.adopted = adopted;
        self
    }

    fn name(&self) -> String {
        names::revision_name(&self.rule.lane, self.revision)
    }

    fn core(&self, kind: &str) -> String {
        core_path(self.rule, kind)
    }

    fn deployments(&self) -> String {
        deployments(self.rule)
    }

    /// Name of its Deployment.
    fn workload(&self) -> String {
        names::deployment_name(&self.rule.lane, self.revision, self.adopted)
    }

    fn object(&self, kind: &str, name: &str) -> String {
        format!(
            "{kind} {}/{name} of {}",
            self.rule.target.namespace, self.revision
        )
    }

    /// Makes what is missing, and sets the replicas.
    pub(crate) async fn ensure(&self, run: &Run, replicas: u32) -> Result<(), EffectError> {
        if let Some(adopted) = self.adopted {
            return self.wake(run, adopted, replicas).await;
        }
        let name = self.name();
        let object = self.object("Deployment", &name);
        let subject = Subject {
            namespace: &self.rule.target.namespace,
            lane: &self.rule.lane,
            revision: self.revision,
            run: &run.id,
            fence: self.fence,
        };
        let objects = render::revision(&subject, &self.rule.workload, &run.outputs, replicas)
            .map_err(|error| EffectError::never("render", object.clone(), error.to_string()))?;
        let path = format!("{}/{name}", self.deployments());
        let present = self
            .api
            .find(&path)
            .await
            .map_err(|fault| fault.on("read", object.clone()))?;
        if let Some(present) = present {
            return self.grow(&path, &present, &objects, replicas).await;
        }
        if ledger::fence(self.api, self.rule).await? > self.fence {
            tracing::info!(revision = %self.revision, "it was removed by a later decision; it is not made again");
            return Ok(());
        }
        self.make(&objects).await?;
        match self.api.create(&self.deployments(), &objects.deployment).await {
            Err(Fault::Exists) => self.set_replicas(&path, replicas, Some(&objects.content)).await,
            other => other.map_err(|fault| fault.on("create", object)),
        }
    }

    /// A Deployment that somebody else made serves again. It is never made: without it, or with another template, there is no
    /// way back to it.
    async fn wake(&self, run: &Run, adopted: &Adopted, replicas: u32) -> Result<(), EffectError> {
        let (name, workload) = (&adopted.deployment, &self.rule.workload);
        let path = format!("{}/{name}", self.deployments());
        let object = self.object("Deployment", name);
        let present = self.api.find(&path).await;
        let why = match present.map_err(|fault| fault.on("read", object.clone()))? {
            None => "it was adopted, and somebody removed it since",
            Some(present) if present["spec"]["template"] != workload.template => {
                "its template is not the one that served: put that back (`kubectl rollout undo`)"
            }
            Some(_) => {
                adopt::ensure_service(self.api, run, self.rule, workload, adopted, self.fence).await?;
                return self.set_replicas(&path, replicas, None).await;
            }
        };
        Err(EffectError::never("scale", object, why))
    }

    /// Makes ConfigMaps and Service; those that exist are as they were made, because they are immutable.
    async fn make(&self, objects: &Objects) -> Result<(), EffectError> {
        let config = objects
            .config
            .iter()
            .map(|object| ("ConfigMap", "configmaps", object));
        for (kind, plural, value) in config.chain([("Service", "services", &objects.service)]) {
            match self.api.create(&self.core(plural), value).await {
                Ok(()) | Err(Fault::Exists) => {}
                Err(fault) => {
                    let name = value["metadata"]["name"].as_str().unwrap_or_default();
                    return Err(fault.on("create", self.object(kind, name)));
                }
            }
        }
        Ok(())
    }

    /// The Deployment exists: its Service must too, then its replicas are set.
    async fn grow(
        &self,
        path: &str,
        present: &Value,
        objects: &Objects,
        replicas: u32,
    ) -> Result<(), EffectError> {
        let service = format!("{}/{}", self.core("services"), self.name());
        let found = self
            .api
            .find(&service)
            .await
            .map_err(|fault| fault.on("read", self.object("Service", &self.name())))?;
        if found.is_none() && fence_of(present).is_ok_and(|fence| fence <= self.fence) {
            self.make(objects).await?;
        }
        self.set_replicas(path, replicas, Some(&objects.content)).await
    }

    /// Sets the replicas of a Deployment that exists. The pods in `leaving` are marked as those that go first.
    pub(crate) async fn scale(&self, replicas: u32, leaving: &[String]) -> Result<(), EffectError> {
        for pod in leaving {
            self.mark_leaving(pod).await?;
        }
        let path = format!("{}/{}", self.deployments(), self.workload());
        self.set_replicas(&path, replicas, None).await
    }

    /// Below every other pod's cost, which is 0 unless somebody says otherwise. A pod that has gone needs no mark.
    async fn mark_leaving(&self, pod: &str) -> Result<(), EffectError> {
        const COST: &str = "-100";
        let decide = |pod: &Value| match pod["metadata"]["annotations"][names::DELETION_COST] == COST {
            true => Ok(Change::Nothing),
            false => Ok(Change::Patch(guarded(
                pod,
                Vec::new(),
                &[(names::DELETION_COST, COST.to_owned())],
            ))),
        };
        match write(self.api, &format!("{}/{pod}", self.core("pods")), decide).await {
            Ok(()) | Err(Failure::Fault(Fault::Missing(_))) => Ok(()),
            Err(failure) => Err(failure.on("mark", self.object("Pod", pod))),
        }
    }

    async fn set_replicas(
        &self,
        path: &str,
        replicas: u32,
        content: Option<&str>,
    ) -> Result<(), EffectError> {
        const OPERATION: &str = "scale";
        let object = self.object("Deployment", &self.workload());
        let decide = |deployment: &Value| {
            let found = fence_of(deployment).map_err(|unfit| unfit.to_string())?;
            if found > self.fence {
                return Ok(Change::Overtaken);
            }
            let made_from = &deployment["metadata"]["annotations"][names::CONTENT];
            if content.is_some_and(|content| made_from != content) {
                return Err("it was made from other content under the same name: two runs whose steps wrote different \
                            outputs are different revisions; remove it if it is not in use"
                    .to_owned());
            }
            let stands = deployment["spec"]["replicas"] == replicas;
            if stands && found == self.fence {
                return Ok(Change::Nothing);
            }
            let edit = json!({"op": "replace", "path": "/spec/replicas", "value": replicas});
            let edits = if stands { Vec::new() } else { vec![edit] };
            Ok(Change::Patch(guarded(
                deployment,
                edits,
                &[(names::FENCE, self.fence.to_string())],
            )))
        };
        match write(self.api, path, decide).await {
            Err(Failure::Fault(Fault::Missing(_))) if replicas == 0 => Ok(()),
            Err(Failure::Fault(Fault::Missing(said))) => Err(EffectError::never(
                OPERATION,
                object,
                format!("{said}; somebody removed it"),
            )),
            written => written.map_err(|failure| failure.on(OPERATION, object)),
        }
    }

    /// Removes Deployment, Service and ConfigMaps, unless a later decision wrote them. What the route still names is
    /// taken out of it first.
    pub(crate) async fn remove(&self) -> Result<(), EffectError> {
        let name = self.name();
        ledger::raise(self.api, self.rule, self.fence).await?;
        self.leave_route(&name).await?;
        if self.adopted.is_some() && !self.put_to_rest().await? {
            return Ok(());
        }
        let deployment = format!("{}/{name}", self.deployments());
        if !self.delete(&deployment, "Deployment", &name).await? {
            return Ok(());
        }
        self.delete(&format!("{}/{name}", self.core("services")), "Service", &name)
            .await?;
        let query = render::selector_query(&self.rule.lane, &[self.revision]);
        let copies = self.api.list(&self.core("configmaps"), &query).await;
        for copy in copies.map_err(|fault| fault.on("list", self.object("ConfigMaps", "*")))? {
            let copy = copy["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            self.delete(&format!("{}/{copy}", self.core("configmaps")), "ConfigMap", &copy)
                .await?;
        }
        Ok(())
    }

    /// A Deployment that somebody else made gives up its pods and stays. `false`: a later decision wrote it.
    async fn put_to_rest(&self) -> Result<bool, EffectError> {
        let (path, name) = (self.deployments(), self.workload());
        let present = self.api.find(&format!("{path}/{name}")).await;
        let present = present.map_err(|fault| fault.on("read", self.object("Deployment", &name)))?;
        if present.is_some_and(|present| fence_of(&present).is_ok_and(|fence| fence > self.fence)) {
            return Ok(false);
        }
        self.scale(0, &[]).await.map(|()| true)
    }

    /// Removes one object as it was read. `false`: a later decision wrote it, so it stays.
    async fn delete(&self, path: &str, kind: &str, name: &str) -> Result<bool, EffectError> {
        let failed = |fault: Fault| fault.on("remove", self.object(kind, name));
        let mut last = Fault::Conflict(String::new());
        for _ in 0..CONFLICTS {
            let Some(object) = self.api.find(path).await.map_err(failed)? else {
                return Ok(true);
            };
            if !object["metadata"]["deletionTimestamp"].is_null() {
                return Ok(true);
            }
            if fence_of(&object).is_ok_and(|fence| fence > self.fence) {
                return Ok(false);
            }
            match self.api.delete(path, &object).await {
                Err(Fault::Conflict(why)) => last = Fault::Conflict(why),
                other => return other.map(|()| true).map_err(failed),
            }
        }
        Err(failed(last))
    }

    /// Takes the revision out of the route: a backend whose Service is gone would make the whole route unresolved.
    async fn leave_route(&self, name: &str) -> Result<(), EffectError> {
        if self.rule.target.is_by_replicas() {
            return Ok(());
        }
        const OPERATION: &str = "take the removed revision out of";
        let object = format!(
            "HTTPRoute {}/{}",
            self.rule.target.namespace, self.rule.target.route
        );
        let namespace = self.rule.target.namespace.as_str();
        match write(self.api, &route_path(self.rule), |route| {
            crate::split::without(route, name, namespace, self.fence)
        })
        .await
        {
            Ok(()) | Err(Failure::Fault(Fault::Missing(_))) => Ok(()),
            Err(Failure::Fault(fault)) => Err(fault.on(OPERATION, object)),
            Err(Failure::Unfit(why)) => Err(EffectError::later(OPERATION, object, why)),
        }
    }
}
