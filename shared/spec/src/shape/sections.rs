//! The table of keys: one constant per mapping, from the sections down.

use super::Key;
use super::Shape::{self, *};
use super::pipeline::{PIPELINE, TRIGGERS};
use super::service::SERVICE;
use crate::presets;

/// The sections at the top of a file.
pub(crate) const SECTIONS: &[Key] = &[
    Key::new(
        "pipeline",
        &Object(PIPELINE),
        "A pipeline: stages that run from a push to production.",
    ),
    Key::new(
        "trigger",
        &TRIGGERS,
        "Triggers of the only pipeline, or of the one that `pipeline` names.",
    ),
    Key::new("triggers", &TRIGGERS, "The same as `trigger`."),
    Key::new("service", &Object(SERVICE), "What is rolled out."),
    Key::new("services", &List(&Object(SERVICE)), "Several services."),
    Key::new("environments", &List(&Object(ENVIRONMENT)), "Where services run."),
    Key::new(
        "groups",
        &ListOrMap(&List(&Object(GROUP)), &Named(&MEMBERS)),
        "People who approve, by group.",
    ),
    Key::new("policy", &Object(POLICY), "Who must approve what."),
    Key::new(
        "metrics",
        &ListOrMap(&List(&Object(METRIC)), &Named(&TextOr(&Object(METRIC_BODY)))),
        "Servers of metrics to ask instead of gateway and pods, and metrics of your own for conditions.",
    ),
    Key::new("clusters", &List(&Object(CLUSTER)), "How clusters are reached."),
    Key::new("builds", &Object(BUILDS), "Where Plugin steps run."),
    Key::new(
        "rollback_policy",
        &Object(ROLLBACK_POLICY),
        "Conditions that send every canary back.",
    ),
    Key::new(
        "cost_management",
        &Object(COST),
        "Thresholds of cost and what happens there.",
    )
    .inert("cost is not metered"),
];

/// Keys of an isolation block: `dev:`, `staging:`, `production:`, or the name of an environment.
pub(crate) const ISOLATION: &[Key] = &[
    Key::new(
        "replicas",
        &REPLICAS,
        "Replicas of every service in the environment, unless the step says otherwise.",
    ),
    Key::new(
        "image_pull_policy",
        &PULL_POLICY,
        "`imagePullPolicy` of containers that have none of their own.",
    ),
    Key::new("debug", &Bool, "Debug mode.")
        .inert("set a variable of the environment that your service reads"),
    Key::new("enable_monitoring", &Bool, "Monitoring.").inert("rollouts are measured whatever it says"),
    Key::new("enable_alerts", &Bool, "Alerts.").inert("a rollback is reported whatever it says"),
];

/// What keys do that describe a cloud's own way to a cluster.
const BY_HOST: &str = "whoever runs Weir says how a cluster is reached, not the repository";
/// `evidence`: shown with a stated error rate. `point`: the measured number, at every check.
pub(super) const MODE: Shape = Choice(&["evidence", "point"]);
pub(super) const REPLICAS: Shape = Count(1, 10_000);
pub(super) const PULL_POLICY: Shape = Choice(&["Always", "IfNotPresent", "Never"]);

const ENVIRONMENT: &[Key] = &[
    Key::new("name", &Text, "Its name.").required(),
    Key::new("type", &Choice(&["Kubernetes"]), "What kind of place it is."),
    Key::new(
        "provider",
        &Choice(&["Kubernetes", "AWS-EKS", "GCP-GKE", "AWS-ECS", "Azure-AKS"]),
        "The same, with its cloud.",
    ),
    Key::new(
        "production",
        &Bool,
        "Whether pushers may not approve their own change; by name without it.",
    ),
    Key::new("spec", &Object(ENVIRONMENT_SPEC), "Where it is.").required(),
];

const ENVIRONMENT_SPEC: &[Key] = &[
    Key::new("cluster", &Text, "The cluster.").required(),
    Key::new(
        "namespace",
        &DnsName,
        "The namespace; the environment's name in lower case without it.",
    ),
    Key::new(
        "variables",
        &Named(&Text),
        "Environment of every container, and names for `${NAME}`.",
    ),
    Key::new(
        "route",
        &DnsName,
        "Name of the HTTPRoute; the service's name without it.",
    ),
    Key::new(
        "gateway",
        &Text,
        "The Gateway that the route belongs to, as `name` or `namespace/name`.",
    ),
    Key::new(
        "traffic",
        &Choice(&["gateway", "replicas"]),
        "What splits the traffic between two revisions: the weights of the HTTPRoute, or, without a gateway, how many pods of each \
         the service's Service has; `gateway` without it.",
    ),
    Key::new(
        "adopt",
        &Named(&DnsName),
        "By service: the Deployment that serves there already, which Weir's first rollout takes as stable without changing a pod of it.",
    ),
    Key::new(
        "watch",
        &Span(false),
        "How long a new revision is watched after its bake, with the old one warm for an instant way back; 0s without it.",
    ),
    Key::new("region", &Text, "Region of the cloud.").inert(BY_HOST),
    Key::new("project", &Text, "Project of the cloud.").inert(BY_HOST),
    Key::new("location", &Text, "Zone or region of the cloud.").inert(BY_HOST),
    Key::new("resource_group", &Text, "Resource group of the cloud.").inert(BY_HOST),
];

const GROUP: &[Key] = &[
    Key::new("name", &Text, "Its name.").required(),
    Key::new("members", &MEMBERS, "Its people.").required(),
];

const MEMBERS: Shape = List(&Object(PERSON));

