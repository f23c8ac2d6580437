//! Functions enter a cluster of EKS: EKS says where it is, the token is a request to STS that the function's role signs, and
//! the API server asks aws-iam-authenticator's own verifier whose it is. STS recomputes the signature.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use weir_app::{Classified, Clock, Clusters, Retry};
use weir_cluster::{Access, Fleet, Gate, Pass, Places};
use weir_domain::ids::ClusterName;
use weir_lambda_host::REGION;
use weir_live::{Api, EKS_CLUSTER, Eks, STRANGER, Shape, ShiftedClock, WallClock, World, refusal};

const MINUTE_MS: i64 = 60_000;
const PREFIX: &str = "k8s-aws-v1.";

fn now() -> Arc<dyn Clock> {
    Arc::new(WallClock)
}

#[tokio::test]
async fn each_function_has_the_rights_of_its_role_and_no_others() {
    let world = World::new("eks").await;
    let eks = Eks::serve(world.cluster).await;
    let shape = Shape::rollout("v2", Some("v1"));
    let run = world.run(&shape);
    let (old, new) = (shape.revision("v1"), shape.revision("v2"));
    let split = |percent: u8, fence| world.weights(&[(&old, 100 - percent), (&new, percent)], fence);

    let traffic = eks.fleet("MetricCheck", now()).await;
    traffic.perform(&run, &split(5, 1)).await.unwrap();
    let steps = eks.fleet("StageExecutor", now()).await;
    let error = steps.perform(&run, &split(0, 2)).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    let words = error.to_string();
    let who = "User \"arn:aws:sts::000000000000:assumed-role/StageExecutorRole/StageExecutor\" cannot get resource \"httproutes\"";
    assert!(words.contains(who), "{words}");
    for (function, fence) in [("WebhookIntake", 3), ("ApprovalCallback", 5)] {
        let back_only = eks.fleet(function, now()).await;
        let error = back_only.perform(&run, &split(6, fence)).await.unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains("this identity may only send traffic back"),
            "{function}: {words}"
        );
        back_only.perform(&run, &split(0, fence)).await.unwrap();
        traffic.perform(&run, &split(5, fence + 1)).await.unwrap();
    }
    assert_eq!(eks.asked(), 4, "each function asks once");
}

/// A function's token for the test cluster, changed where it says how it was signed.
fn forged(change: impl Fn(&str) -> String) -> String {
    let token = Eks::token("MetricCheck", REGION, EKS_CLUSTER, &WallClock);
    let encoded = token.secret().strip_prefix(PREFIX).unwrap();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap();
    let changed = change(&url);
    assert_ne!(changed, url);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(changed))
}

fn made(function: &str, region: &str, name: &str, ahead_ms: i64) -> String {
    let clock = ShiftedClock::ahead_ms(ahead_ms);
    Eks::token(function, region, name, &clock).secret().to_owned()
}

#[tokio::test]
async fn a_token_is_good_for_its_cluster_and_fifteen_minutes() {
    let world = World::new("eks-token").await;
    let cases = [
        ("now", made("MetricCheck", REGION, EKS_CLUSTER, 0)),
        (
            "fourteen minutes ago",
            made("MetricCheck", REGION, EKS_CLUSTER, -14 * MINUTE_MS),
        ),
        (
            "by a clock that is four minutes ahead",
            made("MetricCheck", REGION, EKS_CLUSTER, 4 * MINUTE_MS),
        ),
        // A role is the same in all regions of a partition, and so is what STS says of it.
        (
            "at STS of another region",
            made("MetricCheck", "us-east-2", EKS_CLUSTER, 0),
        ),
    ];
    for (what, token) in cases {
        let api = Api::bearing(&world.cluster.kubeconfig, &token).await.unwrap();
        api.get(&world.route_path()).await.ok();
        assert_eq!(
            refusal(world.cluster, &token).unwrap(),
            "it was let in",
            "signed {what}"
        );
    }
}

