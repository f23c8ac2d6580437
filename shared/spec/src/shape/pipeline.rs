//! Keys of pipelines, their stages, steps and triggers.

use super::Key;
use super::Shape::{self, *};
use super::sections::{MODE, QUORUM, REPLICAS};

/// One text, or several.
const TEXTS: Shape = OneOrMany(&Text);
/// One trigger, or several.
pub(super) const TRIGGERS: Shape = OneOrMany(&Object(TRIGGER));

pub(super) const PIPELINE: &[Key] = &[
    Key::new("name", &Text, "Its name; unique.").required(),
    Key::new(
        "trigger",
        &TRIGGERS,
        "What starts it; without one, only a person does.",
    ),
    Key::new("triggers", &TRIGGERS, "The same as `trigger`."),
    Key::new(
        "on_new_push",
        &Choice(&["queue", "supersede"]),
        "What a newer push does to a run that waits or moves: `queue` (default) waits for it, `supersede` sends it back first.",
    ),
    Key::new("stages", &List(&Object(STAGE)), "Stages, in order.").required(),
];

const TRIGGER: &[Key] = &[
    Key::new(
        "type",
        &Choice(&["Webhook", "Git"]),
        "`Webhook`: a push that the host is told of; `Git`: a repository that is watched.",
    )
    .required(),
    Key::new("on", &OneOrMany(&Choice(&["push"])), "Events of a webhook."),
    Key::new("branch", &TEXTS, "Branches, as GitHub Actions matches them."),
    Key::new("branches", &TEXTS, "The same as `branch`."),
    Key::new(
        "branches_ignore",
        &TEXTS,
        "Branches that do not start a run; not together with `branches`.",
    ),
    Key::new("tags", &TEXTS, "Tags; without it a tag starts nothing."),
    Key::new(
        "paths",
        &TEXTS,
        "A run starts when a changed file matches; later patterns win, `!` excludes.",
    ),
    Key::new(
        "paths_ignore",
        &TEXTS,
        "No run when all changed files match; not together with `paths`.",
    ),
    Key::new("repo", &Text, "The repository that is watched."),
    Key::new(
        "on_change",
        &Choice(&["auto_deploy"]),
        "What a change of the watched repository does.",
    )
    .inert("a change of a watched repository starts nothing; a `Webhook` trigger does"),
    Key::new(
        "pipeline",
        &Text,
        "The pipeline that a trigger outside of a pipeline starts.",
    ),
];

const STAGE: &[Key] = &[
    Key::new("stage", &Text, "Its name.").required(),
    Key::new(
        "type",
        &Choice(&["Approval", "Manual"]),
        "Waits for people. Without approvers the policy of the environments that follow says whom.",
    ),
    Key::new(
        "parallel",
        &Bool,
        "`true`: its steps run at the same time; 60 at most.",
    ),
    Key::new(
        "release",
        &Text,
        "The release that it is a wave of: what stages of one name roll out is promoted together, once all of it is through its bake, or goes back together; 12 rollouts at most.",
    ),
    Key::new("steps", &List(&Object(STEP_ITEM)), "Steps, in order."),
    Key::new(
        "approvers",
        &List(&TextOr(&Object(QUORUM))),
        "Every one of these groups must approve.",
    ),
    Key::new(
        "timeout",
        &Span(true),
        "An approval expires after this time; 24h without it.",
    ),
];

const STEP_ITEM: &[Key] = &[Key::new("step", &ByType(STEP, STEP_TYPES), "The step.").required()];

const STEP: &[Key] = &[
    Key::new("name", &Text, "Its name.").required(),
    Key::new(
        "environment",
        &Text,
        "The environment, when the namespace does not tell it.",
    ),
    Key::new("service", &Text, "The service, when the definition has several."),
    Key::new(
        "timeout",
        &Span(true),
        "A Plugin step is stopped after this time; 30m without it.",
    ),
];

const STEP_TYPES: &[(&str, &Shape)] = &[
    ("Plugin", &Object(PLUGIN)),
    ("Kubernetes", &Object(ROLLOUT)),
    ("Datadog", &Object(COLLECT)),
];

const PLUGIN: &[Key] = &[
    Key::new("image", &Text, "Container image.").required(),
    Key::new(
        "commands",
        &List(&Text),
        "Shell commands, in order; the first that fails ends the step.",
    )
    .required(),
    Key::new("env", &Env, "Environment of the commands."),
    Key::new(
        "secrets",
        &List(&Object(SECRET)),
        "Keys of Secrets in the build namespace, as environment.",
    ),
    Key::new(
        "outputs",
        &List(&Text),
        "Names that the commands may write as `NAME=value` lines to the file `$WEIR_OUTPUTS`.",
    ),
    Key::new(
        "timeout",
        &Span(true),
        "The step is stopped after this time; 30m without it.",
    ),
];

const SECRET: &[Key] = &[
    Key::new("env", &Text, "Name of the variable.").required(),
    Key::new("secret", &DnsName, "Name of the Secret.").required(),
    Key::new("key", &Text, "Key in the Secret.").required(),
];

