//! Tokens for a source of metrics: what Google is shown, how often it is asked, and what is said when it refuses.

use std::sync::atomic::{AtomicI64, Ordering};

use aws_credential_types::Credentials;
use serde_json::{Value, json};
use weir_domain::time::Span;
use weir_emulators::{Heard, Played, decoded, verified};

use super::*;
use crate::ways::believed;

const PROVIDER: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/weir/providers/aws";
const ACCOUNT: &str = "weir-reads@team.iam.gserviceaccount.com";

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

impl Hand {
    fn later(&self, time: Span) {
        self.0
            .fetch_add(i64::try_from(time.0).unwrap(), Ordering::Relaxed);
    }
}

/// Who signed the request in a proof, by what AWS would compute; it must be bound to the provider.
fn signer(proof: &str) -> Option<String> {
    let request: Value = serde_json::from_str(&decoded(proof)).ok()?;
    let headers = request["headers"].as_array()?.iter();
    let heard = Heard {
        method: request["method"].as_str()?.to_owned(),
        path: "/?Action=GetCallerIdentity&Version=2011-06-15".to_owned(),
        headers: headers
            .map(|header| {
                let text = |key: &str| header[key].as_str().unwrap_or_default().to_owned();
                (text("key"), text("value"))
            })
            .collect(),
        body: String::new(),
    };
    let bound = heard.header("x-goog-cloud-target-resource") == PROVIDER;
    let signed = verified(&heard, |key| (key == "KEY").then(|| "secret".to_owned())).ok()?;
    bound.then_some(signed.access_key)
}

/// STS and the credentials of service accounts, each of which refuses what is not as it must be.
pub(crate) fn google(request: &Heard) -> (u16, String) {
    let refused = |why: &str| {
        (
            403,
            json!({ "error": { "code": 403, "message": why } }).to_string(),
        )
    };
    if request.path == "/v1/token" {
        let form = request.form();
        let given = [
            "grant_type",
            "audience",
            "scope",
            "requested_token_type",
            "subject_token_type",
        ]
        .map(|key| form.get(key).map_or("", String::as_str));
        let expected = [
            "urn:ietf:params:oauth:grant-type:token-exchange",
            PROVIDER,
            "https://www.googleapis.com/auth/cloud-platform",
            "urn:ietf:params:oauth:token-type:access_token",
            "urn:ietf:params:aws:token-type:aws4_request",
        ];
        return match signer(&form["subject_token"]).filter(|_| given == expected) {
            Some(by) => (
                200,
                json!({ "access_token": format!("federated.{by}"), "token_type": "Bearer", "expires_in": 3599 })
                    .to_string(),
            ),
            None => refused("the proof is another"),
        };
    }
    let path = format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken");
    match (request.path == path, request.header("authorization")) {
        (true, "Bearer federated.KEY") => {
            let answer = json!({ "accessToken": "ya29.reads", "expireTime": "2030-01-01T00:00:00Z" });
            (200, answer.to_string())
        }
        _ => refused("Permission 'iam.serviceAccounts.getAccessToken' denied"),
    }
}

async fn tokens(url: &str, who: &str) -> (AsTheFunction, Arc<Hand>) {
    let config = weir_aws::config::loader()
        .endpoint_url(url)
        .region(aws_config::Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("KEY", "secret", None, None, "tests"))
        .load()
        .await;
    let clock = Arc::new(Hand(AtomicI64::new(1_700_000_000_000)));
    let made = AsTheFunction {
        identity: Identity::new(config),
        google: Google::at(url, url, url).unwrap(),
        believed: believed(who).unwrap(),
        clock: clock.clone(),
        kept: Mutex::default(),
    };
    (made, clock)
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end_or_until_it_is_refused() {
    let played = Played::serve(google).await;
    let who = format!("1/weir/aws;token=aws4;as={ACCOUNT}");
    let (tokens, clock) = tokens(&played.url, &who).await;
    let reads = Secret::new("ya29.reads").unwrap();
    let exchanges = || {
        let heard = played.heard();
        heard.iter().filter(|request| request.path == "/v1/token").count()
    };
    for _ in 0..3 {
        assert!(tokens.token().await.unwrap().is(&reads));
    }
    assert_eq!(exchanges(), 1);
    clock.later(Span::minutes(13));
    tokens.token().await.unwrap();
    assert_eq!(exchanges(), 1);
    clock.later(Span::minutes(1));
    tokens.token().await.unwrap();
    assert_eq!(exchanges(), 2, "it would end within a minute");
    tokens.refused(&Secret::new("ya29.older").unwrap()).await;
    tokens.token().await.unwrap();
    assert_eq!(exchanges(), 2, "another one was refused");
    tokens.refused(&reads).await;
    tokens.token().await.unwrap();
    assert_eq!(exchanges(), 3);
}

#[tokio::test]
async fn who_is_not_believed_is_told_why_and_a_way_back_stays_open() {
    let played = Played::serve(google).await;
    let table = [
        (
            "2/weir/aws;token=aws4",
            "sts.googleapis.com refused with status 403: the proof is another",
        ),
        (
            "1/weir/aws;token=aws4;as=other@team.iam.gserviceaccount.com",
            "iamcredentials.googleapis.com refused with status 403: Permission 'iam.serviceAccounts.getAccessToken' denied",
        ),
    ];
    for (who, expected) in table {
        let (tokens, _clock) = tokens(&played.url, who).await;
        let why = tokens.token().await.unwrap_err();
        assert_eq!(why, format!("Google gave no token: {expected}"));
    }
}
