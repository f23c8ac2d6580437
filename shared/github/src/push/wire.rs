//! The payload as GitHub sends it; everything that may be missing is optional.

use std::collections::HashSet;

use serde::Deserialize;

use super::{HeadCommit, Person, Push, PushError};
use crate::limits::{MAX_CHANGED_FILES, MAX_MESSAGE_CHARS, MAX_PATH_BYTES, MAX_PERSON_CHARS};
use crate::names::{CommitSha, GitRef, InvalidName, RepositoryName};

#[derive(Deserialize)]
pub(super) struct Payload {
    #[serde(rename = "ref")]
    git_ref: String,
    before: String,
    after: String,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Vec<Commit>,
    head_commit: Option<Head>,
    repository: Repository,
    pusher: Option<WirePerson>,
    sender: Option<Sender>,
}

#[derive(Deserialize)]
struct Commit {
    #[serde(default)]
    added: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    #[serde(default)]
    message: String,
    author: Option<WirePerson>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    clone_url: Option<String>,
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct WirePerson {
    name: Option<String>,
    email: Option<String>,
    username: Option<String>,
}

#[derive(Deserialize)]
struct Sender {
    login: Option<String>,
}

impl Payload {
    pub(super) fn into_push(self) -> Result<Push, PushError> {
        let before = named("before", CommitSha::parse(&self.before))?;
        let after = named("after", CommitSha::parse(&self.after))?;
        let commits = self.commits.len();
        let (changed_files, all_kept) = changed_files(&self.commits);
        Ok(Push {
            repository: named(
                "repository.full_name",
                RepositoryName::parse(&self.repository.full_name),
            )?,
            clone_url: self
                .repository
                .clone_url
                .filter(|url| url.len() <= MAX_PATH_BYTES),
            default_branch: self
                .repository
                .default_branch
                .map(|name| cut(&name, MAX_PERSON_CHARS)),
            git_ref: named("ref", GitRef::parse(&self.git_ref))?,
            // The flags and the zeros say the same thing; either suffices, so that neither can be left out to turn a
            // deletion into a run.
            created: self.created || before.is_zero(),
            deleted: self.deleted || after.is_zero(),
            forced: self.forced,
            before,
            after,
            commits,
            truncated: Push::lists_all_it_can(commits) || !all_kept,
            changed_files,
            head_commit: self.head_commit.map(Head::into_commit).transpose()?,
            pusher: self.pusher.and_then(WirePerson::into_person),
            sender: self
                .sender
                .and_then(|s| s.login)
                .map(|login| cut(&login, MAX_PERSON_CHARS)),
        })
    }
}

impl Head {
    fn into_commit(self) -> Result<HeadCommit, PushError> {
        Ok(HeadCommit {
            id: named("head_commit.id", CommitSha::parse(&self.id))?,
            message: cut(&self.message, MAX_MESSAGE_CHARS),
            author: self.author.and_then(WirePerson::into_person),
        })
    }
}

impl WirePerson {
    fn into_person(self) -> Option<Person> {
        let short = |text: String| cut(&text, MAX_PERSON_CHARS);
        let name = self.name.or_else(|| self.username.clone())?;
        Some(Person {
            name: short(name),
            email: self.email.map(short),
            username: self.username.map(short),
        })
    }
}

fn named<T>(field: &'static str, parsed: Result<T, InvalidName>) -> Result<T, PushError> {
    parsed.map_err(|source| PushError::Name { field, source })
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// The union over all commits, and whether it was kept whole. A rename is one removed and one added file; both count.
fn changed_files(commits: &[Commit]) -> (Vec<String>, bool) {
    let mentions = commits
        .iter()
        .flat_map(|c| c.added.iter().chain(&c.removed).chain(&c.modified));
    let (mut seen, mut files) = (HashSet::new(), Vec::new());
    for path in mentions {
        if path.len() > MAX_PATH_BYTES {
            return (files, false);
        }
        if seen.insert(path.as_str()) {
            if files.len() == MAX_CHANGED_FILES {
                return (files, false);
            }
            files.push(path.clone());
        }
    }
    (files, true)
}
