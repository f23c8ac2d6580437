//! Traffic effects: weights of the route, target of the plain Service.

use serde_json::{Value, json};
use weir_app::EffectError;
use weir_domain::experiment::{Experiment, Keep};
use weir_domain::ids::{Fence, RevisionId, RunId};
use weir_domain::pipeline::RolloutRule;
use weir_domain::units::Weight;
use weir_domain::workload::Adopted;

use crate::api::Api;
use crate::fault::Fault;
use crate::names;
use crate::render::selector;
use crate::split::{Change, Share, Wanted, change, fence_of, guarded};
use crate::sticky::Kept;

/// Times that a write is tried again after somebody else wrote in between. Controllers write an object once or twice in
/// a row; more is a fight that a person should know of.
pub(crate) const CONFLICTS: usize = 8;

/// Path of a route.
pub(crate) fn route_path(rule: &RolloutRule) -> String {
    let (namespace, route) = (&rule.target.namespace, &rule.target.route);
    format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/httproutes/{route}")
}

/// Why a route that is needed is not there, and what to do.
pub(crate) fn no_route(rule: &RolloutRule, said: &str) -> String {
    format!(
        "{said}; create an HTTPRoute `{}` in namespace `{}` with a rule to the Service `{}`",
        rule.target.route, rule.target.namespace, rule.target.service
    )
}

/// What a route shall do.
pub(crate) struct Order<'a> {
    /// Shares.
    pub(crate) split: &'a [(RevisionId, Weight)],
    /// Who gets copies.
    pub(crate) mirror: Option<&'a (RevisionId, Weight)>,
    /// Whose callers stay.
    pub(crate) keep: Option<&'a Keep>,
    /// Fence of the write.
    pub(crate) fence: Fence,
}

/// Sets the shares of a route, who gets copies, and whose callers stay.
pub(crate) async fn set_weights(
    api: &Api,
    run: &RunId,
    rule: &RolloutRule,
    experiment: Option<&Experiment>,
    order: Order<'_>,
) -> Result<(), EffectError> {
    const OPERATION: &str = "set the weights of";
    let object = format!("HTTPRoute {}/{}", rule.target.namespace, rule.target.route);
    let share = |(revision, weight): &(RevisionId, Weight)| Share {
        backend: names::revision_name(&rule.lane, revision),
        revision: revision.to_string(),
        weight: weight.percent(),
    };
    let back = experiment.map(|experiment| match &experiment.back {
        Some(revision) => names::revision_name(&rule.lane, revision),
        None => rule.target.service.clone(),
    });
    let wanted = Wanted {
        back,
        namespace: rule.target.namespace.to_string(),
        plain: rule.target.service.clone(),
        lane: names::lane_key(&rule.lane),
        run: run.to_string(),
        split: order.split.iter().map(share).collect(),
        mirror: order.mirror.map(share),
        keep: order
            .keep
            .map(|keep| Kept::of(&rule.lane, keep))
            .unwrap_or_default(),
        fence: order.fence,
    };
    let decide = |route: &Value| change(route, &wanted).map_err(|unfit| unfit.to_string());
    match write(api, &route_path(rule), decide).await {
        Err(Failure::Fault(Fault::Missing(said))) => {
            Err(EffectError::never(OPERATION, object, no_route(rule, &said)))
        }
        written => written.map_err(|failure| failure.on(OPERATION, object)),
    }
}

/// Lets the plain Service select a revision. The Service is the user's: it is never made here.
pub(crate) async fn retarget(
    api: &Api,
    rule: &RolloutRule,
    revision: &RevisionId,
    adopted: Option<&Adopted>,
    fence: Fence,
) -> Result<(), EffectError> {
    const OPERATION: &str = "retarget";
    let (namespace, service) = (&rule.target.namespace, &rule.target.service);
    let object = format!("Service {namespace}/{service}");
    let wanted = match adopted {
        Some(adopted) => json!(adopted.selector),
        None => selector(&rule.lane, revision),
    };
    let decide = |service: &Value| {
        let found = fence_of(service).map_err(|unfit| unfit.to_string())?;
        let stands = service["spec"]["selector"] == wanted;
        Ok(match found {
            found if found > fence => Change::Overtaken,
            found if found == fence && stands => Change::Nothing,
            _ => {
                // `add` also replaces; a Service without a selector has no such member.
                let edit = json!({"op": "add", "path": "/spec/selector", "value": wanted});
                let edits = if stands { Vec::new() } else { vec![edit] };
                Change::Patch(guarded(service, edits, &[(names::FENCE, fence.to_string())]))
            }
        })
    };
    match write(
        api,
        &format!("/api/v1/namespaces/{namespace}/services/{service}"),
        decide,
    )
    .await
    {
        Err(Failure::Fault(Fault::Missing(said))) => {
            let why = format!(
                "{said}; create the plain Service `{service}`: callers that bypass the route need it"
            );
            Err(EffectError::never(OPERATION, object, why))
        }
        written => written.map_err(|failure| failure.on(OPERATION, object)),
    }
}

/// Why a guarded write did not happen.
pub(crate) enum Failure {
    Unfit(String),
    Fault(Fault),
}

impl Failure {
    /// As the failure of an effect: an object that is not fit for a change stays so until somebody changes it.
    pub(crate) fn on(self, operation: &'static str, object: String) -> EffectError {
        match self {
            Self::Unfit(why) => EffectError::never(operation, object, why),
            Self::Fault(fault) => fault.on(operation, object),
        }
    }
}

/// Reads, decides, writes what was decided to the object as it was read; reads again if somebody else wrote in between. Where
/// a look has read it a moment ago, that is what is decided on first: if it has changed since, the write is refused.
pub(crate) async fn write(
    api: &Api,
    path: &str,
    decide: impl Fn(&Value) -> Result<Change, String>,
) -> Result<(), Failure> {
    let seen = api.recall(path);
    if let Some(Ok(Change::Patch(patch))) = seen.as_ref().map(&decide) {
        match api.patch(path, &patch).await {
            Err(Fault::Conflict(_)) => {}
            other => return other.map_err(Failure::Fault),
        }
    }
    let mut last = Fault::Conflict(String::new());
    for _ in 0..CONFLICTS {
        let object = api.get(path).await.map_err(Failure::Fault)?;
        let patch = match decide(&object).map_err(Failure::Unfit)? {
            Change::Overtaken => {
                tracing::info!(path, "a later decision was written already; this one is dropped");
                return Ok(());
            }
            Change::Nothing => return Ok(()),
            Change::Patch(patch) => patch,
        };
        match api.patch(path, &patch).await {
            Err(Fault::Conflict(why)) => last = Fault::Conflict(why),
            other => return other.map_err(Failure::Fault),
        }
    }
    Err(Failure::Fault(last))
}