const PERSON: &[Key] = &[
    Key::new("name", &Text, "Name inside Weir.").required(),
    Key::new("slack", &Text, "Slack user id."),
    Key::new("github", &Text, "GitHub login."),
    Key::new(
        "uid",
        &Count(0, 4_294_967_294),
        "Unix user id on the machine that runs the host.",
    ),
];

const POLICY: &[Key] = &[
    Key::new(
        "approvals",
        &Named(&WordOr(&["none"], &Object(APPROVAL))),
        "By environment: who approves, or `none`.",
    ),
    Key::new(
        "pusher_may_approve",
        &Bool,
        "Whether pushers may approve their own change to production.",
    ),
];

const APPROVAL: &[Key] = &[
    Key::new(
        "needs",
        &List(&TextOr(&Object(QUORUM))),
        "Every one of these groups must approve.",
    )
    .required(),
    Key::new(
        "timeout",
        &Span(true),
        "The approval expires after this time; 24h without it.",
    ),
    Key::new(
        "pusher_may_approve",
        &Bool,
        "The same as in `policy`, for this environment.",
    ),
];

pub(super) const QUORUM: &[Key] = &[
    Key::new("group", &Text, "The group.").required(),
    Key::new("people", &Count(1, 100), "How many of its people; 1 without it."),
];

const METRIC_BODY: &[Key] = &[
    Key::new(
        "source",
        &Text,
        "Name of the server that is asked, as the host was started with it.",
    ),
    Key::new(
        "preset",
        &Choice(presets::NAMES),
        "Known queries of Prometheus: requests, latencies or GPU use.",
    ),
    Key::new(
        "query",
        &Text,
        "A query for one number per revision. `${revision}`, `${revision_id}`, `${namespace}`, `${service}`, `${route}` and `${window}` are filled in.",
    ),
    Key::new(
        "total",
        &Text,
        "A query for requests, with `bad`: the pair is what `error_rate` and `success_rate` are counted from.",
    ),
    Key::new("bad", &Text, "A query for failed requests."),
    Key::new(
        "buckets",
        &Text,
        "A query for buckets by `le`: what `latency_p99` and the like are counted from.",
    ),
    Key::new("le", &Choice(&["s", "ms"]), "Unit of `le`; seconds without it."),
    Key::new(
        "unit",
        &Choice(&["ratio", "seconds", "bytes", "tokens/s", "number"]),
        "What `query` counts; a plain number without it.",
    ),
];

/// An item of a list of metrics: its name, then what a mapping says below the name.
const METRIC: &[Key] = &{
    let mut keys = [Key::new("name", &Text, "Its name.").required(); METRIC_BODY.len() + 1];
    let mut n = 0;
    while n < METRIC_BODY.len() {
        keys[n + 1] = METRIC_BODY[n];
        n += 1;
    }
    keys
};

const CLUSTER: &[Key] = &[
    Key::new("name", &Text, "The name that environments use.").required(),
    Key::new("eks", &Object(EKS), "An Amazon EKS cluster.").inert(BY_HOST),
    Key::new("gke", &Object(GKE), "A Google GKE cluster.").inert(BY_HOST),
];

const EKS: &[Key] = &[
    Key::new("region", &Text, "Region.").required(),
    Key::new("name", &Text, "Name of the cluster.").required(),
];

const GKE: &[Key] = &[
    Key::new("project", &Text, "Project.").required(),
    Key::new("location", &Text, "Zone or region.").required(),
    Key::new("name", &Text, "Name of the cluster.").required(),
];

const BUILDS: &[Key] = &[
    Key::new(
        "cluster",
        &Text,
        "The cluster; that of the first environment without it.",
    ),
    Key::new("namespace", &DnsName, "The namespace; `weir-builds` without it."),
    Key::new(
        "fetch_image",
        &Text,
        "Image of the step that fetches the commit; it needs `git`.",
    ),
    Key::new(
        "builder",
        &Text,
        "Address of a rootless builder for `docker` commands, given to them as `DOCKER_HOST`.",
    ),
    Key::new("registry", &Text, "What `${REGISTRY}` stands for."),
];

const ROLLBACK_POLICY: &[Key] = &[
    Key::new(
        "automatic",
        &List(&Object(AUTOMATIC)),
        "Conditions that send a canary back, besides those of its step.",
    ),
    Key::new(
        "manual",
        &List(&Object(MANUAL)),
        "Rules for a rollback by a person.",
    )
    .inert("a rollback by a person is not asked for them"),
];

const AUTOMATIC: &[Key] = &[
    Key::new("condition", &Condition, "The condition.").required(),
    Key::new(
        "duration",
        &Span(true),
        "It is shown by what was measured within this time; of the whole step without it.",
    ),
    Key::new("mode", &MODE, "What shows that it holds; `evidence` without it."),
    Key::new("action", &Choice(&["instant_rollback"]), "What happens."),
];

const MANUAL: &[Key] = &[
    Key::new("requires", &Text, "Who may do it."),
    Key::new("notification", &Text, "Who is told."),
    Key::new("safety_check", &Text, "What is checked first."),
];

const COST: &[Key] = &[
    Key::new("alerts", &List(&Object(ALERT)), "Thresholds of a day's cost."),
    Key::new(
        "optimization",
        &List(&Object(OPTIMIZATION)),
        "Advice that is looked for.",
    ),
];

const ALERT: &[Key] = &[
    Key::new("threshold", &Number, "Cost of a day in US dollars.").required(),
    Key::new(
        "action",
        &Choice(&["notify", "scale_down"]),
        "What happens there.",
    )
    .required(),
];

const OPTIMIZATION: &[Key] = &[
    Key::new(
        "type",
        &Choice(&["spot_instances", "reserved_instances"]),
        "Kind of advice.",
    )
    .required(),
    Key::new("savings", &Percent(true), "Savings that are hoped for."),
];
