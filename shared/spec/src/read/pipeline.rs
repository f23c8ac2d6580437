//! The `pipeline` section and triggers.

use weir_domain::deadlines::Deadlines;
use weir_domain::judge::Promote;
use weir_domain::pipeline::{NoData, OnNewPush, Parity};
use weir_domain::strategy::{
    BlueGreen, DEFAULT_MARGIN, DEFAULT_MIN_SAMPLES, DEFAULT_SHADOW, DEFAULT_SWITCH, DEFAULT_THRESHOLD,
    Question, Shadow,
};
use weir_domain::units::{Ratio, Weight};

use super::{count, env, percent, plain, plain_texts, span, text, texts, weight};
use crate::condition::{self, Metrics};
use crate::definition::{
    BlueGreenDef, CanaryDef, CanaryStepDef, NeedDef, PipelineDef, PluginDef, RollingDef, RolloutDef,
    ShadowDef, StageDef, StepDef, StepDefWork, StickyDef, Trigger,
};
use crate::shape::parse_chance;
use crate::source::Located;
use crate::yaml::{Node, to_json};

pub(crate) fn pipeline(node: &Node, metrics: &Metrics) -> Option<PipelineDef> {
    let stages = node.get("stages").map(Node::items).unwrap_or_default();
    let on_new_push = match plain(node, "on_new_push").as_deref() {
        Some("supersede") => OnNewPush::Supersede,
        _ => OnNewPush::Queue,
    };
    Some(PipelineDef {
        name: text(node, "name")?,
        triggers: triggers(node).into_iter().map(|(trigger, _)| trigger).collect(),
        on_new_push,
        stages: stages
            .iter()
            .filter_map(|stage| self::stage(stage, metrics))
            .collect(),
    })
}

/// Triggers under `trigger` and `triggers`, each with the pipeline that it names.
fn triggers(node: &Node) -> Vec<(Trigger, Option<Located<String>>)> {
    let lists = ["trigger", "triggers"]
        .into_iter()
        .filter_map(|key| node.get(key));
    lists.flat_map(trigger_list).collect()
}

/// Triggers of one section.
pub(crate) fn trigger_list(node: &Node) -> Vec<(Trigger, Option<Located<String>>)> {
    let items = node.one_or_many().into_iter();
    items
        .filter_map(|item| Some((trigger(item)?, text(item, "pipeline"))))
        .collect()
}

fn trigger(node: &Node) -> Option<Trigger> {
    let branches = plain_texts(node, &["branch", "branches"]);
    let paths = plain_texts(node, &["paths"]);
    let place = node.place.clone();
    match node.get("type")?.text()? {
        "Webhook" => Some(Trigger::Push {
            branches,
            branches_ignore: plain_texts(node, &["branches_ignore"]),
            tags: plain_texts(node, &["tags"]),
            paths,
            paths_ignore: plain_texts(node, &["paths_ignore"]),
            place,
        }),
        "Git" => Some(Trigger::Git {
            repo: plain(node, "repo").unwrap_or_default(),
            branches,
            paths,
            on_change: plain(node, "on_change"),
            place,
        }),
        _ => None,
    }
}

fn stage(node: &Node, metrics: &Metrics) -> Option<StageDef> {
    let steps = node.get("steps").map(Node::items).unwrap_or_default();
    Some(StageDef {
        name: text(node, "stage")?,
        approval: node.get("type").is_some(),
        parallel: node.get("parallel").and_then(Node::bool).unwrap_or(false),
        release: text(node, "release"),
        steps: steps
            .iter()
            .filter_map(|item| step(item.get("step")?, metrics))
            .collect(),
        approvers: needs(node, "approvers"),
        timeout: span(node, "timeout"),
    })
}

/// Groups that must approve: `- ml-team` or `- group: ml-team`.
pub(super) fn needs(node: &Node, key: &str) -> Vec<NeedDef> {
    let items = node.get(key).map(Node::one_or_many).unwrap_or_default();
    items
        .into_iter()
        .filter_map(|item| {
            let group = super::located(item).or_else(|| text(item, "group"))?;
            let people = count(item, "people").unwrap_or(1);
            Some(NeedDef { group, people })
        })
        .collect()
}