#[tokio::test]
async fn every_other_token_is_refused_and_the_authenticator_says_why() {
    let world = World::new("eks-refused").await;
    let swap = |from: &'static str, to: &'static str| forged(move |url| url.replacen(from, to, 1));
    let old = made("MetricCheck", REGION, EKS_CLUSTER, -16 * MINUTE_MS);
    let other_cluster = made("MetricCheck", REGION, "prod-2", 0);
    let china = made("MetricCheck", "cn-north-1", EKS_CLUSTER, 0);
    let government = made("MetricCheck", "us-gov-west-1", EKS_CLUSTER, 0);
    let stranger = made(STRANGER, REGION, EKS_CLUSTER, 0);
    let unknown = made("Nobody", REGION, EKS_CLUSTER, 0);
    let mismatch = "signature we calculated does not match";
    let cases = [
        ("an old one", old, "X-Amz-Date parameter is expired"),
        ("one for another cluster", other_cluster, mismatch),
        (
            "one of China",
            china,
            "partition {aws} does not support hostname sts.cn-north-1.amazonaws.com.cn",
        ),
        (
            "one of another partition's region",
            government,
            "InvalidClientTokenId",
        ),
        (
            "one of a role without an access entry",
            stranger,
            "no access entry for",
        ),
        ("one of an unknown key", unknown, "InvalidClientTokenId"),
        ("a longer life", swap("Expires=60", "Expires=900"), mismatch),
        (
            "a life beyond the limit",
            swap("Expires=60", "Expires=901"),
            "invalid X-Amz-Expires",
        ),
        (
            "another region's STS",
            swap("sts.eu-central-1.", "sts.eu-west-1."),
            "scoped to a valid region",
        ),
        (
            "another host",
            swap(
                "sts.eu-central-1.amazonaws.com",
                "sts.eu-central-1.amazonaws.com.evil.example",
            ),
            "unexpected hostname",
        ),
        (
            "another call",
            swap("GetCallerIdentity", "GetSessionToken"),
            "unexpected action",
        ),
        ("another path", swap("/?", "/x?"), "unexpected path"),
        ("without TLS", swap("https://", "http://"), "unexpected scheme"),
        (
            "a cluster that is not signed",
            swap("host%3Bx-k8s-aws-id", "host"),
            "client did not sign the x-k8s-aws-id header",
        ),
        (
            "one more parameter",
            swap("&Version=", "&Policy=x&Version="),
            "non-whitelisted",
        ),
        (
            "another function's session",
            swap("MetricCheck%3D", "StageExecutor%3D"),
            "InvalidClientTokenId",
        ),
        (
            "another function's key",
            swap("METRICCHECK", "STAGEEXECUTOR"),
            "InvalidClientTokenId",
        ),
    ];
    for (what, token, why) in cases {
        let api = Api::bearing(&world.cluster.kubeconfig, &token).await.unwrap();
        let answer = api.get(&world.route_path()).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        let said = refusal(world.cluster, &token).unwrap();
        assert!(said.contains(why), "{what}: {said}");
    }
}

#[tokio::test]
async fn a_cluster_that_was_made_anew_is_found_again() {
    let world = World::new("eks-anew").await;
    let shape = Shape::rollout("v2", Some("v1"));
    let run = world.run(&shape);
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("https://{}", closed.local_addr().unwrap());
    drop(closed);
    let eks = Eks::serve(world.cluster).await;
    let (address, authority) = eks.say(&nowhere, "");
    let others = STANDARD.encode(include_str!("others.crt"));
    let cases = [
        ("nobody is there", &nowhere, &authority),
        ("others are there", &address, &others),
    ];
    for (fence, (what, at, by)) in (1..).zip(cases) {
        eks.say(at, by);
        let before = eks.asked();
        let clock = Arc::new(ShiftedClock::default());
        let fleet = eks.fleet("MetricCheck", clock.clone()).await;
        let effect = world.weights(&[(&shape.revision("v1"), 100)], fence);
        for _ in 0..3 {
            let error = fleet.perform(&run, &effect).await.unwrap_err();
            assert!(matches!(error.retry(), Retry::After(_)), "{what}: {error}");
        }
        assert_eq!(eks.asked() - before, 1, "{what}: EKS has just said so");
        eks.say(&address, &authority);
        clock.set_ahead_ms(11_000);
        fleet.perform(&run, &effect).await.unwrap();
        assert_eq!(eks.asked() - before, 2, "{what}");
    }
}

/// A gate whose first pass has ended already.
struct Late(Arc<Eks>, std::sync::atomic::AtomicBool);

#[async_trait]
impl Gate for Late {
    async fn pass(&self, _: &ClusterName) -> Result<Pass, Box<dyn std::error::Error + Send + Sync>> {
        let late = !self.1.swap(true, std::sync::atomic::Ordering::Relaxed);
        let clock = ShiftedClock::ahead_ms(if late { -16 * MINUTE_MS } else { 0 });
        let token = Eks::token("MetricCheck", REGION, EKS_CLUSTER, &clock);
        let (url, authority) = self.0.place();
        let pem = String::from_utf8(STANDARD.decode(authority)?)?;
        let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        Ok(Pass {
            url,
            authorities: vec![STANDARD.decode(body)?],
            token: token.secret().to_owned(),
            until: WallClock.now() + weir_domain::time::Span::minutes(10),
        })
    }

    fn lost(&self, _: &ClusterName) {
        panic!("the cluster was there all along");
    }
}

#[tokio::test]
async fn a_token_that_ends_on_its_way_is_replaced_by_the_next_try() {
    let world = World::new("eks-late").await;
    let eks = Arc::new(Eks::serve(world.cluster).await);
    let gate = Access::Gate(Arc::new(Late(eks, false.into())));
    let fleet = Fleet::new(Places::all(gate), now());
    let shape = Shape::rollout("v2", Some("v1"));
    let (run, effect) = (
        world.run(&shape),
        world.weights(&[(&shape.revision("v1"), 100)], 1),
    );
    let error = fleet.perform(&run, &effect).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(error.to_string().contains("does not know who this is"), "{error}");
    fleet.perform(&run, &effect).await.unwrap();
    assert_eq!(
        world.route().await["metadata"]["annotations"]["weir.dev/fence"],
        json!("1")
    );
}
