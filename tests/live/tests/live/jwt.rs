//! Functions enter clusters outside of AWS with a JWT that STS signs: directly, where the API server reads such tokens by
//! `infra/cluster/authentication.yaml`, or in exchange for another cloud's token. The clouds are played; what they give is read
//! by a real API server.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use weir_app::{Classified, Clusters, Retry};
use weir_cluster::Fleet;
use weir_emulators::Played;
use weir_federation::{Application, Entra, GkeCluster, Google, Provider};
use weir_lambda::{Aks, ApiServer, FUNCTIONS, Gke, GkePlace, Proof, Way};
use weir_live::{
    AUDIENCE, Api, Eks, Shape, ShiftedClock, Signer, WallClock, World, claims, federated, issuing, role,
    signed,
};

const MINUTE_MS: i64 = 60_000;

/// Host and port of the test cluster's API server, and its authority in base64.
async fn place(world: &World) -> (String, String) {
    let (url, authority) = Eks::serve(world.cluster).await.place();
    (url.strip_prefix("https://").unwrap().to_owned(), authority)
}

async fn direct(world: &World, function: &str, sts: &Played) -> Fleet {
    let api = ApiServer {
        host: place(world).await.0,
        audience: AUDIENCE.to_owned(),
        public: false,
    };
    federated(
        world.cluster,
        function,
        Way::Api(api),
        &sts.url,
        Google::default(),
        Entra::default(),
    )
    .await
}

#[tokio::test]
async fn each_function_has_the_rights_of_its_role_by_a_jwt_and_no_others() {
    let world = World::new("jwt").await;
    let sts = issuing().await;
    let shape = Shape::rollout("v2", Some("v1"));
    let run = world.run(&shape);
    let (old, new) = (shape.revision("v1"), shape.revision("v2"));
    let split = |percent: u8, fence| world.weights(&[(&old, 100 - percent), (&new, percent)], fence);

    let traffic = direct(&world, "MetricCheck", &sts).await;
    traffic.perform(&run, &split(5, 1)).await.unwrap();
    let steps = direct(&world, "StageExecutor", &sts).await;
    let error = steps.perform(&run, &split(0, 2)).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    let who = format!(
        "User \"{}\" cannot get resource \"httproutes\"",
        role("StageExecutor")
    );
    assert!(error.to_string().contains(&who), "{error}");
    for (function, fence) in [("WebhookIntake", 3), ("ApprovalCallback", 5)] {
        let back_only = direct(&world, function, &sts).await;
        let error = back_only.perform(&run, &split(6, fence)).await.unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains("this identity may only send traffic back"),
            "{function}: {words}"
        );
        back_only.perform(&run, &split(0, fence)).await.unwrap();
        traffic.perform(&run, &split(5, fence + 1)).await.unwrap();
    }
    assert_eq!(sts.heard().len(), 4, "each function asks for one token");
}

/// The status of a request with a token, and what the API server's log says since.
async fn tried(world: &World, token: &str) -> (StatusCode, String) {
    let log = world.cluster.state.join("logs/kube-apiserver.log");
    let before = std::fs::read(&log).unwrap().len();
    let api = Api::bearing(&world.cluster.kubeconfig, token).await.unwrap();
    let status = api.get(&world.route_path()).await.status;
    let text = std::fs::read(&log).unwrap();
    (status, String::from_utf8_lossy(&text[before..]).into_owned())
}

#[tokio::test]
async fn a_token_of_the_issuer_is_good_for_its_audience_and_five_minutes() {
    let world = World::new("jwt-token").await;
    let good = |ahead_ms| claims("MetricCheck", AUDIENCE, &ShiftedClock::ahead_ms(ahead_ms));
    let cases = [
        ("RS256", signed(&good(0), Signer::Rs256)),
        ("ES384", signed(&good(0), Signer::Es384)),
        ("four minutes ago", signed(&good(-4 * MINUTE_MS), Signer::Rs256)),
    ];
    for (what, token) in cases {
        let (status, log) = tried(&world, &token).await;
        assert_eq!(status, StatusCode::OK, "{what}: {log}");
    }
    let stranger = claims("Stranger", AUDIENCE, &WallClock);
    let (status, _) = tried(&world, &signed(&stranger, Signer::Rs256)).await;
    assert_eq!(
        status,
        StatusCode::FORBIDDEN,
        "a role that no group is said for is known, and may nothing"
    );
}

