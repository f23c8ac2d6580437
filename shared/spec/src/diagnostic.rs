//! Complaints: what was found where, what was expected, and the nearest right spelling.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::source::Place;

/// How much a complaint weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The definition is refused.
    Error,
    /// The definition is taken, and something in it may not do what its author hopes.
    Warning,
}

impl Severity {
    /// The word in text and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Whether a complaint can be judged from one file alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Wrong whatever other files say.
    Fault,
    /// Points to something that may stand in a file that was not given.
    Reference,
}

/// One complaint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// Where it stands.
    pub place: Place,
    /// What was found.
    pub found: String,
    /// What was expected instead; empty when `found` says it all.
    pub expected: String,
    /// What to write.
    pub help: Option<String>,
    /// Whether another file may cure it.
    pub class: Class,
}

impl Diagnostic {
    /// A fault.
    pub fn error(place: &Place, found: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: place.clone(),
            found: found.into(),
            expected: String::new(),
            help: None,
            class: Class::Fault,
        }
    }

    /// A reference to something that none of the files declares.
    pub fn reference(place: &Place, found: impl Into<String>) -> Self {
        Self {
            class: Class::Reference,
            ..Self::error(place, found)
        }
    }

    /// Something to know.
    pub fn warning(place: &Place, found: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(place, found)
        }
    }

    /// Adds what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }

    /// Adds what to write.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds `did you mean`, when one of the names is near to what was written.
    #[must_use]
    pub fn nearest<'a>(self, written: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        match crate::nearest::nearest(written, names) {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// What was found and what was expected, in one sentence.
    pub fn message(&self) -> String {
        if self.expected.is_empty() {
            self.found.clone()
        } else {
            format!("{}: expected {}", self.found, self.expected)
        }
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Diagnostic", 6)?;
        out.serialize_field("severity", &self.severity)?;
        out.serialize_field("file", &*self.place.file)?;
        out.serialize_field("line", &self.place.line)?;
        out.serialize_field("column", &self.place.column)?;
        out.serialize_field("message", &self.message())?;
        out.serialize_field("help", &self.help)?;
        out.end()
    }
}

/// Complaints as they are gathered. At most [`Sink::LIMIT`] are kept: a file that is wrong a thousand times needs
/// no thousand lines.
#[derive(Default, Debug)]
pub(crate) struct Sink {
    list: Vec<Diagnostic>,
}

impl Sink {
    /// Complaints kept of one load.
    const LIMIT: usize = 500;

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < Self::LIMIT && !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// Whether there is an error among those since `mark`.
    pub(crate) fn failed_since(&self, mark: usize) -> bool {
        self.list.iter().skip(mark).any(|d| d.severity == Severity::Error)
    }

    pub(crate) fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().filter(|d| d.severity == Severity::Warning)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Errors first, then by place.
    pub(crate) fn sorted(mut self) -> Vec<Diagnostic> {
        self.list
            .sort_by(|a, b| (a.severity, &a.place).cmp(&(b.severity, &b.place)));
        self.list
    }
}
