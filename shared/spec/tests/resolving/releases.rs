//! Stages that share a release.

use weir_domain::pipeline::Pipeline;
use weir_spec::{ResourceFiles, Scope, SourceFile, load, resolve};

use super::{pipeline, refused, resolved, stage, variables};

const EXAMPLE: &str = include_str!("../../../../docs/examples/release.yaml");
const WORLD: &str = include_str!("../../../../docs/examples/world.yaml");

fn example() -> Pipeline {
    let files = [
        SourceFile::new("release.yaml", EXAMPLE),
        SourceFile::new("world.yaml", WORLD),
    ];
    let loaded = load(&files, Scope::Whole);
    let mut variables = variables();
    variables.registry = Some("registry".into());
    resolve(
        &loaded.definition,
        "Chat-Worldwide",
        &variables,
        &ResourceFiles::default(),
    )
    .unwrap()
}

/// A stage of a release with one rollout.
fn wave(name: &str, release: &str, spec: &str) -> String {
    let stage = stage(name, "Kubernetes", spec);
    stage.replacen('\n', &format!("\n      release: {release}\n"), 1)
}

#[test]
fn stages_of_one_name_are_the_waves_of_a_release() {
    let pipeline = example();
    let [name] = &pipeline.releases()[..] else {
        panic!("one release");
    };
    assert_eq!(name.as_str(), "worldwide");
    let waves = pipeline.release(name);
    let waves: Vec<_> = waves
        .map(|(id, rule)| (id.stage, rule.lane.to_string(), rule.target.cluster.to_string()))
        .collect();
    assert_eq!(
        waves,
        [
            (
                0,
                "ai-inference-service in Production-EU".to_owned(),
                "eu-cluster".to_owned()
            ),
            (
                2,
                "ai-inference-service in Production-US".to_owned(),
                "us-cluster".to_owned()
            ),
        ]
    );
}

#[test]
fn a_service_in_an_environment_moves_once_in_a_release() {
    let waves = |second: &str| {
        pipeline(&(wave("A", "all", "{namespace: test}") + &wave("B", second, "{namespace: test}")))
    };
    assert_eq!(
        refused(&waves("all")),
        ["steps `A` and `B` of release `all` both move llm in Test: expected one mover"]
    );
    assert_eq!(resolved(&waves("other")).releases().len(), 2);
}
