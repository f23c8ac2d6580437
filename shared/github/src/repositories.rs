//! The source host of the loop: repositories on this machine by name, and GitHub for all others.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use weir_app::{Source, SourceFile, with_causes};
use weir_domain::effect::CommitState as Wanted;
use weir_domain::ids::Commit;
use weir_domain::run::{Cause, Repository};
use weir_domain::time::Span;

use crate::api::{ApiError, GitHubApi};
use crate::local::LocalRepository;
use crate::names::{CommitSha, InvalidName, RepositoryName};
use crate::source::{Relation, RepositoryPath, Retry, SourceError};
use crate::status::{CommitState, CommitStatus};

/// Pause after a failure that somebody must mend: a right, a token, a folder. It is tried again because the mending
/// makes the same request good.
const MENDING: Span = Span::seconds(60);

/// Pause before a side is asked again that failed, or does not know a commit yet: GitHub announces a push before every
/// one of its servers has it, and a mirror is later than what it mirrors.
const NOT_THERE_YET: Span = Span::seconds(1);

/// Files of commits, their relations, and statuses back.
///
/// A failure that is the commit's own (a link where a file is expected, a file that is too large or no text) is
/// [`weir_app::Retry::Never`]: the commit will not change. Everything else is worth another try.
#[derive(Debug, Clone, Default)]
pub struct Repositories {
    local: BTreeMap<String, LocalRepository>,
    api: Option<GitHubApi>,
}

/// Where one repository is.
enum Place {
    Local(LocalRepository),
    GitHub(GitHubApi, RepositoryName),
}

impl Repositories {
    /// Repositories on this machine by `owner/name`, and the client for all others, if there is one.
    pub fn new(local: BTreeMap<String, LocalRepository>, api: Option<GitHubApi>) -> Self {
        Self { local, api }
    }

    /// The repository on this machine under a name.
    pub fn local(&self, name: &str) -> Option<&LocalRepository> {
        self.local.get(name)
    }

    fn place(
        &self,
        operation: &'static str,
        repository: &Repository,
    ) -> Result<Place, weir_app::SourceError> {
        if let Some(local) = self.local.get(&repository.name) {
            return Ok(Place::Local(local.clone()));
        }
        let name = RepositoryName::parse(&repository.name).map_err(|error| invalid(operation, error))?;
        let api = self.api.clone().ok_or_else(|| weir_app::SourceError {
            operation,
            why: format!("{name} is not on this machine, and no access to GitHub is configured"),
            retry: weir_app::Retry::After(MENDING),
        })?;
        Ok(Place::GitHub(api, name))
    }
}

