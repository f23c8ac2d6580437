//! Experiments: steps that name a variant and its share, and the one that measures them.

use weir_domain::pipeline::{Collect, DEFAULT_SOURCE};
use weir_domain::strategy::{Sticky, Strategy};
use weir_domain::time::Span;
use weir_domain::units::Weight;
use weir_domain::workload::{MetricsEndpoint, Workload};

use super::{Resolver, pod, template};
use crate::definition::{RolloutDef, ServiceDef, StepDef, StepDefWork, StickyDef};
use crate::diagnostic::Diagnostic;
use crate::render::short;
use crate::source::{Located, Place};

/// Metrics of one step: what it collects stands in one item of the store, which takes 400 KB in all.
const METRICS_LIMIT: usize = 12;
/// The shortest interval of a step that collects.
const SHORTEST: Span = Span::minutes(1);

/// Headers that mean something else already.
const TAKEN: [&str; 5] = [
    "host",
    "cookie",
    "authorization",
    "content-type",
    "content-length",
];

/// Variants that follow one another in one place.
struct Group<'a> {
    /// Service, environment and namespace as written.
    place: [Option<&'a str>; 3],
    variants: Vec<(&'a Located<String>, &'a Located<u8>)>,
    /// How callers of the first stay with it.
    sticky: Written<'a>,
}

/// Header and cookie as written.
type Written<'a> = [Option<&'a str>; 2];

fn written(rollout: &RolloutDef) -> Written<'_> {
    let text = |name: fn(&StickyDef) -> Option<&Located<String>>| {
        let sticky = rollout.sticky.as_ref();
        sticky.and_then(name).map(|name| name.value.as_str())
    };
    [
        text(|sticky| sticky.header.as_ref()),
        text(|sticky| sticky.cookie.as_ref()),
    ]
}

impl<'a> Resolver<'a> {
    pub(super) fn variant(
        &mut self,
        step: &StepDef,
        rollout: &RolloutDef,
        version: &Located<String>,
        weight: &Located<u8>,
    ) -> Option<Strategy> {
        let name = short(&step.name.value);
        if !rollout.making.is_empty() {
            let keys: Vec<String> = rollout.making.iter().map(|key| format!("`{key}`")).collect();
            let found = format!("{} of `{name}`, which is a variant", keys.join(", "));
            let help = "a variant is selected by its label and not made: leave them out; alarms and people can end the experiment at any time";
            self.sink
                .push(Diagnostic::error(&step.name.place, found).help(help));
        }
        if !is_label(&version.value) {
            let found = format!("the version `{}` is no value of a label", short(&version.value));
            let expected =
                "at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends";
            self.sink
                .push(Diagnostic::error(&version.place, found).expected(expected));
        }
        if weight.value == 0 {
            let found = format!("the variant `{}` has a share of 0 %", short(&version.value));
            self.sink
                .push(Diagnostic::error(&weight.place, found).expected("1 to 99"));
        }
        Some(Strategy::Variant {
            version: version.value.clone(),
            weight: Weight::new(weight.value)?,
            sticky: match &rollout.sticky {
                Some(sticky) => Some(self.sticky(sticky)?),
                None => None,
            },
        })
    }

    /// A header, or a cookie, by a name that both can have and that means nothing else.
    fn sticky(&mut self, written: &StickyDef) -> Option<Sticky> {
        let (name, sticky): (_, fn(String) -> Sticky) = match (&written.header, &written.cookie) {
            (Some(header), None) => (header, Sticky::Header),
            (None, Some(cookie)) => (cookie, Sticky::Cookie),
            (header, _) => {
                let found = match header {
                    Some(_) => "`sticky` names a header and a cookie",
                    None => "`sticky` names neither a header nor a cookie",
                };
                let complaint = Diagnostic::error(&written.place, found.to_owned());
                self.sink.push(complaint.expected("one of the two"));
                return None;
            }
        };
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let known =
            written.header.is_some() && TAKEN.iter().any(|taken| name.value.eq_ignore_ascii_case(taken));
        if known || name.value.len() > 64 || !name.value.chars().all(inner) {
            let found = format!("`{}` cannot say which variant a caller has", short(&name.value));
            let expected =
                "a name of your own of at most 64 letters, digits, `-` and `_`, for example `x-model`";
            self.sink
                .push(Diagnostic::error(&name.place, found).expected(expected));
            return None;
        }
        Some(sticky(name.value.clone()))
    }

    /// Nothing of a variant is made; where its pods tell their counters is what the service says.
    pub(super) fn workload_of_variant(service: &ServiceDef) -> Workload {
        let port = template::serving_port(service);
        Workload {
            template: serde_json::Value::Null,
            config: Vec::new(),
            replicas: 0,
            gpus: 0,
            gpu_resource: pod::GPU_RESOURCE.into(),
            port,
            metrics: MetricsEndpoint {
                port: service.metrics_port.unwrap_or(port),
                path: service
                    .metrics_path
                    .clone()
                    .unwrap_or_else(|| pod::DEFAULT_METRICS_PATH.into()),
            },
            not_exact: Vec::new(),
            adopted: None,
        }
    }

