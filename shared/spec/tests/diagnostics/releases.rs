//! Releases that are none.

use super::kit::{Said, together};

const PLACE: &str = "service: {name: llm, spec: {containers: [{name: model, image: 'a:1', healthChecks: [{type: HTTP, path: /health}]}]}}
environments:
  - {name: East, type: Kubernetes, spec: {cluster: c, namespace: east}}
  - {name: West, type: Kubernetes, spec: {cluster: d, namespace: west}}
";

/// Two waves with a test between them.
const WAVES: &str = "pipeline:
  name: P
  stages:
    - stage: A
      release: all
      steps:
        - step: {name: N1, type: Kubernetes, spec: {namespace: east}}
    - stage: B
      steps:
        - step: {name: N2, type: Plugin, spec: {image: a, commands: [b]}}
    - stage: C
      release: all
      steps:
        - step: {name: N3, type: Kubernetes, spec: {namespace: west}}
";

/// Each with its place; all say what to do.
fn complaints(said: Vec<Said>) -> Vec<String> {
    assert!(said.iter().all(|one| !one.help.is_empty()), "{said:?}");
    said.into_iter()
        .map(|one| format!("{} {}:{} {}", one.severity, one.at.0, one.at.1, one.message))
        .collect()
}

/// The same with one text exchanged.
fn with(from: &str, to: &str) -> Vec<String> {
    assert!(from.is_empty() || WAVES.contains(from), "{from}");
    complaints(together(&[
        ("p.yaml", &WAVES.replace(from, to)),
        ("w.yaml", PLACE),
    ]))
}

#[test]
fn a_release_that_cannot_be_is_told() {
    assert_eq!(with("", ""), [] as [&str; 0]);
    let table = [
        (
            "{namespace: west}",
            "{namespace: east}",
            "error 14:24 steps `N1` and `N3` of release `all` both move llm in East: expected one mover",
        ),
        (
            "{namespace: west}",
            "{namespace: west, strategy: shadow}",
            "error 14:24 step `N3` of release `all` is a shadow, which is not promoted: expected `rolling`, `canary` or `blue-green`",
        ),
        (
            "    - stage: B\n",
            "    - stage: B\n      release: all\n",
            "error 9:16 stage `B` is part of release `all` and rolls nothing out: expected a step `type: Kubernetes`",
        ),
        (
            "type: Plugin, spec: {image: a, commands: [b]}",
            "type: Kubernetes, spec: {namespace: west}",
            "error 10:24 step `N2` moves a service between the waves of release `all`",
        ),
        (
            "    - stage: C\n      release: all\n",
            "    - stage: C\n",
            "warning 5:16 release `all` has one rollout, which waits for nobody",
        ),
    ];
    for (from, to, expected) in table {
        assert_eq!(with(from, to), [expected], "{to}");
    }
}

#[test]
fn a_release_promotes_no_more_at_once_than_is_stored_at_once() {
    let places = |count: usize| -> String {
        let one =
            |n| format!("  - {{name: E{n}, type: Kubernetes, spec: {{cluster: c, namespace: n{n}}}}}\n");
        let service = PLACE.lines().next().unwrap();
        format!(
            "{service}\nenvironments:\n{}",
            (0..count).map(one).collect::<String>()
        )
    };
    let release = |count: usize| -> String {
        let one =
            |n| format!("        - step: {{name: N{n}, type: Kubernetes, spec: {{namespace: n{n}}}}}\n");
        format!(
            "pipeline:\n  name: P\n  stages:\n    - stage: S\n      release: all\n      parallel: true\n      steps:\n{}",
            (0..count).map(one).collect::<String>()
        )
    };
    let of = |count| {
        complaints(together(&[
            ("p.yaml", &release(count)),
            ("w.yaml", &places(count)),
        ]))
    };
    assert_eq!(of(12), [] as [&str; 0]);
    assert_eq!(
        of(13),
        ["error 5:16 release `all` has 13 rollouts: expected at most 12"]
    );
}

#[test]
fn a_release_begins_when_no_experiment_goes_on() {
    let variant = |version: &str| {
        format!(
            "    - stage: {version}\n      steps:\n        - step: {{name: {version}, type: Kubernetes, spec: {{namespace: east, \
             selector: {{version: {version}}}, weight: 50}}}}\n"
        )
    };
    let monitor = "    - stage: Monitor\n      steps:\n        - step: {name: M, type: Datadog, spec: {metrics: [a.latency, b.latency], duration: 7d}}\n";
    let waves = ["north", "west"].map(|namespace| {
        format!(
            "    - stage: {namespace}\n      release: all\n      steps:\n        - step: {{name: To {namespace}, type: Kubernetes, \
             spec: {{namespace: {namespace}}}}}\n"
        )
    });
    let place =
        format!("{PLACE}  - {{name: North, type: Kubernetes, spec: {{cluster: c, namespace: north}}}}\n");
    let of = |stages: String| {
        let text = format!("pipeline:\n  name: P\n  stages:\n{stages}");
        complaints(together(&[("p.yaml", &text), ("w.yaml", &place)]))
    };
    let (a, b, waves) = (variant("a"), variant("b"), waves.concat());
    assert_eq!(of(format!("{a}{b}{monitor}{waves}")), [] as [&str; 0]);
    assert_eq!(
        of(format!("{a}{b}{waves}{monitor}")),
        ["error 9:24 the experiment of step `b` goes on when release `all` begins"]
    );
}
