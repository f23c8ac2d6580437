//! The gate in front of clusters outside of AWS: who is asked for what, in whose name, and what is remembered.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_config::Region;
use aws_credential_types::Credentials;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_app::Clock;
use weir_cluster::{Gate, Pass};
use weir_domain::ids::ClusterName;
use weir_domain::time::{Span, Timestamp};
use weir_emulators::{Caller, Heard, Played, decoded, sts, verified};
use weir_federation::{Application, Entra, GkeCluster, Google, Provider};
use weir_lambda::{Aks, ApiServer, CloudGate, Clouds, FUNCTIONS, Gke, GkePlace, Proof, Way};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const SECRET: &str = "wJalrXUtnFEMI";
const PROVIDER: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/weir/providers/aws";

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Everybody who is asked, played.
struct World {
    sts: Played,
    google: Played,
    entra: Played,
    clock: Arc<Hand>,
}

fn authority(of: &str) -> String {
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(of)
    );
    STANDARD.encode(pem)
}

/// The three services of Google at one address; the federated token says by what it was got.
fn google(request: &Heard) -> (u16, String) {
    let said = |body: Value| (200, body.to_string());
    let form = request.form();
    let path = request.path.split('?').next().unwrap_or_default();
    match (path, request.header("authorization")) {
        ("/v1/token", "") => {
            assert_eq!(form["audience"], PROVIDER);
            let by = match form["subject_token"].strip_prefix("jwt.") {
                Some(jwt) => jwt.to_owned(),
                None => signer(&form["subject_token"]),
            };
            said(
                json!({ "access_token": format!("federated.{by}"), "token_type": "Bearer", "expires_in": 3599 }),
            )
        }
        (path, token) if path.ends_with(":generateAccessToken") => {
            let account = path
                .trim_start_matches("/v1/projects/-/serviceAccounts/")
                .trim_end_matches(":generateAccessToken");
            let by = token.trim_start_matches("Bearer ");
            said(json!({ "accessToken": format!("{account}.by.{by}"), "expireTime": "2030-01-01T00:00:00Z" }))
        }
        ("/v1/projects/team/locations/europe-west4/clusters/edge", token) => {
            assert!(token.starts_with("Bearer federated."), "{token}");
            said(
                json!({ "endpoint": "34.90.1.2", "masterAuth": { "clusterCaCertificate": authority("edge") } }),
            )
        }
        _ => (404, String::new()),
    }
}

/// Whoever signed the request in a proof, by what STS would compute.
fn signer(proof: &str) -> String {
    let request: Value = serde_json::from_str(&decoded(proof)).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = request["headers"].as_array().unwrap().iter();
    let heard = Heard {
        method: text(&request["method"]),
        path: text(&request["url"]).replace("https://sts.eu-central-1.amazonaws.com", ""),
        headers: headers
            .map(|header| (text(&header["key"]), text(&header["value"])))
            .collect(),
        body: String::new(),
    };
    assert_eq!(heard.header("x-goog-cloud-target-resource"), PROVIDER);
    verified(&heard, |_| Some(SECRET.to_owned())).unwrap().access_key
}

impl World {
    async fn new() -> Self {
        let caller = Caller {
            secret_key: SECRET.into(),
            session_token: String::new(),
        };
        let callers = BTreeMap::from([("AKIAROLE".to_owned(), caller)]);
        let sts = sts("eu-central-1", callers, |wanted| {
            format!("jwt.{}", wanted.audience)
        })
        .await;
        let entra = Played::serve(|request| {
            let form = request.form();
            let token = format!(
                "entra.{}.{}.{}",
                request.path, form["client_id"], form["client_assertion"]
            );
            (
                200,
                json!({ "token_type": "Bearer", "access_token": token, "expires_in": 3599 }).to_string(),
            )
        })
        .await;
        Self {
            sts,
            google: Played::serve(google).await,
            entra,
            clock: Arc::new(Hand(NOW.0.into())),
        }
    }

    async fn gate(&self, function: &'static str, way: Way, authorities: &[&str]) -> CloudGate {
        let config = weir_aws::config::loader()
            .endpoint_url(&self.sts.url)
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(Credentials::new("AKIAROLE", SECRET, None, None, "tests"))
            .load()
            .await;
        let at = &self.google.url;
        let authorities = authorities.iter();
        CloudGate {
            clusters: [(name(), way)].into(),
            authorities: authorities
                .map(|der| (name(), vec![der.as_bytes().to_vec()]))
                .collect(),
            function,
            clouds: Clouds {
                google: Google::at(at, at, at).unwrap(),
                entra: Entra::at(&self.entra.url).unwrap(),
                ..Clouds::of(&config, None)
            },
            clock: self.clock.clone(),
        }
    }

    fn places_asked(&self) -> usize {
        self.google
            .heard()
            .iter()
            .filter(|request| request.method == "GET")
            .count()
    }
}

fn name() -> ClusterName {
    ClusterName::new("main")
}

