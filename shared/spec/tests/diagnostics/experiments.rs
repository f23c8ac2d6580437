//! Variants that are no experiment.

use super::kit::{Said, alone, together};
use super::step;

/// A definition of two variants of `llm` and the step that measures them, with one text exchanged.
fn experiment(from: &str, to: &str) -> Vec<Said> {
    let pipeline = "pipeline:
  name: AB
  stages:
    - stage: A
      steps:
        - step:
            name: A
            type: Kubernetes
            spec:
              selector: {version: model-a}
              weight: 50
    - stage: B
      steps:
        - step:
            name: B
            type: Kubernetes
            spec:
              selector: {version: model-b}
              weight: 50
    - stage: Monitor
      steps:
        - step:
            name: M
            type: Datadog
            spec:
              metrics: [model_a.latency, model_b.latency]
              duration: 7d
    - stage: After
      steps:
        - step: {name: P, type: Plugin, spec: {image: a, commands: [b]}}
";
    let place = "service: {name: llm, spec: {containers: [{name: model, image: 'a:1'}]}}
environments:
  - {name: Production, type: Kubernetes, spec: {cluster: c, namespace: production}}
";
    assert!(
        from.is_empty() || pipeline.contains(from) || place.contains(from),
        "{from}"
    );
    together(&[
        ("ab.yaml", &pipeline.replace(from, to)),
        ("place.yaml", &place.replace(from, to)),
    ])
}

#[test]
fn an_experiment_that_cannot_be_is_told() {
    let errors = |said: Vec<Said>| -> Vec<String> {
        let errors = said.into_iter().filter(|one| one.severity == "error");
        errors
            .map(|one| format!("{}:{} {}", one.at.0, one.at.1, one.message))
            .collect()
    };
    assert_eq!(errors(experiment("", "")), Vec::<String>::new());
    for sticky in ["{header: x-model}", "{cookie: model}"] {
        let both = format!("weight: 50\n              sticky: {sticky}");
        assert_eq!(errors(experiment("weight: 50", &both)), Vec::<String>::new());
    }
    let monitor = "type: Datadog
            spec:
              metrics: [model_a.latency, model_b.latency]
              duration: 7d";
    let b = "    - stage: B
      steps:
        - step:
            name: B
            type: Kubernetes
            spec:
              selector: {version: model-b}
              weight: 50
";
    let table = [
        (
            "weight: 50",
            "weight: 40",
            "19:23 the variants' weights are 80 % together: expected 100 %",
        ),
        (
            b,
            "",
            "11:23 the variants' weights are 50 % together: expected 100 %",
        ),
        (
            "version: model-b",
            "version: model-a",
            "18:35 the variant `model-a` is there twice: expected another version",
        ),
        (
            "version: model-b",
            "version: 'model b'",
            "18:35 the version `model b` is no value of a label",
        ),
        (
            monitor,
            "type: Plugin\n            spec: {image: a, commands: [b]}",
            "19:23 nothing ends this experiment: expected a step `type: Datadog`",
        ),
        (
            "type: Plugin, spec: {image: a, commands: [b]}",
            "type: Kubernetes, service: lm, spec: {strategy: rolling}",
            "unknown service `lm`",
        ),
        (
            "weight: 50\n    - stage: Monitor",
            "weight: 50\n              sticky: {header: x-model}\n    - stage: Monitor",
            "20:23 callers of `model-b` stay with it in another way than those of the first variant: expected the same `sticky`",
        ),
        (
            "weight: 50\n    - stage: Monitor",
            "weight: 50\n              sticky: {header: x-model, cookie: model}\n    - stage: Monitor",
            "20:23 `sticky` names a header and a cookie: expected one of the two",
        ),
        (
            "weight: 50\n    - stage: Monitor",
            "weight: 50\n              sticky: {header: Cookie}\n    - stage: Monitor",
            "20:32 `Cookie` cannot say which variant a caller has: expected a name of your own",
        ),
        (
            "weight: 50\n    - stage: Monitor",
            "weight: 50\n              sticky: {}\n    - stage: Monitor",
            "20:23 `sticky` names neither a header nor a cookie: expected one of the two",
        ),
        (
            "weight: 50\n    - stage: Monitor",
            "weight: 50\n              replicas: 2\n    - stage: Monitor",
            "15:19 `replicas` of `B`, which is a variant",
        ),
        (
            "[model_a.latency, model_b.latency]",
            "[a,b,c,d,e,f,g,h,i,j,k,l,m]",
            "`M` collects 13 metrics: expected 1 to 12",
        ),
        (
            "duration: 7d",
            "duration: 10s",
            "`M` collects for 10s: expected 1m or longer",
        ),
        (
            "    - stage: Monitor",
            "    - stage: Between
      steps:
        - step: {name: X, type: Kubernetes, spec: {strategy: rolling}}
    - stage: Monitor",
            "`X` moves a service whose experiment goes on",
        ),
        (
            "service: {name: llm, spec: {containers: [{name: model, image: 'a:1'}]}}\n",
            "",
            "no service for the variant `A`",
        ),
    ];
    for (from, to, expected) in table {
        let said = errors(experiment(from, to));
        assert!(
            said.iter().any(|one| one.contains(expected)),
            "{expected}\n{said:#?}"
        );
    }
}

#[test]
fn one_variant_is_no_experiment() {
    let one = "    - stage: B
      steps:
        - step:
            name: B
            type: Kubernetes
            spec:
              selector: {version: model-b}
              weight: 50
";
    let said = experiment(one, "");
    assert!(
        said.iter().any(|one| one.message.contains("50 % together")),
        "{said:#?}"
    );
    let whole = step("Kubernetes", "selector: {version: a}\nweight: 100");
    let said = alone(&whole);
    let expected = "one variant is compared with nothing: expected two or more variants";
    assert!(said.iter().any(|one| one.message.contains(expected)), "{said:#?}");
}
