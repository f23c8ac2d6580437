//! Manifests of the commit: what becomes the workload, and what reaches beyond its pods.

use serde_json::json;
use weir_domain::pipeline::RolloutRule;
use weir_spec::{ResourceFiles, Scope, SourceFile, load, resolve};

use super::{kit, pipeline, rollout, stage, try_with, variables};

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: llm-server}
spec:
  replicas: 4
  selector: {matchLabels: {app: llm}}
  template:
    metadata: {labels: {app: llm}, annotations: {prometheus.io/port: '9090', prometheus.io/path: /m}}
    spec:
      containers:
        - name: main
          image: llm:${GIT_COMMIT}
          args: ['--level=${LEVEL}', '${OWN}']
          env: [{name: OWN, value: x}]
          ports: [{containerPort: 8080}]
          resources: {limits: {nvidia.com/gpu: 2}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {branch: '${BRANCH}', number: '010'}
";

fn of_manifest(manifest: &str, spec: &str) -> Result<RolloutRule, Vec<String>> {
    let text = pipeline(&stage("A", "Kubernetes", spec));
    try_with(&text, &variables(), &[("k8s/llm.yaml", manifest)]).map(|pipeline| rollout(&pipeline).clone())
}

#[test]
fn a_shadow_has_gpus_for_one_replica_at_least() {
    let of = |shadow: &str| {
        let spec = format!("{{namespace: test, resources: [k8s/llm.yaml], shadow: {{{shadow}}}}}");
        of_manifest(DEPLOYMENT, &spec)
    };
    let said = of("gpus: 1").unwrap_err();
    assert!(
        said.iter()
            .any(|m| m.contains("1 GPUs at most: a replica has 2, so that none could get copies")),
        "{said:?}"
    );
    // One of four replicas fits, so that a quarter is copied.
    let rule = of("gpus: 3, percent: 50").unwrap();
    let shadow = rule.strategy.mirrored().unwrap();
    assert_eq!(shadow.percent(&rule.workload).percent(), 25);
}

#[test]
fn a_deployment_of_the_commit_becomes_the_workload() {
    let rule = of_manifest(DEPLOYMENT, "{namespace: test, resources: [k8s/llm.yaml]}").unwrap();
    let workload = &rule.workload;
    assert_eq!((workload.replicas, workload.gpus, workload.port), (4, 2, 8080));
    assert_eq!(
        (workload.metrics.port, workload.metrics.path.as_str()),
        (9090, "/m")
    );
    let container = &workload.template["spec"]["containers"][0];
    assert_eq!(container["image"], "llm:c0ffee00c0ffee00");
    assert_eq!(container["args"], json!(["--level=DEBUG", "${OWN}"]));
    assert_eq!(
        container["env"],
        json!([{"name": "LEVEL", "value": "DEBUG"}, {"name": "OWN", "value": "x"}])
    );
    assert_eq!(
        workload.template["spec"]["tolerations"][0]["key"],
        "nvidia.com/gpu"
    );
    assert_eq!(
        workload.config[0]["data"],
        json!({"branch": "main", "number": "010"})
    );
}

#[test]
fn without_a_service_the_deployment_names_it() {
    let environments = "environments: [{name: E, spec: {cluster: c}}]\n";
    let text = format!(
        "{environments}{}",
        pipeline(&stage("A", "Kubernetes", "{resources: [d.yaml]}"))
    );
    let loaded = load(&[SourceFile::new("p.yaml", text)], Scope::OneFile);
    let files = ResourceFiles::new([("d.yaml".to_owned(), DEPLOYMENT.replace("LEVEL", "BRANCH"))].into());
    let pipeline = resolve(&loaded.definition, "P", &variables(), &files).unwrap();
    assert_eq!(rollout(&pipeline).lane.to_string(), "llm-server in E");
    assert_eq!(loaded.definition.resource_paths("P"), ["d.yaml"]);
}

#[test]
fn manifests_that_reach_beyond_their_pods_are_refused() {
    let spec = "{namespace: test, resources: [k8s/llm.yaml]}";
    let table = [
        (
            "metadata: {name: llm-server}",
            "metadata: {name: llm-server, namespace: kube-system}",
            "namespace `kube-system`: expected `test`",
        ),
        (
            "kind: ConfigMap",
            "kind: Secret",
            "`Secret` of v1: expected a Deployment of apps/v1 or a ConfigMap of v1",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap",
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole",
            "`ClusterRole`",
        ),
        (
            "containers:",
            "hostNetwork: true\n      containers:",
            "`hostNetwork` in a pod template",
        ),
        (
            "containers:",
            "volumes: [{name: v, hostPath: {path: /}}]\n      containers:",
            "`hostPath` in a pod template",
        ),
        (
            "ports:",
            "securityContext: {privileged: true}\n          ports:",
            "`privileged` in a pod template",
        ),
        (
            "limits: {",
            "requests: {nvidia.com/gpu: 1}, limits: {",
            "request of 1 nvidia.com/gpu and limit of 2",
        ),
        ("${OWN}", "${NOBODY}", "unknown variable `NOBODY`"),
        (
            "apiVersion: v1\nkind: ConfigMap",
            "apiVersion: apps/v1\nkind: Deployment",
            "a Deployment without `spec.template`",
        ),
        ("replicas: 4", "replicas: [", "not YAML"),
    ];
    for (from, to, message) in table {
        assert!(DEPLOYMENT.contains(from), "{from}");
        let said = of_manifest(&DEPLOYMENT.replacen(from, to, 1), spec).expect_err(to);
        assert!(said.iter().any(|m| m.contains(message)), "{to}: {said:?}");
    }
    let two = format!("{DEPLOYMENT}---\n{}", DEPLOYMENT.split("---").next().unwrap());
    assert!(of_manifest(&two, spec).unwrap_err()[0].contains("2 Deployments"));
    let none = of_manifest(DEPLOYMENT, "{namespace: test, resources: [k8s/other.yaml]}").unwrap_err();
    assert!(
        none[0].contains("`k8s/other.yaml` is not in the commit"),
        "{none:?}"
    );
}

#[test]
fn a_manifest_among_the_files_is_checked_at_its_own_lines() {
    let manifest = DEPLOYMENT.replace("containers:", "hostPID: true\n      containers:");
    let said = kit::together(&[("d.yaml", &manifest)]);
    assert_eq!((said[0].file.as_str(), said[0].at), ("d.yaml", (11, 7)));
}
