//! A batch of cases on the control plane, from empty to empty.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Api;
use crate::generate::{Case, Setup, Then, case, shared};
use crate::judge::{Outcome, judge};

/// Cases that are played at a time. Their nodes have no kubelet: they must be gone before the node controller misses it
/// (50 s).
pub const BATCH: usize = 40;
/// Requests under way at a time.
const PARALLEL: usize = 24;
/// Time for controllers and scheduler to come to rest on a busy machine.
const REST_LIMIT: Duration = Duration::from_secs(40);
/// Pause between two looks at what has come to rest.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// A pod that we expect to be bound may be tried again this long: the scheduler waits between attempts.
const RETRY_LIMIT: Duration = Duration::from_secs(12);

/// Namespace of the pods that tell when the scheduler has caught up; no quota is ever in it.
const SENTINEL: &str = "oracle-sentinel";

/// Plays one case for each seed, `BATCH` at most.
///
/// # Errors
/// The control plane does not do its part.
pub async fn play(api: &Api, seeds: &[u64]) -> Result<Vec<Outcome>> {
    let cases: Vec<Case> = seeds
        .iter()
        .enumerate()
        .map(|(slot, seed)| case(*seed, slot))
        .collect();
    prepare(api, &cases).await?;
    each(cases.iter(), |case| build(api, case)).await?;
    settle(api, &cases).await?;
    let objects = read(api).await?;
    let mut outcomes = Vec::new();
    for case in &cases {
        let own: Vec<Value> = objects
            .iter()
            .filter(|object| is_of(object, case))
            .cloned()
            .collect();
        let fit = judge(case, &own).with_context(|| format!("seed {}", case.seed))?;
        outcomes.push(Outcome {
            seed: case.seed,
            replicas: case.replicas,
            fit,
            placed: 0,
            list: json!({"kind": "List", "items": own}),
            workload: case.workload.clone(),
        });
    }
    caught_up(api, &cases[0]).await?;
    each(cases.iter(), |case| ask(api, case)).await?;
    let placed = decided(api, &cases, &outcomes).await?;
    for (outcome, placed) in outcomes.iter_mut().zip(placed) {
        outcome.placed = placed;
    }
    clear(api, &cases).await?;
    Ok(outcomes)
}

