//! What a step says of its strategy, and what it means where it says nothing.

use weir_domain::pipeline::Strategy;
use weir_domain::strategy::{Question, Shadow};
use weir_domain::time::Span;
use weir_domain::units::{Ratio, Weight};

use super::{pipeline, refused, resolved, rollout, stage};

#[test]
fn strategies_and_their_defaults() {
    let rule = |spec: &str| {
        let pipeline = resolved(&pipeline(&stage(
            "A",
            "Kubernetes",
            &format!("{{namespace: test, {spec}}}"),
        )));
        let rule = rollout(&pipeline).clone();
        (rule.strategy.as_str(), rule.bake)
    };
    assert_eq!(rule("strategy: rolling"), ("rolling", Span::ZERO));
    assert_eq!(rule("replicas: 2"), ("rolling", Span::ZERO));
    assert_eq!(
        rule("canary: {weight: 5, interval: 7m}"),
        ("canary", Span::minutes(7))
    );
    assert_eq!(
        rule(
            "bake: 1m, strategy: canary, canary: {steps: [{weight: 5, interval: 7m}, {weight: 50, interval: 2m}]}"
        ),
        ("canary", Span::minutes(1))
    );
    assert_eq!(rule("strategy: blue-green"), ("blue-green", Span::minutes(10)));
    assert_eq!(
        rule("blue_green: {interval: 3m}"),
        ("blue-green", Span::minutes(3))
    );
    assert_eq!(
        rule("bake: 1h, blue_green: {interval: 3m}"),
        ("blue-green", Span::hours(1))
    );
    assert_eq!(rule("strategy: shadow"), ("shadow", Span::ZERO));
    assert_eq!(rule("shadow: {interval: 3m}"), ("shadow", Span::ZERO));
}

#[test]
fn latencies_are_left_out_for_as_long_as_is_said_and_for_a_small_part_of_a_step_otherwise() {
    let left_out = |spec: &str| {
        let spec = format!("{{namespace: test, {spec}}}");
        let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", &spec)));
        rollout(&pipeline).warm_up
    };
    let table = [
        ("canary: {weight: 5, interval: 1h}", Span::seconds(30)),
        ("canary: {weight: 5, interval: 1m}", Span::seconds(3)),
        (
            "canary: {steps: [{weight: 5, interval: 10m}, {weight: 50, interval: 2m}]}",
            Span::seconds(6),
        ),
        ("warm_up: 0s, canary: {weight: 5, interval: 1h}", Span::ZERO),
        (
            "warm_up: 5m, canary: {weight: 5, interval: 10m}",
            Span::minutes(5),
        ),
        ("strategy: shadow", Span::seconds(30)),
        ("strategy: rolling", Span::ZERO),
        ("warm_up: 1m, strategy: rolling", Span::minutes(1)),
    ];
    for (spec, expected) in table {
        assert_eq!(left_out(spec), expected, "{spec}");
    }
    let spec = "{namespace: test, warm_up: 6m, canary: {weight: 5, interval: 10m}}";
    let said = refused(&pipeline(&stage("A", "Kubernetes", spec)));
    assert!(
        said.iter()
            .any(|words| words.contains("left out for 6m of a step of 10m")),
        "{said:?}"
    );
}

#[test]
fn the_chance_of_a_false_alarm_is_as_written_and_one_in_a_hundred_otherwise() {
    let alpha = |spec: &str| {
        let spec = format!("{{namespace: test, canary: {{weight: 5, interval: 10m}}{spec}}}");
        let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", &spec)));
        rollout(&pipeline).alpha.value()
    };
    let table = [
        ("", 0.01),
        (", alpha: 5%", 0.05),
        (", alpha: 0.001", 0.001),
        (", alpha: 0.2 %", 0.002),
    ];
    for (spec, expected) in table {
        assert!((alpha(spec) - expected).abs() < 1e-12, "{spec}");
    }
}

#[test]
fn a_swap_is_allowed_by_a_word_and_not_without_it() {
    let may_swap = |spec: &str| {
        let spec = format!("{{namespace: test, {spec}}}");
        rollout(&resolved(&pipeline(&stage("A", "Kubernetes", &spec)))).may_swap
    };
    assert!(may_swap("canary: {weight: 5, interval: 7m}, allow: swap"));
    assert!(may_swap("strategy: rolling, allow: swap"));
    assert!(!may_swap("canary: {weight: 5, interval: 7m}"));
}

