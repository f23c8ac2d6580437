//! Names of items, the same in every store. Parts that users chose are escaped, so that no name can reach into another item's.

use weir_domain::ids::{ApprovalToken, LaneKey, PipelineName, PoolKey, PushKey, RunId};

use crate::EffectKey;

/// Sort key of an item that stands alone under its partition key, and of a run itself.
pub const STATE: &str = "STATE";
/// What the sort keys of entries begin with.
pub const EVENTS: &str = "EVENT#";
/// What the sort keys of effects begin with.
pub const EFFECTS: &str = "OUTBOX#";

/// Partition key of a run, and of all that is its own.
pub fn run(id: &RunId) -> String {
    format!("RUN#{}", escaped(id.as_str()))
}

/// The run that a partition key names.
pub fn run_of(pk: &str) -> Option<RunId> {
    unescaped(pk.strip_prefix("RUN#")?).map(RunId::new)
}

/// Sort key of an entry of a run's log, counted from 1.
pub fn event(n: u64) -> String {
    format!("{EVENTS}{n:012}")
}

/// Sort key of an effect that is not settled.
pub fn outbox(key: &EffectKey) -> String {
    format!("{EFFECTS}{:012}#{:06}", key.version, key.n)
}

/// Version and place that a sort key of the outbox names.
pub fn outbox_of(sk: &str) -> Option<(u64, u32)> {
    let (version, n) = sk.strip_prefix(EFFECTS)?.split_once('#')?;
    Some((version.parse().ok()?, n.parse().ok()?))
}

/// Partition key of a lane.
pub fn lane(key: &LaneKey) -> String {
    format!(
        "LANE#{}#{}",
        escaped(key.service.as_str()),
        escaped(key.environment.as_str())
    )
}

/// Partition key of a pool.
pub fn pool(key: &PoolKey) -> String {
    format!(
        "POOL#{}#{}",
        escaped(key.cluster.as_str()),
        escaped(&key.resource)
    )
}

/// Partition key of a push that was taken in for a pipeline.
pub fn push(pipeline: &PipelineName, key: &PushKey) -> String {
    format!("PUSH#{}#{}", escaped(pipeline.as_str()), escaped(key.as_str()))
}

/// Partition key of a token.
pub fn approval(token: &ApprovalToken) -> String {
    format!("APPROVAL#{}", escaped(token.as_str()))
}

/// Partition key of a pipeline's runs by their numbers.
pub fn numbers(pipeline: &PipelineName) -> String {
    format!("NUMBER#{}", escaped(pipeline.as_str()))
}

/// Sort key of the run with this number.
pub fn number(n: u64) -> String {
    format!("{n:012}")
}

/// Text of users as a part of a name.
pub fn escaped(text: &str) -> String {
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
