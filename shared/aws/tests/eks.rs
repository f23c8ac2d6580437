//! Clusters in EKS: the token against a signature made by hand, and what EKS says.
#![allow(clippy::unwrap_used, reason = "everything in here is a test, its helpers too")]

mod kit;

use aws_credential_types::Credentials;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};
use weir_app::{Classified, Retry};
use weir_aws::Eks;
use weir_aws::eks::{Cluster, Shelf, SignError, Token, sign};
use weir_domain::time::{Span, Timestamp};
use weir_emulators::Canned;

/// 2023-11-14T22:13:20Z.
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const DATE: &str = "20231114";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

fn cluster(region: &str, name: &str) -> Cluster {
    Cluster {
        region: region.into(),
        name: name.into(),
    }
}

fn credentials(session: Option<&str>) -> Credentials {
    Credentials::new("AKIDEXAMPLE", SECRET, session.map(str::to_owned), None, "test")
}

fn url(token: &Token) -> String {
    let encoded = token.secret().strip_prefix("k8s-aws-v1.").unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signature Version 4 as its specification has it, from the parts that a cluster sends to STS.
fn signature(host: &str, region: &str, cluster: &str, query: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> = query.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.sort();
    let request = format!(
        "GET\n/\n{}\nhost:{host}\nx-k8s-aws-id:{cluster}\n\nhost;x-k8s-aws-id\n{}",
        pairs.join("&"),
        hex(&Sha256::digest(b""))
    );
    let scope = format!("{DATE}/{region}/sts/aws4_request");
    let digest = hex(&Sha256::digest(request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{DATE}T221320Z\n{scope}\n{digest}");
    let key = [DATE, region, "sts", "aws4_request"]
        .iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| hmac(&key, part));
    hex(&hmac(&key, &text))
}

#[test]
fn a_token_is_what_the_authenticator_recomputes() {
    let cases = [
        ("eu-central-1", "sts.eu-central-1.amazonaws.com", None),
        (
            "us-gov-west-1",
            "sts.us-gov-west-1.amazonaws.com",
            Some("session/with+odd=signs"),
        ),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn", None),
    ];
    for (region, host, session) in cases {
        let token = sign(credentials(session), &cluster(region, "prod-1"), NOW).unwrap();
        let url = url(&token);
        let (address, query) = url.split_once('?').unwrap();
        assert_eq!(address, format!("https://{host}/"));
        let pairs: Vec<(&str, &str)> = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .collect();
        let (signed, unsigned): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|(key, _)| *key != "X-Amz-Signature");
        assert_eq!(unsigned.len(), 1);
        assert_eq!(
            unsigned[0].1,
            signature(host, region, "prod-1", &signed),
            "{region}"
        );
        let mut keys: Vec<&str> = signed.iter().map(|(key, _)| *key).collect();
        keys.retain(|key| *key != "X-Amz-Security-Token");
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "Action",
                "Version",
                "X-Amz-Algorithm",
                "X-Amz-Credential",
                "X-Amz-Date",
                "X-Amz-Expires",
                "X-Amz-SignedHeaders"
            ]
        );
        assert_eq!(signed.len() - keys.len(), usize::from(session.is_some()));
        assert!(signed.contains(&("X-Amz-Expires", "60")));
        assert!(signed.contains(&("X-Amz-Date", "20231114T221320Z")));
        assert!(token.secret().len() <= 4_096 && !token.secret().contains('='));
        assert_eq!(token.until, NOW + Span::minutes(10));
    }
}

#[test]
fn a_token_stays_as_it_is() {
    let token = sign(credentials(None), &cluster("eu-central-1", "prod-1"), NOW).unwrap();
    let expected = "https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15\
         &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20231114%2Feu-central-1%2Fsts%2Faws4_request\
         &X-Amz-Date=20231114T221320Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=";
    let url = url(&token);
    assert!(url.starts_with(expected), "{url}");
}

#[test]
fn a_token_is_bound_to_its_cluster_its_region_and_its_time() {
    let of = |region, name, now| url(&sign(credentials(None), &cluster(region, name), now).unwrap());
    let first = of("eu-central-1", "prod-1", NOW);
    assert_eq!(first, of("eu-central-1", "prod-1", NOW));
    for other in [
        of("eu-central-1", "prod-2", NOW),
        of("eu-west-1", "prod-1", NOW),
        of("eu-central-1", "prod-1", NOW + Span::seconds(1)),
    ] {
        assert_ne!(first, other);
    }
}

