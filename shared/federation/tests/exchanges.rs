//! Exchanges of tokens against services that check every field of what they are sent, and refuse whatever is another.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

use std::collections::BTreeMap;

use weir_app::Secret;
use weir_domain::time::{Span, Timestamp};
use weir_emulators::{Heard, Played};
use weir_federation::{Application, Bearer, CallError, Entra, GkeCluster, Google, Provider, Subject};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const RESOURCE: &str =
    "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/weir/providers/aws";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";
const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn provider() -> Provider {
    Provider {
        project: "123456789012".into(),
        pool: "weir".into(),
        name: "aws".into(),
    }
}

fn application(client: &str) -> Application {
    Application {
        tenant: TENANT.into(),
        client: client.into(),
    }
}

fn federated(token: &str) -> Bearer {
    Bearer {
        token: secret(token),
        until: NOW,
    }
}

fn cluster(name: &str) -> GkeCluster {
    GkeCluster {
        project: "team".into(),
        location: "europe-west4".into(),
        name: name.into(),
    }
}

/// What is wrong with a form, if anything is.
fn form(request: &Heard, path: &str, expected: &[(&str, &str)]) -> Result<(), String> {
    let head = (
        request.method.as_str(),
        request.path.as_str(),
        request.header("content-type"),
    );
    if head != ("POST", path, "application/x-www-form-urlencoded") {
        return Err(format!("{head:?}"));
    }
    let expected: BTreeMap<String, String> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let given = request.form();
    match given == expected {
        true => Ok(()),
        false => Err(format!("the form is {:?}", given.keys())),
    }
}

