//! How the functions reach the cluster: by EKS and the tokens of their roles, with the rights of `infra/cluster` and no
//! others.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;
use weir_demo::cluster::Manifest;

/// Where the gateway's pods are.
const GATEWAYS: Option<&str> = Some("envoy-gateway-system");
/// Where the sample's services are.
const SERVICES: [Option<&str>; 3] = [Some("staging"), Some("production"), Some("experiments")];
/// Where its Plugin steps run.
const BUILDS: Option<&str> = Some(weir_demo::cluster::BUILDS);

/// What exists before Weir, and what `infra/cluster/README.md` says to apply.
pub(crate) fn manifests() -> Vec<Manifest<'static>> {
    let proxy = include_str!("../../../infra/cluster/pod-proxy.yaml");
    let mut all = vec![
        (None, include_str!("../../demo/manifests/cluster.yaml")),
        (None, include_str!("../experiment/cluster.yaml")),
        (None, include_str!("../../../infra/cluster/rbac.yaml")),
        (None, include_str!("../../../infra/cluster/admission.yaml")),
        (None, include_str!("../../../infra/cluster/ground.yaml")),
        (BUILDS, include_str!("../../../infra/cluster/builds.yaml")),
        (GATEWAYS, include_str!("../../../infra/cluster/gateway.yaml")),
        (GATEWAYS, proxy),
    ];
    for namespace in SERVICES {
        all.push((namespace, include_str!("../../../infra/cluster/namespace.yaml")));
        all.push((namespace, proxy));
    }
    all
}

/// Who entered the cluster with a token, and how often one was refused, by the log of the cluster's authenticator.
pub(crate) struct Entered {
    /// By function.
    pub(crate) by: BTreeMap<String, u32>,
    /// Why tokens were refused.
    pub(crate) refused: Vec<String>,
}

impl Entered {
    /// Reads the log of a cluster.
    pub(crate) fn read(state: &Path) -> Result<Self> {
        let path = state.join("cluster/logs/authenticator.log");
        let log = std::fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        let mut entered = Self {
            by: BTreeMap::new(),
            refused: Vec::new(),
        };
        for line in log.lines() {
            let line: Value = serde_json::from_str(line)?;
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            match text("arn").rsplit_once('/') {
                Some((_, function)) => *entered.by.entry(function.to_owned()).or_default() += 1,
                None => entered.refused.push(text("why")),
            }
        }
        Ok(entered)
    }
}
