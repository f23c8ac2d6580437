//! Words to a typed tree.

use std::fmt;

use weir_domain::condition::{Comparison, Condition, Mode, Op, Quantity};
use weir_domain::time::Span;

use super::lexer::{Token, Word, words};
use super::metrics::Metrics;
use super::quantity::{as_dimension, parse_quantity, spoken};
use super::window::Measured;
use crate::diagnostic::Diagnostic;
use crate::nearest::nearest;
use crate::render::short;
use crate::shape::parse_span;
use crate::source::Place;

/// Characters of a condition.
const MAX_LENGTH: usize = 2_000;
/// Parentheses and negations in one another.
const MAX_DEPTH: usize = 32;
/// Comparisons; each is a question that the evidence is shared over.
const MAX_COMPARISONS: usize = 32;

/// Why a text is no condition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// What was found.
    pub found: String,
    /// What was expected; empty when `found` says it all.
    pub expected: String,
    /// What to write.
    pub help: Option<String>,
    /// Where, in characters from 0.
    pub at: usize,
    /// Characters that it concerns.
    pub width: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found)?;
        if !self.expected.is_empty() {
            write!(f, ": expected {}", self.expected)?;
        }
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

impl ParseError {
    pub(super) fn new(token: &Token, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            expected: expected.into(),
            help: None,
            at: token.at,
            width: token.width,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The error where the condition stands in a file. A text of several lines is pointed at as a whole.
    pub(crate) fn diagnostic(self, place: &Place, text: &str) -> Diagnostic {
        // A quoted scalar is wider than its text by the quotes.
        let quoted = usize::from(place.width as usize > text.chars().count());
        let one_line = place.width as usize >= text.chars().count();
        let at = if one_line {
            place.shifted(self.at + quoted, self.width)
        } else {
            place.clone()
        };
        let complaint = Diagnostic::error(&at, self.found).expected(self.expected);
        match self.help {
            Some(help) => complaint.help(help),
            None => complaint,
        }
    }
}

/// Reads a condition.
///
/// # Errors
/// The first place where the text is no condition, names no known metric, or compares what cannot be compared.
pub fn parse(text: &str, metrics: &Metrics) -> Result<Condition, ParseError> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        let at = Token {
            word: Word::End,
            at: 0,
            width: 1,
        };
        let found = format!("a condition of {length} characters");
        return Err(ParseError::new(&at, found, format!("at most {MAX_LENGTH}")));
    }
    let tokens = words(text);
    let mut parser = Parser {
        tokens: &tokens,
        next: 0,
        metrics,
        depth: 0,
        comparisons: 0,
    };
    let condition = parser.any()?;
    match parser.peek().word {
        Word::End => Ok(condition),
        _ => Err(parser.unexpected("`&&`, `||` or the end")),
    }
}

pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    metrics: &'a Metrics,
    depth: usize,
    comparisons: usize,
}

type Parsed = Result<Condition, ParseError>;

