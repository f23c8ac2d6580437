//! Who else writes an object, as its metadata says: two who write it would undo each other's work.

use serde_json::Value;
use weir_domain::ids::LaneKey;

use crate::names;

/// Who made an object and keeps it as they want it, and what to do about it.
struct Keeper {
    /// Where it says so: `labels` or `annotations`.
    place: &'static str,
    /// Under which key.
    key: &'static str,
    /// With which value; any if none.
    value: Option<&'static str>,
    /// Who it is.
    who: &'static str,
    /// How it is taken from them.
    fix: &'static str,
}

const HELM_FIX: &str = "annotate it with `helm.sh/resource-policy: keep`, take it out of the chart, upgrade, and remove the label \
                        `app.kubernetes.io/managed-by` and the annotations `meta.helm.sh/…`";
const ARGO_FIX: &str = "annotate it with `argocd.argoproj.io/sync-options: Prune=false`, take it out of the application, sync, and \
                        remove the tracking label or annotation";
const FLUX_FIX: &str = "annotate it with `kustomize.toolkit.fluxcd.io/prune: disabled`, take it out of the source, reconcile, and \
                        remove the labels `…toolkit.fluxcd.io/…`";

const KEEPERS: [Keeper; 7] = [
    keeper("annotations", "meta.helm.sh/release-name", None, "Helm", HELM_FIX),
    keeper(
        "labels",
        "app.kubernetes.io/managed-by",
        Some("Helm"),
        "Helm",
        HELM_FIX,
    ),
    keeper(
        "annotations",
        "argocd.argoproj.io/tracking-id",
        None,
        "Argo CD",
        ARGO_FIX,
    ),
    keeper("labels", "argocd.argoproj.io/instance", None, "Argo CD", ARGO_FIX),
    keeper(
        "labels",
        "kustomize.toolkit.fluxcd.io/name",
        None,
        "Flux",
        FLUX_FIX,
    ),
    keeper("labels", "helm.toolkit.fluxcd.io/name", None, "Flux", FLUX_FIX),
    keeper(
        "labels",
        names::LANE,
        None,
        "Weir, which made it as a revision",
        "name the Deployment that served before",
    ),
];

const fn keeper(
    place: &'static str,
    key: &'static str,
    value: Option<&'static str>,
    who: &'static str,
    fix: &'static str,
) -> Keeper {
    Keeper {
        place,
        key,
        value,
        who,
        fix,
    }
}

/// Who else writes it, if anybody does, as a sentence with the fix.
pub(crate) fn owned(object: &str, value: &Value, lane: &LaneKey) -> Option<String> {
    let metadata = &value["metadata"];
    let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
    if let Some(owner) = owners.into_iter().next() {
        let text = |key: &str| owner[key].as_str().unwrap_or_default();
        return Some(format!(
            "{object} belongs to {} {}, which would write it again: let that give it up, or serve by a Deployment of your own",
            text("kind"),
            text("name")
        ));
    }
    let other = metadata["annotations"][names::LANE].as_str();
    if let Some(other) = other.filter(|other| *other != names::lane_key(lane)) {
        return Some(format!(
            "{object} was adopted for {other}: remove its annotation `{}` if that is over",
            names::LANE
        ));
    }
    let says = |keeper: &&Keeper| match (metadata[keeper.place][keeper.key].as_str(), keeper.value) {
        (Some(found), Some(value)) => found == value,
        (found, _) => found.is_some(),
    };
    KEEPERS.iter().find(says).map(|keeper| {
        let (who, fix) = (keeper.who, keeper.fix);
        format!("{object} belongs to {who}, so that two would write it: {fix}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use weir_domain::ids::{EnvironmentName, ServiceName};

    fn told(metadata: Value) -> Option<String> {
        let lane = LaneKey {
            service: ServiceName::new("chat"),
            environment: EnvironmentName::new("Production"),
        };
        owned("Deployment prod/chat", &json!({"metadata": metadata}), &lane)
    }

    #[test]
    fn whoever_keeps_an_object_as_they_want_it_is_named_with_the_fix() {
        let table = [
            (
                json!({"ownerReferences": [{"kind": "Canary", "name": "chat"}]}),
                "belongs to Canary chat",
            ),
            (
                json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}}),
                "belongs to Helm, so that two would write it: annotate it with `helm.sh/resource-policy: keep`",
            ),
            (
                json!({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}),
                "belongs to Argo CD",
            ),
            (
                json!({"labels": {"helm.toolkit.fluxcd.io/name": "x"}}),
                "belongs to Flux",
            ),
            (
                json!({"labels": {"weir.dev/lane": "x"}}),
                "which made it as a revision",
            ),
            (
                json!({"annotations": {"weir.dev/lane": "chat/Test"}}),
                "was adopted for chat/Test: remove its annotation `weir.dev/lane`",
            ),
        ];
        for (metadata, words) in table {
            let said = told(metadata).unwrap();
            assert!(said.contains(words), "{said}");
            assert!(said.starts_with("Deployment prod/chat "), "{said}");
        }
    }

    #[test]
    fn what_people_made_by_themselves_is_free() {
        let metadata = json!({
            "labels": {"app.kubernetes.io/managed-by": "kubectl", "app.kubernetes.io/instance": "chat"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "weir.dev/lane": "chat/Production"},
        });
        assert_eq!(told(metadata), None);
    }
}
