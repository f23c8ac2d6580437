//! Servers of metrics that definitions may name: `--source NAME=KIND:WHERE`, keys from `WEIR_SOURCE_NAME`.
//!
//! A definition says what is asked, the host's owner says who may be asked. A pusher cannot make the host call an
//! address, and cannot see a key.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use weir_metrics::provider::{
    Authorization, CloudWatch, Datadog, DatadogVersion, JsonApi, Prometheus, Provider, Secret,
};

use super::secrets::{Lookup, values};
use crate::words::chain;

/// Servers by the name that definitions use.
pub(crate) type Servers = BTreeMap<String, Arc<dyn Provider>>;

/// What `--source` expects.
pub(crate) const EXPECTED: &str = "expected NAME=KIND:WHERE, where KIND:WHERE is prometheus:URL, prometheus-aws:REGION:URL, \
                                   datadog:URL, datadog-v1:URL, cloudwatch:REGION, json:HOST,… or json-private:HOST,…";

/// Makes a client for each. Nothing is sent yet.
///
/// # Errors
/// Which argument or key cannot be used, and why.
pub(crate) fn servers(args: &[(String, String)], lookup: Lookup<'_>) -> Result<Servers, String> {
    let mut servers = Servers::new();
    for (name, place) in args {
        let server = server(name, place, lookup).map_err(|why| format!("--source {name}={place}: {why}"))?;
        if servers.insert(name.clone(), server).is_some() {
            return Err(format!("--source {name} is given twice"));
        }
    }
    Ok(servers)
}

fn server(name: &str, place: &str, lookup: Lookup<'_>) -> Result<Arc<dyn Provider>, String> {
    let variable = variable(name);
    let key = values(&variable, lookup)?.first().and_then(Secret::new);
    let needed = || {
        key.clone()
            .ok_or_else(|| format!("set {variable} (or {variable}_FILE) to its keys"))
    };
    let (kind, rest) = place.split_once(':').ok_or(EXPECTED)?;
    let setup = |error: weir_metrics::provider::SetupError| chain(&error);
    Ok(match kind {
        "prometheus" => {
            let authorization = key.map_or(Authorization::None, Authorization::Bearer);
            Arc::new(Prometheus::new(rest, authorization).map_err(setup)?)
        }
        "prometheus-aws" => {
            let (region, url) = rest.split_once(':').ok_or(EXPECTED)?;
            let authorization = Authorization::Aws(aws(&variable, lookup)?, region.to_owned());
            Arc::new(Prometheus::new(url, authorization).map_err(setup)?)
        }
        "datadog" => Arc::new(Datadog::new(rest, DatadogVersion::V2, &needed()?).map_err(setup)?),
        "datadog-v1" => Arc::new(Datadog::new(rest, DatadogVersion::V1, &needed()?).map_err(setup)?),
        "cloudwatch" => Arc::new(CloudWatch::new(rest, None, aws(&variable, lookup)?).map_err(setup)?),
        "json" | "json-private" => {
            let hosts = rest.split(',').map(str::to_owned).collect();
            Arc::new(JsonApi::new(hosts, kind == "json-private", key).map_err(setup)?)
        }
        _ => return Err(EXPECTED.into()),
    })
}

/// `gpu-metrics` → `WEIR_SOURCE_GPU_METRICS`.
fn variable(name: &str) -> String {
    format!("WEIR_SOURCE_{}", name.to_uppercase().replace('-', "_"))
}

/// Keys of AWS, as `KEY:SECRET` or `KEY:SECRET:SESSION`.
fn aws(variable: &str, lookup: Lookup<'_>) -> Result<SharedCredentialsProvider, String> {
    let values = values(variable, lookup)?;
    let parts: Vec<&str> = values.first().unwrap_or_default().splitn(3, ':').collect();
    let [key, secret, rest @ ..] = parts.as_slice() else {
        return Err(format!("set {variable} to KEY:SECRET or KEY:SECRET:SESSION"));
    };
    let session = rest.first().map(|session| (*session).to_owned());
    let credentials = Credentials::new(*key, *secret, session, None, "weir");
    Ok(SharedCredentialsProvider::new(credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, place: &str) -> Result<Servers, String> {
        let lookup = |name: &str| (name == "WEIR_SOURCE_WITH_KEYS").then(|| "key:s3cret".to_owned());
        servers(&[(name.into(), place.into())], &lookup)
    }

    #[test]
    fn every_kind_is_made_from_its_argument_and_key() {
        for place in [
            "prometheus:http://prometheus.monitoring.svc:9090",
            "prometheus-aws:eu-west-1:https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1",
            "datadog:https://api.datadoghq.eu",
            "datadog-v1:https://api.datadoghq.eu",
            "cloudwatch:eu-west-1",
            "json:quality.example,scores.example:8443",
        ] {
            assert!(made("with-keys", place).is_ok(), "{place}");
        }
        assert!(made("open", "prometheus:https://prom.example").is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_said_without_a_key() {
        let table = [
            ("open", "datadog:https://api.datadoghq.eu", "WEIR_SOURCE_OPEN"),
            ("open", "cloudwatch:eu-west-1", "KEY:SECRET"),
            ("open", "graphite:http://x", "expected NAME=KIND"),
            ("with-keys", "prometheus:http://prom.example", "expected https://"),
        ];
        for (name, place, expected) in table {
            let error = made(name, place).err().unwrap();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
        }
    }
}
