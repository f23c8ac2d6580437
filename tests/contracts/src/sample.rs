//! Runs and commits that are small and made by the real decisions.

use std::collections::BTreeMap;

use serde_json::json;
use weir_app::{Commit, EffectKey, OutboxRow, Store};
use weir_domain::Duty;
use weir_domain::approval::{Approval, ApprovalState};
use weir_domain::audit::{Action, Entry, Note, chain};
use weir_domain::effect::Effect;
use weir_domain::event::{Limits, Moment};
use weir_domain::ids::{
    ApprovalToken, ClusterName, Commit as CommitId, EnvironmentName, Fence, GroupName, LaneKey, Namespace,
    PipelineName, PoolKey, PushKey, RevisionId, RunId, ServiceName, StepId,
};
use weir_domain::lane::Lane;
use weir_domain::people::Actor;
use weir_domain::pipeline::{
    ApprovalRule, Builds, NoData, OnNewPush, Parity, Pipeline, Provider, Quorum, Rolling, RolloutRule,
    SplitBy, Stage, StageWork, Step, StepWork, Strategy, Target,
};
use weir_domain::pool::Pool;
use weir_domain::run::{Cause, Repository, Run};
use weir_domain::time::{Span, Timestamp};
use weir_domain::units::Weight;
use weir_domain::workload::{MetricsEndpoint, Workload};

/// When everything in the suite begins.
pub const START: Timestamp = Timestamp(1_700_000_000_000);

/// The rollout step of every sample run.
pub const ROLLOUT: StepId = StepId { stage: 1, step: 0 };

/// A run's id.
pub fn run_id(name: &str) -> RunId {
    RunId::new(format!("run-{name}"))
}

/// A push's key.
pub fn push_key(name: &str) -> PushKey {
    PushKey::new(format!("push-{name}"))
}

/// Names with the characters that a store might use in its keys.
pub fn lane_key() -> LaneKey {
    LaneKey {
        service: ServiceName::new("llm#1%"),
        environment: EnvironmentName::new("Production / EU"),
    }
}

/// The pool that every sample run claims GPUs of.
pub fn pool_key() -> PoolKey {
    PoolKey {
        cluster: ClusterName::new("local"),
        resource: "nvidia.com/gpu".into(),
    }
}

/// An approval, then a rollout.
pub fn pipeline(name: &str) -> Pipeline {
    let rule = RolloutRule {
        lane: lane_key(),
        target: Target {
            cluster: ClusterName::new("local"),
            provider: Provider::Kubernetes,
            namespace: Namespace::new("production"),
            route: "llm".into(),
            service: "llm".into(),
            gateway: None,
            split: SplitBy::Route,
        },
        workload: Workload {
            template: json!({ "spec": { "containers": [{ "name": "model", "image": "model:1" }] } }),
            config: Vec::new(),
            replicas: 2,
            gpus: 1,
            gpu_resource: "nvidia.com/gpu".into(),
            port: 8000,
            metrics: MetricsEndpoint {
                port: 8000,
                path: "/metrics".into(),
            },
            not_exact: Vec::new(),
            adopted: None,
        },
        strategy: Strategy::Rolling(Rolling::default()),
        rollback: None,
        bake: Span::minutes(10),
        keep: Span::minutes(10),
        hold_exposure: Span::minutes(10),
        alpha: weir_domain::judge::Alpha::default(),
        warm_within: Span::minutes(30),
        warm_up: Span::ZERO,
        deadlines: weir_domain::deadlines::Deadlines::default(),
        no_data: NoData::Hold,
        parity: Parity::Refuse,
        may_swap: false,
        watch: Span::ZERO,
        undoes: false,
        adopts: None,
        release: None,
        measures: BTreeMap::new(),
    };
    let needs = vec![Quorum {
        group: GroupName::new("ml-team"),
        people: 1,
    }];
    let approval = ApprovalRule {
        needs,
        timeout: Span::hours(1),
        pusher_may_approve: false,
        opens: Vec::new(),
    };
    let step = Step {
        name: "Roll".into(),
        slug: "roll".into(),
        work: StepWork::Rollout(Box::new(rule)),
    };
    Pipeline {
        name: PipelineName::new(name),
        digest: "d".repeat(64),
        stages: vec![
            Stage {
                name: "Approval".into(),
                work: StageWork::Approval(approval),
            },
            Stage {
                name: "Production".into(),
                work: StageWork::Steps {
                    parallel: false,
                    steps: vec![step],
                },
            },
        ],
        on_new_push: OnNewPush::Queue,
        groups: Vec::new(),
        builds: Builds {
            cluster: ClusterName::new("local"),
            namespace: Namespace::new("b"),
            fetch_image: "git".into(),
        },
        outputs: BTreeMap::new(),
        warnings: Vec::new(),
    }
}