fn step(node: &Node, metrics: &Metrics) -> Option<StepDef> {
    let spec = node.get("spec")?;
    let work = match node.get("type")?.text()? {
        "Plugin" => StepDefWork::Plugin(plugin(spec)?),
        "Kubernetes" => StepDefWork::Rollout(Box::new(rollout(spec, metrics))),
        "Datadog" => StepDefWork::Collect {
            metrics: plain_texts(spec, &["metrics"]),
            duration: span(spec, "duration")?,
            source: plain(spec, "source"),
        },
        _ => return None,
    };
    Some(StepDef {
        name: text(node, "name")?,
        environment: text(spec, "environment").or_else(|| text(node, "environment")),
        service: text(spec, "service").or_else(|| text(node, "service")),
        timeout: span(spec, "timeout").or_else(|| span(node, "timeout")),
        work,
    })
}

fn plugin(spec: &Node) -> Option<PluginDef> {
    let secrets = spec.get("secrets").map(Node::items).unwrap_or_default();
    Some(PluginDef {
        image: text(spec, "image")?,
        commands: texts(spec, "commands"),
        env: env(spec, "env"),
        secrets: secrets
            .iter()
            .filter_map(|item| Some((text(item, "env")?, plain(item, "secret")?, plain(item, "key")?)))
            .collect(),
        outputs: texts(spec, "outputs"),
    })
}

/// Keys of a step that makes a revision; a variant is selected.
const MAKING: [&str; 12] = [
    "resources",
    "replicas",
    "rollback",
    "alpha",
    "bake",
    "keep",
    "hold_exposure",
    "no_data",
    "warm_up",
    "deadlines",
    "parity",
    "allow",
];

fn rollout(spec: &Node, metrics: &Metrics) -> RolloutDef {
    let rollback = spec.get("rollback");
    let condition = rollback.and_then(|node| text(node, "condition"));
    let mode = rollback.map(super::mode).unwrap_or_default();
    RolloutDef {
        place: spec.place.clone(),
        namespace: text(spec, "namespace"),
        resources: texts(spec, "resources"),
        replicas: count(spec, "replicas"),
        strategy: text(spec, "strategy"),
        canary: spec.get("canary").map(canary),
        blue_green: spec.get("blue_green").map(blue_green),
        rolling: spec.get("rolling").map(rolling),
        shadow: spec.get("shadow").map(shadow),
        rollback: condition.and_then(|text| {
            let parsed = condition::parse(&text.value, metrics).ok()?;
            Some(Located::new(parsed.in_mode(mode), text.place))
        }),
        version: spec.get("selector").and_then(|node| text(node, "version")),
        weight: weight(spec, "weight"),
        sticky: spec.get("sticky").map(|node| StickyDef {
            place: node.place.clone(),
            header: text(node, "header"),
            cookie: text(node, "cookie"),
        }),
        making: MAKING.into_iter().filter(|key| spec.get(key).is_some()).collect(),
        bake: span(spec, "bake"),
        keep: span(spec, "keep"),
        hold_exposure: span(spec, "hold_exposure"),
        alpha: plain(spec, "alpha")
            .and_then(|text| parse_chance(&text))
            .unwrap_or_default(),
        warm_within: span(spec, "warm_within"),
        warm_up: text(spec, "warm_up")
            .zip(span(spec, "warm_up"))
            .map(|(written, span)| Located::new(span, written.place)),
        deadlines: spec.get("deadlines").map(deadlines).unwrap_or_default(),
        no_data: match plain(spec, "no_data").as_deref() {
            Some("fail") => NoData::Fail,
            _ => NoData::Hold,
        },
        parity: match plain(spec, "parity").as_deref() {
            Some("report") => Parity::Report,
            _ => Parity::Refuse,
        },
        swaps: spec.get("allow").map(|node| node.place.clone()),
    }
}