const ROLLOUT: &[Key] = &[
    Key::new("namespace", &DnsName, "Names the environment that has it."),
    Key::new("environment", &Text, "The environment."),
    Key::new("service", &Text, "The service."),
    Key::new(
        "resources",
        &OneOrMany(&Path),
        "Kubernetes manifests of the commit: one Deployment, and ConfigMaps.",
    ),
    Key::new("replicas", &REPLICAS, "Replicas that carry all traffic."),
    Key::new(
        "strategy",
        &Choice(&["rolling", "canary", "blue-green", "shadow"]),
        "How the service moves; `rolling` without it.",
    ),
    Key::new(
        "canary",
        &Object(CANARY),
        "Steps of the canary, and what it asks for.",
    ),
    Key::new(
        "blue_green",
        &Object(BLUE_GREEN),
        "What blue-green waits for before its switch, and what it asks for after it.",
    ),
    Key::new(
        "rolling",
        &Object(ROLLING),
        "How many GPUs more and fewer there may be on the way, and where it waits; without it as many more as there is room for.",
    ),
    Key::new(
        "shadow",
        &Object(SHADOW),
        "How many requests are copied to a new revision that answers nobody, and what it must show.",
    ),
    Key::new("rollback", &Object(ROLLBACK), "What sends traffic back."),
    Key::new(
        "selector",
        &Object(SELECTOR),
        "The variant of an experiment: pods that run already and carry this label.",
    ),
    Key::new("weight", &Percent(false), "The variant's share of traffic."),
    Key::new(
        "sticky",
        &Object(STICKY),
        "How a caller stays with the variant, the same for all of an experiment; without it each request is sent anew.",
    ),
    Key::new(
        "bake",
        &Span(false),
        "How long the new revision is watched at 100 %, with the old one warm; the last interval of the canary or of blue-green without it, 0s for `rolling`.",
    ),
    Key::new(
        "keep",
        &Span(false),
        "How long a revision that was rolled back is kept for a look; 10m without it.",
    ),
    Key::new(
        "hold_exposure",
        &Span(true),
        "How long traffic may stay on a candidate that nothing can be measured of; 10m without it.",
    ),
    Key::new(
        "alpha",
        &Chance,
        "Chance of sending a version back that is as good as stable, over the whole rollout and all its metrics; 1% without it.",
    ),
    Key::new(
        "no_data",
        &Choice(&["hold", "fail"]),
        "What happens while nothing can be counted: nothing moves, or traffic goes back; `hold` without it.",
    ),
    Key::new(
        "parity",
        &Choice(&["refuse", "report"]),
        "What happens where the candidate of a `canary` or `shadow` could go to another kind of GPU or of capacity than stable's: it does not begin, or says so; `refuse` without it.",
    ),
    Key::new(
        "allow",
        &Choice(&["swap"]),
        "Where nothing else makes room for a `canary` or for `rolling` without limits, stable replicas may be replaced one after another in their own places, without an instant way back; without it, such a rollout is refused.",
    ),
    Key::new(
        "warm_within",
        &Span(true),
        "Deadline for the candidate to become warm; 30m without it.",
    ),
    Key::new(
        "warm_up",
        &Span(false),
        "How long latencies are left out after a new replica of the candidate has begun to answer; failures always count. 30s without it, or a twentieth of the shortest interval where that is less.",
    ),
    Key::new(
        "deadlines",
        &Object(DEADLINES),
        "How long each phase of its pods may last; on the way to serving as long as `warm_within` without it.",
    ),
];

const STICKY: &[Key] = &[
    Key::new(
        "header",
        &Text,
        "A header in which callers name the version of their variant.",
    ),
    Key::new(
        "cookie",
        &Text,
        "A cookie that callers get with the first answer, and that names it.",
    ),
];

const DEADLINES: &[Key] = &[
    Key::new("scheduling", &Span(true), "Until the slowest pod has a node."),
    Key::new(
        "provisioning",
        &Span(true),
        "Until its sandbox and volumes are made.",
    ),
    Key::new("pulling", &Span(true), "Until its images are there."),
    Key::new("loading", &Span(true), "Until its model is loaded."),
    Key::new("warming", &Span(true), "Until it is ready."),
    Key::new(
        "serving",
        &Span(true),
        "Until the gateway sends it the share that it was given; as long as `hold_exposure` without it.",
    ),
    Key::new(
        "draining",
        &Span(true),
        "Until pods that are told to leave are gone; their grace period and 5m without it.",
    ),
];

const CANARY: &[Key] = &[
    Key::new("weight", &Percent(false), "The candidate's share of traffic."),
    Key::new("interval", &Span(true), "For at least this long."),
    Key::new(
        "threshold",
        &Percent(true),
        "Success rate in percent that the candidate must reach; 95 without it.",
    ),
    Key::new(
        "min_samples",
        &Count(1, 1_000_000_000),
        "Requests without which no step passes; 50 without it.",
    ),
    Key::new(
        "promote",
        &Choice(&["article", "proven"]),
        "What a step needs to pass: the success rate and no harm shown, or a proof that harm is ruled out; `article` without it.",
    ),
    Key::new(
        "margin",
        &Number,
        "How much worse than stable `proven` must rule out, as a ratio above 1; 1.25 without it.",
    ),
    Key::new(
        "requests_per_second",
        &Count(1, 10_000_000),
        "Requests per second that the whole service gets, where that is known: a `proven` that they cannot give is refused.",
    ),
    Key::new(
        "steps",
        &List(&Object(CANARY_STEP)),
        "Several steps with rising weights, instead of `weight` and `interval`.",
    ),
];

