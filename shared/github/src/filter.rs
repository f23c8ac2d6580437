//! Does a push start this pipeline? Answered as GitHub Actions answers it, with a reason either way.
//!
//! Branch (or tag) and path filters must both match. Within a list the order counts: a later `!pattern` takes out what
//! an earlier one let in, a later plain one lets it in again. Two rules are Weir's own and stricter: tags start a run
//! only where the trigger names tags, and a deleted ref never does.

use thiserror::Error;

use crate::glob::{Glob, InvalidPattern};
use crate::limits::{MAX_COMMITS_FOR_PATHS, MAX_PATTERNS};
use crate::names::GitRef;
use crate::push::Push;

/// A trigger's lists as written. An empty list is the same as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterSpec {
    /// `branches:`
    pub branches: Vec<String>,
    /// `branches-ignore:`
    pub branches_ignore: Vec<String>,
    /// `tags:`
    pub tags: Vec<String>,
    /// `tags-ignore:`
    pub tags_ignore: Vec<String>,
    /// `paths:`
    pub paths: Vec<String>,
    /// `paths-ignore:`
    pub paths_ignore: Vec<String>,
}

/// A list of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `branches`
    Branches,
    /// `branches-ignore`
    BranchesIgnore,
    /// `tags`
    Tags,
    /// `tags-ignore`
    TagsIgnore,
    /// `paths`
    Paths,
    /// `paths-ignore`
    PathsIgnore,
}

impl Key {
    /// As it is written in a trigger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Branches => "branches",
            Self::BranchesIgnore => "branches-ignore",
            Self::Tags => "tags",
            Self::TagsIgnore => "tags-ignore",
            Self::Paths => "paths",
            Self::PathsIgnore => "paths-ignore",
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a trigger cannot be used; says where, so that a position can be put on it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidFilter {
    /// One pattern is wrong.
    #[error("{key}: {reason}")]
    Pattern {
        /// The list.
        key: Key,
        /// Place in the list, from 0.
        index: usize,
        /// The pattern as written.
        pattern: String,
        /// What is wrong with it.
        reason: InvalidPattern,
    },
    /// `!` in a list that is negative as a whole.
    #[error("{key}: '!' has no meaning in a list of what to ignore")]
    NegatedIgnore {
        /// The list.
        key: Key,
        /// Place in the list, from 0.
        index: usize,
        /// The pattern as written.
        pattern: String,
    },
    /// Only `!` patterns: nothing could ever match.
    #[error("{key}: only '!' patterns, so nothing can match; start with a plain pattern such as '**'")]
    OnlyNegations {
        /// The list.
        key: Key,
        /// The first pattern as written.
        pattern: String,
    },
    /// A list and its opposite.
    #[error("{key} and {opposite} cannot be used together; use {key} with '!' patterns")]
    Both {
        /// The positive list.
        key: Key,
        /// The negative one.
        opposite: Key,
    },
    /// More patterns than anyone needs.
    #[error("{key}: more than {MAX_PATTERNS} patterns")]
    TooMany {
        /// The list.
        key: Key,
    },
}

/// Whether a pipeline runs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It runs, for this reason.
    Run(String),
    /// It does not, for this reason.
    Ignore(String),
}

impl Answer {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        matches!(self, Self::Run(_))
    }

    /// Why.
    pub fn reason(&self) -> &str {
        match self {
            Self::Run(reason) | Self::Ignore(reason) => reason,
        }
    }
}

/// A compiled trigger.
#[derive(Debug, Clone)]
pub struct Filter {
    branches: Option<List>,
    tags: Option<List>,
    paths: Option<List>,
}

/// One compiled list, or its opposite.
#[derive(Debug, Clone)]
struct List {
    key: Key,
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone)]
struct Pattern {
    negated: bool,
    glob: Glob,
    written: String,
}

