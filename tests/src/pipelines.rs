//! Pipelines that stories are told about.

use std::collections::BTreeMap;

use serde_json::json;
use weir_domain::condition::{Comparison, Condition, Dimension, Mode, Op, Quantity};
use weir_domain::ids::{
    ClusterName, Commit, EnvironmentName, GroupName, LaneKey, Namespace, PersonName, PipelineName,
    ReleaseName, ServiceName,
};
use weir_domain::judge::Promote;
use weir_domain::people::{Group, Person};
use weir_domain::pipeline::{
    ApprovalRule, Builds, Canary, CanaryStep, Collect, DEFAULT_MARGIN, DEFAULT_SOURCE, NoData, OnNewPush,
    Parity, Pipeline, Plugin, Provider, Quorum, RolloutRule, SplitBy, Stage, StageWork, Step, StepWork,
    Strategy, Target,
};
use weir_domain::strategy::Sticky;
use weir_domain::time::Span;
use weir_domain::units::{Ratio, Weight};
use weir_domain::workload::{MetricsEndpoint, Workload};

/// The n-th commit of a story.
pub fn commit(n: u32) -> Commit {
    Commit::new(format!("{n:040x}"))
}

/// Checks the model, then brings it to production: 5 % for ten minutes, then the rest.
pub fn canary_to_production(commit: &Commit) -> Pipeline {
    pipeline(vec![
        stage("Validate Model", plugin("Check Model")),
        stage("Deploy to Production", production(commit)),
    ])
}

/// The same with a rule for its rollout that the story changes.
pub fn canary_with(commit: &Commit, change: impl Fn(&mut RolloutRule)) -> Pipeline {
    with_rules(canary_to_production(commit), change)
}

/// A pipeline with rules for its rollouts that the story changes.
pub fn with_rules(mut pipeline: Pipeline, change: impl Fn(&mut RolloutRule)) -> Pipeline {
    for stage in &mut pipeline.stages {
        let StageWork::Steps { steps, .. } = &mut stage.work else {
            continue;
        };
        for step in steps {
            if let StepWork::Rollout(rule) = &mut step.work {
                change(rule);
            }
        }
    }
    pipeline
}

/// The same where a Deployment of somebody else's serves.
pub fn adopting(deployment: &str, commit: &Commit) -> Pipeline {
    canary_with(commit, |rule| rule.adopts = Some(deployment.to_owned()))
}

/// Another service of another environment, on the same cluster.
pub fn canary_of_another_service(commit: &Commit) -> Pipeline {
    let mut pipeline = pipeline(vec![stage("Deploy to Staging", production(commit))]);
    pipeline.name = PipelineName::new("Chat-Model-Update");
    if let StageWork::Steps { steps, .. } = &mut pipeline.stages[0].work
        && let StepWork::Rollout(rule) = &mut steps[0].work
    {
        rule.lane = LaneKey {
            service: ServiceName::new("chat"),
            environment: EnvironmentName::new("Staging"),
        };
    }
    pipeline
}

/// A release of one service, in waves of environments that move at once, with a test between them. Each environment has a
/// cluster of its own, of the same name.
pub fn release(commit: &Commit, waves: &[&[&str]]) -> Pipeline {
    let mut stages = Vec::new();
    for (n, wave) in waves.iter().enumerate() {
        if n > 0 {
            stages.push(stage(&format!("Try {n}"), step_of("Smoke Test", "smoke-test")));
        }
        let steps = wave.iter().map(|environment| released(commit, environment));
        stages.push(Stage {
            name: format!("Wave {n}"),
            work: StageWork::Steps {
                parallel: true,
                steps: steps.collect(),
            },
        });
    }
    let mut pipeline = pipeline(stages);
    pipeline.name = PipelineName::new("Worldwide");
    pipeline
}

