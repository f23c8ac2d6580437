//! Which rights of `infra/cluster` whoever measures does not have.

use serde_json::json;

use super::{Site, failed};
use crate::rights::{ROLES, Reach, Role};

/// What was found of rights.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rights {
    /// What is missing, by role.
    pub lacks: Vec<Lack>,
    /// Roles that were not asked about, because the namespace in which they count was not said.
    pub unasked: Vec<&'static str>,
}

/// Rights of a role that are missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lack {
    /// The role.
    pub role: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Where it counts; nothing: in the whole cluster.
    pub namespace: Option<String>,
    /// What may not be done: `get/patch httproutes`.
    pub rights: Vec<String>,
    /// What to do about it.
    pub fix: String,
}

impl Site<'_> {
    /// Asks for one right after another, as the API server itself decides it.
    pub(super) async fn rights(&self) -> Result<Rights, String> {
        let mut found = Rights::default();
        for role in &ROLES {
            let namespace = match role.reach {
                Reach::Cluster => None,
                Reach::Services => Some(&self.probe.namespace),
                Reach::Builds => self.probe.builds.as_ref(),
                Reach::Gateways => self.probe.gateways.as_ref(),
            };
            if namespace.is_none() && role.reach != Reach::Cluster {
                found.unasked.push(role.name);
                continue;
            }
            let namespace = namespace.map(String::as_str);
            found.lacks.extend(self.lack(role, namespace).await?);
        }
        Ok(found)
    }

    async fn lack(&self, role: &Role, namespace: Option<&str>) -> Result<Option<Lack>, String> {
        let mut rights = Vec::new();
        for (group, resource, verbs) in role.rights() {
            let mut lacks = Vec::new();
            for verb in *verbs {
                if !self.may(namespace, group, resource, verb).await? {
                    lacks.push(*verb);
                }
            }
            if !lacks.is_empty() {
                rights.push(format!("{} {resource}", lacks.join("/")));
            }
        }
        Ok((!rights.is_empty()).then(|| Lack {
            role: role.name,
            about: role.about,
            namespace: namespace.map(str::to_owned),
            rights,
            fix: fix(role, namespace),
        }))
    }

    async fn may(
        &self,
        namespace: Option<&str>,
        group: &str,
        resource: &str,
        verb: &str,
    ) -> Result<bool, String> {
        let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
        let question = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace.unwrap_or_default(), "group": group, "resource": resource, "subresource": part,
                "verb": verb,
            }},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.api.ask(path, &question).await;
        let answer = answer.map_err(|fault| failed("ask", path, &fault))?;
        Ok(answer["status"]["allowed"] == true)
    }
}

/// What to apply.
fn fix(role: &Role, namespace: Option<&str>) -> String {
    let file = role.file;
    match namespace {
        Some(namespace) => format!(
            "apply infra/cluster/rbac.yaml, and infra/cluster/{file} with `-n {namespace}` and this identity among its subjects"
        ),
        None => format!("apply infra/cluster/{file} with this identity among its subjects"),
    }
}
