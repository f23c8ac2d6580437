//! `weir run`: a pipeline is started by hand at the head of a repository on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use weir_app::Store;
use weir_domain::ids::Commit;
use weir_domain::people::Identity;
use weir_domain::run::{Repository, Run};
use weir_github::{CommitSha, GitRef, LocalRepository};
use weir_webhook_intake::{ByHand, start_by_hand};

use super::counter::{Counter, failed};
use crate::protocol::Answer;

/// Characters kept of a commit message's first line and its author.
const HEADLINE_CHARS: usize = 200;

/// Repositories on this machine, and where pods fetch them from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts {
    /// Folders by `owner/name`.
    pub(crate) folders: BTreeMap<String, PathBuf>,
    /// Addresses by `owner/name`.
    pub(crate) clone_urls: BTreeMap<String, String>,
    /// What `${REGISTRY}` stands for in definitions that do not say it themselves.
    pub(crate) registry: Option<String>,
}

/// The head of a branch.
struct Head {
    commit: CommitSha,
    parent: Option<CommitSha>,
    headline: String,
}

impl Starts {
    /// Starts what the person named.
    pub(crate) async fn start(
        &self,
        counter: &Counter,
        repository: Option<String>,
        pipeline: Option<String>,
        branch: &str,
        by: Identity,
    ) -> Result<Answer, Answer> {
        let (name, folder) = self.choose(repository.as_deref()).map_err(Answer::Failed)?;
        let git_ref = format!("refs/heads/{branch}");
        let read = tokio::task::spawn_blocking({
            let (folder, git_ref) = (folder.to_owned(), git_ref.clone());
            move || head(&folder, &git_ref)
        });
        let head = read
            .await
            .map_err(|error| failed(&error))?
            .map_err(Answer::Failed)?;
        let zeros = "0".repeat(head.commit.as_str().len());
        let wish = ByHand {
            repository: Repository {
                name: name.to_owned(),
                clone_url: self.clone_urls.get(name).cloned().unwrap_or_default(),
            },
            git_ref: &git_ref,
            before: Commit::new(head.parent.as_ref().map_or(zeros.as_str(), CommitSha::as_str)),
            commit: Commit::new(head.commit.as_str()),
            pipeline: pipeline.as_deref(),
            by,
            headline: head.headline,
            registry: self.registry.as_deref(),
        };
        let started = start_by_hand(&counter.engine, wish).await;
        let started = started.map_err(|error| failed(&error))?;
        let mut runs: Vec<Run> = Vec::new();
        for one in &started {
            let loaded = counter.store.load(one.run()).await;
            runs.extend(
                loaded
                    .map_err(|error| failed(&error))?
                    .map(|loaded| loaded.state.run),
            );
        }
        let names: Vec<String> = runs.iter().map(Run::title).collect();
        Ok(Answer::Done {
            message: format!("started {} at {}", names.join(", "), &head.commit.as_str()[..10]),
            runs,
        })
    }

    fn choose(&self, repository: Option<&str>) -> Result<(&str, &Path), String> {
        let list = || self.folders.keys().cloned().collect::<Vec<_>>().join(", ");
        let found = match repository {
            Some(name) => self.folders.get_key_value(name),
            None if self.folders.len() == 1 => self.folders.first_key_value(),
            None if self.folders.is_empty() => None,
            None => {
                return Err(format!(
                    "the host has several local repositories; say which: {}",
                    list()
                ));
            }
        };
        match found {
            Some((name, folder)) => Ok((name, folder)),
            None if self.folders.is_empty() => Err(
                "the host has no local repository: start it with --repository OWNER/NAME=PATH, or push"
                    .into(),
            ),
            None => Err(format!(
                "the host has no such local repository; it has: {}",
                list()
            )),
        }
    }
}

/// Blocks on short processes.
fn head(folder: &Path, git_ref: &str) -> Result<Head, String> {
    let git_ref = GitRef::parse(git_ref).map_err(|error| format!("{git_ref}: {error}"))?;
    let head = LocalRepository::new(folder).head_of(&git_ref);
    let commit = head.map_err(|error| weir_app::with_causes(&error))?;
    let commit = commit.ok_or_else(|| format!("{} has no {}", folder.display(), git_ref.full()))?;
    // Who wrote what is for people alone; a run starts without it too.
    let told = told(folder, &commit).unwrap_or_default();
    let mut lines = told.lines();
    let parent = lines.next().and_then(|parents| parents.split(' ').next());
    let headline = lines.next().unwrap_or_default();
    Ok(Head {
        parent: parent.and_then(|parent| CommitSha::parse(parent).ok()),
        headline: headline.chars().take(HEADLINE_CHARS).collect(),
        commit,
    })
}

/// Parents on one line; the message's first line and its author on the next.
fn told(folder: &Path, commit: &CommitSha) -> Option<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder);
    git.args([
        "log",
        "-1",
        "--no-show-signature",
        "--format=%P%n%s (%an)",
        commit.as_str(),
        "--",
    ]);
    for variable in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
    ] {
        git.env_remove(variable);
    }
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
