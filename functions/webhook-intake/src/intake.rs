//! One webhook request, from its raw bytes to its answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_app::door::{Request, Response};
use weir_app::{Engine, Start, StartError, Started, with_causes};
use weir_domain::ids::{Commit, PushKey};
use weir_domain::people::{Actor, Identity};
use weir_domain::run::{Cause, Repository};
use weir_github::{Delivery, DeliveryError, Event, GitRef, Headers, Key, Push, Refused, delivery, verify};

use crate::matching::matching;
use crate::patience::{Patience, Trouble};
use crate::prepare::{At, Chosen, Prepared, prepare};

/// Stands for a pusher whom the payload does not name; no GitHub login looks like this.
const NOBODY: &str = "-";

/// Characters kept of a commit message's first line.
const HEADLINE_CHARS: usize = 200;

/// What to do about a delivery that could not be handled now.
const REDELIVER: &str = "nothing was started; redeliver it from the webhook's recent deliveries";

/// The door for GitHub.
#[derive(Clone)]
pub struct Intake {
    /// The loop, with this function's rights.
    pub engine: Engine,
    /// What deliveries may be signed with; several for several repositories, and during a rotation.
    pub keys: Vec<Key>,
    /// By repository name the address that pods fetch from, where it is not the payload's own.
    pub clone_urls: BTreeMap<String, String>,
    /// What `${REGISTRY}` stands for in definitions that do not say it themselves.
    pub registry: Option<String>,
}

impl Intake {
    /// Answers one request. What is wrong with a request is the answer; only a definition that does not validate is a
    /// run, one that fails at once.
    pub async fn handle(&self, request: &Request) -> Response {
        let headers = Headers::from_pairs(request.headers.iter().map(|(n, v)| (n, v.as_str())));
        let verified = match verify(&headers, &request.body, &self.keys) {
            Ok(verified) => verified,
            Err(refused) => return turned_away(refused),
        };
        match delivery::read(&headers, &verified) {
            Ok(Delivery { guid, event }) => self.event(guid.as_deref().unwrap_or(NOBODY), event).await,
            Err(error @ DeliveryError::Foreign(_)) => {
                tracing::warn!(why = %error, "a delivery was turned away");
                problem(401, "unauthorized")
            }
            Err(error) => {
                let why = with_causes(&error);
                let delivery = headers.first("x-github-delivery").unwrap_or(NOBODY);
                tracing::warn!(github.delivery = ?delivery, why, "a signed delivery cannot be read");
                problem(400, &why)
            }
        }
    }

    async fn event(&self, delivery: &str, event: Event) -> Response {
        match event {
            Event::Ping(_) => nothing("the webhook is set up; a push will start runs"),
            Event::Ignored { kind } => nothing(&format!("{kind} events start nothing")),
            Event::Push(push) => {
                let answer = self.push(&push).await;
                tracing::info!(
                    github.delivery = delivery,
                    repository.name = %push.repository,
                    git.after = %push.after,
                    http.status = answer.status,
                    "a push was handled"
                );
                answer
            }
        }
    }

    async fn push(&self, push: &Push) -> Response {
        let short = push.git_ref.short();
        if push.deleted {
            return nothing(&format!("{short} was deleted; deletions start no run"));
        }
        if let GitRef::Other(full) = &push.git_ref {
            return nothing(&format!("{full} is neither a branch nor a tag"));
        }
        let Some(repository) = self.repository(push) else {
            return problem(
                400,
                "the payload holds no repository.clone_url to fetch the commit from",
            );
        };
        let (patience, commit) = (Patience::start(), Commit::new(push.after.as_str()));
        let key = PushKey::new(push.dedup_key());
        let at = At {
            repository: &repository,
            git_ref: &push.git_ref,
            commit: &commit,
            push: &key,
            registry: self.registry.as_deref(),
        };
        let touched = push.changed_files.iter().any(|path| path.starts_with(".weir/"));
        let source = &*self.engine.ports.source;
        let prepared = prepare(source, patience, &at, |d| matching(d, push), touched).await;
        match prepared {
            Ok(Some(prepared)) => {
                let cause = self.cause(push, repository.clone(), &prepared);
                self.start(patience, &key, &cause, prepared).await
            }
            Ok(None) => nothing(&format!(
                "commit {commit} has no .weir/*.yaml, so nothing was started"
            )),
            Err(said) => {
                tracing::error!(repository.name = %push.repository, git.after = %push.after, why = said,
                    "the definition of a push could not be read in time");
                problem(
                    503,
                    &format!("the definition at {commit} could not be read: {said}; {REDELIVER}"),
                )
            }
        }
    }

