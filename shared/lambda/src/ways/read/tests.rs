use weir_federation::Provider;

use super::*;
use crate::ways::Proof;

const PROVIDER: &str = "provider=123456789012/weir/aws";
const TENANT: &str = "11111111-2222-3333-4444-555555555555";

fn clients() -> String {
    let one = |function| {
        format!(
            ";client.{function}=aaaaaaaa-0000-0000-0000-{:012}",
            str::len(function)
        )
    };
    FUNCTIONS.map(one).concat()
}

fn accounts() -> String {
    FUNCTIONS
        .map(|function| format!(";as.{function}=weir-{function}@team.iam.gserviceaccount.com"))
        .concat()
}

#[test]
fn every_kind_of_cluster_is_read() {
    let list = format!(
        "prod=eu-central-1/prod-1, edge=gke:team/europe-west4/edge;{PROVIDER},far=gke:gke-12ab-345.europe-west4.gke.goog;{PROVIDER};token=aws4{},\
         azure=aks:team-dns-0a1b.hcp.westeurope.azmk8s.io;tenant={TENANT}{},own=api:k8s.example.com:6443;audience=https://weir/own,\
         front=api:k8s.example.com;audience=weir;certificate=public",
        accounts(),
        clients()
    );
    let all = clusters(&list).unwrap();
    let of = |name: &str| all[&ClusterName::new(name)].clone();
    let eks = Cluster {
        region: "eu-central-1".into(),
        name: "prod-1".into(),
    };
    assert_eq!(of("prod"), Way::Eks(eks));
    let provider = Provider {
        project: "123456789012".into(),
        pool: "weir".into(),
        name: "aws".into(),
    };
    let edge = GkeCluster {
        project: "team".into(),
        location: "europe-west4".into(),
        name: "edge".into(),
    };
    let edge = Gke {
        place: GkePlace::Asked(edge),
        provider,
        proof: Proof::Jwt,
        accounts: BTreeMap::new(),
    };
    assert_eq!(of("edge"), Way::Gke(edge));
    let Way::Gke(far) = of("far") else { panic!() };
    assert_eq!(
        far.place,
        GkePlace::Dns("gke-12ab-345.europe-west4.gke.goog".into())
    );
    assert_eq!((far.proof, far.accounts.len()), (Proof::AwsRequest, 4));
    assert_eq!(
        far.accounts["metric-check"],
        "weir-metric-check@team.iam.gserviceaccount.com"
    );
    let Way::Aks(azure) = of("azure") else { panic!() };
    assert_eq!(azure.applications["stage-executor"].tenant, TENANT);
    assert_eq!(
        azure.applications["stage-executor"].client,
        "aaaaaaaa-0000-0000-0000-000000000014"
    );
    let own = ApiServer {
        host: "k8s.example.com:6443".into(),
        audience: "https://weir/own".into(),
        public: false,
    };
    assert_eq!(of("own"), Way::Api(own));
    let needing: Vec<&str> = all
        .iter()
        .filter(|(_, way)| way.needs_authority())
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(needing, ["azure", "own"]);
    assert_eq!(clusters(" ").unwrap().len(), 0);
}