#[tokio::test]
async fn every_other_jwt_is_refused_and_the_api_server_says_why() {
    let world = World::new("jwt-refused").await;
    let with = |changes: Value| {
        let mut claims = claims("MetricCheck", AUDIENCE, &WallClock);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    };
    let at = |ahead_ms| claims("MetricCheck", AUDIENCE, &ShiftedClock::ahead_ms(ahead_ms));
    let issued = at(0)["iat"].as_i64().unwrap();
    let rs = |claims: &Value| signed(claims, Signer::Rs256);
    let forged = {
        let token = rs(&with(json!({ "sub": role("WebhookIntake") })));
        let parts: Vec<&str> = token.split('.').collect();
        format!(
            "{}.{}.{}",
            parts[0],
            URL_SAFE_NO_PAD.encode(at(0).to_string()),
            parts[2]
        )
    };
    let cases = [
        ("an old one", rs(&at(-6 * MINUTE_MS)), "token is expired"),
        (
            "another audience",
            rs(&with(json!({ "aud": "https://weir.example/prod-2" }))),
            "audience",
        ),
        ("no audience", rs(&with(json!({ "aud": null }))), "audience"),
        (
            "another key",
            signed(&at(0), Signer::Others),
            "failed to verify id token signature",
        ),
        ("changed claims", forged, "failed to verify id token signature"),
        (
            "not yet valid",
            rs(&with(json!({ "nbf": issued + 600 }))),
            "before the nbf",
        ),
        ("unsigned", signed(&at(0), Signer::None), "unsupported algorithm"),
        (
            "a longer life",
            rs(&with(json!({ "exp": issued + 3_600 }))),
            "the token lives longer than 300 s",
        ),
        (
            "a name of Kubernetes itself",
            rs(&with(json!({ "sub": "system:admin" }))),
            "the subject is a name of Kubernetes itself",
        ),
        ("nobody", rs(&with(json!({ "sub": "" }))), "empty"),
    ];
    for (what, token, why) in cases {
        let (status, log) = tried(&world, &token).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
        assert!(log.contains(why), "{what}: {log}");
    }
    // What another issuer says is not looked at, so nothing is said about it either.
    let other = with(json!({ "iss": "https://ffffffff-test.tokens.sts.global.api.aws" }));
    assert_eq!(tried(&world, &rs(&other)).await.0, StatusCode::UNAUTHORIZED);
}

fn provider() -> Provider {
    Provider {
        project: "123456789012".into(),
        pool: "weir".into(),
        name: "aws".into(),
    }
}

/// Google, whose tokens the test cluster reads; the first that it gives has ended already.
async fn google(world: &World) -> Played {
    let (host, authority) = place(world).await;
    let given = AtomicUsize::new(0);
    Played::serve(move |request| {
        let path = request.path.split('?').next().unwrap();
        let body = match path {
            "/v1/token" => {
                assert!(
                    request.form()["subject_token"].starts_with("eyJ"),
                    "{:?}",
                    request.form()
                );
                let late = given.fetch_add(1, Ordering::Relaxed) == 0;
                let clock = ShiftedClock::ahead_ms(if late { -6 * MINUTE_MS } else { 0 });
                let token = signed(&claims("MetricCheck", AUDIENCE, &clock), Signer::Rs256);
                json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3599 })
            }
            "/v1/projects/team/locations/europe-west4/clusters/edge" => {
                json!({ "endpoint": host, "masterAuth": { "clusterCaCertificate": authority } })
            }
            _ => return (404, String::new()),
        };
        (200, body.to_string())
    })
    .await
}

