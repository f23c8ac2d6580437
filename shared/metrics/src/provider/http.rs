//! The one way in which a source is called: bounded, without redirects, and never to where a query must not lead.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use weir_app::with_causes;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, RequestBuilder, Url, header::HeaderMap, redirect};

use super::Answer;

/// A connection is there within this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// An answer is whole within this time, also from a server that sends a byte now and then. Checks run every 5 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);
/// Bytes of an answer. 200 series of Prometheus have 40 KiB.
const BYTES_LIMIT: usize = 1 << 20;

/// Which addresses a name may lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Any but link-local ones, where clouds keep the credentials of a machine. For addresses that the host's owner
    /// chose.
    Chosen,
    /// Public ones. For addresses that a definition may choose.
    Public,
}

/// A source cannot be called as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address is not one.
    #[error("{0}: expected https://HOST, or http:// on this machine")]
    Address(String),
    /// Keys are missing.
    #[error("{0}")]
    Keys(&'static str),
}

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Calls a source.
pub(super) struct Caller {
    reach: Reach,
    made: OnceLock<Client>,
}

impl Caller {
    pub(super) fn new(reach: Reach) -> Self {
        Self {
            reach,
            made: OnceLock::new(),
        }
    }

    /// What calls. It is made at the first call, because it reads every root that the system trusts, and most starts of a
    /// function call no source.
    ///
    /// # Errors
    /// The system's roots cannot be used, in words.
    pub(super) fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.made.get() {
            return Ok(client);
        }
        let made = Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .dns_resolver(Arc::new(Guarded(self.reach)))
            // A proxy of the environment would resolve names itself, and would be told what is asked.
            .no_proxy()
            .build();
        let made = made.map_err(|error| format!("the client could not be made: {}", words(error)))?;
        Ok(self.made.get_or_init(|| made))
    }

    /// Sends, and reads the answer.
    ///
    /// # Errors
    /// Why there is no whole answer, in words without the address.
    pub(super) async fn call(request: RequestBuilder) -> Result<Reply, String> {
        let mut response = request.send().await.map_err(words)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if response.status().is_redirection() {
            return Err(format!("it answered {status}, and redirects are not followed"));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(words)? {
            if body.len() + chunk.len() > BYTES_LIMIT {
                return Err(format!("its answer is over {BYTES_LIMIT} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

/// An answer for which a source is called several times: all of them have the time of one.
pub(super) async fn within<T>(answer: impl Future<Output = Answer<T>>) -> Answer<T> {
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(answer) => answer,
        Err(_) => Answer::Error(dawdled()),
    }
}

fn dawdled() -> String {
    format!("no whole answer within {} s", ANSWER_LIMIT.as_secs())
}

/// The error and what caused it, without the address, which may hold a query.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return dawdled();
    }
    with_causes(&error)
}

/// An address that a source is under. Plain `http` is for this machine alone.
///
/// # Errors
/// It is not `https`, or has a user, a query or a fragment.
pub(super) fn base(text: &str) -> Result<Url, SetupError> {
    let wrong = || SetupError::Address(without_keys(text));
    let mut base = Url::parse(text).map_err(|_| wrong())?;
    let extras = base.query().is_some() || base.fragment().is_some() || !base.username().is_empty();
    if !is_safe(&base) || extras {
        return Err(wrong());
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(base)
}

/// An address as it may be shown: without what stands where people put keys.
pub(super) fn without_keys(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        _ => text.to_owned(),
    }
}

/// Whether nobody in between can read it.
pub(super) fn is_safe(url: &Url) -> bool {
    let local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    // Inside a cluster, services have no certificates as a rule; their traffic stays inside.
    let in_cluster = url
        .host_str()
        .is_some_and(|host| host.ends_with(".svc") || host.ends_with(".svc.cluster.local"));
    url.scheme() == "https" || (url.scheme() == "http" && (local || in_cluster))
}

/// Whether an address may be called. Literal addresses never pass the resolver, so they are asked about here too.
pub(super) fn allowed(address: IpAddr, reach: Reach) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            let inner = v4.is_private() || v4.is_loopback() || shared;
            let never = v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast();
            !never && (reach == Reach::Chosen || !inner)
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return allowed(IpAddr::V4(v4), reach);
            }
            // fd00:ec2::254 is where AWS keeps the credentials of a machine.
            let inner = v6.is_loopback() || v6.is_unique_local();
            let never = v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast();
            let metadata = v6.segments()[..2] == [0xfd00, 0x0ec2];
            !never && !metadata && (reach == Reach::Chosen || !inner)
        }
    }
}

/// Resolves names to what may be called. The check is where the address is used: a name that is looked up twice may
/// lead elsewhere the second time.
struct Guarded(Reach);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|at| allowed(at.ip(), reach)).collect();
            if allowed.is_empty() {
                return Err("the name leads to no address that may be called".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_machines_credentials_are_is_never_called() {
        let table = [
            ("169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("0.0.0.0", false, false),
            ("10.0.0.7", true, false),
            ("127.0.0.1", true, false),
            ("100.64.0.1", true, false),
            ("::ffff:10.0.0.7", true, false),
            ("fd12::1", true, false),
            ("93.184.215.14", true, true),
            ("2606:2800::1", true, true),
        ];
        for (address, chosen, public) in table {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(allowed(ip, Reach::Chosen), chosen, "{address}");
            assert_eq!(allowed(ip, Reach::Public), public, "{address}");
        }
    }

    #[test]
    fn a_client_is_made_when_it_is_needed_and_once() {
        let caller = Caller::new(Reach::Chosen);
        assert!(caller.made.get().is_none());
        let made: *const Client = caller.client().unwrap();
        assert!(std::ptr::eq(made, caller.client().unwrap()));
    }

    #[test]
    fn an_address_is_safe_or_refused() {
        for good in [
            "https://prom.example",
            "http://127.0.0.1:9090",
            "http://prometheus.monitoring.svc:9090",
        ] {
            assert!(base(good).is_ok(), "{good}");
        }
        for bad in [
            "http://prom.example",
            "https://u:p@prom.example",
            "https://prom.example/?q=1",
            "prom",
        ] {
            assert!(base(bad).is_err(), "{bad}");
        }
    }
}
