//! Files of one commit, wherever the repository is.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::names::InvalidName;

/// A text file of the commit that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// From the repository's root, with `/`.
    pub path: RepositoryPath,
    /// Its text, UTF-8.
    pub text: String,
}

/// A path inside a commit: relative, without `.`, `..`, empty parts and control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryPath(String);

impl RepositoryPath {
    /// Where definitions live.
    pub fn definitions() -> Self {
        Self(".weir".to_owned())
    }

    /// Reads a path as a definition names it. `./x` is `x`; anything that leaves the commit is refused.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.strip_prefix("./").unwrap_or(text);
        let part_is_fine =
            |part: &str| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git");
        let fine = text.len() <= crate::limits::MAX_PATH_BYTES
            && text.split('/').all(part_is_fine)
            && !text.contains(|c: char| c.is_control() || c == '\\');
        if fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::Path)
        }
    }

    /// From the repository's root, with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name inside this folder.
    pub fn join(&self, name: &str) -> Result<Self, InvalidName> {
        Self::parse(&format!("{}/{name}", self.0))
    }

    pub(crate) fn is_yaml(&self) -> bool {
        self.0.ends_with(".yaml") || self.0.ends_with(".yml")
    }
}

impl fmt::Display for RepositoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How two commits lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are the same.
    Identical,
    /// The second descends from the first.
    Ahead,
    /// The second is an ancestor of the first.
    Behind,
    /// Neither descends from the other.
    Diverged,
}

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request may succeed after this time.
    After(Duration),
    /// The same request will fail again.
    Never,
}

/// Why files of a commit could not be had.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The repository has no such commit.
    #[error("commit {0} is not in the repository")]
    NoSuchCommit(String),
    /// The commit has no such file or folder. A path through a link counts as none.
    #[error("the commit has no file {0}")]
    NoSuchFile(RepositoryPath),
    /// The path is a symbolic link. Links are not followed: they may lead out of the commit.
    #[error("{0} is a symbolic link; links are not followed")]
    Link(RepositoryPath),
    /// The path is a folder or a submodule.
    #[error("{0} is not a file")]
    NotAFile(RepositoryPath),
    /// The file is larger than a definition may be.
    #[error("{path} has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Which file.
        path: RepositoryPath,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many files, or too many bytes in all.
    #[error("the commit's definition exceeds {what}")]
    TooMuch {
        /// The limit in words.
        what: &'static str,
    },
    /// The file is no UTF-8 text.
    #[error("{0} is not UTF-8 text")]
    NotText(RepositoryPath),
    /// A name in the commit cannot be used.
    #[error("the commit holds a name that cannot be used")]
    Name(#[source] InvalidName),
    /// The `git` program could not be run.
    #[error("git could not be run")]
    Run(#[source] std::io::Error),
    /// Git answered with a failure.
    #[error("git {command} failed: {stderr}")]
    Git {
        /// The subcommand.
        command: &'static str,
        /// What it said, cut, without control characters.
        stderr: String,
    },
    /// The API could not be asked or refused.
    #[error("the files could not be read from GitHub")]
    Api(#[source] crate::api::ApiError),
}

impl SourceError {
    /// Whether a second try can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Api(error) => error.retry(),
            // A process could not be started: the machine is short of something for a while.
            Self::Run(_) => Retry::After(Duration::from_secs(1)),
            _ => Retry::Never,
        }
    }
}

/// Watches that files stay within the limits, before they are read.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    files: usize,
    bytes: u64,
}

impl Budget {
    pub(crate) fn take(&mut self, path: &RepositoryPath, bytes: u64) -> Result<(), SourceError> {
        use crate::limits::{MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES};
        if bytes > MAX_FILE_BYTES {
            return Err(SourceError::TooLarge {
                path: path.clone(),
                bytes,
                limit: MAX_FILE_BYTES,
            });
        }
        self.files += 1;
        self.bytes += bytes;
        if self.files > MAX_FILES {
            return Err(SourceError::TooMuch { what: "256 files" });
        }
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(SourceError::TooMuch { what: "8 MiB" });
        }
        Ok(())
    }
}

/// What git calls the kind of a tree's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Folder,
    Link,
    Submodule,
}

impl EntryKind {
    pub(crate) fn from_mode(mode: &str) -> Option<Self> {
        match mode {
            "100644" | "100755" | "100664" => Some(Self::File),
            "040000" | "40000" => Some(Self::Folder),
            "120000" => Some(Self::Link),
            "160000" => Some(Self::Submodule),
            _ => None,
        }
    }

    /// `Ok` for a file, the typed refusal for anything else.
    pub(crate) fn must_be_file(self, path: &RepositoryPath) -> Result<(), SourceError> {
        match self {
            Self::File => Ok(()),
            Self::Link => Err(SourceError::Link(path.clone())),
            Self::Folder | Self::Submodule => Err(SourceError::NotAFile(path.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_commit() {
        assert_eq!(
            RepositoryPath::parse("./k8s/a.yaml").unwrap().as_str(),
            "k8s/a.yaml"
        );
        for text in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "a/.git/config",
            "a\\b",
            "a\nb",
            "a\0",
        ] {
            assert_eq!(RepositoryPath::parse(text), Err(InvalidName::Path), "{text:?}");
        }
        assert!(RepositoryPath::definitions().join("../x").is_err());
    }

    #[test]
    fn a_budget_refuses_one_large_file_many_files_and_many_bytes() {
        let path = RepositoryPath::parse("a").unwrap();
        assert!(matches!(
            Budget::default().take(&path, 1024 * 1024 + 1),
            Err(SourceError::TooLarge { .. })
        ));
        let mut files = Budget::default();
        let taken = (0..300).take_while(|_| files.take(&path, 1).is_ok()).count();
        assert_eq!(taken, 256);
        let mut bytes = Budget::default();
        let taken = (0..300)
            .take_while(|_| bytes.take(&path, 1024 * 1024).is_ok())
            .count();
        assert_eq!(taken, 8);
    }
}