fn released(commit: &Commit, environment: &str) -> Step {
    let mut step = production(commit);
    if let StepWork::Rollout(rule) = &mut step.work {
        rule.lane.environment = EnvironmentName::new(environment);
        rule.target.cluster = ClusterName::new(environment);
        rule.release = Some(ReleaseName::new("worldwide"));
        // Waves come one after another: what takes ten minutes elsewhere takes three here.
        rule.bake = Span::minutes(3);
        if let Strategy::Canary(canary) = &mut rule.strategy {
            canary
                .steps
                .iter_mut()
                .for_each(|step| step.interval = Span::minutes(3));
        }
    }
    step.name = format!("Canary {environment}");
    step.slug = format!("canary-{}", environment.to_lowercase());
    step
}

/// The same with an approval by `ml-team` in between.
pub fn with_approval(commit: &Commit) -> Pipeline {
    with_approval_of(canary_to_production(commit))
}

/// A pipeline with an approval by `ml-team` before its second stage.
pub fn with_approval_of(mut pipeline: Pipeline) -> Pipeline {
    pipeline.stages.insert(1, approval());
    pipeline
}

/// Somebody of `ml-team` is asked, for a day.
fn approval() -> Stage {
    let rule = ApprovalRule {
        needs: vec![Quorum {
            group: GroupName::new("ml-team"),
            people: 1,
        }],
        timeout: Span::hours(24),
        pusher_may_approve: false,
        opens: vec!["Production".into()],
    };
    Stage {
        name: "Approval".into(),
        work: StageWork::Approval(rule),
    }
}

/// The same experiment, whose metrics are collected once `ml-team` has approved: its variants have their shares meanwhile.
pub fn experiment_with_approval(variants: &[(&str, u8)], duration: Span) -> Pipeline {
    let mut pipeline = experiment(variants, duration);
    pipeline.stages.insert(variants.len(), approval());
    pipeline
}

/// The same experiment, whose callers stay with their variant by a cookie.
pub fn sticky_experiment(variants: &[(&str, u8)], duration: Span) -> Pipeline {
    let mut pipeline = experiment(variants, duration);
    let rules = pipeline
        .stages
        .iter_mut()
        .flat_map(|stage| match &mut stage.work {
            StageWork::Steps { steps, .. } => steps.as_mut_slice(),
            StageWork::Approval(_) => &mut [],
        });
    for step in rules {
        if let StepWork::Rollout(rule) = &mut step.work
            && let Strategy::Variant { sticky, .. } = &mut rule.strategy
        {
            *sticky = Some(Sticky::Cookie("model".into()));
        }
    }
    pipeline
}

/// Variants side by side until their metrics have been collected for so long, and commands that get what was collected.
pub fn experiment(variants: &[(&str, u8)], duration: Span) -> Pipeline {
    let step = |(version, weight): &(&str, u8)| {
        let mut step = production(&commit(1));
        if let StepWork::Rollout(rule) = &mut step.work {
            rule.strategy = Strategy::Variant {
                version: (*version).into(),
                weight: Weight::new(*weight).expect("stories write percentages"),
                sticky: None,
            };
            rule.rollback = None;
            (rule.workload.gpus, rule.workload.replicas) = (0, 0);
        }
        step.name = format!("Deploy {version}");
        step.slug = format!("deploy-{version}");
        stage(&format!("Deploy Variant {version}"), step)
    };
    let metrics = variants.iter();
    let metrics = metrics.map(|(version, _)| format!("{}.inference.latency", version.replace('-', "_")));
    let collect = Collect {
        metrics: metrics.collect(),
        duration,
        source: DEFAULT_SOURCE.into(),
    };
    let mut stages: Vec<Stage> = variants.iter().map(step).collect();
    let collect = Step {
        name: "Collect Metrics".into(),
        slug: "collect-metrics".into(),
        work: StepWork::Collect(collect),
    };
    stages.push(stage("Monitor Metrics", collect));
    stages.push(stage("Analyze Results", plugin("Statistical Test")));
    let mut pipeline = pipeline(stages);
    pipeline.name = PipelineName::new("Model-AB-Test");
    pipeline
}