fn gke(place: GkePlace, proof: Proof, accounts: &[(&'static str, &str)]) -> Way {
    let provider = Provider {
        project: "1".into(),
        pool: "weir".into(),
        name: "aws".into(),
    };
    let accounts = accounts
        .iter()
        .map(|(function, account)| (*function, (*account).to_owned()))
        .collect();
    Way::Gke(Gke {
        place,
        provider,
        proof,
        accounts,
    })
}

fn asked() -> GkePlace {
    GkePlace::Asked(GkeCluster {
        project: "team".into(),
        location: "europe-west4".into(),
        name: "edge".into(),
    })
}

fn dns() -> GkePlace {
    GkePlace::Dns("gke-1.europe-west4.gke.goog".into())
}

fn shown(pass: &Pass) -> (&str, Vec<&[u8]>, &str, Span) {
    let authorities = pass.authorities.iter().map(Vec::as_slice).collect();
    (&pass.url, authorities, &pass.token, pass.until.since(NOW))
}

#[tokio::test]
async fn gke_is_entered_by_its_dns_endpoint_with_what_google_gives_for_a_jwt() {
    let world = World::new().await;
    let gate = world.gate("metric-check", gke(dns(), Proof::Jwt, &[]), &[]).await;
    let pass = gate.pass(&name()).await.unwrap();
    let token = format!("federated.https:{PROVIDER}");
    assert_eq!(
        shown(&pass),
        (
            "https://gke-1.europe-west4.gke.goog",
            vec![],
            token.as_str(),
            Span::minutes(14)
        )
    );
    assert_eq!(world.places_asked(), 0);
}

#[tokio::test]
async fn gke_says_where_a_cluster_is_once_and_again_when_it_was_lost() {
    let world = World::new().await;
    let gate = world
        .gate("metric-check", gke(asked(), Proof::AwsRequest, &[]), &[])
        .await;
    for _ in 0..2 {
        let pass = gate.pass(&name()).await.unwrap();
        let expected = (
            "https://34.90.1.2",
            vec!["edge".as_bytes()],
            "federated.AKIAROLE",
            Span::minutes(14),
        );
        assert_eq!(shown(&pass), expected);
    }
    assert_eq!((world.places_asked(), world.sts.heard().len()), (1, 0));
    gate.lost(&name());
    gate.pass(&name()).await.unwrap();
    assert_eq!(world.places_asked(), 1, "GKE has just said so");
    world.clock.0.fetch_add(10_000, Ordering::Relaxed);
    gate.lost(&name());
    gate.pass(&name()).await.unwrap();
    assert_eq!(world.places_asked(), 2);
}

#[tokio::test]
async fn each_function_enters_as_its_own_service_account_or_application() {
    let world = World::new().await;
    let accounts = FUNCTIONS.map(|function| (function, function));
    let applications = FUNCTIONS.map(|function| {
        (
            function,
            Application {
                tenant: "T".into(),
                client: function.into(),
            },
        )
    });
    let aks = Aks {
        host: "a.azmk8s.io".into(),
        applications: applications.into(),
    };
    for function in FUNCTIONS {
        let gate = world
            .gate(function, gke(dns(), Proof::AwsRequest, &accounts), &[])
            .await;
        let pass = gate.pass(&name()).await.unwrap();
        assert_eq!(pass.token, format!("{function}.by.federated.AKIAROLE"));
        let gate = world.gate(function, Way::Aks(aks.clone()), &["der"]).await;
        let pass = gate.pass(&name()).await.unwrap();
        let token = format!("entra./T/oauth2/v2.0/token.{function}.jwt.api://AzureADTokenExchange");
        assert_eq!(
            shown(&pass),
            (
                "https://a.azmk8s.io",
                vec!["der".as_bytes()],
                token.as_str(),
                Span::minutes(14)
            )
        );
    }
}

#[tokio::test]
async fn an_api_server_gets_the_jwt_itself_and_only_with_a_known_certificate() {
    let world = World::new().await;
    let way = |public| {
        Way::Api(ApiServer {
            host: "k8s.example.com:6443".into(),
            audience: "weir/own".into(),
            public,
        })
    };
    let gate = world.gate("metric-check", way(false), &["der"]).await;
    let pass = gate.pass(&name()).await.unwrap();
    assert_eq!(
        shown(&pass),
        (
            "https://k8s.example.com:6443",
            vec!["der".as_bytes()],
            "jwt.weir/own",
            Span::seconds(270)
        )
    );
    let gate = world.gate("metric-check", way(true), &["der"]).await;
    assert_eq!(
        gate.pass(&name()).await.unwrap().authorities,
        Vec::<Vec<u8>>::new()
    );
    let before = world.sts.heard().len();
    let gate = world.gate("metric-check", way(false), &[]).await;
    let error = gate.pass(&name()).await.err().unwrap().to_string();
    assert!(
        error.starts_with("the secret's cluster_authorities have none for cluster `main`"),
        "{error}"
    );
    assert_eq!(
        world.sts.heard().len(),
        before,
        "no token is made that nobody may have"
    );
    let error = gate.pass(&ClusterName::new("other")).await.err().unwrap();
    assert_eq!(error.to_string(), "cluster `other` is not in WEIR_CLUSTERS");
}
