//! An environment without a gateway.

use weir_domain::pipeline::SplitBy;

use super::{pipeline, rollout, stage, try_in, variables};

const WORLD: &str = r"
service:
  name: llm
  spec:
    containers: [{name: main, image: llm, healthChecks: [{type: HTTP, path: /health}]}]
environments:
  - name: Production
    spec: {cluster: c2, traffic: replicas}
";

fn canary(weight: u8) -> String {
    pipeline(&stage(
        "s",
        "Kubernetes",
        &format!(
            "{{environment: Production, replicas: 4, strategy: canary, canary: {{weight: {weight}, interval: 10m}}}}"
        ),
    ))
}

#[test]
fn an_environment_without_a_gateway_splits_by_replicas_and_says_what_it_cannot_do() {
    let reachable = try_in(WORLD, &canary(25), &variables(), &[]).unwrap();
    assert_eq!(rollout(&reachable).target.split, SplitBy::Replicas);
    assert_eq!(reachable.warnings, Vec::<String>::new());
    let less = try_in(WORLD, &canary(5), &variables(), &[]).unwrap();
    let told = "5 % of 4 replicas is less than one: by replicas it is 20 %, 1 of 5";
    assert!(
        less.warnings.iter().any(|words| words.contains(told)),
        "{:?}",
        less.warnings
    );

    let refused = |world: &str, text: &str| try_in(world, text, &variables(), &[]).unwrap_err().join("\n");
    let shadow = pipeline(&stage(
        "s",
        "Kubernetes",
        "{environment: Production, strategy: shadow}",
    ));
    let words = refused(WORLD, &shadow);
    assert!(
        words.contains("a step in `Production` copies requests, which takes a gateway"),
        "{words}"
    );
    for (more, told) in [
        (
            "adopt: {llm: llm-v1}",
            "adopts a Deployment of `llm`, and splits by replicas",
        ),
        (
            "route: public",
            "names a route or a gateway, and splits by replicas",
        ),
    ] {
        let world = WORLD.replace("traffic: replicas", &format!("traffic: replicas, {more}"));
        let words = refused(&world, &canary(25));
        assert!(words.contains(told), "{words}");
    }
}