fn pipeline(stages: Vec<Stage>) -> Pipeline {
    let person = |name: &str, slack: &str| Person {
        name: PersonName::new(name),
        slack: Some(slack.into()),
        github: Some(name.into()),
        uid: None,
    };
    Pipeline {
        name: PipelineName::new("LLM-Model-Update"),
        digest: "d".repeat(64),
        stages,
        on_new_push: OnNewPush::Queue,
        groups: vec![
            Group {
                name: GroupName::new("ml-team"),
                members: vec![person("ana", "UANA"), person("bo", "UBO")],
            },
            Group {
                name: GroupName::new("product"),
                members: vec![person("cy", "UCY")],
            },
        ],
        builds: Builds {
            cluster: ClusterName::new("local"),
            namespace: Namespace::new("builds"),
            fetch_image: "alpine/git".into(),
        },
        outputs: BTreeMap::new(),
        warnings: Vec::new(),
    }
}

fn stage(name: &str, step: Step) -> Stage {
    Stage {
        name: name.into(),
        work: StageWork::Steps {
            parallel: false,
            steps: vec![step],
        },
    }
}

fn plugin(name: &str) -> Step {
    step_of(name, "check-model")
}

fn step_of(name: &str, slug: &str) -> Step {
    let plugin = Plugin {
        image: "python:3.11".into(),
        commands: vec!["python scripts/check.py".into()],
        env: [].into(),
        secrets: Vec::new(),
        outputs: Vec::new(),
        timeout: Span::minutes(30),
    };
    Step {
        name: name.into(),
        slug: slug.into(),
        work: StepWork::Plugin(plugin),
    }
}

fn production(commit: &Commit) -> Step {
    let rule = RolloutRule {
        lane: LaneKey {
            service: ServiceName::new("llm"),
            environment: EnvironmentName::new("Production"),
        },
        target: Target {
            cluster: ClusterName::new("local"),
            provider: Provider::Kubernetes,
            namespace: Namespace::new("production"),
            route: "llm".into(),
            service: "llm".into(),
            gateway: None,
            split: SplitBy::Route,
        },
        workload: workload(commit),
        strategy: Strategy::Canary(Canary {
            steps: vec![CanaryStep::new(
                Weight::new(5).expect("5 is under 100"),
                Span::minutes(10),
            )],
            threshold: Ratio::new(0.98).expect("0.98 is under 1"),
            min_samples: 50,
            promote: Promote::Article,
            margin: DEFAULT_MARGIN,
        }),
        rollback: Some(article_condition()),
        bake: Span::minutes(10),
        keep: Span::minutes(10),
        hold_exposure: Span::minutes(10),
        alpha: weir_domain::judge::Alpha::default(),
        warm_within: Span::minutes(30),
        warm_up: Span::ZERO,
        deadlines: weir_domain::deadlines::Deadlines::default(),
        no_data: NoData::Hold,
        parity: Parity::Refuse,
        may_swap: false,
        watch: Span::ZERO,
        undoes: false,
        adopts: None,
        release: None,
        measures: BTreeMap::new(),
    };
    Step {
        name: "Canary Deploy".into(),
        slug: "canary-deploy".into(),
        work: StepWork::Rollout(Box::new(rule)),
    }
}

/// What a commit's revision consists of.
pub fn workload(commit: &Commit) -> Workload {
    let image = format!("ai-service:{commit}");
    Workload {
        template: json!({ "spec": { "containers": [{ "name": "model", "image": image }] } }),
        config: Vec::new(),
        replicas: 4,
        gpus: 1,
        gpu_resource: "nvidia.com/gpu".into(),
        port: 8000,
        metrics: MetricsEndpoint {
            port: 8000,
            path: "/metrics".into(),
        },
        not_exact: Vec::new(),
        adopted: None,
    }
}

/// `error_rate > 2% || latency_p99 > 1000ms`.
fn article_condition() -> Condition {
    let compare = |metric: &str, value, dimension, written: &str| {
        let line = Quantity {
            value,
            dimension,
            written: written.into(),
        };
        Condition::Compare(Comparison {
            metric: metric.into(),
            window: None,
            op: Op::Above,
            line,
            during: None,
            mode: Mode::Evidence,
        })
    };
    Condition::Or(vec![
        compare("error_rate", 0.02, Dimension::Ratio, "2%"),
        compare("latency_p99", 1.0, Dimension::Seconds, "1000ms"),
    ])
}