    pub(super) fn collect(
        &mut self,
        step: &StepDef,
        metrics: &[String],
        duration: Span,
        source: Option<&str>,
    ) -> Option<Collect> {
        let place = &step.name.place;
        let name = short(&step.name.value);
        let mut wrong = |found: String, expected: &str| {
            self.sink.push(Diagnostic::error(place, found).expected(expected));
        };
        if metrics.is_empty() || metrics.len() > METRICS_LIMIT {
            let found = format!("`{name}` collects {} metrics", metrics.len());
            wrong(found, &format!("1 to {METRICS_LIMIT}"));
            return None;
        }
        if duration < SHORTEST {
            wrong(format!("`{name}` collects for {duration}"), "1m or longer");
            return None;
        }
        Some(Collect {
            metrics: metrics.to_vec(),
            duration,
            source: source.unwrap_or(DEFAULT_SOURCE).into(),
        })
    }

    /// Variants that follow one another share the traffic of their service: together they are 100 %, and a step that
    /// collects metrics ends them.
    pub(super) fn check_variants(&mut self) {
        let pipeline = self.pipeline;
        let mut open: Option<Group<'a>> = None;
        let mut unended: Vec<Group<'a>> = Vec::new();
        for step in pipeline.stages.iter().flat_map(|stage| &stage.steps) {
            let rollout = match &step.work {
                StepDefWork::Rollout(rollout) => rollout,
                StepDefWork::Collect { .. } => {
                    self.close(open.take(), &mut unended);
                    unended.clear();
                    continue;
                }
                StepDefWork::Plugin(_) => {
                    self.close(open.take(), &mut unended);
                    continue;
                }
            };
            let place = [&step.service, &step.environment, &rollout.namespace]
                .map(|written| written.as_ref().map(|text| text.value.as_str()));
            let variant = rollout.version.as_ref().zip(rollout.weight.as_ref());
            if open
                .as_ref()
                .is_some_and(|group| variant.is_none() || group.place != place)
            {
                self.close(open.take(), &mut unended);
            }
            if unended.iter().any(|group| group.place == place) {
                let found = format!(
                    "`{}` moves a service whose experiment goes on",
                    short(&step.name.value)
                );
                let help = "put it behind the step `type: Datadog` that ends the experiment";
                self.sink
                    .push(Diagnostic::error(&step.name.place, found).help(help));
            }
            if let Some(variant) = variant {
                let group = open.get_or_insert_with(|| Group {
                    place,
                    variants: Vec::new(),
                    sticky: written(rollout),
                });
                if group.sticky != written(rollout) {
                    let found = format!(
                        "callers of `{}` stay with it in another way than those of the first variant",
                        short(&variant.0.value)
                    );
                    let place = rollout.sticky.as_ref().map_or(&variant.0.place, |s| &s.place);
                    let expected = "the same `sticky` for all variants of an experiment";
                    self.sink.push(Diagnostic::error(place, found).expected(expected));
                }
                group.variants.push(variant);
            }
        }
        self.close(open.take(), &mut unended);
        for group in unended {
            if let Some(place) = group.last() {
                let found = "nothing ends this experiment".to_owned();
                let expected = "a step `type: Datadog` with `metrics` and a `duration` after its variants";
                self.sink.push(Diagnostic::error(place, found).expected(expected));
            }
        }
    }

    /// A group is complete: what its variants are together.
    fn close(&mut self, group: Option<Group<'a>>, unended: &mut Vec<Group<'a>>) {
        let Some(group) = group else { return };
        let sum: u32 = group
            .variants
            .iter()
            .map(|(_, weight)| u32::from(weight.value))
            .sum();
        let mut wrong = |place: &Place, found: String, expected: &str| {
            self.sink.push(Diagnostic::error(place, found).expected(expected));
        };
        for (n, (version, _)) in group.variants.iter().enumerate() {
            if group.variants[..n]
                .iter()
                .any(|(other, _)| other.value == version.value)
            {
                let found = format!("the variant `{}` is there twice", short(&version.value));
                wrong(&version.place, found, "another version");
            }
        }
        match (group.last(), sum) {
            (Some(place), 100) if group.variants.len() == 1 => {
                wrong(
                    place,
                    "one variant is compared with nothing".to_owned(),
                    "two or more variants",
                );
            }
            (Some(place), sum) if sum != 100 => {
                wrong(
                    place,
                    format!("the variants' weights are {sum} % together"),
                    "100 %",
                );
            }
            _ => {}
        }
        unended.push(group);
    }
}

impl Group<'_> {
    /// Where the last weight stands.
    fn last(&self) -> Option<&Place> {
        self.variants.last().map(|(_, weight)| &weight.place)
    }
}

/// What Kubernetes takes as the value of a label.
fn is_label(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= 63 && edge(text.chars().next()) && edge(text.chars().next_back()) && text.chars().all(inner)
}
