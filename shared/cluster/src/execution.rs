//! Kubernetes Jobs of Plugin steps.

mod render;
mod seen;

use serde_json::{Value, json};
use weir_app::EffectError;
use weir_domain::ids::StepId;
use weir_domain::pipeline::Plugin;
use weir_domain::run::Run;
use weir_domain::seen::ExecutionSeen;
use weir_domain::time::Timestamp;

use crate::api::{Api, NoAnswer};
use crate::fault::{Fault, sort};
use crate::names;
use seen::{Standing, standing};

/// Lines of a log that go into a decision.
const TAIL_LINES: u32 = 50;
/// Bytes of them.
const TAIL_LIMIT: usize = 16 << 10;
/// Bytes of a log that are read to find its last lines. The API counts its own limit from the beginning of what it
/// sends, so it cannot be asked for the last bytes.
const LOG_LIMIT: usize = 1 << 20;
/// Name of the container that runs the commands.
pub(crate) const STEP_CONTAINER: &str = "step";
/// Name of the init container that fetches the commit.
pub(crate) const FETCH_CONTAINER: &str = "fetch";

fn jobs(run: &Run) -> String {
    format!("/apis/batch/v1/namespaces/{}/jobs", run.pipeline.builds.namespace)
}

fn path(run: &Run, step: StepId) -> String {
    format!("{}/{}", jobs(run), names::execution_name(&run.id, step))
}

fn object(run: &Run, step: StepId) -> String {
    format!(
        "Kubernetes Job {}/{}",
        run.pipeline.builds.namespace,
        names::execution_name(&run.id, step)
    )
}

/// Starts the Kubernetes Job of a step. One that exists is that of an earlier try.
/// What was collected before is handed over in a ConfigMap that belongs to it; its pod waits for that.
pub(crate) async fn start(
    api: &Api,
    run: &Run,
    step: StepId,
    plugin: &Plugin,
    series: Option<&str>,
) -> Result<(), EffectError> {
    let job = render::job(run, step, plugin, series.is_some())
        .map_err(|error| EffectError::never("render", object(run, step), error.to_string()))?;
    match api.create(&jobs(run), &job).await {
        Ok(()) | Err(Fault::Exists) => match series {
            Some(series) => hand_over(api, run, step, series).await,
            None => Ok(()),
        },
        Err(Fault::Missing(said)) => {
            let why = format!("{said}; create the namespace and its rights (infra/cluster/rbac.yaml)");
            Err(EffectError::never("start", object(run, step), why))
        }
        Err(fault) => Err(fault.on("start", object(run, step))),
    }
}

/// Makes the ConfigMap that the pod of a step waits for. It leaves with the Kubernetes Job.
async fn hand_over(api: &Api, run: &Run, step: StepId, series: &str) -> Result<(), EffectError> {
    let failed = |fault: Fault| fault.on("hand the series to", object(run, step));
    let job = api.get(&path(run, step)).await.map_err(failed)?;
    let content = render::series(run, step, &job["metadata"]["uid"], series);
    let maps = format!("/api/v1/namespaces/{}/configmaps", run.pipeline.builds.namespace);
    match api.create(&maps, &content).await {
        Ok(()) | Err(Fault::Exists) => Ok(()),
        Err(fault) => Err(failed(fault)),
    }
}

