//! The cluster as one that reads JWTs: an issuer whose keys it knows, and STS that signs with them for functions.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use aws_config::Region;
use aws_credential_types::Credentials;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use weir_app::Clock;
use weir_cluster::{Access, Fleet, Places};
use weir_domain::ids::ClusterName;
use weir_emulators::{Caller, Played, sts};
use weir_federation::{Entra, Google};
use weir_lambda::{CloudGate, Clouds, Way};
use weir_lambda_host::{ACCOUNT, Key, REGION};

use crate::clock::WallClock;
use crate::cluster::{Cluster, root};

/// The issuer of the account's tokens.
pub const ISSUER: &str = "https://0a1b2c3d-test.tokens.sts.global.api.aws";

/// What the test cluster expects in a token.
pub const AUDIENCE: &str = "https://weir.example/prod-1";

/// The functions, by their ids in the template, and the programs that they run.
const FUNCTIONS: [(&str, &str); 4] = [
    ("MetricCheck", "metric-check"),
    ("StageExecutor", "stage-executor"),
    ("WebhookIntake", "webhook-intake"),
    ("ApprovalCallback", "approval-callback"),
];

/// The keys of a process's issuer, and one that is nobody's.
struct Keys {
    rsa: RsaKeyPair,
    ecdsa: EcdsaKeyPair,
    others: RsaKeyPair,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made"),
        ecdsa: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key can be made"),
        others: RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made"),
    })
}

/// The ARN of a function's role, as a token says it.
pub fn role(function: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{function}Role")
}

/// What the API server is told: `infra/cluster/authentication.yaml` with its capitals replaced, and the issuer's keys.
pub(crate) fn file() -> Result<Value> {
    let text = std::fs::read_to_string(root().join("infra/cluster/authentication.yaml"))?;
    let replaced = [
        ("METRIC_CHECK_ROLE_ARN", role("MetricCheck")),
        ("STAGE_EXECUTOR_ROLE_ARN", role("StageExecutor")),
        ("WEBHOOK_INTAKE_ROLE_ARN", role("WebhookIntake")),
        ("APPROVAL_CALLBACK_ROLE_ARN", role("ApprovalCallback")),
        ("url: ISSUER", format!("url: {ISSUER}")),
        ("[AUDIENCE]", format!("[\"{AUDIENCE}\"]")),
    ];
    let text = replaced
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to));
    let authentication: Value = serde_saphyr::from_str(&text).context("authentication.yaml is YAML")?;
    Ok(json!({ "authentication": authentication, "keys": { "keys": [rsa_key()?, ecdsa_key()] } }))
}

/// RFC 8017's public key of 2048 bits has its modulus at a fixed place.
fn rsa_key() -> Result<Value> {
    let der = keys().rsa.public_key().as_ref();
    let modulus = der.get(9..265).context("a key of 2048 bits")?;
    let modulus = URL_SAFE_NO_PAD.encode(modulus);
    Ok(json!({ "kid": "rsa", "kty": "RSA", "use": "sig", "alg": "RS256", "n": modulus, "e": "AQAB" }))
}

fn ecdsa_key() -> Value {
    let point = keys().ecdsa.public_key().as_ref();
    let (x, y) = (
        URL_SAFE_NO_PAD.encode(&point[1..49]),
        URL_SAFE_NO_PAD.encode(&point[49..97]),
    );
    json!({ "kid": "ecdsa", "kty": "EC", "use": "sig", "alg": "ES384", "crv": "P-384", "x": x, "y": y })
}

/// Who signs a token, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signer {
    /// The issuer, as Weir asks for it.
    Rs256,
    /// The issuer, with its other key.
    Es384,
    /// Somebody else, who says to be the issuer.
    Others,
    /// Nobody.
    None,
}

/// The claims of a function's token, as STS makes them at a time.
pub fn claims(function: &str, audience: &str, clock: &dyn Clock) -> Value {
    let now = clock.now().0.div_euclid(1_000);
    json!({
        "iss": ISSUER, "sub": role(function), "aud": audience,
        "iat": now, "exp": now + 300, "jti": format!("{function}-{now}"),
        "https://sts.amazonaws.com/": { "aws_account": ACCOUNT, "principal_id": role(function) },
    })
}

/// A token with these claims.
pub fn signed(claims: &Value, by: Signer) -> String {
    let (algorithm, kid) = match by {
        Signer::Rs256 | Signer::Others => ("RS256", "rsa"),
        Signer::Es384 => ("ES384", "ecdsa"),
        Signer::None => ("none", "rsa"),
    };
    let header = json!({ "alg": algorithm, "kid": kid, "typ": "JWT" });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(claims));
    let signature = match by {
        Signer::Rs256 => with_rsa(&keys().rsa, &text),
        Signer::Others => with_rsa(&keys().others, &text),
        Signer::Es384 => {
            let made = keys().ecdsa.sign(&SystemRandom::new(), text.as_bytes());
            made.expect("a key signs").as_ref().to_vec()
        }
        Signer::None => Vec::new(),
    };
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn with_rsa(key: &RsaKeyPair, text: &str) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    let made = key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    );
    made.expect("a key signs");
    signature
}

/// STS, which knows every function by its key and signs what it is.
pub async fn issuing() -> Played {
    let known = FUNCTIONS.map(|(id, _)| {
        let key = Key::of(id);
        let caller = Caller {
            secret_key: key.secret_key,
            session_token: key.session_token,
        };
        (key.access_key, caller)
    });
    sts(REGION, BTreeMap::from(known), |wanted| {
        let found = FUNCTIONS
            .iter()
            .find(|(id, _)| Key::of(id).access_key == wanted.access_key);
        let (id, _) = found.expect("STS knows no others");
        signed(&claims(id, &wanted.audience, &WallClock), Signer::Rs256)
    })
    .await
}

/// The adapter as a function has it, with the function's own key, for a cluster that is entered this way.
///
/// # Panics
/// The kubeconfig cannot be read.
pub async fn federated(
    cluster: &Cluster,
    function: &str,
    way: Way,
    sts: &str,
    google: Google,
    entra: Entra,
) -> Fleet {
    let key = Key::of(function);
    let credentials = Credentials::new(
        key.access_key,
        key.secret_key,
        Some(key.session_token),
        None,
        "tests",
    );
    let config = weir_aws::config::loader()
        .endpoint_url(sts)
        .region(Region::from_static(REGION))
        .credentials_provider(credentials)
        .load()
        .await;
    let (_, program) = FUNCTIONS
        .into_iter()
        .find(|(id, _)| *id == function)
        .expect("a function of the template");
    let name = ClusterName::new("main");
    let (_, authority) =
        crate::eks::place(&cluster.kubeconfig).expect("a kubeconfig says where its cluster is");
    let pem = String::from_utf8(STANDARD.decode(authority).expect("base64")).expect("PEM is text");
    let authority = weir_aws::whereabouts::certificates(&pem).expect("PEM");
    let gate = CloudGate {
        clusters: [(name.clone(), way)].into(),
        authorities: [(name, authority)].into(),
        function: program,
        clouds: Clouds {
            google,
            entra,
            ..Clouds::of(&config, None)
        },
        clock: Arc::new(WallClock),
    };
    Fleet::new(Places::all(Access::Gate(Arc::new(gate))), Arc::new(WallClock))
}