/// Does the same for each, some at a time.
async fn each<'a, T: 'a, F, R>(of: impl Iterator<Item = &'a T>, work: F) -> Result<()>
where
    F: Fn(&'a T) -> R,
    R: Future<Output = Result<()>>,
{
    stream::iter(of.map(work))
        .buffer_unordered(PARALLEL)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

/// What the cases share, and their namespaces. All of it may be there already.
async fn prepare(api: &Api, cases: &[Case]) -> Result<()> {
    for (path, object) in shared() {
        api.ensure(path, &object).await?;
    }
    space(api, SENTINEL, &json!({})).await?;
    each(cases.iter(), |case| async {
        for side in ["", "-b"] {
            let name = format!("{}{side}", case.space);
            let label = if side.is_empty() { "a" } else { "b" };
            space(api, &name, &json!({"oracle": case.space, "side": label})).await?;
        }
        Ok(())
    })
    .await
}

/// A namespace in which pods can be made.
async fn space(api: &Api, name: &str, labels: &Value) -> Result<()> {
    api.ensure(
        "/api/v1/namespaces",
        &json!({"metadata": {"name": name, "labels": labels}}),
    )
    .await?;
    let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
    rest("the service account", || async {
        Ok(api.get(&account).await.is_ok())
    })
    .await
}

fn pods_of(pod: &Value) -> String {
    format!(
        "/api/v1/namespaces/{}/pods",
        pod["metadata"]["namespace"].as_str().unwrap_or_default()
    )
}

fn path_of(pod: &Value) -> String {
    format!(
        "{}/{}",
        pods_of(pod),
        pod["metadata"]["name"].as_str().unwrap_or_default()
    )
}

async fn build(api: &Api, case: &Case) -> Result<()> {
    for node in &case.nodes {
        api.create("/api/v1/nodes", node).await?;
    }
    for setup in &case.pods {
        held(api, setup)
            .await
            .with_context(|| format!("seed {}", case.seed))?;
    }
    Ok(())
}

async fn held(api: &Api, setup: &Setup) -> Result<()> {
    let pods = pods_of(&setup.pod);
    api.create(&pods, &setup.pod).await?;
    let path = path_of(&setup.pod);
    match setup.then {
        Then::Stays => {}
        Then::Leaves => api.delete(&path, 600).await?,
        Then::Ends => {
            api.patch(
                &format!("{path}/status"),
                &json!({"status": {"phase": "Succeeded"}}),
            )
            .await?;
        }
    }
    Ok(())
}

/// Looks until something is so.
async fn rest<R: Future<Output = Result<bool>>>(what: &str, mut look: impl FnMut() -> R) -> Result<()> {
    let wait = async {
        while !look().await? {
            sleep(LOOK_PAUSE).await;
        }
        anyhow::Ok(())
    };
    timeout(REST_LIMIT, wait)
        .await
        .with_context(|| format!("{what} did not come to rest"))?
}

/// Waits until the controllers have put their taints on the nodes and counted the quotas, and until nominees have their
/// promise.
async fn settle(api: &Api, cases: &[Case]) -> Result<()> {
    rest("nodes", || async {
        let nodes = api.get("/api/v1/nodes?labelSelector=oracle").await?;
        Ok(items(&nodes).all(node_is_settled))
    })
    .await?;
    each(cases.iter().filter(|case| !case.quotas.is_empty()), |case| {
        limit(api, case)
    })
    .await?;
    each(cases.iter().filter(|case| case.nominee.is_some()), |case| {
        nominate(api, case)
    })
    .await
}

/// Makes the quotas of a case. The controller counts the pods it has heard of when a quota is made, and again only much
/// later: one that it counted too early is made anew.
async fn limit(api: &Api, case: &Case) -> Result<()> {
    let space = format!("/api/v1/namespaces/{}", case.space);
    for quota in &case.quotas {
        let path = format!("{space}/resourcequotas/all");
        rest("a quota", || async {
            api.ensure(&format!("{space}/resourcequotas"), quota).await?;
            let status = api.get(&path).await?["status"].clone();
            let used: Option<usize> = status["used"]["pods"].as_str().and_then(|text| text.parse().ok());
            let pods = api.get(&format!("{space}/pods")).await?;
            let there = items(&pods)
                .filter(|pod| pod["status"]["phase"] != "Succeeded")
                .count();
            if used.is_some_and(|used| used != there) {
                api.delete(&path, 0).await?;
            }
            Ok(used == Some(there))
        })
        .await?;
    }
    Ok(())
}

fn node_is_settled(node: &Value) -> bool {
    let has = |key: &str| items_of(&node["spec"]["taints"]).any(|taint| taint["key"] == key);
    let ready =
        items_of(&node["status"]["conditions"]).any(|c| c["type"] == "Ready" && c["status"] == "True");
    let away = has("node.kubernetes.io/not-ready") || has("node.kubernetes.io/unreachable");
    ready != away && (node["spec"]["unschedulable"] == true) == has("node.kubernetes.io/unschedulable")
}

/// Lets the scheduler decide about the nominee. It need not come to a promise; it must come to rest.
async fn nominate(api: &Api, case: &Case) -> Result<()> {
    let Some(nominee) = &case.nominee else {
        return Ok(());
    };
    if api.create(&pods_of(nominee), nominee).await.is_err() {
        // A quota has no place for it.
        return Ok(());
    }
    let path = path_of(nominee);
    rest("a nominee", || async { Ok(is_decided(&api.get(&path).await?)) }).await
}

fn is_decided(pod: &Value) -> bool {
    !pod["spec"]["nodeName"].is_null()
        || items_of(&pod["status"]["conditions"])
            .any(|c| c["type"] == "PodScheduled" && c["status"] == "False")
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    items_of(&list["items"])
}

fn items_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Everything that a snapshot is made of.
async fn read(api: &Api) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for (kind, path) in [
        ("Node", "/api/v1/nodes?labelSelector=oracle"),
        ("Pod", "/api/v1/pods?labelSelector=oracle"),
        ("Namespace", "/api/v1/namespaces?labelSelector=oracle"),
        ("ResourceQuota", "/api/v1/resourcequotas"),
        ("PriorityClass", "/apis/scheduling.k8s.io/v1/priorityclasses"),
        ("RuntimeClass", "/apis/node.k8s.io/v1/runtimeclasses"),
    ] {
        let list = api.get(path).await?;
        for object in items(&list) {
            let mut object = object.clone();
            object["kind"] = json!(kind);
            all.push(object);
        }
    }
    Ok(all)
}

/// Whether an object belongs to a case, or to all.
fn is_of(object: &Value, case: &Case) -> bool {
    let meta = &object["metadata"];
    match object["kind"].as_str() {
        Some("PriorityClass" | "RuntimeClass") => true,
        Some("Namespace") => meta["labels"]["oracle"] == case.space,
        Some("ResourceQuota") => meta["namespace"] == case.space,
        _ => meta["labels"]["oracle"] == case.name,
    }
}

/// Waits until the scheduler knows all that was made so far. It hears of nodes in their order and of pods in theirs, so
/// it is enough that it binds a pod to a node that was made last, beside a pod that was made last.
async fn caught_up(api: &Api, first: &Case) -> Result<()> {
    // The node controller remembers names for a while: each batch has its own.
    let name = format!("sentinel-{}", first.seed);
    let node = json!({"metadata": {"name": name, "labels": {"oracle": name, "kubernetes.io/hostname": name}},
        "status": {"allocatable": {"pods": "9", "cpu": "1"}, "conditions": [{"type": "Ready", "status": "True"}]}});
    api.create("/api/v1/nodes", &node).await?;
    let containers = json!([{"name": "main", "image": "none"}]);
    let pods = format!("/api/v1/namespaces/{SENTINEL}/pods");
    let last = json!({"metadata": {"name": name, "labels": {"sentinel": "last", "oracle": name}},
        "spec": {"nodeName": name, "containers": containers, "tolerations": [{"operator": "Exists"}]}});
    api.create(&pods, &last).await?;
    let near = json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"sentinel": "last"}}}]);
    let probe = json!({"metadata": {"name": "probe", "labels": {"oracle": name}}, "spec": {
        "containers": containers, "tolerations": [{"operator": "Exists"}], "nodeSelector": {"oracle": name},
        "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": near}}}});
    api.create(&pods, &probe).await?;
    let path = format!("{pods}/probe");
    rest("the scheduler", || async {
        Ok(!api.get(&path).await?["spec"]["nodeName"].is_null())
    })
    .await
}

