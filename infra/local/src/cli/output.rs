//! stdout, once, in the form that was asked for.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use weir_app::{Clock, SystemClock};
use weir_domain::json::Fault;
use weir_spec::Diagnostic;

use super::args::Format;
use crate::view::{Look, Zone};

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Answered.
    Answered,
    /// Checked and negative, or refused.
    Negative,
    /// Could not be answered: usage, malformed input, no host.
    Malformed,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Answered => 0,
            Self::Negative => 1,
            Self::Malformed => 2,
        }
    }
}

/// Why a command could not be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What was found, what was expected, what to do.
    pub message: String,
    /// Where in the input, from 1.
    pub line: Option<usize>,
    /// Where in the line, from 1.
    pub column: Option<usize>,
}

impl Failure {
    /// A failure that has no place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            line: None,
            column: None,
        }
    }

    /// A file that cannot be read.
    pub(crate) fn reading(path: &Path, error: &io::Error) -> Self {
        Self::new(format!("{} cannot be read: {error}", path.display()))
    }

    /// JSON that is none.
    pub(crate) fn json(what: &str, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // The place is told apart.
        let text = text.split(" at line ").next().unwrap_or(&text);
        Self {
            message: format!("{what}: {text}"),
            line: (error.line() > 0).then_some(error.line()),
            column: (error.column() > 0).then_some(error.column()),
        }
    }

    /// JSON that is not what was expected; `what` it was to be.
    pub(crate) fn unread(what: &str, fault: &Fault) -> Self {
        Self {
            message: format!("{what}: {fault}"),
            line: Some(fault.line),
            column: Some(fault.column),
        }
    }

    /// A definition that has a fault.
    pub(crate) fn definition(fault: &Diagnostic) -> Self {
        Self {
            message: format!("{}: {}; see weir validate", fault.place.file, fault.message()),
            line: Some(fault.place.line as usize),
            column: Some(fault.place.column as usize),
        }
    }

    /// A definition that cannot be resolved, for these reasons.
    pub(crate) fn unresolved(complaints: &[Diagnostic]) -> Self {
        match complaints {
            [first, ..] => Self::definition(first),
            [] => Self::new("the definition cannot be resolved"),
        }
    }

    /// `{error:{message, line?, column?}}`.
    pub fn to_json(&self) -> Value {
        let mut error = json!({ "message": self.message });
        for (name, place) in [("line", self.line), ("column", self.column)] {
            if let Some(place) = place {
                error[name] = place.into();
            }
        }
        json!({ "error": error })
    }
}

/// Columns of a line where nobody says how many there are, and the least that pages are made for.
const WIDTH: usize = 80;

/// Lines of a page where nobody says how many there are.
const HEIGHT: usize = 24;

/// Where answers go.
#[derive(Debug)]
pub struct Output {
    /// Their form.
    pub format: Format,
    /// Whether severities and states may be coloured; they are words all the same.
    pub(crate) color: bool,
    /// Whether the reader has gone away.
    pub(crate) gone: bool,
}

impl Output {
    /// stdout as it is: coloured if it is a terminal and the person has not said no.
    pub fn new(format: Format, no_color: bool) -> Self {
        Self {
            format,
            color: io::stdout().is_terminal() && !no_color && format == Format::Text,
            gone: false,
        }
    }

    /// How things are shown now.
    pub(crate) fn look(&self) -> Look {
        let page = self.page();
        Look {
            width: page.width.max(WIDTH),
            ..page
        }
    }

    /// How a page is shown that is drawn over itself: a line that wraps would be drawn twice. The terminal may have another
    /// size than the last time.
    pub(crate) fn page(&self) -> Look {
        let stdout = io::stdout();
        let size = match stdout.is_terminal() {
            true => rustix::termios::tcgetwinsize(&stdout).ok(),
            false => None,
        };
        // One that does not know its size says 0.
        let size = size.filter(|size| size.ws_row > 0);
        Look {
            zone: Zone::of_this_machine(),
            width: size.map_or(WIDTH, |size| usize::from(size.ws_col)),
            height: size.map_or(HEIGHT, |size| usize::from(size.ws_row)),
            color: self.color,
            now: SystemClock.now(),
        }
    }

    /// What may help a person, apart from the answer.
    pub(crate) fn hint(&self, text: &str) {
        if self.format == Format::Text {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// An answer: a value for programs, or the text for people.
    pub(crate) fn answer(&mut self, value: &impl Serialize, text: impl FnOnce() -> String) {
        match self.format {
            Format::Json => self.json(value),
            Format::Text => self.text(&text()),
        }
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) {
        let line = serde_json::to_string(value).expect("an answer is plain data with text keys");
        self.text(&line);
    }

    /// Lines of text. A reader that has gone away is nobody's error.
    pub(crate) fn text(&mut self, text: &str) {
        let mut out = io::stdout().lock();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.gone |= write!(out, "{text}{end}").and_then(|()| out.flush()).is_err();
    }

    /// Why there is no answer.
    pub fn failure(&mut self, failure: &Failure) {
        if self.format == Format::Json {
            self.json(&failure.to_json());
        } else {
            let place = match (failure.line, failure.column) {
                (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
                (Some(line), None) => format!(" (line {line})"),
                _ => String::new(),
            };
            let _ = writeln!(io::stderr(), "weir: {}{place}", failure.message);
        }
    }
}