fn blue_green(node: &Node) -> BlueGreenDef {
    let default = BlueGreen::default();
    let switch = BlueGreen::switch(
        span(node, "interval").unwrap_or(DEFAULT_SWITCH),
        percent_of(node, "threshold").unwrap_or(default.switch.threshold),
        count(node, "min_samples").unwrap_or(DEFAULT_MIN_SAMPLES),
    );
    BlueGreenDef {
        place: node.place.clone(),
        strategy: BlueGreen {
            preview: span(node, "preview").unwrap_or(default.preview),
            switch,
            ..default
        },
        checks: node.get("checks").and_then(|node| {
            let timeout = span(node, "timeout");
            Some((plugin(node)?, timeout))
        }),
    }
}

fn shadow(node: &Node) -> ShadowDef {
    let default = Shadow::default();
    let percent = weight(node, "percent");
    // What is no part of all has been complained about.
    let part = percent.as_ref().and_then(|percent| Weight::new(percent.value));
    let copied = Shadow::copied(
        part.unwrap_or_else(|| default.copied.steps[0].weight),
        span(node, "interval").unwrap_or(DEFAULT_SHADOW),
        percent_of(node, "threshold").unwrap_or(default.copied.threshold),
        count(node, "min_samples").unwrap_or(DEFAULT_MIN_SAMPLES),
    );
    let answers = node.get("answers");
    let answers: Option<Vec<_>> =
        answers.map(|list| list.items().iter().filter_map(|item| question(item)).collect());
    let questions = answers.iter().flatten().map(|question| question.value.clone());
    ShadowDef {
        place: node.place.clone(),
        percent,
        strategy: Shadow {
            gpus: count(node, "gpus"),
            copied,
            answers: questions.collect(),
        },
        answers,
    }
}

fn question(node: &Node) -> Option<Located<Question>> {
    let question = Question {
        path: plain(node, "path")?,
        body: node.get("body").map(to_json),
        compare: plain(node, "compare").unwrap_or_default(),
    };
    Some(Located::new(question, node.place.clone()))
}

/// A part of all that is written in percent; nothing if it is none, which has been complained about.
fn percent_of(node: &Node, key: &str) -> Option<Ratio> {
    percent(node, key).and_then(|percent| Ratio::new(percent / 100.0))
}

fn deadlines(node: &Node) -> Deadlines {
    Deadlines {
        scheduling: span(node, "scheduling"),
        provisioning: span(node, "provisioning"),
        pulling: span(node, "pulling"),
        loading: span(node, "loading"),
        warming: span(node, "warming"),
        serving: span(node, "serving"),
        draining: span(node, "draining"),
    }
}

fn rolling(node: &Node) -> RollingDef {
    RollingDef {
        place: node.place.clone(),
        surge: count(node, "surge"),
        unavailable: count(node, "unavailable"),
        pause_at: weight(node, "pause_at"),
        pause_within: span(node, "pause_within"),
    }
}

fn canary(node: &Node) -> CanaryDef {
    let one = |node: &Node| {
        Some(CanaryStepDef {
            weight: weight(node, "weight")?,
            interval: span(node, "interval")?,
            pause: span(node, "pause"),
        })
    };
    let listed = node.get("steps").map(Node::items).unwrap_or_default();
    let unread = |key: &str, read: bool| node.get(key).is_some() && !read;
    let alone = ["weight", "interval"].iter().find_map(|key| node.entry(key));
    let mut steps: Vec<_> = one(node).into_iter().collect();
    steps.extend(listed.iter().filter_map(|item| one(item)));
    CanaryDef {
        place: node.place.clone(),
        steps,
        unread: unread("weight", weight(node, "weight").is_some())
            || unread("interval", span(node, "interval").is_some())
            || node.get("steps").is_some(),
        beside: alone
            .filter(|_| node.get("steps").is_some())
            .map(|entry| entry.key_place.clone()),
        threshold: percent(node, "threshold").unwrap_or(DEFAULT_THRESHOLD * 100.0),
        min_samples: count(node, "min_samples").unwrap_or(DEFAULT_MIN_SAMPLES),
        promote: text(node, "promote").map(|written| Located {
            value: match written.value.as_str() {
                "proven" => Promote::Proven,
                _ => Promote::Article,
            },
            place: written.place,
        }),
        margin: plain(node, "margin")
            .and_then(|text| text.parse().ok())
            .unwrap_or(DEFAULT_MARGIN),
        requests_per_second: count(node, "requests_per_second"),
    }
}