impl List {
    /// Whether the text survives: the last pattern that matches it decides. In a list of what to ignore, it survives
    /// when none does.
    fn survives(&self, text: &str) -> bool {
        let last = self
            .patterns
            .iter()
            .rev()
            .find(|pattern| pattern.glob.matches(text));
        match self.key {
            Key::BranchesIgnore | Key::TagsIgnore | Key::PathsIgnore => last.is_none(),
            Key::Branches | Key::Tags | Key::Paths => last.is_some_and(|pattern| !pattern.negated),
        }
    }

    /// As written, for a reason.
    fn describe(&self) -> String {
        const SHOWN: usize = 5;
        let mut text: Vec<&str> = self
            .patterns
            .iter()
            .take(SHOWN)
            .map(|p| p.written.as_str())
            .collect();
        if self.patterns.len() > SHOWN {
            text.push("…");
        }
        format!("{}: {}", self.key, text.join(", "))
    }
}

impl Filter {
    /// Compiles a trigger's lists. The first thing wrong is reported; see [`Filter::problems`] for all.
    pub fn compile(spec: &FilterSpec) -> Result<Self, InvalidFilter> {
        Ok(Self {
            branches: either(
                (Key::Branches, &spec.branches),
                (Key::BranchesIgnore, &spec.branches_ignore),
            )?,
            tags: either((Key::Tags, &spec.tags), (Key::TagsIgnore, &spec.tags_ignore))?,
            paths: either((Key::Paths, &spec.paths), (Key::PathsIgnore, &spec.paths_ignore))?,
        })
    }

    /// Everything wrong with a trigger's lists, pattern by pattern.
    pub fn problems(spec: &FilterSpec) -> Vec<InvalidFilter> {
        let pairs = [
            (
                Key::Branches,
                &spec.branches,
                Key::BranchesIgnore,
                &spec.branches_ignore,
            ),
            (Key::Tags, &spec.tags, Key::TagsIgnore, &spec.tags_ignore),
            (Key::Paths, &spec.paths, Key::PathsIgnore, &spec.paths_ignore),
        ];
        let mut problems = Vec::new();
        for (key, list, opposite, ignored) in pairs {
            if !list.is_empty() && !ignored.is_empty() {
                problems.push(InvalidFilter::Both { key, opposite });
            }
            for (key, list) in [(key, list), (opposite, ignored)] {
                problems.extend(
                    list.iter()
                        .enumerate()
                        .filter_map(|(i, text)| pattern(key, i, text).err()),
                );
                problems.extend(shape(key, list).err());
            }
        }
        problems
    }

    /// Holds a push against the trigger. Looks at nothing but the push.
    pub fn decide(&self, push: &Push) -> Answer {
        let name = push.git_ref.short();
        if push.deleted {
            return Answer::Ignore(format!("{name} was deleted; deletions start no run"));
        }
        match &push.git_ref {
            GitRef::Tag(name) => self.decide_tag(name),
            GitRef::Branch(name) => self.decide_branch(name, push),
            GitRef::Other(full) => Answer::Ignore(format!("{full} is neither a branch nor a tag")),
        }
    }

    fn decide_tag(&self, name: &str) -> Answer {
        match &self.tags {
            None => Answer::Ignore(format!("tag {name}: the trigger has no tags: list")),
            // Paths are not looked at for tags: a tag changes no file.
            Some(tags) if tags.survives(name) => {
                Answer::Run(format!("tag {name} matches {}", tags.describe()))
            }
            Some(tags) => Answer::Ignore(format!("tag {name} does not match {}", tags.describe())),
        }
    }

    fn decide_branch(&self, name: &str, push: &Push) -> Answer {
        let branch = match (&self.branches, &self.tags) {
            (None, Some(_)) => {
                return Answer::Ignore(format!("branch {name}: the trigger names tags alone"));
            }
            (None, None) => format!("push to {name}"),
            (Some(list), _) if list.survives(name) => format!("branch {name} matches {}", list.describe()),
            (Some(list), _) => {
                return Answer::Ignore(format!("branch {name} does not match {}", list.describe()));
            }
        };
        if push.commits == 0 && !push.created && !push.forced {
            return Answer::Ignore(format!("{branch}, but the push holds no commits"));
        }
        match &self.paths {
            None => Answer::Run(branch),
            Some(paths) => decide_paths(&branch, paths, push),
        }
    }
}