/// Stops it by letting its deadline pass. It is not deleted: a late start finds it, and does not run it again.
pub(crate) async fn stop(api: &Api, run: &Run, step: StepId) -> Result<(), EffectError> {
    let failed = |fault: Fault| fault.on("stop", object(run, step));
    let Some(job) = api.find(&path(run, step)).await.map_err(failed)? else {
        return Ok(());
    };
    if job["spec"]["activeDeadlineSeconds"] == 1 || seen::is_over(&job) {
        return Ok(());
    }
    let patch = json!({"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 1});
    match api.patch(&path(run, step), &[patch]).await {
        Err(Fault::Missing(_)) => Ok(()),
        other => other.map_err(failed),
    }
}

/// Looks at it.
pub(crate) async fn look(
    api: &Api,
    run: &Run,
    step: StepId,
    plugin: &Plugin,
    now: Timestamp,
) -> ExecutionSeen {
    match seen_now(api, run, step, plugin, now).await {
        Ok(seen) => seen,
        Err(Fault::Away(why)) => ExecutionSeen::Unreachable(why),
        Err(fault) => ExecutionSeen::Unreachable(fault.on("read", object(run, step)).to_string()),
    }
}

async fn seen_now(
    api: &Api,
    run: &Run,
    step: StepId,
    plugin: &Plugin,
    now: Timestamp,
) -> Result<ExecutionSeen, Fault> {
    let Some(job) = api.find(&path(run, step)).await? else {
        return Ok(ExecutionSeen::Missing);
    };
    let pod = pod(api, run, step).await?;
    Ok(match standing(&job, pod.as_ref(), plugin.timeout, now) {
        Standing::Seen(seen) => seen,
        Standing::Ended {
            pod,
            exit_code,
            outputs,
        } => ExecutionSeen::Finished {
            exit_code,
            outputs,
            log_tail: tail(api, run, &pod, STEP_CONTAINER).await?,
        },
        Standing::NotFetched { pod, words } => {
            let log = tail(api, run, &pod, FETCH_CONTAINER).await?;
            ExecutionSeen::Failed(format!("{words}: {}", last_line(&log)))
        }
    })
}

/// The pod of a step; the newest, should there be several.
async fn pod(api: &Api, run: &Run, step: StepId) -> Result<Option<Value>, Fault> {
    let pods = format!("/api/v1/namespaces/{}/pods", run.pipeline.builds.namespace);
    let query = format!(
        "batch.kubernetes.io/job-name={}",
        names::execution_name(&run.id, step)
    );
    let mut found = api.list(&pods, &query).await?;
    found.sort_by_key(|pod| {
        pod["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    Ok(found.pop())
}

/// The log of a step, last `lines` lines: of its commands, or of the fetch if that is as far as it came.
pub(crate) async fn logs(api: &Api, run: &Run, step: StepId, lines: u32) -> Result<String, EffectError> {
    let failed = |fault: Fault| fault.on("read the log of", object(run, step));
    let Some(pod) = pod(api, run, step).await.map_err(failed)? else {
        return Err(failed(Fault::Missing(
            "its pod is gone, and the log with it".into(),
        )));
    };
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let container = if seen::was_fetched(&pod) {
        STEP_CONTAINER
    } else {
        FETCH_CONTAINER
    };
    log(api, run, name, container, lines).await.map_err(failed)
}

/// The last lines of a log for a decision; a log that is gone is empty.
async fn tail(api: &Api, run: &Run, pod: &str, container: &str) -> Result<String, Fault> {
    match log(api, run, pod, container, TAIL_LINES).await {
        Ok(log) => Ok(last_bytes(&log, TAIL_LIMIT).to_owned()),
        Err(Fault::Away(why)) => Err(Fault::Away(why)),
        Err(fault) => {
            tracing::warn!(pod, why = %fault, "the log of a step cannot be read");
            Ok(String::new())
        }
    }
}

async fn log(api: &Api, run: &Run, pod: &str, container: &str, lines: u32) -> Result<String, Fault> {
    let namespace = &run.pipeline.builds.namespace;
    let path = format!(
        "/api/v1/namespaces/{namespace}/pods/{pod}/log?container={container}&tailLines={lines}&limitBytes={LOG_LIMIT}"
    );
    match api
        .send(http::Method::GET, &path, "", Vec::new(), LOG_LIMIT * 2)
        .await
    {
        Ok(answer) if answer.status.is_success() => Ok(String::from_utf8_lossy(&answer.body).into_owned()),
        Ok(answer) => Err(sort(answer.status, &answer.body)),
        Err(NoAnswer::Away(why)) => Err(Fault::Away(why)),
        Err(NoAnswer::TooLarge) => Err(Fault::Refused("the log is too large".into())),
    }
}

/// The last bytes of a text, cut at a character.
fn last_bytes(text: &str, limit: usize) -> &str {
    let mut from = text.len().saturating_sub(limit);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

fn last_line(log: &str) -> String {
    let last = log.lines().rev().find(|line| !line.trim().is_empty());
    crate::pods::cut(last.unwrap_or("its log is empty"))
}
