//! A push: which ref moved from where to where, and which files that changed as far as the payload tells.

mod wire;

use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::json::depth_is_bounded;
use crate::limits::{MAX_COMMITS_FOR_PATHS, MAX_LISTED_COMMITS};
use crate::names::{CommitSha, GitRef, InvalidName, RepositoryName};

/// One `push` event. Texts of people (names, messages) are cut to a length but otherwise as sent: whoever shows them
/// escapes them for where they are shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Push {
    /// Where it happened.
    pub repository: RepositoryName,
    /// The address that the repository is cloned from, as the payload names it.
    pub clone_url: Option<String>,
    /// The branch that the repository calls its default.
    pub default_branch: Option<String>,
    /// The ref that moved.
    pub git_ref: GitRef,
    /// Its commit before; zeros for a created ref.
    pub before: CommitSha,
    /// Its commit after; zeros for a deleted ref.
    pub after: CommitSha,
    /// The ref is new.
    pub created: bool,
    /// The ref is gone.
    pub deleted: bool,
    /// The ref moved to a commit that does not descend from the one before.
    pub forced: bool,
    /// Commits listed in the payload.
    pub commits: usize,
    /// Files added, removed or modified by the listed commits, each once, in order of first mention.
    pub changed_files: Vec<String>,
    /// The payload may not name everything that changed: it lists as many commits as it can, or more files than are
    /// kept.
    pub truncated: bool,
    /// The commit that the ref now points at.
    pub head_commit: Option<HeadCommit>,
    /// Who pushed, as git knows it.
    pub pusher: Option<Person>,
    /// Login of the GitHub account that pushed. Older and odd payloads lack it.
    pub sender: Option<String>,
}

/// The commit at the tip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeadCommit {
    /// Its name.
    pub id: CommitSha,
    /// Its message, cut.
    pub message: String,
    /// Its author.
    pub author: Option<Person>,
}

/// A person as a payload names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Free text chosen by that person.
    pub name: String,
    /// Their address, where given.
    pub email: Option<String>,
    /// Their GitHub login, where given.
    pub username: Option<String>,
}

/// Why a push payload could not be read.
#[derive(Debug, Error)]
pub enum PushError {
    /// Objects or arrays nest too deep.
    #[error("the payload nests too deep")]
    TooDeep,
    /// No JSON, or not of a push's shape.
    #[error("the payload is no push event")]
    Json(#[source] serde_json::Error),
    /// A name in it is none.
    #[error("the payload holds an impossible {field}")]
    Name {
        /// Where in the payload.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: InvalidName,
    },
}

impl Push {
    /// Reads the JSON of a push event. Unknown fields are ignored; everything that some payload lacks is optional.
    pub fn parse(json: &[u8]) -> Result<Self, PushError> {
        if !depth_is_bounded(json) {
            return Err(PushError::TooDeep);
        }
        let payload: wire::Payload = serde_json::from_slice(json).map_err(PushError::Json)?;
        payload.into_push()
    }

    /// The key under which a push is handled once: hexadecimal SHA-256 over repository, ref, before and after, each
    /// preceded by its length. The delivery's own id is not signed and so cannot serve.
    pub fn dedup_key(&self) -> String {
        let mut hash = Sha256::new();
        let full_ref = self.git_ref.full();
        for part in [
            self.repository.as_str(),
            &full_ref,
            self.before.as_str(),
            self.after.as_str(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether the changed files in the payload are known to be all there are. Where they are not, path filters
    /// count as matched, as GitHub does beyond 1,000 commits: rather a run too many than a change that goes unseen.
    pub fn files_are_complete(&self) -> bool {
        !self.truncated && !self.forced && self.commits <= MAX_COMMITS_FOR_PATHS
    }

    /// Whether a branch was created at commits that the repository already had. Such a payload lists no commits and
    /// so no files, although the branch is not empty.
    pub fn created_from_existing(&self) -> bool {
        self.created && self.commits == 0
    }

    pub(crate) fn lists_all_it_can(commits: usize) -> bool {
        commits >= MAX_LISTED_COMMITS
    }
}

#[cfg(test)]
mod tests;