const BLUE_GREEN: &[Key] = &[
    Key::new(
        "preview",
        &Span(false),
        "All replicas must be warm for so long without a break before they get traffic; 30s without it.",
    ),
    Key::new(
        "checks",
        &Object(CHECKS),
        "Commands that must end well before the switch. They reach the new revision at `$WEIR_PREVIEW`.",
    ),
    Key::new(
        "interval",
        &Span(true),
        "How long the new revision is judged after the switch, with the old one warm; 10m without it.",
    ),
    Key::new(
        "threshold",
        &Percent(true),
        "Success rate in percent that it must reach; 95 without it.",
    ),
    Key::new(
        "min_samples",
        &Count(1, 1_000_000_000),
        "Requests without which it does not pass; 50 without it.",
    ),
];

const SHADOW: &[Key] = &[
    Key::new(
        "percent",
        &Percent(false),
        "So many requests of a hundred are copied; 10 without it. Never more than its replicas carry.",
    ),
    Key::new(
        "interval",
        &Span(true),
        "How long the new revision is judged by the copies; 10m without it.",
    ),
    Key::new(
        "gpus",
        &Count(1, 100_000),
        "GPUs that it holds at most, or replicas of a service without; as many as carry the copies without it.",
    ),
    Key::new(
        "threshold",
        &Percent(true),
        "Success rate in percent that it must reach; 95 without it.",
    ),
    Key::new(
        "min_samples",
        &Count(1, 1_000_000_000),
        "Copies without which it does not pass; 50 without it.",
    ),
    Key::new(
        "answers",
        &List(&Object(QUESTION)),
        "Questions that stable and the new revision are asked beside the copies, one at each look, to count how many answers differ: `answers_differ` of the condition. 16 at most.",
    ),
];

const QUESTION: &[Key] = &[
    Key::new(
        "path",
        &Text,
        "Path and query on the port that serves requests, for example /v1/completions.",
    )
    .required(),
    Key::new(
        "body",
        &Kubernetes,
        "JSON that is sent by POST, 16 KiB at most; without it the question is a GET.",
    ),
    Key::new(
        "compare",
        &Text,
        "JSON Pointer to the part of the answer that must be equal, for example /choices/0/text; all of it without it.",
    ),
];

const ROLLING: &[Key] = &[
    Key::new(
        "surge",
        &Count(0, 100_000),
        "GPUs beside those that stable holds, or replicas of a service without; 0 with `unavailable`, else as many as there is room for.",
    ),
    Key::new(
        "unavailable",
        &Count(0, 100_000),
        "GPUs by which warm replicas may be fewer than all, or replicas of a service without; 0 without it.",
    ),
    Key::new(
        "pause_at",
        &Percent(false),
        "Waits at this share until a person lets it go on.",
    ),
    Key::new(
        "pause_within",
        &Span(true),
        "Traffic goes back when nobody does within this time; 24h without it.",
    ),
];

const CHECKS: &[Key] = &[
    Key::new("image", &Text, "Container image.").required(),
    Key::new(
        "commands",
        &List(&Text),
        "Shell commands, in order; the first that fails sends the new revision back.",
    )
    .required(),
    Key::new("env", &Env, "Environment of the commands."),
    Key::new(
        "secrets",
        &List(&Object(SECRET)),
        "Keys of Secrets in the build namespace, as environment.",
    ),
    Key::new(
        "timeout",
        &Span(true),
        "The commands are stopped after this time; 10m without it.",
    ),
];

const CANARY_STEP: &[Key] = &[
    Key::new("weight", &Percent(false), "The candidate's share of traffic.").required(),
    Key::new("interval", &Span(true), "For at least this long.").required(),
    Key::new(
        "pause",
        &Span(true),
        "Then it waits for a person (`weir approve`); traffic goes back when nobody lets it go on within this time.",
    ),
];

const ROLLBACK: &[Key] = &[
    Key::new(
        "condition",
        &Condition,
        "Sends traffic back whenever it is shown to hold, from the first request on.",
    )
    .required(),
    Key::new("mode", &MODE, "What shows that it holds; `evidence` without it."),
];

const SELECTOR: &[Key] = &[Key::new("version", &Text, "The variant's version label.").required()];

const COLLECT: &[Key] = &[
    Key::new(
        "metrics",
        &List(&Text),
        "Names or queries, at most 12. Which variant each is of is read off its name.",
    )
    .required(),
    Key::new(
        "duration",
        &Span(true),
        "For how long; the experiment before it ends with it.",
    )
    .required(),
    Key::new(
        "source",
        &Text,
        "The server that is asked, as the host names it; `datadog` without it.",
    ),
];
