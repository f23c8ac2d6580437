//! Who a function is, said to others: the JWT that STS makes, and the request that Google sends for it.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

use std::collections::BTreeMap;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use serde_json::Value;
use weir_app::Secret;
use weir_aws::Identity;
use weir_aws::identity::IdentityError;
use weir_domain::time::{Span, Timestamp};
use weir_emulators::{Caller, Heard, Played, decoded, sts, verified};

/// 2023-11-14T22:13:20Z.
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "session/with+odd=signs";
const AUDIENCE: &str =
    "https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/weir/providers/aws";

async fn config(url: &str, region: &'static str, secret: &str, session: Option<&str>) -> SdkConfig {
    weir_aws::config::loader()
        .endpoint_url(url)
        .region(Region::from_static(region))
        .credentials_provider(Credentials::new(
            "ASIAROLE",
            secret,
            session.map(str::to_owned),
            None,
            "test",
        ))
        .load()
        .await
}

async fn stand_in() -> Played {
    let caller = Caller {
        secret_key: SECRET.into(),
        session_token: SESSION.into(),
    };
    let callers = BTreeMap::from([("ASIAROLE".to_owned(), caller)]);
    sts("eu-central-1", callers, |wanted| {
        format!("jwt.of.{}.for.{}", wanted.access_key, wanted.audience)
    })
    .await
}

#[tokio::test]
async fn sts_makes_a_token_for_one_audience_and_five_minutes() {
    let played = stand_in().await;
    let identity = Identity::new(config(&played.url, "eu-central-1", SECRET, Some(SESSION)).await);
    for audience in [AUDIENCE, "api://AzureADTokenExchange", "weir/own cluster"] {
        let token = identity.web_token(audience, NOW).await.unwrap();
        assert_eq!(token.text.expose(), format!("jwt.of.ASIAROLE.for.{audience}"));
        assert_eq!(token.until, NOW + Span::seconds(270));
        assert!(!format!("{token:?}").contains("jwt.of"), "{token:?}");
    }
    assert_eq!(played.heard().len(), 3);
}

#[tokio::test]
async fn whoever_is_somebody_else_gets_no_token_and_hears_why() {
    let played = stand_in().await;
    let cases = [
        (
            "another secret",
            "eu-central-1",
            "guessed",
            Some(SESSION),
            "the signature does not match",
        ),
        (
            "another session",
            "eu-central-1",
            SECRET,
            Some("older"),
            "the session is another",
        ),
        (
            "no session",
            "eu-central-1",
            SECRET,
            None,
            "the session is another",
        ),
        (
            "another region",
            "eu-west-1",
            SECRET,
            Some(SESSION),
            "signed for sts in eu-west-1",
        ),
    ];
    for (what, region, secret, session, why) in cases {
        let identity = Identity::new(config(&played.url, region, secret, session).await);
        let error = identity.web_token(AUDIENCE, NOW).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("STS made no token for audience `{AUDIENCE}`")),
            "{what}: {error}"
        );
        assert!(error.contains(why), "{what}: {error}");
    }
}

#[tokio::test]
async fn an_account_that_makes_no_tokens_is_told_how_to_allow_it() {
    let disabled = Played::serve(|_| {
        let error = "<Error><Type>Sender</Type><Code>OutboundWebIdentityFederationDisabledException</Code><Message>no</Message></Error>";
        (403, format!("<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"))
    })
    .await;
    let identity = Identity::new(config(&disabled.url, "eu-central-1", SECRET, Some(SESSION)).await);
    let error = identity.web_token(AUDIENCE, NOW).await.unwrap_err();
    assert!(matches!(error, IdentityError::Disabled), "{error}");
    assert!(
        error
            .to_string()
            .contains("enable-outbound-web-identity-federation"),
        "{error}"
    );
    let empty = Played::serve(|_| {
        (200, "<GetWebIdentityTokenResponse><GetWebIdentityTokenResult></GetWebIdentityTokenResult></GetWebIdentityTokenResponse>".into())
    })
    .await;
    let identity = Identity::new(config(&empty.url, "eu-central-1", SECRET, Some(SESSION)).await);
    let error = identity.web_token(AUDIENCE, NOW).await.unwrap_err();
    assert!(error.to_string().ends_with("the answer holds none"), "{error}");
}

/// The request that a proof holds, as Google would send it to STS.
fn held(proof: &Secret) -> (String, Heard) {
    let text = proof.expose();
    assert!(
        !text.contains(['{', '"', '+', '/']),
        "it is encoded as a part of a URL: {text}"
    );
    let request: Value = serde_json::from_str(&decoded(text)).unwrap();
    let keys: Vec<&String> = request.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["headers", "method", "url"]);
    let url = request["url"].as_str().unwrap();
    let (host, path) = url.strip_prefix("https://").unwrap().split_once('/').unwrap();
    let headers = request["headers"].as_array().unwrap().iter().map(|header| {
        let text = |name: &str| header[name].as_str().unwrap().to_owned();
        (text("key").to_lowercase(), text("value"))
    });
    let heard = Heard {
        method: request["method"].as_str().unwrap().to_owned(),
        path: format!("/{path}"),
        headers: headers.collect(),
        body: String::new(),
    };
    assert_eq!(heard.header("host"), host);
    (host.to_owned(), heard)
}

#[tokio::test]
async fn a_signed_request_says_who_signed_it_and_for_which_provider() {
    let resource = AUDIENCE.strip_prefix("https:").unwrap();
    let cases = [
        ("eu-central-1", "sts.eu-central-1.amazonaws.com", Some(SESSION)),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn", None),
    ];
    for (region, host, session) in cases {
        let identity = Identity::new(config("http://127.0.0.1:9", region, SECRET, session).await);
        let proof = identity.caller(resource, NOW).await.unwrap();
        let (at, request) = held(&proof);
        assert_eq!(at, host);
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/?Action=GetCallerIdentity&Version=2011-06-15")
        );
        let secret = |key: &str| (key == "ASIAROLE").then(|| SECRET.to_owned());
        let signed = verified(&request, secret).unwrap();
        assert_eq!(
            (
                signed.region.as_str(),
                signed.service.as_str(),
                signed.date.as_str()
            ),
            (region, "sts", "20231114T221320Z")
        );
        let mut expected = vec![
            "host",
            "x-amz-date",
            "x-amz-security-token",
            "x-goog-cloud-target-resource",
        ];
        expected.retain(|name| session.is_some() || *name != "x-amz-security-token");
        assert_eq!(signed.headers, expected);
        assert_eq!(
            request.header("x-amz-security-token"),
            session.unwrap_or_default()
        );
        for (name, value) in [
            (
                "x-goog-cloud-target-resource",
                "//iam.googleapis.com/projects/2/locations/global/workloadIdentityPools/weir/providers/aws",
            ),
            ("host", "sts.us-east-1.amazonaws.com"),
            ("x-amz-date", "20231114T221321Z"),
        ] {
            let mut forged = request.clone();
            forged.headers.insert(name.to_owned(), value.to_owned());
            assert_eq!(
                verified(&forged, secret),
                Err("the signature does not match".to_owned()),
                "{name}"
            );
        }
        let forged = Heard {
            path: request.path.replace("GetCallerIdentity", "GetSessionToken"),
            ..request
        };
        assert!(verified(&forged, secret).is_err());
    }
}