fn answer(checked: Result<(), String>, granted: &str) -> (u16, String) {
    match checked {
        Ok(()) => (200, granted.to_owned()),
        Err(why) => (
            400,
            format!(r#"{{"error":"invalid_request","error_description":{why:?}}}"#),
        ),
    }
}

/// `sts.googleapis.com`, which believes two proofs, each of its kind.
async fn google_sts() -> Played {
    Played::serve(|request| {
        let kinds = [
            ("urn:ietf:params:oauth:token-type:jwt", "a.proof.jwt"),
            ("urn:ietf:params:aws:token-type:aws4_request", "%7B%22url%22%3A%22https%3A%2F%2Fsts%22%7D"),
        ];
        let checked = kinds.map(|(kind, proof)| {
            form(
                request,
                "/v1/token",
                &[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                    ("audience", RESOURCE),
                    ("scope", "https://www.googleapis.com/auth/cloud-platform"),
                    ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
                    ("subject_token_type", kind),
                    ("subject_token", proof),
                ],
            )
        });
        let [first, second] = checked;
        let granted = r#"{"access_token":"ya29.federated","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3599}"#;
        answer(first.or(second), granted)
    })
    .await
}

async fn google() -> (Google, [Played; 3]) {
    let credentials = Played::serve(|request| {
        let path = "/v1/projects/-/serviceAccounts/weir-metric-check@team.iam.gserviceaccount.com:generateAccessToken";
        let body = r#"{"lifetime":"900s","scope":["https://www.googleapis.com/auth/cloud-platform"]}"#;
        let given = (request.method.as_str(), request.path.as_str(), request.header("content-type"), request.body.as_str());
        if given != ("POST", path, "application/json", body) {
            return (404, format!(r#"{{"error":{{"code":404,"message":{:?}}}}}"#, format!("{given:?}")));
        }
        match request.header("authorization") {
            "Bearer ya29.federated" => (200, r#"{"accessToken":"ya29.account","expireTime":"2030-01-01T00:00:00Z"}"#.into()),
            _ => (403, r#"{"error":{"code":403,"message":"Permission 'iam.serviceAccounts.getAccessToken' denied"}}"#.into()),
        }
    })
    .await;
    let container = Played::serve(|request| {
        let path = "/v1/projects/team/locations/europe-west4/clusters/edge?fields=endpoint,masterAuth(clusterCaCertificate)";
        match (request.method.as_str(), request.path.as_str(), request.header("authorization")) {
            ("GET", given, "Bearer ya29.account") if given == path => {
                (200, r#"{"endpoint":"34.90.1.2","masterAuth":{"clusterCaCertificate":"TFMw"}}"#.into())
            }
            ("GET", given, _) if given == path => (403, r#"{"error":{"message":"Required container.clusters.get"}}"#.into()),
            ("GET", given, "Bearer ya29.account") if given.contains("/clusters/young?") => (200, r#"{"endpoint":"","masterAuth":{"clusterCaCertificate":"TFMw"}}"#.into()),
            _ => (404, r#"{"error":{"message":"Not found"}}"#.into()),
        }
    })
    .await;
    let sts = google_sts().await;
    let google = Google::at(&sts.url, &credentials.url, &container.url).unwrap();
    (google, [sts, credentials, container])
}

#[tokio::test]
async fn google_gives_a_token_for_either_proof_and_for_a_service_account() {
    let (google, played) = google().await;
    let proofs = [
        Subject::Jwt(secret("a.proof.jwt")),
        Subject::AwsRequest(secret("%7B%22url%22%3A%22https%3A%2F%2Fsts%22%7D")),
    ];
    for proof in proofs {
        let bearer = google.exchange(&provider(), &proof, NOW).await.unwrap();
        assert_eq!(bearer.token.expose(), "ya29.federated");
        assert_eq!(bearer.until, NOW + Span::minutes(14), "not as long as it lives");
        let account = google
            .as_account("weir-metric-check@team.iam.gserviceaccount.com", &bearer, NOW)
            .await
            .unwrap();
        assert_eq!(
            (account.token.expose(), account.until),
            ("ya29.account", NOW + Span::minutes(14))
        );
        let place = google.place(&cluster("edge"), &account).await.unwrap();
        assert_eq!(
            (place.url.as_str(), place.authority.as_str()),
            ("https://34.90.1.2", "TFMw")
        );
    }
    assert_eq!(played.map(|played| played.heard().len()), [2, 2, 2]);
    assert_eq!(provider().audience(), format!("https:{RESOURCE}"));
}

#[tokio::test]
async fn google_refuses_every_other_request_and_the_reason_is_told() {
    let (google, _played) = google().await;
    let other = |change: fn(&mut Provider)| {
        let mut provider = provider();
        change(&mut provider);
        provider
    };
    let jwt = || Subject::Jwt(secret("a.proof.jwt"));
    let exchanges = [
        ("another project", other(|p| p.project = "2".into()), jwt()),
        ("another pool", other(|p| p.pool = "theirs".into()), jwt()),
        ("another provider", other(|p| p.name = "theirs".into()), jwt()),
        (
            "another token",
            provider(),
            Subject::Jwt(secret("another.proof.jwt")),
        ),
        (
            "a JWT as a request",
            provider(),
            Subject::AwsRequest(secret("a.proof.jwt")),
        ),
        (
            "a request as a JWT",
            provider(),
            Subject::Jwt(secret("%7B%22url%22%3A%22https%3A%2F%2Fsts%22%7D")),
        ),
    ];
    for (what, provider, subject) in exchanges {
        let error = google.exchange(&provider, &subject, NOW).await.unwrap_err();
        let words = error.to_string();
        assert!(
            words.starts_with("sts.googleapis.com refused with status 400: invalid_request: the form is"),
            "{what}: {words}"
        );
    }
    let account = "weir-metric-check@team.iam.gserviceaccount.com";
    let error = google
        .as_account(account, &federated("ya29.another"), NOW)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "iamcredentials.googleapis.com refused with status 403: Permission 'iam.serviceAccounts.getAccessToken' denied"
    );
    let error = google
        .as_account(
            "x@team.iam.gserviceaccount.com",
            &federated("ya29.federated"),
            NOW,
        )
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Refused { status: 404, .. }), "{error}");
    let error = google
        .place(&cluster("edge"), &federated("ya29.federated"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "container.googleapis.com refused with status 403: Required container.clusters.get"
    );
    let error = google
        .place(&cluster("other"), &federated("ya29.account"))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Refused { status: 404, .. }), "{error}");
    let error = google
        .place(&cluster("young"), &federated("ya29.account"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "container.googleapis.com answered without endpoint and masterAuth.clusterCaCertificate"
    );
}

async fn entra() -> Played {
    Played::serve(|request| {
        let checked = form(
            request,
            &format!("/{TENANT}/oauth2/v2.0/token"),
            &[
                ("grant_type", "client_credentials"),
                ("client_id", CLIENT),
                (
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                ),
                ("client_assertion", "a.proof.jwt"),
                ("scope", "6dae42f8-4368-4678-94ff-3960e28e3630/.default"),
            ],
        );
        answer(
            checked,
            r#"{"token_type":"Bearer","expires_in":300,"access_token":"eyJ.of.entra"}"#,
        )
    })
    .await
}

#[tokio::test]
async fn entra_gives_a_token_of_an_application_and_refuses_every_other_request() {
    let played = entra().await;
    let entra = Entra::at(&played.url).unwrap();
    let bearer = entra
        .aks_token(&application(CLIENT), &secret("a.proof.jwt"), NOW)
        .await
        .unwrap();
    assert_eq!(
        (bearer.token.expose(), bearer.until),
        ("eyJ.of.entra", NOW + Span::minutes(4))
    );
    let tenant = Application {
        tenant: "other".into(),
        client: CLIENT.into(),
    };
    let cases = [
        ("another tenant", tenant, "a.proof.jwt"),
        ("another application", application("other"), "a.proof.jwt"),
        ("another assertion", application(CLIENT), "another.proof.jwt"),
    ];
    for (what, application, assertion) in cases {
        let error = entra
            .aks_token(&application, &secret(assertion), NOW)
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::Refused { status: 400, .. }),
            "{what}: {error}"
        );
        assert!(
            !format!("{error} {error:?}").contains("proof.jwt"),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error() {
    let answers: [(&str, u16, String); 5] = [
        ("without its token", 200, r#"{"expires_in":3599}"#.into()),
        ("without its life", 200, r#"{"access_token":"x"}"#.into()),
        (
            "with an empty token",
            200,
            r#"{"access_token":"","expires_in":1}"#.into(),
        ),
        ("that is no JSON", 200, "<html>".into()),
        ("that does not end", 200, "x".repeat(300_000)),
    ];
    for (what, status, body) in answers {
        let played = Played::serve(move |_| (status, body.clone())).await;
        let entra = Entra::at(&played.url).unwrap();
        let error = entra
            .aks_token(&application(CLIENT), &secret("a.proof.jwt"), NOW)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "login.microsoftonline.com answered without access_token and expires_in",
            "{what}"
        );
    }
    let elsewhere = Played::serve(|_| (302, String::new())).await;
    let entra = Entra::at(&elsewhere.url).unwrap();
    let error = entra
        .aks_token(&application(CLIENT), &secret("a.proof.jwt"), NOW)
        .await
        .unwrap_err();
    assert!(
        matches!(error, CallError::Refused { status: 302, .. }),
        "a redirect is not followed: {error}"
    );
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let error = Entra::at(&nowhere)
        .unwrap()
        .aks_token(&application(CLIENT), &secret("x"), NOW)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "login.microsoftonline.com did not answer");
}

#[tokio::test]
async fn names_lead_to_no_other_host() {
    let (google, played) = google().await;
    let account = "//evil.example/x";
    let error = google
        .as_account(account, &federated("ya29.federated"), NOW)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Refused { status: 404, .. }), "{error}");
    assert!(
        played[1].heard()[0]
            .path
            .starts_with("/v1/projects/-/serviceAccounts/"),
        "it stays where it was sent"
    );
    let played = entra().await;
    let stray = Application {
        tenant: "https://evil.example".into(),
        client: CLIENT.into(),
    };
    let error = Entra::at(&played.url)
        .unwrap()
        .aks_token(&stray, &secret("x"), NOW)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a name makes no address at login.microsoftonline.com"
    );
    for address in [
        "http://login.example",
        "https://user@login.example",
        "ftp://127.0.0.1",
    ] {
        assert!(Entra::at(address).is_none(), "{address}");
    }
    assert!(Google::at("https://sts.googleapis.com", &played.url, &played.url).is_none());
}
