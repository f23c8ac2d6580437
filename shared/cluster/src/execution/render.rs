//! The Kubernetes Job of a step.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_domain::ids::StepId;
use weir_domain::pipeline::Plugin;
use weir_domain::run::Run;
use weir_domain::strategy::PREVIEW_VARIABLE;

use super::{FETCH_CONTAINER, STEP_CONTAINER};
use crate::names;
use crate::outputs::{NoOutput, put};

/// Where the pushed commit lies.
const WORKSPACE: &str = "/workspace";
/// Where the fetch keeps its git configuration, which may hold a credential: the commands never see it.
const FETCH_HOME: &str = "/weir-fetch";
/// The file that commands write outputs to. Kubernetes hands its content over with the end of the container.
const OUTPUT_FILE: &str = "/dev/weir-output";
/// Secret, and its key, with the `Authorization` header for a private repository; may be missing.
const FETCH_SECRET: (&str, &str) = ("weir-fetch", "authorization");
/// A Kubernetes Job that has ended, and its log, are kept for a day.
const KEPT_S: u32 = 86_400;
/// Commands that are told to stop have this long.
const GRACE_S: u32 = 10;

/// Where commands find what was collected before them.
const SERIES: &str = "/weir-series";
/// The file in it, a line an interval.
const SERIES_FILE: &str = "series.csv";

/// What was collected before a step; it belongs to the step's Kubernetes Job.
pub(super) fn series(run: &Run, step: StepId, job: &Value, series: &str) -> Value {
    let name = names::execution_name(&run.id, step);
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": run.pipeline.builds.namespace,
            "labels": {"app.kubernetes.io/managed-by": "weir"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job}],
        },
        "immutable": true,
        "data": {SERIES_FILE: series},
    })
}

/// Renders the Kubernetes Job of a step; with what was collected before it, if there is any.
pub(super) fn job(run: &Run, step: StepId, plugin: &Plugin, series: bool) -> Result<Value, NoOutput> {
    let mut job = plain_job(run, step, plugin)?;
    if series {
        let name = names::execution_name(&run.id, step);
        let spec = &mut job["spec"]["template"]["spec"];
        push(
            &mut spec["volumes"],
            json!({"name": "series", "configMap": {"name": name}}),
        );
        let container = &mut spec["containers"][0];
        let mount = json!({"name": "series", "mountPath": SERIES, "readOnly": true});
        push(&mut container["volumeMounts"], mount);
        let file = format!("{SERIES}/{SERIES_FILE}");
        push(
            &mut container["env"],
            json!({"name": "WEIR_SERIES", "value": file}),
        );
    }
    Ok(job)
}

fn push(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

fn plain_job(run: &Run, step: StepId, plugin: &Plugin) -> Result<Value, NoOutput> {
    let name = names::execution_name(&run.id, step);
    let slug = run.step(step).map(|step| step.slug.as_str()).unwrap_or_default();
    let labels = json!({
        "app.kubernetes.io/managed-by": "weir",
        names::RUN: names::label_value(run.id.as_str()),
        names::STEP: names::label_value(slug),
    });
    let annotations = json!({names::KEY: names::execution_key(&run.id, step), names::RUN: run.id});
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": run.pipeline.builds.namespace, "labels": labels, "annotations": annotations},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": plugin.timeout.0.div_ceil(1_000).max(1),
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "terminationGracePeriodSeconds": GRACE_S,
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    "initContainers": [fetch(run)],
                    "containers": [commands(run, step, plugin)?],
                    "volumes": [{"name": "workspace", "emptyDir": {}}, {"name": "fetch", "emptyDir": {}}],
                },
            },
        },
    }))
}

/// As little as a container can have without knowing its user.
fn confined() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}

fn fetch(run: &Run) -> Value {
    let (secret, key) = FETCH_SECRET;
    json!({
        "name": FETCH_CONTAINER,
        "image": run.pipeline.builds.fetch_image,
        "command": ["sh", "-c", escape(include_str!("fetch.sh"))],
        "workingDir": WORKSPACE,
        "env": [
            {"name": "WEIR_CLONE_URL", "value": escape(&run.cause.repository.clone_url)},
            {"name": "GIT_COMMIT", "value": escape(run.cause.after.as_str())},
            {"name": "HOME", "value": FETCH_HOME},
            // Nobody is there to answer a prompt.
            {"name": "GIT_TERMINAL_PROMPT", "value": "0"},
            {
                "name": "WEIR_FETCH_AUTHORIZATION",
                "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": true}},
            },
        ],
        "volumeMounts": [{"name": "workspace", "mountPath": WORKSPACE}, {"name": "fetch", "mountPath": FETCH_HOME}],
        "securityContext": confined(),
    })
}

