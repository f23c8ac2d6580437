//! What the roles of `infra/cluster` grant. A test compares it with the files.

/// A group, a resource of it, or a subresource behind a slash, and verbs.
pub(crate) type Right = (&'static str, &'static str, &'static [&'static str]);

/// What whoever moves traffic must be allowed in the namespace.
pub(crate) const TRAFFIC: [Right; 7] = [
    ("apps", "deployments", &["get", "create", "patch", "delete"]),
    ("", "services", &["get", "create", "patch", "delete"]),
    ("", "configmaps", &["get", "list", "create", "patch", "delete"]),
    ("", "pods", &["get", "list", "patch"]),
    ("gateway.networking.k8s.io", "httproutes", &["get", "patch"]),
    (
        "autoscaling",
        "horizontalpodautoscalers",
        &["get", "list", "patch"],
    ),
    ("keda.sh", "scaledobjects", &["get", "list", "patch"]),
];

/// What else it must be allowed where it adopts a Deployment, or splits traffic without a gateway.
pub(crate) const TO_ADOPT: [Right; 1] = [("discovery.k8s.io", "endpointslices", &["list"])];

/// What it may be allowed, to say why a pod does not become warm.
const TO_EXPLAIN: [Right; 1] = [("", "events", &["list"])];

/// What the admission policy asks for where somebody gives a candidate more.
const TO_RAISE: [Right; 1] = [("weir.dev", "traffic", &["raise"])];

const GROUND: [Right; 14] = [
    ("", "nodes", &["list"]),
    ("", "pods", &["list"]),
    ("", "namespaces", &["list"]),
    ("", "resourcequotas", &["list"]),
    ("", "limitranges", &["list"]),
    ("", "persistentvolumes", &["list"]),
    ("", "persistentvolumeclaims", &["list"]),
    ("policy", "poddisruptionbudgets", &["list"]),
    ("scheduling.k8s.io", "priorityclasses", &["list"]),
    ("node.k8s.io", "runtimeclasses", &["list"]),
    ("resource.k8s.io", "deviceclasses", &["list"]),
    ("resource.k8s.io", "resourceslices", &["list"]),
    ("resource.k8s.io", "resourceclaims", &["list"]),
    ("resource.k8s.io", "resourceclaimtemplates", &["list"]),
];

const CLASSES: [Right; 2] = [
    ("gateway.networking.k8s.io", "gateways", &["get"]),
    ("gateway.networking.k8s.io", "gatewayclasses", &["get"]),
];

const STEPS: [Right; 4] = [
    ("batch", "jobs", &["get", "create", "patch"]),
    ("", "configmaps", &["create"]),
    ("", "pods", &["list"]),
    ("", "pods/log", &["get"]),
];

/// Where a role counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// The whole cluster.
    Cluster,
    /// Namespaces of services.
    Services,
    /// The namespace of Plugin steps.
    Builds,
    /// The namespace of the gateway's pods.
    Gateways,
}

/// A role that a host needs which moves traffic and runs steps.
pub(crate) struct Role {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
    /// Where it counts.
    pub(crate) reach: Reach,
    /// The file of its binding.
    pub(crate) file: &'static str,
    rights: &'static [&'static [Right]],
}

impl Role {
    /// What it grants.
    pub(crate) fn rights(&self) -> impl Iterator<Item = &'static Right> {
        self.rights.iter().copied().flatten()
    }
}

/// All but `weir-back-only`, which takes a part of `weir-traffic` for those that answer the internet.
pub(crate) const ROLES: [Role; 7] = [
    Role {
        name: "weir-traffic",
        about: "moves traffic",
        reach: Reach::Services,
        file: "namespace.yaml",
        rights: &[&TRAFFIC, &TO_ADOPT, &TO_EXPLAIN, &TO_RAISE],
    },
    Role {
        name: "weir-steps",
        about: "runs Plugin steps",
        reach: Reach::Builds,
        file: "builds.yaml",
        rights: &[&STEPS],
    },
    Role {
        name: "weir-ground",
        about: "sees what fits before anything moves",
        reach: Reach::Cluster,
        file: "ground.yaml",
        rights: &[&GROUND],
    },
    Role {
        name: "weir-nodes",
        about: "sees on what the replicas run that it compares",
        reach: Reach::Cluster,
        file: "ground.yaml",
        rights: &[&[("", "nodes", &["get"])]],
    },
    Role {
        name: "weir-classes",
        about: "for shadows: sees what a gateway can do",
        reach: Reach::Cluster,
        file: "classes.yaml",
        rights: &[&CLASSES],
    },
    Role {
        name: "weir-gateway-view",
        about: "finds the gateway's pods, to count requests there",
        reach: Reach::Gateways,
        file: "gateway.yaml",
        rights: &[&[("", "pods", &["list"])]],
    },
    Role {
        name: "weir-pod-proxy",
        about: "opt-in: reads metrics of pods through the API server",
        reach: Reach::Services,
        file: "pod-proxy.yaml",
        rights: &[&[("", "pods/proxy", &["get"])]],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// `role group resource verb`, one for each.
    type Granted = BTreeSet<String>;

    fn words(list: &Value) -> impl Iterator<Item = &str> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    fn granted(role: &Value) -> Granted {
        let name = role["metadata"]["name"].as_str().unwrap();
        let mut out = Granted::new();
        for rule in role["rules"].as_array().unwrap() {
            for group in words(&rule["apiGroups"]) {
                for resource in words(&rule["resources"]) {
                    out.extend(words(&rule["verbs"]).map(|verb| format!("{name} {group} {resource} {verb}")));
                }
            }
        }
        out
    }

    fn asked(role: &Role) -> Granted {
        let one = |(group, resource, verbs): &'static Right| {
            let name = role.name;
            verbs
                .iter()
                .map(move |verb| format!("{name} {group} {resource} {verb}"))
        };
        role.rights().flat_map(one).collect()
    }

    #[test]
    fn what_is_asked_for_is_what_the_files_grant() {
        let files = [
            include_str!("../../../infra/cluster/rbac.yaml"),
            include_str!("../../../infra/cluster/ground.yaml"),
            include_str!("../../../infra/cluster/classes.yaml"),
        ];
        let mut granting = Granted::new();
        for file in files {
            let objects: Vec<Value> = serde_saphyr::from_multiple(file).unwrap();
            let roles = objects.iter().filter(|object| object["kind"] == "ClusterRole");
            let roles = roles.filter(|role| role["metadata"]["name"] != "weir-back-only");
            granting.extend(roles.flat_map(granted));
        }
        assert_eq!(ROLES.iter().flat_map(asked).collect::<Granted>(), granting);
    }

    #[test]
    fn every_role_is_bound_by_the_file_that_is_named() {
        for role in &ROLES {
            let path = format!("{}/../../infra/cluster/{}", env!("CARGO_MANIFEST_DIR"), role.file);
            let objects: Vec<Value> =
                serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap();
            let kind = match role.reach {
                Reach::Cluster => "ClusterRoleBinding",
                _ => "RoleBinding",
            };
            let mut bindings = objects.iter().filter(|object| object["kind"] == kind);
            assert!(
                bindings.any(|binding| binding["roleRef"]["name"] == role.name),
                "{}",
                role.name
            );
        }
    }
}