/// A run that has just begun and waits for its approval.
pub fn run(name: &str, pipeline_name: &str, number: u64) -> Run {
    let cause = Cause {
        repository: Repository {
            name: "acme/llm".into(),
            clone_url: "https://git.example/acme/llm".into(),
        },
        git_ref: "refs/heads/main".into(),
        before: CommitId::new("0".repeat(40)),
        after: CommitId::new("a".repeat(40)),
        actor: Actor::Weir,
        headline: "a model, \"better\"\n\u{202e}".into(),
        reason: "branch main".into(),
        received: START,
    };
    let moment = Moment {
        now: START,
        token: ApprovalToken::new(format!("token-{name}")),
        limits: Limits::default(),
    };
    let begun = weir_domain::begin(
        run_id(name),
        number,
        cause,
        pipeline(pipeline_name),
        BTreeMap::new(),
        &moment,
    );
    begun.next.run
}

/// A commit of a run that changes nothing else.
pub fn commit(run: Run, expected: u64) -> Commit {
    Commit {
        run,
        expected,
        lanes: Vec::new(),
        pools: Vec::new(),
        entries: Vec::new(),
        outbox: Vec::new(),
        looks: [(Duty::Traffic, None), (Duty::Steps, None)],
        scrape: None,
        closed: Vec::new(),
        push: None,
    }
}

/// The first commit of a run.
pub fn first(name: &str) -> Commit {
    commit(run(name, &format!("pipeline-{name}"), 1), 0)
}

/// The lane of every sample run, with a fence to tell it by.
pub fn lane(fence: u64) -> Lane {
    Lane {
        fence: Fence(fence),
        ..Lane::new(lane_key())
    }
}

/// The pool of every sample run, in which somebody claims so many GPUs.
pub fn pool(gpus: u32) -> Pool {
    let mut pool = Pool::new(pool_key());
    pool.claim(&run_id("claims"), ROLLOUT, gpus, START);
    pool
}

/// An effect of a run: traffic's if `traffic`, else of steps.
pub fn effect(run: &RunId, version: u64, n: u32, traffic: bool, due: Timestamp) -> OutboxRow {
    let effect = match traffic {
        true => Effect::SetWeights {
            step: ROLLOUT,
            split: vec![(RevisionId::new("r1"), Weight::FULL)],
            mirror: None,
            keep: None,
            fence: Fence(u64::from(n) + 1),
        },
        false => Effect::StartExecution { step: ROLLOUT },
    };
    OutboxRow {
        key: EffectKey {
            run: run.clone(),
            version,
            n,
        },
        effect,
        due,
        attempts: 0,
    }
}

/// Adds the next `count` entries of the log.
pub fn log(commit: &mut Commit, count: u64) {
    for _ in 0..count {
        let note = Note {
            actor: Actor::Weir,
            action: Action::Waiting,
            detail: format!("entry {} – \u{1b}[31m", commit.run.logged + 1),
            evidence: [("rate".to_owned(), json!(0.1 + 0.2))].into(),
            before: None,
            after: Some("x".into()),
        };
        commit.run.logged += 1;
        let entry: Entry = chain(
            note,
            &commit.run.id,
            commit.run.logged,
            START,
            3,
            &commit.run.log_tail,
        );
        commit.run.log_tail.clone_from(&entry.hash);
        commit.entries.push(entry);
    }
}

/// Puts an approval with this token into the run.
pub fn ask(commit: &mut Commit, token: &str) {
    commit.run.stages[0].approval = Some(Approval {
        token: ApprovalToken::new(token),
        asked: START,
        expires: START + Span::hours(1),
        given: Vec::new(),
        state: ApprovalState::Waiting,
        message: None,
    });
}

/// Effects of a run that are not settled.
pub async fn outbox(store: &dyn Store, run: &RunId) -> Vec<OutboxRow> {
    store
        .load(run)
        .await
        .unwrap()
        .map_or_else(Vec::new, |loaded| loaded.outbox)
}

/// What the last count of a step left.
pub async fn scrape(store: &dyn Store, run: &RunId, step: StepId) -> Option<serde_json::Value> {
    store.load(run).await.unwrap()?.scrape(step).cloned()
}