fn commands(run: &Run, step: StepId, plugin: &Plugin) -> Result<Value, NoOutput> {
    let mut env = BTreeMap::from([
        ("GIT_COMMIT".to_owned(), run.cause.after.to_string()),
        ("BRANCH".to_owned(), branch(&run.cause.git_ref).to_owned()),
        ("RUN_ID".to_owned(), run.id.to_string()),
        // The files of the commit belong to whoever fetched them.
        ("GIT_CONFIG_COUNT".to_owned(), "1".to_owned()),
        ("GIT_CONFIG_KEY_0".to_owned(), "safe.directory".to_owned()),
        ("GIT_CONFIG_VALUE_0".to_owned(), WORKSPACE.to_owned()),
    ]);
    // A candidate that has no traffic yet, for the commands that check it.
    let candidate = run.rule(step).zip(run.rollout(step));
    env.extend(candidate.map(|(rule, rollout)| {
        let address = rule.preview_address(&rollout.candidate);
        (PREVIEW_VARIABLE.to_owned(), address)
    }));
    for (name, value) in &plugin.env {
        env.insert(name.clone(), put(value, &run.outputs)?);
    }
    for name in ["WEIR_OUTPUT", "WEIR_OUTPUTS"] {
        env.insert(name.to_owned(), OUTPUT_FILE.to_owned());
    }
    for secret in &plugin.secrets {
        env.remove(&secret.env);
    }
    let plain = env
        .iter()
        .map(|(name, value)| json!({"name": name, "value": escape(value)}));
    let secrets = plugin.secrets.iter().map(|secret| {
        json!({"name": secret.env, "valueFrom": {"secretKeyRef": {"name": secret.secret, "key": secret.key}}})
    });
    let shell = ["sh", "-euc", include_str!("step.sh"), "weir"].map(str::to_owned);
    let words: Vec<String> = shell
        .iter()
        .chain(&plugin.commands)
        .map(|word| escape(word))
        .collect();
    Ok(json!({
        "name": STEP_CONTAINER,
        "image": put(&plugin.image, &run.outputs)?,
        "command": words,
        "workingDir": WORKSPACE,
        "env": plain.chain(secrets).collect::<Vec<_>>(),
        "volumeMounts": [{"name": "workspace", "mountPath": WORKSPACE}],
        "terminationMessagePath": OUTPUT_FILE,
        "terminationMessagePolicy": "File",
        "securityContext": confined(),
    }))
}

/// Text that Kubernetes, which reads `$(NAME)` and `$$` in commands and variables, hands over as it stands.
fn escape(text: &str) -> String {
    text.replace('$', "$$")
}

fn branch(git_ref: &str) -> &str {
    git_ref
        .strip_prefix("refs/heads/")
        .or_else(|| git_ref.strip_prefix("refs/tags/"))
        .unwrap_or(git_ref)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_step_is_a_confined_kubernetes_job_with_the_commit_in_its_workspace() {
        let run = testing::run();
        let step = testing::PLUGIN;
        let job = job(&run, step, run.plugin(step).unwrap(), false).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&job).unwrap());
    }

    #[test]
    fn what_was_collected_is_mounted_from_a_config_map_that_leaves_with_the_job() {
        let run = testing::run();
        let step = testing::PLUGIN;
        let job = job(&run, step, run.plugin(step).unwrap(), true).unwrap();
        let spec = &job["spec"]["template"]["spec"];
        assert_eq!(spec["volumes"][2]["configMap"]["name"], job["metadata"]["name"]);
        assert_eq!(
            spec["containers"][0]["volumeMounts"][1]["mountPath"],
            "/weir-series"
        );
        let env = spec["containers"][0]["env"].as_array().unwrap();
        let file = env
            .iter()
            .find(|variable| variable["name"] == "WEIR_SERIES")
            .unwrap();
        assert_eq!(file["value"], "/weir-series/series.csv");
        let map = series(&run, step, &json!("u-1"), "time,a\n");
        assert_eq!(map["metadata"]["name"], job["metadata"]["name"]);
        assert_eq!(map["metadata"]["ownerReferences"][0]["uid"], "u-1");
    }

    #[test]
    fn outputs_are_values_of_variables_and_never_expanded() {
        let mut run = testing::run();
        let outputs = [("TAG".to_owned(), "$(HOME) `id` $$".to_owned())];
        run.outputs.insert("build".into(), outputs.into());
        let job = job(&run, testing::PLUGIN, run.plugin(testing::PLUGIN).unwrap(), false).unwrap();
        let env = job["spec"]["template"]["spec"]["containers"][0]["env"]
            .as_array()
            .unwrap();
        let tag = env
            .iter()
            .find(|variable| variable["name"] == "WEIR_STEP_BUILD_TAG")
            .unwrap();
        assert_eq!(tag["value"], "$$(HOME) `id` $$$$");
    }

    #[test]
    fn an_output_that_nobody_wrote_is_an_error() {
        let mut run = testing::run();
        run.outputs.clear();
        let error = job(&run, testing::PLUGIN, run.plugin(testing::PLUGIN).unwrap(), false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`${steps.build.TAG}` was not written by any step"
        );
    }
}
