//! The list as it is written.

use std::collections::BTreeMap;

use weir_aws::eks::Cluster;
use weir_domain::ids::ClusterName;
use weir_federation::{Application, GkeCluster};

use super::believed::{account, proof, provider};
use super::options::Options;
use super::words::{is_guid, is_host, is_name};
use super::{Aks, ApiServer, FUNCTIONS, Gke, GkePlace, Way};

/// What every endpoint of GKE that has a name ends in.
const GKE_DOMAIN: &str = ".gke.goog";
/// What every API server of AKS ends in.
const AKS_DOMAIN: &str = ".azmk8s.io";
/// STS takes no longer audience.
const AUDIENCE_LIMIT: usize = 1_000;

/// Reads the list.
///
/// # Errors
/// What is wrong with the first item that cannot be used.
pub(crate) fn clusters(list: &str) -> Result<BTreeMap<ClusterName, Way>, String> {
    let mut all = BTreeMap::new();
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, way) = way(item).map_err(|why| format!("`{item}`: {why}"))?;
        if all.insert(ClusterName::new(name), way).is_some() {
            return Err(format!("`{item}`: `{name}` stands there twice; keep one"));
        }
    }
    Ok(all)
}

fn way(item: &str) -> Result<(&str, Way), String> {
    let named = item
        .split_once('=')
        .filter(|(name, place)| !name.is_empty() && !place.is_empty());
    let (name, rest) =
        named.ok_or("no cluster; expected NAME=REGION/CLUSTER, NAME=gke:…, NAME=aks:… or NAME=api:…")?;
    let mut parts = rest.split(';');
    let place = parts.next().unwrap_or_default();
    let mut options = Options::read(parts)?;
    let way = match place.split_once(':') {
        Some(("gke", place)) => Way::Gke(gke(place, &mut options)?),
        Some(("aks", host)) => Way::Aks(aks(host, &mut options)?),
        Some(("api", host)) => Way::Api(api(host, &mut options)?),
        Some((kind, _)) => {
            return Err(format!(
                "`{kind}:` is no kind of cluster; expected gke:, aks: or api:, and REGION/CLUSTER for EKS"
            ));
        }
        None => Way::Eks(eks(place)?),
    };
    match options.unknown() {
        Some(key) => Err(format!(
            "`{key}` is no option of this cluster; options are provider, token and as.FUNCTION of gke, tenant and client.FUNCTION of aks, audience and certificate of api; functions are {}",
            FUNCTIONS.join(", ")
        )),
        None => Ok((name, way)),
    }
}

fn eks(place: &str) -> Result<Cluster, String> {
    let expected = || format!("`{place}` is no cluster of EKS; expected REGION/CLUSTER");
    let (region, name) = place.split_once('/').ok_or_else(expected)?;
    match is_name(region) && !name.is_empty() && !name.contains('/') {
        true => Ok(Cluster {
            region: region.to_owned(),
            name: name.to_owned(),
        }),
        false => Err(expected()),
    }
}

fn gke(place: &str, options: &mut Options<'_>) -> Result<Gke, String> {
    let parts: Vec<&str> = place.split('/').collect();
    let place = match parts[..] {
        [host] if is_host(host) && host.ends_with(GKE_DOMAIN) => GkePlace::Dns(host.to_owned()),
        [project, location, name] if [project, location, name].iter().all(|part| is_name(part)) => {
            GkePlace::Asked(GkeCluster {
                project: project.to_owned(),
                location: location.to_owned(),
                name: name.to_owned(),
            })
        }
        _ => {
            return Err(format!(
                "`{place}` is no cluster of GKE; expected PROJECT/LOCATION/CLUSTER, or its DNS endpoint, which ends in {GKE_DOMAIN}"
            ));
        }
    };
    let said = options.needed("provider", "NUMBER/POOL/PROVIDER of the workload identity pool")?;
    let provider = provider(said).map_err(|why| format!("provider={why}"))?;
    let proof = proof(options)?;
    let accounts = options.by_function("as")?;
    for name in accounts.values() {
        account(name)?;
    }
    Ok(Gke {
        place,
        provider,
        proof,
        accounts: owned(accounts),
    })
}

fn aks(host: &str, options: &mut Options<'_>) -> Result<Aks, String> {
    if !is_host(host) || !host.ends_with(AKS_DOMAIN) {
        return Err(format!(
            "`{host}` is no API server of AKS; expected its host, which ends in {AKS_DOMAIN}"
        ));
    }
    let tenant = options.needed("tenant", "the id of the Entra tenant")?;
    let clients = options.by_function("client")?;
    if clients.is_empty() {
        return Err(format!(
            "no `client.{}`; expected the id of an application for every function",
            FUNCTIONS[0]
        ));
    }
    if let Some(id) = clients.values().chain([&tenant]).find(|id| !is_guid(id)) {
        return Err(format!(
            "`{id}` is no id of Entra; expected 32 hexadecimal digits in five groups"
        ));
    }
    let applications = clients.into_iter().map(|(function, id)| {
        let application = Application {
            tenant: tenant.to_owned(),
            client: id.to_owned(),
        };
        (function, application)
    });
    Ok(Aks {
        host: host.to_owned(),
        applications: applications.collect(),
    })
}

fn api(host: &str, options: &mut Options<'_>) -> Result<ApiServer, String> {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "443"));
    if !is_host(name) || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(format!("`{host}` is no API server; expected HOST or HOST:PORT"));
    }
    let audience = options.needed(
        "audience",
        "one of the audiences of the API server's AuthenticationConfiguration",
    )?;
    if audience.len() > AUDIENCE_LIMIT || !audience.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "the audience has {} bytes or holds blanks; expected at most {AUDIENCE_LIMIT} visible characters",
            audience.len()
        ));
    }
    let public = match options.given("certificate") {
        None => false,
        Some("public") => true,
        Some(other) => {
            return Err(format!(
                "certificate=`{other}`: expected public, or nothing and the authority in the secret"
            ));
        }
    };
    Ok(ApiServer {
        host: host.to_owned(),
        audience: audience.to_owned(),
        public,
    })
}

fn owned(all: BTreeMap<&'static str, &str>) -> BTreeMap<&'static str, String> {
    let all = all.into_iter();
    all.map(|(function, value)| (function, value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