#[tokio::test]
async fn gke_is_entered_with_what_google_gives_and_again_when_it_is_not_believed() {
    let world = World::new("jwt-gke").await;
    let sts = issuing().await;
    let google = google(&world).await;
    let cluster = GkeCluster {
        project: "team".into(),
        location: "europe-west4".into(),
        name: "edge".into(),
    };
    let way = Way::Gke(Gke {
        place: GkePlace::Asked(cluster),
        provider: provider(),
        proof: Proof::Jwt,
        accounts: Default::default(),
    });
    let at = Google::at(&google.url, &google.url, &google.url).unwrap();
    let fleet = federated(world.cluster, "MetricCheck", way, &sts.url, at, Entra::default()).await;
    let shape = Shape::rollout("v2", Some("v1"));
    let (run, effect) = (
        world.run(&shape),
        world.weights(&[(&shape.revision("v1"), 100)], 1),
    );
    let error = fleet.perform(&run, &effect).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(error.to_string().contains("does not know who this is"), "{error}");
    fleet.perform(&run, &effect).await.unwrap();
    fleet
        .perform(&run, &world.weights(&[(&shape.revision("v1"), 100)], 2))
        .await
        .unwrap();
    let asked: Vec<String> = google.heard().into_iter().map(|request| request.method).collect();
    assert_eq!(asked, ["POST", "GET", "POST"], "where it is was remembered");
    assert_eq!(
        world.route().await["metadata"]["annotations"]["weir.dev/fence"],
        json!("2")
    );
}

#[tokio::test]
async fn aks_is_entered_with_what_entra_gives() {
    let world = World::new("jwt-aks").await;
    let sts = issuing().await;
    let entra = Played::serve(|request| {
        let form = request.form();
        assert_eq!(form["client_id"], "metric-check's");
        assert!(form["client_assertion"].starts_with("eyJ"), "{form:?}");
        let token = signed(&claims("MetricCheck", AUDIENCE, &WallClock), Signer::Es384);
        (
            200,
            json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3599 }).to_string(),
        )
    })
    .await;
    let applications = FUNCTIONS.map(|function| {
        let application = Application {
            tenant: "11111111-2222-3333-4444-555555555555".into(),
            client: format!("{function}'s"),
        };
        (function, application)
    });
    let aks = Aks {
        host: place(&world).await.0,
        applications: applications.into(),
    };
    let at = Entra::at(&entra.url).unwrap();
    let fleet = federated(
        world.cluster,
        "MetricCheck",
        Way::Aks(aks),
        &sts.url,
        Google::default(),
        at,
    )
    .await;
    let shape = Shape::rollout("v2", Some("v1"));
    let run = world.run(&shape);
    for fence in 1..3 {
        let effect = world.weights(&[(&shape.revision("v1"), 100)], fence);
        fleet.perform(&run, &effect).await.unwrap();
    }
    assert_eq!(
        (sts.heard().len(), entra.heard().len()),
        (1, 1),
        "a token is used until it ends"
    );
}

#[tokio::test]
async fn an_api_server_with_another_certificate_gets_no_token() {
    let world = World::new("jwt-certificate").await;
    let sts = issuing().await;
    let api = ApiServer {
        host: place(&world).await.0,
        audience: AUDIENCE.to_owned(),
        public: true,
    };
    let fleet = federated(
        world.cluster,
        "MetricCheck",
        Way::Api(api),
        &sts.url,
        Google::default(),
        Entra::default(),
    )
    .await;
    let shape = Shape::rollout("v2", Some("v1"));
    let effect = world.weights(&[(&shape.revision("v1"), 100)], 1);
    let error = fleet.perform(&world.run(&shape), &effect).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(
        error.to_string().to_lowercase().contains("certificate"),
        "{error}"
    );
}
