//! The cluster as one of EKS: described by a stand-in of EKS, entered with the tokens of the functions' roles.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use aws_config::Region;
use aws_credential_types::Credentials;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use weir_app::Clock;
use weir_aws::eks::{Cluster as EksCluster, Token};
use weir_cluster::{Access, Fleet, Places};
use weir_domain::ids::ClusterName;
use weir_lambda::{CloudGate, Clouds, Way};
use weir_lambda_host::{Key, REGION, Template};

use crate::clock::WallClock;
use crate::cluster::{Cluster, root};

/// What EKS calls the test cluster.
pub const EKS_CLUSTER: &str = "prod-1";

/// A role that STS knows and the cluster does not.
pub const STRANGER: &str = "Stranger";

/// What the cluster's authenticator is told: who is let in stands in `infra/aws`.
pub(crate) fn entrance() -> Result<Value> {
    let read = |name: &str| -> Result<Template> {
        let text = std::fs::read_to_string(root().join("infra/aws").join(name))?;
        Ok(Template::read(&text)?)
    };
    let (stack, side) = (read("template.yaml")?, read("cluster.yaml")?);
    let mut entrance = weir_lambda_host::entrance(&stack, &side, EKS_CLUSTER)?;
    let key = Key::of(STRANGER);
    let stranger = json!({
        "accessKey": key.access_key,
        "secretKey": key.secret_key,
        "sessionToken": key.session_token,
        "arn": format!("arn:aws:sts::{}:assumed-role/{STRANGER}/x", weir_lambda_host::ACCOUNT),
    });
    let identities = entrance["identities"]
        .as_array_mut()
        .context("a list of identities")?;
    identities.push(stranger);
    Ok(entrance)
}

/// EKS, as far as it is asked here: says where a cluster is.
pub struct Eks {
    /// Its address.
    pub url: String,
    state: Arc<State>,
}

struct State {
    /// What it says: address, and authority in base64.
    said: Mutex<(String, String)>,
    asked: Mutex<Vec<String>>,
}

impl Eks {
    /// Serves a stand-in that knows where the test cluster is.
    ///
    /// # Panics
    /// No port is free, or the cluster's kubeconfig cannot be read.
    pub async fn serve(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let state = Arc::new(State {
            said: Mutex::new(place(&cluster.kubeconfig).expect("a kubeconfig says where its cluster is")),
            asked: Mutex::default(),
        });
        tokio::spawn(accept(listener, state.clone()));
        Self { url, state }
    }

    /// What it says from now on, instead of what it said.
    pub fn say(&self, address: &str, authority: &str) -> (String, String) {
        let next = (address.to_owned(), authority.to_owned());
        std::mem::replace(&mut *self.state.said.lock().expect("no holder panics"), next)
    }

    /// Where the cluster is, as it says.
    pub fn place(&self) -> (String, String) {
        self.state.said.lock().expect("no holder panics").clone()
    }

    /// How often it was asked so far.
    pub fn asked(&self) -> usize {
        self.state.asked.lock().expect("no holder panics").len()
    }

    /// The adapter as a function has it, with the function's own key: by EKS, and a token that is signed at this time.
    pub async fn fleet(&self, function: &str, clock: Arc<dyn Clock>) -> Fleet {
        let config = weir_aws::config::loader()
            .endpoint_url(&self.url)
            .region(Region::from_static(REGION))
            .credentials_provider(credentials(function))
            .load()
            .await;
        let way = Way::Eks(cluster(REGION, EKS_CLUSTER));
        let gate = CloudGate {
            clusters: [(ClusterName::new("main"), way)].into(),
            authorities: Default::default(),
            function: "tests",
            clouds: Clouds::of(&config, None),
            clock,
        };
        Fleet::new(Places::all(Access::Gate(Arc::new(gate))), Arc::new(WallClock))
    }

    /// A function's token for a cluster, signed at this time.
    ///
    /// # Panics
    /// Names that make no request.
    pub fn token(function: &str, region: &str, name: &str, clock: &dyn Clock) -> Token {
        weir_aws::eks::sign(credentials(function), &cluster(region, name), clock.now())
            .expect("names of tests make requests")
    }
}

fn credentials(function: &str) -> Credentials {
    let key = Key::of(function);
    Credentials::new(
        key.access_key,
        key.secret_key,
        Some(key.session_token),
        None,
        "tests",
    )
}

fn cluster(region: &str, name: &str) -> EksCluster {
    EksCluster {
        region: region.to_owned(),
        name: name.to_owned(),
    }
}

/// Why the cluster's authenticator refused a token, by its log.
///
/// # Errors
/// The log cannot be read, or says nothing of the token.
pub fn refusal(cluster: &Cluster, token: &str) -> Result<String> {
    let digest = weir_domain::digest::sha256_hex(token.as_bytes());
    let log = std::fs::read_to_string(cluster.state.join("logs/authenticator.log"))?;
    let mut lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let own = lines.rfind(|line| line["token"] == digest[..16]);
    let own = own.context("the authenticator was not asked")?;
    Ok(own["why"].as_str().unwrap_or("it was let in").to_owned())
}

/// Where a cluster is, as EKS would say it.
pub(crate) fn place(kubeconfig: &Path) -> Result<(String, String)> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let named = file.clusters.into_iter().next();
    let cluster = named.and_then(|named| named.cluster).context("no cluster")?;
    let authority = cluster.certificate_authority_data.context("no authority")?;
    Ok((cluster.server.context("no server")?, authority))
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = describe(&state, &request);
                async { Ok::<_, Infallible>(answer) }
            });
            // A connection that breaks is the client's affair.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn describe(state: &State, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    state.asked.lock().expect("no holder panics").push(path.clone());
    let (url, authority) = state.said.lock().expect("no holder panics").clone();
    let (status, body) = match path == format!("/clusters/{EKS_CLUSTER}") {
        true => (
            StatusCode::OK,
            json!({"cluster": {"name": EKS_CLUSTER, "endpoint": url, "certificateAuthority": {"data": authority}}}),
        ),
        false => (
            StatusCode::NOT_FOUND,
            json!({"message": "there is no such cluster"}),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let content = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content);
    response
}
