//! Where a text came from, and where in it something stands.

use std::fmt;
use std::sync::Arc;

/// A file as it was read: its path for messages, and its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceFile {
    /// Path as the user would name it, for example `.weir/pipeline.yaml`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// A file from its path and text.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The file's path.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Characters that the thing takes on its first line, at least 1.
    pub width: u32,
}

impl Place {
    /// The beginning of a file.
    pub fn start_of(path: &str) -> Self {
        Self {
            file: Arc::from(path),
            line: 1,
            column: 1,
            width: 1,
        }
    }

    /// The place `offset` characters further right on the same line.
    #[must_use]
    pub fn shifted(&self, offset: usize, width: usize) -> Self {
        let offset = u32::try_from(offset).unwrap_or(0);
        Self {
            file: self.file.clone(),
            line: self.line,
            column: self.column.saturating_add(offset),
            width: u32::try_from(width.max(1)).unwrap_or(1),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value, and where it was written.
#[derive(Clone, PartialEq, Debug)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Located<T> {
    /// A value at a place.
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }
}
