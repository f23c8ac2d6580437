//! Names that come from outside and later stand in addresses, commands and keys: checked once, here.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

use crate::limits::MAX_REF_BYTES;

/// A name that cannot be what it claims to be. Carries no part of the value, which may be hostile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// Not 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
    #[error("a commit is 40 or 64 lower-case hexadecimal digits")]
    CommitSha,
    /// Not `owner/name` in GitHub's alphabet.
    #[error("a repository is owner/name, letters, digits, '-', '_' and '.'")]
    Repository,
    /// Git itself would not accept this ref.
    #[error("not a ref that git accepts")]
    Ref,
    /// Absolute, empty, with `.` or `..`, a control character, or too long.
    #[error("a path is relative to the repository's root, without '.', '..' and control characters")]
    Path,
}

/// The full name of a commit. All zeros stand for "no commit".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CommitSha(String);

impl CommitSha {
    /// Reads 40 or 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if digits && matches!(text.len(), 40 | 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName::CommitSha)
        }
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for "no commit": before a creation, after a deletion.
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }
}

impl fmt::Display for CommitSha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `owner/name`, safe to stand in an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// Reads `owner/name`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let part_is_fine = |part: &str| {
            let alphabet = part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            alphabet && (1..=100).contains(&part.len()) && part != "." && part != ".."
        };
        match text.split_once('/') {
            Some((owner, name)) if part_is_fine(owner) && part_is_fine(name) => Ok(Self(text.to_owned())),
            _ => Err(InvalidName::Repository),
        }
    }

    /// `owner/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was pushed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum GitRef {
    /// `refs/heads/<name>`.
    Branch(String),
    /// `refs/tags/<name>`.
    Tag(String),
    /// Any other ref, whole. Nothing runs for it.
    Other(String),
}

impl GitRef {
    /// Reads a full ref by git's own rules for ref names.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if !ref_is_fine(text) {
            return Err(InvalidName::Ref);
        }
        if let Some(name) = text.strip_prefix("refs/heads/") {
            return Ok(Self::Branch(name.to_owned()));
        }
        Ok(match text.strip_prefix("refs/tags/") {
            Some(name) => Self::Tag(name.to_owned()),
            None => Self::Other(text.to_owned()),
        })
    }

    /// The full ref, as in the payload.
    pub fn full(&self) -> String {
        match self {
            Self::Branch(name) => format!("refs/heads/{name}"),
            Self::Tag(name) => format!("refs/tags/{name}"),
            Self::Other(full) => full.clone(),
        }
    }

    /// The branch or tag name alone; the full ref for others.
    pub fn short(&self) -> &str {
        match self {
            Self::Branch(name) | Self::Tag(name) | Self::Other(name) => name,
        }
    }
}

fn ref_is_fine(text: &str) -> bool {
    let forbidden = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let component_is_fine =
        |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    text.starts_with("refs/")
        && text.len() <= MAX_REF_BYTES
        && text.split('/').count() >= 3
        && text.split('/').all(component_is_fine)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && !text.contains(forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_are_read_by_gits_rules() {
        assert_eq!(GitRef::parse("refs/heads/a/b"), Ok(GitRef::Branch("a/b".into())));
        assert_eq!(
            GitRef::parse("refs/tags/v1.0+x"),
            Ok(GitRef::Tag("v1.0+x".into()))
        );
        assert_eq!(
            GitRef::parse("refs/notes/commits"),
            Ok(GitRef::Other("refs/notes/commits".into()))
        );
        let bad = [
            "main",
            "refs/heads/",
            "refs/heads",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/a\u{1b}b",
            "refs/heads/../x",
            "refs/heads/.x",
            "refs/heads/a//b",
            "refs/heads/x.lock",
            "refs/heads/x@{1}",
            "",
            "refs/heads/x\n",
            "refs/heads/x.",
        ];
        for text in bad {
            assert_eq!(GitRef::parse(text), Err(InvalidName::Ref), "{text:?}");
        }
    }

    #[test]
    fn repositories_cannot_climb_out_of_an_address() {
        assert!(RepositoryName::parse("acme/llm-service").is_ok());
        for text in [
            "acme",
            "acme/",
            "/x",
            "a/b/c",
            "../x",
            "acme/..",
            "acme/a b",
            "acme/a?b",
            "acme/a%2fb",
        ] {
            assert_eq!(
                RepositoryName::parse(text),
                Err(InvalidName::Repository),
                "{text:?}"
            );
        }
    }

    #[test]
    fn commits_are_full_lower_case_names() {
        assert!(CommitSha::parse(&"a".repeat(40)).is_ok());
        assert!(CommitSha::parse(&"0".repeat(64)).unwrap().is_zero());
        for text in [
            "",
            "abc",
            &"A".repeat(40),
            &"g".repeat(40),
            &"a".repeat(41),
            "--upload-pack=x",
        ] {
            assert_eq!(CommitSha::parse(text), Err(InvalidName::CommitSha), "{text:?}");
        }
    }
}