impl<'a> Parser<'a> {
    /// The next word; the last one is always `End`, which is never consumed.
    pub(super) fn peek(&self) -> &'a Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    pub(super) fn take(&mut self) -> &'a Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    pub(super) fn takes(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek().word, Word::Symbol(s) if s == symbol);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Parsed {
        let mut parts = vec![self.all()?];
        while self.takes("||") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::Or(parts)
        })
    }

    fn all(&mut self) -> Parsed {
        let mut parts = vec![self.unary()?];
        while self.takes("&&") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::And(parts)
        })
    }

    fn unary(&mut self) -> Parsed {
        let start = self.peek();
        if self.depth >= MAX_DEPTH {
            return Err(ParseError::new(
                start,
                "conditions in one another too deep",
                format!("at most {MAX_DEPTH}"),
            ));
        }
        self.depth += 1;
        let parsed = if self.takes("!") {
            self.unary().map(|inner| Condition::Not(Box::new(inner)))
        } else if self.takes("(") {
            self.group()
        } else {
            self.comparison().map(Condition::Compare)
        };
        self.depth -= 1;
        parsed
    }

    fn group(&mut self) -> Parsed {
        let inner = self.any()?;
        if self.takes(")") {
            Ok(inner)
        } else {
            Err(self.unexpected("`)`"))
        }
    }

    fn comparison(&mut self) -> Result<Comparison, ParseError> {
        let Measured { name, metric, window } = self.measured()?;
        let dimension = self.metrics.dimension(metric);
        let op = self.op()?;
        let amount = self.peek();
        let line = self.line()?;
        let line = match dimension {
            None => return Err(self.unknown(name, metric)),
            Some(None) => line,
            Some(Some(wanted)) => as_dimension(line, wanted).ok_or_else(|| {
                let Word::Amount(written) = &amount.word else {
                    unreachable!("read as an amount")
                };
                let found = format!("`{metric}` compared with `{}`", short(written));
                ParseError::new(amount, found, spoken(wanted))
            })?,
        };
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(ParseError::new(
                name,
                "too many comparisons",
                format!("at most {MAX_COMPARISONS}"),
            ));
        }
        let during = self.during()?;
        Ok(Comparison {
            metric: metric.to_owned(),
            window,
            op,
            line,
            during,
            mode: Mode::Evidence,
        })
    }

    pub(super) fn knows(&self, metric: &str) -> bool {
        self.metrics.dimension(metric).is_some()
    }

    fn unknown(&self, token: &Token, metric: &str) -> ParseError {
        let found = format!("unknown metric `{}`", short(metric));
        let error = ParseError::new(token, found, "a known metric, or one that `metrics:` declares");
        match nearest(metric, self.metrics.names()) {
            Some(name) => error.help(format!("did you mean `{name}`?")),
            None => {
                error.help("known: error_rate, success_rate, latency_p99, ttft_p95, itl_p95, queue_depth, …")
            }
        }
    }

    fn op(&mut self) -> Result<Op, ParseError> {
        const OPS: [Op; 6] = [
            Op::Above,
            Op::AtLeast,
            Op::Below,
            Op::AtMost,
            Op::Equal,
            Op::NotEqual,
        ];
        let Word::Symbol(symbol) = self.peek().word else {
            return Err(self.unexpected("a comparison: > >= < <= == !="));
        };
        match OPS.into_iter().find(|op| op.as_str() == symbol) {
            Some(op) => {
                self.next += 1;
                Ok(op)
            }
            None => Err(self.unexpected("a comparison: > >= < <= == !=")),
        }
    }

    fn line(&mut self) -> Result<Quantity, ParseError> {
        let token = self.peek();
        let Word::Amount(text) = &token.word else {
            return Err(self.unexpected("a number, for example 2% or 1000ms"));
        };
        self.next += 1;
        parse_quantity(text)
            .map_err(|expected| ParseError::new(token, format!("`{}`", short(text)), expected))
    }

    fn during(&mut self) -> Result<Option<Span>, ParseError> {
        if !matches!(&self.peek().word, Word::Name(name) if name == "for") {
            return Ok(None);
        }
        self.next += 1;
        self.time().map(Some)
    }

    /// A time that is longer than nothing.
    pub(super) fn time(&mut self) -> Result<Span, ParseError> {
        let token = self.take();
        let Word::Amount(text) = &token.word else {
            self.next -= 1;
            return Err(self.unexpected("a time, for example 5m"));
        };
        match parse_span(text) {
            Ok(span) if span.0 > 0 => Ok(span),
            Ok(_) => Err(ParseError::new(
                token,
                format!("`{text}`"),
                "a time longer than nothing",
            )),
            Err(expected) => Err(ParseError::new(token, format!("`{}`", short(text)), expected)),
        }
    }

    pub(super) fn unexpected(&self, expected: &str) -> ParseError {
        let token = self.peek();
        let found = match &token.word {
            Word::Name(text) | Word::Amount(text) | Word::Strange(text) => format!("`{}`", short(text)),
            Word::Symbol(symbol) => format!("`{symbol}`"),
            Word::End => "the end of the condition".into(),
        };
        let error = ParseError::new(token, found, expected);
        match &token.word {
            Word::Name(name) if name.eq_ignore_ascii_case("and") => error.help("write `&&`"),
            Word::Name(name) if name.eq_ignore_ascii_case("or") => error.help("write `||`"),
            Word::Name(name) if name.eq_ignore_ascii_case("not") => error.help("write `!`"),
            Word::Symbol("[") => error.help("a window follows the metric: `error_rate[5m]`"),
            Word::Symbol("=") => error.help("did you mean `==`?"),
            Word::Symbol("|") => error.help("did you mean `||`?"),
            Word::Strange(text) if text == "&" => error.help("did you mean `&&`?"),
            _ => error,
        }
    }
}