    fn repository(&self, push: &Push) -> Option<Repository> {
        let name = push.repository.as_str();
        let own = self.clone_urls.get(name).cloned();
        Some(Repository {
            name: name.to_owned(),
            clone_url: own.or_else(|| push.clone_url.clone())?,
        })
    }

    fn cause(&self, push: &Push, repository: Repository, prepared: &Prepared) -> Cause {
        // The pusher's name is the login too; only old and odd payloads lack the sender.
        let pusher = push.pusher.as_ref().map(|person| person.name.as_str());
        let login = push.sender.as_deref().or(pusher).unwrap_or(NOBODY);
        Cause {
            repository,
            git_ref: push.git_ref.full(),
            before: Commit::new(push.before.as_str()),
            after: Commit::new(push.after.as_str()),
            actor: Actor::from_identity(&prepared.groups, Identity::Github(login.to_owned())),
            headline: headline(push),
            reason: String::new(),
            received: self.engine.ports.clock.now(),
        }
    }

    /// Starts what was chosen, one run a pipeline. Where one cannot be stored, the delivery is refused as a whole: what
    /// was started before is found again by its push key when it is redelivered.
    async fn start(&self, patience: Patience, key: &PushKey, cause: &Cause, prepared: Prepared) -> Response {
        let mut runs = Vec::new();
        for chosen in prepared.chosen {
            match start(&self.engine, patience, key, cause, &chosen).await {
                Ok(started) => runs.push(told(&started, &chosen)),
                Err(why) => {
                    tracing::error!(pipeline.name = chosen.name, why, "a run could not be started");
                    return problem(503, &format!("{} could not be started; {REDELIVER}", chosen.name));
                }
            }
        }
        let ignored = prepared.ignored.into_iter();
        let ignored: Vec<Value> = ignored
            .map(|(pipeline, reason)| json!({"pipeline": pipeline, "reason": reason}))
            .collect();
        let status = if runs.is_empty() { 200 } else { 202 };
        Response::json(status, &json!({"runs": runs, "ignored": ignored}))
    }
}

/// Starts one run.
pub(crate) async fn start(
    engine: &Engine,
    patience: Patience,
    key: &PushKey,
    cause: &Cause,
    chosen: &Chosen,
) -> Result<Started, String> {
    let start = Start {
        push: key.clone(),
        cause: Cause {
            reason: chosen.reason.clone(),
            ..cause.clone()
        },
        pipeline: match &chosen.pipeline {
            Ok(pipeline) => Ok(pipeline.clone()),
            Err(refused) => Err((chosen.name.clone(), refused.clone())),
        },
    };
    let started = patience.ask(|| engine.start(start.clone())).await;
    started.map_err(|trouble: Trouble<StartError>| match trouble {
        Trouble::Lasting(error) => with_causes(&error),
        Trouble::Late(said) => said,
    })
}

fn told(started: &Started, chosen: &Chosen) -> Value {
    let mut run = json!({
        "run": started.run(),
        "pipeline": chosen.name,
        "reason": chosen.reason,
        "new": matches!(started, Started::New(_)),
    });
    if let Err(refused) = &chosen.pipeline {
        run["refused"] = refused.why.as_str().into();
    }
    run
}

/// The first line of the head commit's message, and who wrote it.
fn headline(push: &Push) -> String {
    let Some(head) = &push.head_commit else {
        return String::new();
    };
    let line = head.message.lines().next().unwrap_or_default();
    let mut headline: String = line.chars().take(HEADLINE_CHARS).collect();
    if let Some(author) = &head.author {
        headline.push_str(&format!(" ({})", author.name));
    }
    headline
}

/// A stranger learns nothing but that they are one; the log says what to look for.
fn turned_away(refused: Refused) -> Response {
    tracing::warn!(why = %refused, "a webhook request was turned away");
    match refused {
        Refused::TooLarge => problem(413, &refused.to_string()),
        _ => problem(401, "unauthorized"),
    }
}

pub(crate) fn problem(status: u16, message: &str) -> Response {
    Response::json(status, &json!({"error": {"message": message}}))
}

fn nothing(note: &str) -> Response {
    Response::json(200, &json!({"runs": [], "ignored": [], "note": note}))
}