/// Asks for the replicas. A quota refuses some at once.
async fn ask(api: &Api, case: &Case) -> Result<()> {
    for number in 0..case.replicas {
        let mut pod = case.workload.clone();
        pod["metadata"]["name"] = json!(format!("r-{number}"));
        match api.create(&pods_of(&pod), &pod).await {
            Err(error) if crate::client::status(&error) == Some(403) && !case.quotas.is_empty() => break,
            Err(error) => bail!(error.context(format!("seed {}", case.seed))),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// How many replicas of each case are bound, once all are decided.
async fn decided(api: &Api, cases: &[Case], outcomes: &[Outcome]) -> Result<Vec<u64>> {
    let start = Instant::now();
    loop {
        let list = api.get("/api/v1/pods?labelSelector=oracle").await?;
        let mut bound = vec![0; cases.len()];
        let mut open = 0_usize;
        for pod in items(&list) {
            let meta = &pod["metadata"];
            let replica = meta["name"].as_str().is_some_and(|name| name.starts_with("r-"));
            let Some(slot) = cases
                .iter()
                .position(|case| replica && meta["namespace"] == case.space)
            else {
                continue;
            };
            bound[slot] += u64::from(!pod["spec"]["nodeName"].is_null());
            open += usize::from(!is_decided(pod));
        }
        let short = outcomes
            .iter()
            .zip(&bound)
            .any(|(outcome, bound)| *bound < outcome.replicas.min(outcome.fit.sure_replicas));
        let waited = start.elapsed();
        if open == 0 && (!short || waited > RETRY_LIMIT) {
            return Ok(bound);
        }
        if waited > REST_LIMIT {
            bail!("{open} replicas are not decided after {waited:?}");
        }
        sleep(LOOK_PAUSE).await;
    }
}

async fn clear(api: &Api, cases: &[Case]) -> Result<()> {
    api.delete("/api/v1/nodes?labelSelector=oracle", 0).await?;
    each(cases.iter(), |case| async {
        for setup in case.pods.iter().filter(|setup| setup.then == Then::Leaves) {
            api.patch(&path_of(&setup.pod), &json!({"metadata": {"finalizers": null}}))
                .await?;
        }
        for side in ["", "-b"] {
            api.delete(&format!("/api/v1/namespaces/{}{side}/pods", case.space), 0)
                .await?;
        }
        api.delete(&format!("/api/v1/namespaces/{}/resourcequotas", case.space), 0)
            .await
    })
    .await?;
    api.delete(&format!("/api/v1/namespaces/{SENTINEL}/pods"), 0)
        .await?;
    rest("the end of the pods", || async {
        let left = api.get("/api/v1/pods?labelSelector=oracle").await?;
        Ok(items(&left).next().is_none())
    })
    .await
}
