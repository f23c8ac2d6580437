//! The highest fence at which something of a lane was removed.
//!
//! A fence on an object dies with the object. Without this record, a late order to make a revision would bring back what
//! a later one has removed, together with its GPUs.

use serde_json::{Value, json};
use weir_app::EffectError;
use weir_domain::ids::Fence;
use weir_domain::pipeline::RolloutRule;

use crate::api::Api;
use crate::fault::Fault;
use crate::names;
use crate::split::{Change, fence_of, guarded};
use crate::traffic::{Failure, write};

fn collection(rule: &RolloutRule) -> String {
    format!("/api/v1/namespaces/{}/configmaps", rule.target.namespace)
}

fn path(rule: &RolloutRule) -> String {
    format!("{}/{}", collection(rule), names::ledger_name(&rule.lane))
}

fn object(rule: &RolloutRule) -> String {
    format!(
        "ConfigMap {}/{}",
        rule.target.namespace,
        names::ledger_name(&rule.lane)
    )
}

/// The recorded fence; zero if nothing was ever removed.
pub(crate) async fn fence(api: &Api, rule: &RolloutRule) -> Result<Fence, EffectError> {
    let found = api
        .find(&path(rule))
        .await
        .map_err(|fault| fault.on("read", object(rule)))?;
    found.map_or(Ok(Fence(0)), |record| {
        fence_of(&record).map_err(|unfit| EffectError::never("read", object(rule), unfit.to_string()))
    })
}

/// Records a fence; a lower one than the recorded changes nothing.
pub(crate) async fn raise(api: &Api, rule: &RolloutRule, fence: Fence) -> Result<(), EffectError> {
    let failed = |fault: Fault| fault.on("write", object(rule));
    let record = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names::ledger_name(&rule.lane),
            "labels": {"app.kubernetes.io/managed-by": "weir", names::LANE: names::lane_label(&rule.lane)},
            "annotations": {names::KEY: format!("{}/fence", names::lane_key(&rule.lane)), names::FENCE: fence.to_string()},
        },
    });
    let decide = |record: &Value| match fence_of(record) {
        Ok(found) if found >= fence => Ok(Change::Nothing),
        Ok(_) => Ok(Change::Patch(guarded(
            record,
            Vec::new(),
            &[(names::FENCE, fence.to_string())],
        ))),
        Err(unfit) => Err(unfit.to_string()),
    };
    match write(api, &path(rule), decide).await {
        Err(Failure::Fault(Fault::Missing(_))) => match api.create(&collection(rule), &record).await {
            Err(Fault::Exists) => Err(failed(Fault::Conflict("it was made in between".into()))),
            other => other.map_err(failed),
        },
        written => written.map_err(|failure| failure.on("write", object(rule))),
    }
}
