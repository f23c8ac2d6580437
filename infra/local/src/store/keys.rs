//! Names of items. Parts that users chose are escaped, so that no name can reach into another item's.

use weir_app::EffectKey;
use weir_domain::Duty;
use weir_domain::ids::{ApprovalToken, LaneKey, PipelineName, PoolKey, PushKey, RunId, StepId};

/// Sort key of an item that stands alone under its partition key, and of a run itself.
pub(super) const STATE: &str = "STATE";

pub(super) fn run(id: &RunId) -> String {
    format!("RUN#{}", escaped(id.as_str()))
}

/// The run that a partition key names.
pub(super) fn run_of(pk: &str) -> Option<RunId> {
    unescaped(pk.strip_prefix("RUN#")?).map(RunId::new)
}

pub(super) fn event(n: u64) -> String {
    format!("EVENT#{n:012}")
}

pub(super) fn outbox(key: &EffectKey) -> String {
    format!("OUTBOX#{:012}#{:06}", key.version, key.n)
}

/// Version and place that a sort key of the outbox names.
pub(super) fn outbox_of(sk: &str) -> Option<(u64, u32)> {
    let (version, n) = sk.strip_prefix("OUTBOX#")?.split_once('#')?;
    Some((version.parse().ok()?, n.parse().ok()?))
}

pub(super) fn timer(duty: Duty) -> String {
    format!("TIMER#{}", duty.as_str())
}

pub(super) fn scrape(step: StepId) -> String {
    format!("SCRAPE#{step}")
}

/// The step that a sort key of a scrape names.
pub(super) fn scrape_of(sk: &str) -> Option<StepId> {
    sk.strip_prefix("SCRAPE#")?.parse().ok()
}

pub(super) fn lane(key: &LaneKey) -> String {
    format!(
        "LANE#{}#{}",
        escaped(key.service.as_str()),
        escaped(key.environment.as_str())
    )
}

pub(super) fn pool(key: &PoolKey) -> String {
    format!(
        "POOL#{}#{}",
        escaped(key.cluster.as_str()),
        escaped(&key.resource)
    )
}

pub(super) fn push(pipeline: &PipelineName, key: &PushKey) -> String {
    format!("PUSH#{}#{}", escaped(pipeline.as_str()), escaped(key.as_str()))
}

pub(super) fn approval(token: &ApprovalToken) -> String {
    format!("APPROVAL#{}", escaped(token.as_str()))
}

pub(super) fn numbers(pipeline: &PipelineName) -> String {
    format!("NUMBER#{}", escaped(pipeline.as_str()))
}

pub(super) fn number(n: u64) -> String {
    format!("{n:012}")
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('#', "%23")
}

fn unescaped(text: &str) -> Option<String> {
    let text = text.replace("%23", "#");
    (!text.replace("%25", "").contains('%')).then(|| text.replace("%25", "%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_domain::ids::{EnvironmentName, ServiceName};

    #[test]
    fn names_with_separators_stay_apart() {
        let key = |service: &str, environment: &str| {
            lane(&LaneKey {
                service: ServiceName::new(service),
                environment: EnvironmentName::new(environment),
            })
        };
        assert_ne!(key("a#b", "c"), key("a", "b#c"));
        assert_ne!(key("a%23b", "c"), key("a#b", "c"));
    }

    #[test]
    fn a_run_is_read_back_from_its_key() {
        for id in ["run-1", "a#b", "a%b", "%23", "%25#%"] {
            let id = RunId::new(id);
            assert_eq!(run_of(&run(&id)), Some(id));
        }
    }
}