#[async_trait]
impl Source for Repositories {
    async fn files(
        &self,
        repository: &Repository,
        commit: &Commit,
        more: &[String],
    ) -> Result<Vec<SourceFile>, weir_app::SourceError> {
        const OPERATION: &str = "read the files of a commit";
        let commit = sha(OPERATION, commit)?;
        // A name that no path can have is no file of the commit.
        let paths: Vec<RepositoryPath> = more
            .iter()
            .filter_map(|path| RepositoryPath::parse(path).ok())
            .collect();
        let files = match self.place(OPERATION, repository)? {
            Place::Local(local) => {
                blocking(OPERATION, move || {
                    let mut files = local.definitions(&commit)?;
                    for path in paths {
                        files.extend(existing(local.files(&commit, &[path]))?);
                    }
                    Ok(files)
                })
                .await?
            }
            Place::GitHub(api, name) => {
                let read = async {
                    let mut files = api.definitions(&name, &commit).await?;
                    for path in paths {
                        files.extend(existing(api.files(&name, &commit, &[path]).await)?);
                    }
                    Ok(files)
                };
                read.await.map_err(|error| failed(OPERATION, &error))?
            }
        };
        let mut files: Vec<SourceFile> = files
            .into_iter()
            .map(|file| SourceFile {
                path: file.path.as_str().to_owned(),
                text: file.text,
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup();
        Ok(files)
    }

    async fn descends(
        &self,
        repository: &Repository,
        ancestor: &Commit,
        descendant: &Commit,
    ) -> Result<bool, weir_app::SourceError> {
        const OPERATION: &str = "compare two commits";
        let (base, head) = (sha(OPERATION, ancestor)?, sha(OPERATION, descendant)?);
        let relation = match self.place(OPERATION, repository)? {
            Place::Local(local) => blocking(OPERATION, move || local.relation(&base, &head)).await?,
            Place::GitHub(api, name) => {
                let relation = api.relation(&name, &base, &head).await;
                relation.map_err(|error| failed(OPERATION, &SourceError::Api(error)))?
            }
        };
        Ok(matches!(relation, Relation::Identical | Relation::Ahead))
    }

    async fn report(
        &self,
        cause: &Cause,
        context: &str,
        state: Wanted,
        description: &str,
    ) -> Result<(), weir_app::SourceError> {
        const OPERATION: &str = "set a commit's status";
        let status = CommitStatus::new(colour(state), context, description);
        match self.place(OPERATION, &cause.repository)? {
            // Nobody shows statuses of a folder; the log is where its user looks.
            Place::Local(_) => {
                tracing::info!(
                    repository.name = cause.repository.name,
                    git.commit = %cause.after,
                    status.context = context,
                    status.state = status.state().as_str(),
                    status.description = status.description(),
                    "the status of a commit"
                );
                Ok(())
            }
            Place::GitHub(api, name) => {
                let commit = sha(OPERATION, &cause.after)?;
                let written = api.write_status(&name, &commit, &status).await;
                // A status that is refused is a status less; its run goes on.
                written.map_err(|error| weir_app::SourceError {
                    operation: OPERATION,
                    why: with_causes(&error),
                    retry: match error.retry() {
                        Retry::After(pause) => weir_app::Retry::After(span(pause)),
                        Retry::Never => weir_app::Retry::Never,
                    },
                })
            }
        }
    }
}

/// Runs git on a thread that may block.
async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, weir_app::SourceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| failed(operation, &error)),
        Err(error) => Err(weir_app::SourceError {
            operation,
            why: format!("the work was interrupted: {error}"),
            retry: weir_app::Retry::Now,
        }),
    }
}

/// A file that is not there is an answer.
fn existing(
    read: Result<Vec<crate::source::SourceFile>, SourceError>,
) -> Result<Vec<crate::source::SourceFile>, SourceError> {
    match read {
        Err(SourceError::NoSuchFile(_)) => Ok(Vec::new()),
        other => other,
    }
}

fn failed(operation: &'static str, error: &SourceError) -> weir_app::SourceError {
    use weir_app::Retry::{After, Never};
    let retry = match error {
        SourceError::NoSuchFile(_)
        | SourceError::Link(_)
        | SourceError::NotAFile(_)
        | SourceError::TooLarge { .. }
        | SourceError::TooMuch { .. }
        | SourceError::NotText(_)
        | SourceError::Name(_) => Never,
        SourceError::NoSuchCommit(_) => After(NOT_THERE_YET),
        SourceError::Git { .. } => After(MENDING),
        // Somebody may be waiting for these files: shorter than what background work would wait.
        SourceError::Api(ApiError::Transport(_) | ApiError::Server(_)) => After(NOT_THERE_YET),
        SourceError::Run(_) | SourceError::Api(_) => match error.retry() {
            Retry::After(pause) => After(span(pause)),
            // A folder of the commit may be what is not found or too large; a token without the right looks the same.
            Retry::Never => After(MENDING),
        },
    };
    weir_app::SourceError {
        operation,
        why: with_causes(error),
        retry,
    }
}

fn invalid(operation: &'static str, error: InvalidName) -> weir_app::SourceError {
    weir_app::SourceError {
        operation,
        why: error.to_string(),
        retry: weir_app::Retry::Never,
    }
}

fn sha(operation: &'static str, commit: &Commit) -> Result<CommitSha, weir_app::SourceError> {
    CommitSha::parse(commit.as_str()).map_err(|error| invalid(operation, error))
}

fn colour(state: Wanted) -> CommitState {
    match state {
        Wanted::Pending => CommitState::Pending,
        Wanted::Success => CommitState::Success,
        Wanted::Failure => CommitState::Failure,
        Wanted::Error => CommitState::Error,
    }
}

fn span(pause: Duration) -> Span {
    Span::millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
