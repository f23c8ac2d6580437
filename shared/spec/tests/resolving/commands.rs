//! What a step's commands get: variables, secrets and outputs of earlier steps, never a command from a name.

use weir_domain::pipeline::{Pipeline, Plugin, StageWork, StepWork};
use weir_domain::time::Span;

use super::{Variables, pipeline, refused, resolved, stage, try_with, variables, works};

fn plugin(pipeline: &Pipeline) -> &Plugin {
    let found = works(pipeline).into_iter().rev().find_map(|work| match work {
        StepWork::Plugin(plugin) => Some(plugin),
        _ => None,
    });
    found.expect("a plugin")
}

#[test]
fn commands_keep_the_shells_own_variables_and_get_the_runs() {
    let spec = "{image: 'x:${GIT_COMMIT}', commands: ['echo ${MINE} ${TOKEN} ${RUN_ID} ${HOME:-x} $${HOME}'], env: {MINE: '${BRANCH}'}, secrets: [{env: TOKEN, secret: s, key: k}], timeout: 5m}";
    let pipeline = resolved(&pipeline(&stage("A", "Plugin", spec)));
    let plugin = plugin(&pipeline);
    assert_eq!(plugin.image, "x:c0ffee00c0ffee00");
    assert_eq!(
        plugin.commands,
        ["echo ${MINE} ${TOKEN} run-7 ${HOME:-x} ${HOME}"]
    );
    assert_eq!(
        (plugin.env["MINE"].as_str(), plugin.env["VERSION"].as_str()),
        ("main", "c0ffee00c0ffee00")
    );
    assert_eq!(
        (plugin.secrets[0].env.as_str(), plugin.timeout),
        ("TOKEN", Span::minutes(5))
    );
    assert!(!plugin.env.contains_key("TOKEN"));
}

#[test]
fn a_branch_name_never_becomes_a_command() {
    let text = pipeline(&stage(
        "A",
        "Plugin",
        "{image: x, commands: ['git log ${BRANCH}']}",
    ));
    let evil = Variables {
        branch: "a;curl$IFS-x|sh".into(),
        ..variables()
    };
    let pipeline = try_with(&text, &evil, &[]).unwrap();
    assert_eq!(plugin(&pipeline).commands, ["git log ${BRANCH}"]);
    assert_eq!(plugin(&pipeline).env["BRANCH"], "a;curl$IFS-x|sh");
}

#[test]
fn outputs_are_known_to_later_steps_only() {
    let build = stage("Build", "Plugin", "{image: x, commands: [ls], outputs: [TAG]}");
    let used = stage(
        "Use",
        "Plugin",
        "{image: x, commands: ['echo ${steps.build.TAG}'], env: {T: '${steps.build.TAG}'}}",
    );
    let pipeline_of = |stages: &str| try_with(&pipeline(stages), &variables(), &[]);
    let good = pipeline_of(&format!("{build}{used}")).unwrap();
    assert_eq!(plugin(&good).commands, ["echo ${WEIR_STEP_BUILD_TAG}"]);
    assert_eq!(
        (
            plugin(&good).env["T"].as_str(),
            plugin(&good).env["WEIR_STEP_BUILD_TAG"].as_str()
        ),
        ("${steps.build.TAG}", "${steps.build.TAG}")
    );
    let early = pipeline_of(&format!("{used}{build}")).unwrap_err();
    assert!(early[0].contains("names no earlier step"), "{early:?}");
    let other = pipeline_of(&format!("{build}{}", used.replace("TAG", "TAGG"))).unwrap_err();
    assert!(
        other[0].contains("step `build` has no output `TAGG`: expected TAG"),
        "{other:?}"
    );
    let together = "    - stage: S\n      parallel: true\n      steps:\n        - step: {name: a, type: Plugin, spec: {image: x, commands: [ls], outputs: [T]}}\n        - step: {name: b, type: Plugin, spec: {image: x, commands: ['echo ${steps.a.T}']}}\n";
    assert!(pipeline_of(together).unwrap_err()[0].contains("names no earlier step"));
}

#[test]
fn steps_of_one_name_in_two_stages_have_slugs_of_their_own() {
    let stages = format!(
        "{}{}",
        stage("A", "Plugin", "{image: x, commands: [ls]}"),
        stage("B", "Plugin", "{image: x, commands: [ls]}").replace("name: B", "name: A")
    );
    let pipeline = resolved(&pipeline(&stages));
    let slugs = pipeline.stages.iter().flat_map(|stage| match &stage.work {
        StageWork::Steps { steps, .. } => steps.iter().map(|step| step.slug.as_str()).collect(),
        StageWork::Approval(_) => Vec::new(),
    });
    assert_eq!(slugs.collect::<Vec<&str>>(), ["a", "a-2"]);
}

#[test]
fn a_registry_that_nobody_names_is_an_error_and_the_definitions_own_wins() {
    let text = pipeline(&stage("A", "Plugin", "{image: '${REGISTRY}/x', commands: [ls]}"));
    assert!(refused(&text)[0].contains("`${REGISTRY}` has no value"));
    let host = Variables {
        registry: Some("host".into()),
        ..variables()
    };
    assert_eq!(plugin(&try_with(&text, &host, &[]).unwrap()).image, "host/x");
    let own = format!("builds: {{registry: own, namespace: ci, cluster: c9, fetch_image: git}}\n{text}");
    let pipeline = try_with(&own, &host, &[]).unwrap();
    assert_eq!(plugin(&pipeline).image, "own/x");
    let builds = &pipeline.builds;
    assert_eq!(
        (
            builds.cluster.as_str(),
            builds.namespace.as_str(),
            builds.fetch_image.as_str()
        ),
        ("c9", "ci", "git")
    );
}