#[test]
fn a_token_is_not_shown_and_not_longer_than_the_cluster_reads() {
    let token = sign(credentials(None), &cluster("eu-central-1", "prod-1"), NOW).unwrap();
    assert_eq!(
        format!("{token:?}"),
        "Token { until: Timestamp(1700000600000), .. }"
    );
    let long = sign(
        credentials(Some(&"x".repeat(4_000))),
        &cluster("eu-central-1", "p"),
        NOW,
    );
    assert!(matches!(long, Err(SignError::TooLong(_))), "{long:?}");
}

#[test]
fn names_that_make_no_request_are_an_error() {
    for (region, name) in [("a b", "prod"), ("eu-central-1", "prod\nx: y"), ("\u{0}", "p")] {
        assert!(
            sign(credentials(None), &cluster(region, name), NOW).is_err(),
            "{region} {name:?}"
        );
    }
}

fn described(address: &str) -> (u16, String) {
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode("der")
    );
    let authority = json!({ "data": STANDARD.encode(pem) });
    let cluster = json!({ "name": "prod-1", "endpoint": address, "certificateAuthority": authority });
    (200, json!({ "cluster": cluster }).to_string())
}

#[tokio::test]
async fn a_cluster_is_described_once_and_again_when_it_was_lost() {
    let server = Canned::serve(vec![described("https://one"), described("https://two")]).await;
    let eks = Eks::new(kit::config(&server.url).await, None);
    let prod = cluster("us-east-2", "prod-1");
    for minute in 0..3 {
        let now = NOW + Span::minutes(minute);
        let endpoint = eks.endpoint(&prod, now).await.unwrap();
        assert_eq!(endpoint.url, "https://one");
        assert_eq!(endpoint.authorities, [b"der".to_vec()]);
    }
    eks.lost(&prod, NOW + Span::seconds(9));
    let soon = eks.endpoint(&prod, NOW + Span::seconds(9)).await.unwrap();
    assert_eq!(soon.url, "https://one", "EKS has just said so");
    eks.lost(&prod, NOW + Span::seconds(10));
    let later = eks.endpoint(&prod, NOW + Span::seconds(10)).await.unwrap();
    assert_eq!(later.url, "https://two");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(
        requests[0].starts_with("GET /clusters/prod-1 "),
        "{}",
        requests[0]
    );
    assert!(
        requests[0].contains("/us-east-2/eks/aws4_request"),
        "signed for the cluster's own region"
    );
    let token = eks.token(&prod, NOW).await.unwrap();
    assert!(url(&token).starts_with("https://sts.us-east-2.amazonaws.com/"));
}

#[tokio::test]
async fn where_a_cluster_is_stands_in_the_table_for_the_function_that_asked() {
    let (_, client, table) = kit::store().await;
    let server = Canned::serve(vec![
        described("https://one"),
        described("https://two"),
        described("https://three"),
    ])
    .await;
    let config = kit::config(&server.url).await;
    let started = |owner: &str| {
        let shelf = Shelf::new(client.clone(), &table, owner);
        Eks::new(config.clone(), Some(shelf))
    };
    let prod = cluster("eu-central-1", "prod-1");
    let at = async |eks: &Eks| eks.endpoint(&prod, NOW).await.unwrap().url;
    assert_eq!(at(&started("metric-check")).await, "https://one");
    let next = started("metric-check");
    assert_eq!(at(&next).await, "https://one");
    assert_eq!(
        server.requests().len(),
        1,
        "EKS is not asked by those that start later"
    );
    assert_eq!(
        at(&started("webhook-intake")).await,
        "https://two",
        "one function does not say to another whom a token is given to"
    );
    next.lost(&prod, NOW);
    assert_eq!(at(&next).await, "https://three");
    assert_eq!(at(&started("metric-check")).await, "https://three");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn why_a_cluster_cannot_be_entered_is_told_with_what_to_do() {
    let denied = json!({ "__type": "AccessDeniedException", "message": "no eks:DescribeCluster" });
    let young = json!({ "cluster": { "name": "prod-1", "status": "CREATING" } });
    let answers = vec![(403, denied.to_string()), (200, young.to_string())];
    let server = Canned::serve(answers).await;
    let eks = Eks::new(kit::config(&server.url).await, None);
    let prod = cluster("eu-central-1", "prod-1");
    let error = eks.endpoint(&prod, NOW).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    assert!(error.to_string().contains("no eks:DescribeCluster"), "{error}");
    let error = eks.endpoint(&prod, NOW).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "EKS describes cluster prod-1 in eu-central-1 without an https address: it is being created, or deleted"
    );
}
