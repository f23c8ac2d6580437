//! A person starts what a push would start.

use weir_app::{Engine, Started};
use weir_domain::digest::sha256_hex;
use weir_domain::ids::{Commit, PushKey};
use weir_domain::people::{Actor, Identity};
use weir_domain::run::{Cause, Repository};
use weir_github::{Answer, CommitSha, GitRef, InvalidName, Push, RepositoryName};
use weir_spec::Definition;

use crate::intake::start;
use crate::matching::matching;
use crate::patience::Patience;
use crate::prepare::{At, Prepared, prepare};

/// What a person wants started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ByHand<'a> {
    /// Where the commit is.
    pub repository: Repository,
    /// The full ref that it stands on, for example `refs/heads/main`.
    pub git_ref: &'a str,
    /// The commit before it on that ref; zeros where there is none.
    pub before: Commit,
    /// The commit.
    pub commit: Commit,
    /// This pipeline, whatever its trigger says; nothing: every pipeline whose trigger takes the ref, as if all of its
    /// paths had changed.
    pub pipeline: Option<&'a str>,
    /// Who.
    pub by: Identity,
    /// First line of the commit's message, and its author.
    pub headline: String,
    /// What `${REGISTRY}` stands for in definitions that do not say it themselves.
    pub registry: Option<&'a str>,
}

/// Why a person's wish started nothing.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// A name in the wish is none.
    #[error("the request names an impossible {what}")]
    Name {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidName,
    },
    /// There is nothing to run.
    #[error("commit {0} has no .weir/*.yaml")]
    NoDefinition(Commit),
    /// No pipeline runs.
    #[error("nothing to start on {git_ref}: {why}")]
    Nothing {
        /// The ref.
        git_ref: String,
        /// Each pipeline and why it does not run, or the names that there are.
        why: String,
    },
    /// The definition could not be read in time.
    #[error("the definition at {commit} could not be read: {why}")]
    Unreadable {
        /// The commit.
        commit: Commit,
        /// What the source host said last.
        why: String,
    },
    /// The run could not be stored.
    #[error("{pipeline} could not be started: {why}")]
    Store {
        /// The pipeline.
        pipeline: String,
        /// What the store said last.
        why: String,
    },
}

/// Starts runs for a person. Unlike a push, the same wish again is a new run. A definition that does not validate is a
/// run that fails at once, as after a push.
///
/// # Errors
/// Nothing was started, or not everything; a wish can be repeated.
pub async fn start_by_hand(engine: &Engine, wish: ByHand<'_>) -> Result<Vec<Started>, ByHandError> {
    let now = engine.ports.clock.now();
    let push = as_push(&wish)?;
    let key = PushKey::new(sha256_hex(
        format!("by hand\n{}\n{:?}\n{}", push.dedup_key(), wish.by, now.0).as_bytes(),
    ));
    let at = At {
        repository: &wish.repository,
        git_ref: &push.git_ref,
        commit: &wish.commit,
        push: &key,
        registry: wish.registry,
    };
    let patience = Patience::start();
    let choose = |definition: &Definition| choose(definition, &push, wish.pipeline, &wish.by);
    let prepared = prepare(&*engine.ports.source, patience, &at, choose, false).await;
    let prepared = prepared.map_err(|why| ByHandError::Unreadable {
        commit: wish.commit.clone(),
        why,
    })?;
    let prepared = prepared.ok_or_else(|| ByHandError::NoDefinition(wish.commit.clone()))?;
    if prepared.chosen.is_empty() {
        return Err(nothing(&wish, &prepared));
    }
    let cause = Cause {
        git_ref: wish.git_ref.to_owned(),
        before: wish.before.clone(),
        after: wish.commit.clone(),
        actor: Actor::from_identity(&prepared.groups, wish.by.clone()),
        headline: wish.headline.clone(),
        reason: String::new(),
        received: now,
        repository: wish.repository.clone(),
    };
    let mut runs = Vec::new();
    for chosen in &prepared.chosen {
        let started = start(engine, patience, &key, &cause, chosen).await;
        runs.push(started.map_err(|why| ByHandError::Store {
            pipeline: chosen.name.clone(),
            why,
        })?);
    }
    Ok(runs)
}

fn choose(
    definition: &Definition,
    push: &Push,
    wanted: Option<&str>,
    by: &Identity,
) -> Vec<(String, Answer)> {
    let Some(wanted) = wanted else {
        return matching(definition, push);
    };
    let names = definition.pipelines.iter().map(|pipeline| &pipeline.name.value);
    names
        .map(|name| {
            let answer = match name == wanted {
                true => Answer::Run(format!("{by} started it by hand")),
                false => Answer::Ignore(format!("{wanted} was asked for")),
            };
            (name.clone(), answer)
        })
        .collect()
}

fn nothing(wish: &ByHand<'_>, prepared: &Prepared) -> ByHandError {
    let reasons = prepared.ignored.iter();
    let why: Vec<String> = match wish.pipeline {
        None => reasons
            .map(|(name, reason)| format!("{name}: {reason}"))
            .collect(),
        Some(wanted) => {
            let names: Vec<&str> = reasons.map(|(name, _)| name.as_str()).collect();
            vec![format!("no pipeline {wanted}; there are: {}", names.join(", "))]
        }
    };
    ByHandError::Nothing {
        git_ref: wish.git_ref.to_owned(),
        why: why.join("; "),
    }
}

/// The wish as a push whose changed files are not known, so that path filters count as matched.
fn as_push(wish: &ByHand<'_>) -> Result<Push, ByHandError> {
    let name = |what, source| ByHandError::Name { what, source };
    Ok(Push {
        repository: RepositoryName::parse(&wish.repository.name).map_err(|e| name("repository", e))?,
        clone_url: Some(wish.repository.clone_url.clone()),
        default_branch: None,
        git_ref: GitRef::parse(wish.git_ref).map_err(|e| name("ref", e))?,
        before: CommitSha::parse(wish.before.as_str()).map_err(|e| name("commit before", e))?,
        after: CommitSha::parse(wish.commit.as_str()).map_err(|e| name("commit", e))?,
        created: false,
        deleted: false,
        forced: false,
        commits: 1,
        changed_files: Vec::new(),
        truncated: true,
        head_commit: None,
        pusher: None,
        sender: None,
    })
}