fn decide_paths(branch: &str, paths: &List, push: &Push) -> Answer {
    let files = match push.changed_files.len() {
        1 => "1 file changed".to_owned(),
        n => format!("{n} files changed"),
    };
    if let Some(file) = push.changed_files.iter().find(|file| paths.survives(file)) {
        return Answer::Run(format!("{branch}; {file} matches {} ({files})", paths.describe()));
    }
    if let Some(why) = why_incomplete(push) {
        return Answer::Run(format!("{branch}; {why}, so {} counts as matched", paths.key));
    }
    if push.created_from_existing() {
        return Answer::Ignore(format!(
            "{branch}, created from commits that were there before: no changed file to hold against {}",
            paths.describe()
        ));
    }
    if push.changed_files.is_empty() {
        return Answer::Ignore(format!(
            "{branch}, but no file changed to match {}",
            paths.describe()
        ));
    }
    Answer::Ignore(format!(
        "{branch}, but no changed file matches {} ({files})",
        paths.describe()
    ))
}

/// Why the payload may not name every changed file, where it may not.
fn why_incomplete(push: &Push) -> Option<String> {
    if push.files_are_complete() {
        None
    } else if push.forced {
        Some("a forced push does not name the files of the commits it dropped".to_owned())
    } else if push.commits > MAX_COMMITS_FOR_PATHS {
        Some(format!(
            "{} commits are more than {MAX_COMMITS_FOR_PATHS}",
            push.commits
        ))
    } else {
        Some("more files changed than are listed".to_owned())
    }
}

/// Compiles a list or its opposite, whichever is there.
fn either(list: (Key, &[String]), opposite: (Key, &[String])) -> Result<Option<List>, InvalidFilter> {
    let (key, written) = match (list.1.is_empty(), opposite.1.is_empty()) {
        (true, true) => return Ok(None),
        (false, false) => {
            return Err(InvalidFilter::Both {
                key: list.0,
                opposite: opposite.0,
            });
        }
        (false, true) => list,
        (true, false) => opposite,
    };
    shape(key, written)?;
    let patterns = written
        .iter()
        .enumerate()
        .map(|(i, text)| pattern(key, i, text))
        .collect::<Result<_, _>>()?;
    Ok(Some(List { key, patterns }))
}

/// What can be wrong with a list as a whole.
fn shape(key: Key, written: &[String]) -> Result<(), InvalidFilter> {
    if written.len() > MAX_PATTERNS {
        return Err(InvalidFilter::TooMany { key });
    }
    let positive_list = matches!(key, Key::Branches | Key::Tags | Key::Paths);
    match written.first() {
        Some(first) if positive_list && written.iter().all(|text| text.starts_with('!')) => {
            Err(InvalidFilter::OnlyNegations {
                key,
                pattern: first.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn pattern(key: Key, index: usize, written: &str) -> Result<Pattern, InvalidFilter> {
    let (negated, text) = match written.strip_prefix('!') {
        Some(text) => (true, text),
        None => (false, written),
    };
    if negated && matches!(key, Key::BranchesIgnore | Key::TagsIgnore | Key::PathsIgnore) {
        return Err(InvalidFilter::NegatedIgnore {
            key,
            index,
            pattern: written.to_owned(),
        });
    }
    match Glob::compile(text) {
        Ok(glob) => Ok(Pattern {
            negated,
            glob,
            written: written.to_owned(),
        }),
        Err(reason) => Err(InvalidFilter::Pattern {
            key,
            index,
            pattern: written.to_owned(),
            reason,
        }),
    }
}

#[cfg(test)]
mod tests;