#[test]
fn a_shadow_says_how_much_is_copied_for_how_long_and_within_how_many_gpus() {
    let shadow = |spec: &str| {
        let spec = format!("{{namespace: test, {spec}}}");
        let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", &spec)));
        match &rollout(&pipeline).strategy {
            Strategy::Shadow(shadow) => shadow.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(shadow("strategy: shadow"), Shadow::default());
    let written = shadow("shadow: {percent: 25, interval: 3m, gpus: 8, threshold: 99, min_samples: 9}");
    let copied = Shadow::copied(
        Weight::new(25).unwrap(),
        Span::minutes(3),
        Ratio::new(0.99).unwrap(),
        9,
    );
    assert_eq!(
        written,
        Shadow {
            gpus: Some(8),
            copied,
            answers: Vec::new(),
        }
    );
    let asking = shadow(
        "shadow: {answers: [{path: /v1/completions, body: {prompt: '2 + 2 ='}, compare: /choices/0/text}, {path: /v1/models}]}, rollback: {condition: answers_differ > 5%}",
    );
    let question = |path: &str, body: Option<serde_json::Value>, compare: &str| Question {
        path: path.into(),
        body,
        compare: compare.into(),
    };
    let posed = question(
        "/v1/completions",
        Some(serde_json::json!({"prompt": "2 + 2 ="})),
        "/choices/0/text",
    );
    assert_eq!(asking.answers, [posed, question("/v1/models", None, "")]);
}

#[test]
fn canary_steps_keep_their_order_and_the_threshold_its_default() {
    let spec = "{namespace: test, canary: {steps: [{weight: 5, interval: 1m, pause: 2h}, {weight: 50, interval: 2m}], min_samples: 9}}";
    let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", spec)));
    let Strategy::Canary(canary) = &rollout(&pipeline).strategy else {
        panic!("no canary")
    };
    let steps: Vec<_> = canary
        .steps
        .iter()
        .map(|step| (step.weight.percent(), step.interval, step.pause))
        .collect();
    let pause = Some(Span::hours(2));
    assert_eq!(
        steps,
        [(5, Span::minutes(1), pause), (50, Span::minutes(2), None)]
    );
    assert_eq!((canary.threshold.value(), canary.min_samples), (0.95, 9));
}

#[test]
fn blue_green_waits_before_its_switch_and_is_judged_after_it() {
    let spec = "{namespace: test, blue_green: {preview: 2m, interval: 20m, threshold: 99, min_samples: 9, \
                checks: {image: curl, commands: ['curl $WEIR_PREVIEW ${GIT_COMMIT}'], timeout: 1m}}}";
    let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", spec)));
    let Strategy::BlueGreen(colours) = &rollout(&pipeline).strategy else {
        panic!("no blue-green")
    };
    let switch = &colours.switch;
    let steps: Vec<_> = switch
        .steps
        .iter()
        .map(|step| (step.weight.percent(), step.interval))
        .collect();
    assert_eq!(steps, [(100, Span::minutes(20))]);
    assert_eq!((switch.threshold.value(), switch.min_samples), (0.99, 9));
    assert_eq!(colours.preview, Span::minutes(2));
    let checks = colours.checks.as_ref().unwrap();
    assert_eq!(checks.timeout, Span::minutes(1));
    let command = &checks.commands[0];
    assert!(
        command.starts_with("curl $WEIR_PREVIEW ") && !command.contains("GIT_COMMIT"),
        "{command}"
    );
}

#[test]
fn rolling_within_limits_is_told_in_gpus() {
    let limits = |spec: &str| {
        let stages = stage("A", "Kubernetes", &format!("{{namespace: test, {spec}}}"));
        let pipeline = resolved(&pipeline(&stages));
        let Strategy::Rolling(rolling) = rollout(&pipeline).strategy.clone() else {
            panic!("not rolling")
        };
        (rolling.surge, rolling.unavailable, rolling.pause)
    };
    assert_eq!(limits("strategy: rolling"), (None, 0, None));
    assert_eq!(limits("rolling: {surge: 3}"), (Some(3), 0, None));
    assert_eq!(
        limits("replicas: 2, rolling: {unavailable: 1}"),
        (Some(0), 1, None)
    );
    let (.., pause) = limits("rolling: {surge: 3, pause_at: 40%, pause_within: 2h}");
    let pause = pause.unwrap();
    assert_eq!((pause.at.percent(), pause.within), (40, Span::hours(2)));
}

#[test]
fn limits_within_which_no_replica_can_be_replaced_are_refused() {
    for (spec, message) in [
        ("rolling: {surge: 0}", "so that none could be replaced"),
        (
            "replicas: 1, rolling: {unavailable: 1}",
            "all 1 replicas may be missing",
        ),
        (
            "rolling: {surge: 1}, canary: {weight: 5, interval: 1m}",
            "settings of canary and of rolling",
        ),
        (
            "strategy: blue-green, rolling: {surge: 1}",
            "settings of rolling and the strategy blue-green",
        ),
    ] {
        let stages = stage("A", "Kubernetes", &format!("{{namespace: test, {spec}}}"));
        let said = refused(&pipeline(&stages));
        assert!(said.iter().any(|m| m.contains(message)), "{spec}: {said:?}");
    }
}

#[test]
fn phases_have_deadlines_of_their_own() {
    let spec = "{namespace: test, deadlines: {scheduling: 10m, pulling: 5m}}";
    let pipeline = resolved(&pipeline(&stage("A", "Kubernetes", spec)));
    let deadlines = rollout(&pipeline).deadlines;
    assert_eq!(
        (deadlines.scheduling, deadlines.pulling, deadlines.loading),
        (Some(Span::minutes(10)), Some(Span::minutes(5)), None)
    );
}

#[test]
fn checks_run_where_they_reach_the_new_revision() {
    let spec = "{namespace: test, blue_green: {checks: {image: curl, commands: [curl]}}}";
    let said = refused(&format!(
        "builds: {{cluster: elsewhere}}\n{}",
        pipeline(&stage("A", "Kubernetes", spec))
    ));
    assert!(
        said.iter()
            .any(|m| m.contains("the checks would run in cluster elsewhere")),
        "{said:?}"
    );
}

#[test]
fn the_rollback_policy_joins_the_steps_own_condition() {
    let policy = "rollback_policy:\n  automatic:\n    - {condition: error_rate > 5%, duration: 5m, action: instant_rollback}\n    - {condition: latency_p99 > 5s && restarts > 0, duration: 10m}\n";
    let canary = "{namespace: test, canary: {weight: 5, interval: 1m}, rollback: {condition: error_rate > 9% || restarts > 3}}";
    let pipeline_of =
        |spec: &str| resolved(&format!("{policy}{}", pipeline(&stage("A", "Kubernetes", spec))));
    let condition = rollout(&pipeline_of(canary))
        .rollback
        .as_ref()
        .unwrap()
        .to_string();
    assert_eq!(
        condition,
        "error_rate > 9% || restarts > 3 || error_rate > 5% for 5m || (latency_p99 > 5s for 10m && restarts > 0 for 10m)"
    );
    let colours = rollout(&pipeline_of("{namespace: test, strategy: blue-green}"))
        .rollback
        .clone();
    assert_eq!(
        colours.unwrap().to_string(),
        "error_rate > 5% for 5m || (latency_p99 > 5s for 10m && restarts > 0 for 10m)"
    );
    assert_eq!(rollout(&pipeline_of("{namespace: test}")).rollback, None);
}

#[test]
fn a_parallel_stage_moves_a_service_once() {
    let stages = |parallel: bool, second: &str| {
        let step = |name: &str, namespace: &str| {
            format!("        - step: {{name: {name}, type: Kubernetes, spec: {{namespace: {namespace}}}}}\n")
        };
        let steps = step("a", "test") + &step("b", second);
        pipeline(&format!(
            "    - stage: S\n      parallel: {parallel}\n      steps:\n{steps}"
        ))
    };
    assert_eq!(
        refused(&stages(true, "test")),
        ["steps `a` and `b` of a parallel stage both move llm in Test: expected one mover"]
    );
    resolved(&stages(true, "prod"));
    resolved(&stages(false, "test"));
}