#[test]
fn every_wrong_form_says_what_was_found_and_what_is_expected() {
    let (tenant, clients) = (format!("tenant={TENANT}"), clients());
    let one_client = clients.rsplit_once(';').unwrap().0;
    let aks = "a=aks:a.hcp.westeurope.azmk8s.io";
    let table = [
        ("prod".to_owned(), "no cluster; expected NAME=REGION/CLUSTER"),
        ("=eu/x".to_owned(), "no cluster; expected NAME="),
        ("prod=".to_owned(), "no cluster; expected NAME="),
        (
            "prod=eu".to_owned(),
            "`eu` is no cluster of EKS; expected REGION/CLUSTER",
        ),
        ("prod=/x".to_owned(), "`/x` is no cluster of EKS"),
        ("prod=eu/".to_owned(), "`eu/` is no cluster of EKS"),
        ("prod=eu/a/b".to_owned(), "`eu/a/b` is no cluster of EKS"),
        ("a=eu/x, a=eu/y".to_owned(), "`a` stands there twice"),
        (
            "a=aws:eu/x".to_owned(),
            "`aws:` is no kind of cluster; expected gke:, aks: or api:",
        ),
        (
            "a=eu/x;provider=1/a/b".to_owned(),
            "`provider` is no option of this cluster",
        ),
        (
            "a=gke:team/edge;provider=1/a/b".to_owned(),
            "`team/edge` is no cluster of GKE; expected PROJECT/LOCATION/CLUSTER, or its DNS endpoint",
        ),
        (
            "a=gke:gke-1.evil.example;provider=1/a/b".to_owned(),
            "is no cluster of GKE",
        ),
        (
            "a=gke:team/../edge;provider=1/a/b".to_owned(),
            "is no cluster of GKE",
        ),
        (
            "a=gke:team/eu/edge".to_owned(),
            "no `provider=`; expected NUMBER/POOL/PROVIDER",
        ),
        (
            "a=gke:team/eu/edge;provider=team/a/b".to_owned(),
            "with the number of the project, not its id",
        ),
        (
            "a=gke:team/eu/edge;provider=1/a".to_owned(),
            "provider=`1/a`: expected NUMBER/POOL/PROVIDER",
        ),
        (
            format!("a=gke:team/eu/edge;{PROVIDER};token=saml"),
            "token=`saml`: expected jwt or aws4",
        ),
        (
            format!("a=gke:team/eu/edge;{PROVIDER};as.metric-check=x@team.iam.gserviceaccount.com"),
            "no `as.webhook-intake=`, though others have theirs",
        ),
        (
            format!("a=gke:team/eu/edge;{PROVIDER};as=x"),
            "`as` is no option of this cluster",
        ),
        (
            format!("a=gke:team/eu/edge;{PROVIDER};{PROVIDER}"),
            "`provider` is said twice",
        ),
        (
            format!("a=gke:team/eu/edge;{PROVIDER};token"),
            "`token` is no option; expected KEY=VALUE",
        ),
        (
            format!(
                "a=gke:team/eu/edge;{PROVIDER}{}",
                accounts().replace("team.iam", "team.evil")
            ),
            "is no service account; expected NAME@PROJECT.iam.gserviceaccount.com",
        ),
        (
            format!("a=aks:a.example.com;{tenant}{clients}"),
            "`a.example.com` is no API server of AKS; expected its host, which ends in .azmk8s.io",
        ),
        (
            format!("{aks}{clients}"),
            "no `tenant=`; expected the id of the Entra tenant",
        ),
        (
            format!("{aks};{tenant}"),
            "no `client.webhook-intake`; expected the id of an application for every function",
        ),
        (
            format!("{aks};{tenant}{one_client}"),
            "no `client.metric-check=`, though others have theirs",
        ),
        (
            format!("{aks};tenant=contoso{clients}"),
            "`contoso` is no id of Entra",
        ),
        (
            format!("{aks};{tenant}{}", clients.replace("aaaaaaaa", "zzzzzzzz")),
            "is no id of Entra",
        ),
        (
            "a=api:;audience=x".to_owned(),
            "`` is no API server; expected HOST or HOST:PORT",
        ),
        (
            "a=api:k8s.example.com:0;audience=x".to_owned(),
            "is no API server",
        ),
        (
            "a=api:https://k8s.example.com;audience=x".to_owned(),
            "is no API server",
        ),
        (
            "a=api:user@k8s.example.com;audience=x".to_owned(),
            "is no API server",
        ),
        (
            "a=api:k8s.example.com".to_owned(),
            "no `audience=`; expected one of the audiences",
        ),
        ("a=api:k8s.example.com;audience=a b".to_owned(), "holds blanks"),
        (
            "a=api:k8s.example.com;audience=x;certificate=none".to_owned(),
            "certificate=`none`: expected public",
        ),
    ];
    for (list, expected) in table {
        let error = clusters(&list).unwrap_err();
        assert!(error.contains(expected), "{list}: {error}");
    }
}
