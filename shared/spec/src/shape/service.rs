//! Keys of services and their containers.

use super::Key;
use super::Shape::{self, *};
use super::sections::{PULL_POLICY, REPLICAS};

/// A port.
const PORT: Shape = Count(1, 65_535);

pub(super) const SERVICE: &[Key] = &[
    Key::new(
        "name",
        &DnsName,
        "Its name, which is also the name of its plain Service.",
    )
    .required(),
    Key::new("type", &Choice(&["Kubernetes"]), "What runs it."),
    Key::new("spec", &Object(SERVICE_SPEC), "Its pods.").required(),
];

const SERVICE_SPEC: &[Key] = &[
    Key::new(
        "containers",
        &List(&Object(CONTAINER)),
        "Containers; the first one serves.",
    )
    .required(),
    Key::new(
        "replicas",
        &REPLICAS,
        "Replicas that carry all traffic; 1 without it.",
    ),
    Key::new("port", &PORT, "Port that serves requests; 8000 without it."),
    Key::new(
        "metrics",
        &Object(ENDPOINT),
        "Where a pod tells its counters; the serving port and `/metrics` without it.",
    ),
    Key::new(
        "node_selector",
        &Named(&Text),
        "Labels of the nodes it may run on.",
    ),
    Key::new(
        "tolerations",
        &List(&Kubernetes),
        "Taints it tolerates; `nvidia.com/gpu` is added when GPUs are asked for.",
    ),
    Key::new(
        "termination_grace",
        &Span(true),
        "How long a pod that is told to stop may finish its requests; without it what `longest_generation` needs, or 60s.",
    ),
    Key::new(
        "longest_generation",
        &Span(true),
        "How long the longest answer takes; a pod that is told to stop has 15s more, unless `termination_grace` says otherwise.",
    ),
    Key::new("volumes", &List(&Kubernetes), "Volumes of the pod."),
    Key::new(
        "first_generation",
        &Object(FIRST_GENERATION),
        "One answer that the first container's startup probe asks for: a pod is Ready once it has generated.",
    ),
];

const ENDPOINT: &[Key] = &[
    Key::new("port", &PORT, "Port."),
    Key::new("path", &Text, "Path, beginning with `/`."),
];

const FIRST_GENERATION: &[Key] = &[
    Key::new(
        "preset",
        &Choice(&["vllm", "sglang", "triton"]),
        "What serves: gives path and body, of which Triton needs the `path`.",
    ),
    Key::new("path", &Text, "Path that is posted to, beginning with `/`."),
    Key::new("body", &Text, "JSON that is posted."),
    Key::new(
        "timeout",
        &Span(true),
        "How long the answer may take; 60s without it.",
    ),
    Key::new(
        "tool",
        &Choice(&["python3", "curl"]),
        "Program of the image that asks; python3 without it.",
    ),
];

const CONTAINER: &[Key] = &[
    Key::new("name", &DnsName, "Its name.").required(),
    Key::new("image", &Text, "Its image.").required(),
    Key::new("command", &List(&Text), "Replaces the image's entry point."),
    Key::new("args", &List(&Text), "Arguments."),
    Key::new("port", &PORT, "Port that the container serves on."),
    Key::new(
        "resources",
        &Object(RESOURCES),
        "What it asks for and what it may use; GPUs: both the same.",
    ),
    Key::new(
        "env",
        &Env,
        "Its environment; wins over the variables of the environment.",
    ),
    Key::new(
        "healthChecks",
        &List(&Object(HEALTH)),
        "Startup and readiness probes.",
    ),
    Key::new("image_pull_policy", &PULL_POLICY, "Its `imagePullPolicy`."),
    Key::new("volume_mounts", &List(&Kubernetes), "Where volumes are mounted."),
];

const RESOURCES: &[Key] = &[
    Key::new("requests", &Named(&Quantity), "What is set aside for it."),
    Key::new("limits", &Named(&Quantity), "What it may use."),
];

const HEALTH: &[Key] = &[
    Key::new("type", &Choice(&["HTTP"]), "How it is asked.").required(),
    Key::new("path", &Text, "Path, beginning with `/`.").required(),
    Key::new("port", &PORT, "Port; the serving one without it."),
    Key::new(
        "interval",
        &Span(true),
        "Time between two probes; 10s without it.",
    ),
    Key::new(
        "timeout",
        &Span(true),
        "A probe has failed after this time; 1s without it.",
    ),
];
