//! What is measured, with the time over which it is taken: `error_rate[5m]`, `max(queue_depth[5m])`.

use weir_domain::condition::{Aggregate, Window};
use weir_domain::time::Span;

use super::lexer::{Token, Word};
use super::metrics::is_counted;
use super::parser::{ParseError, Parser};
use crate::nearest::nearest;
use crate::render::short;

/// A metric of a comparison.
pub(super) struct Measured<'a> {
    /// The word that names it.
    pub(super) name: &'a Token,
    pub(super) metric: &'a str,
    pub(super) window: Option<Window>,
}

impl<'a> Parser<'a> {
    pub(super) fn measured(&mut self) -> Result<Measured<'a>, ParseError> {
        let (name, metric) = self.name("a metric, for example error_rate")?;
        if self.takes("(") {
            return self.aggregated(name, metric);
        }
        let by = Aggregate::default();
        let window = self.window()?.map(|span| Window { span, by });
        Ok(Measured { name, metric, window })
    }

    /// What follows `max(`.
    fn aggregated(&mut self, word: &Token, text: &str) -> Result<Measured<'a>, ParseError> {
        let by = Aggregate::ALL.into_iter().find(|by| by.as_str() == text);
        let by = by.ok_or_else(|| self.unknown_aggregate(word, text))?;
        let (name, metric) = self.name("a metric, for example queue_depth")?;
        let Some(span) = self.window()? else {
            return Err(self.unexpected("a window, for example `[5m]`"));
        };
        if !self.takes(")") {
            return Err(self.unexpected("`)`"));
        }
        if is_counted(metric) {
            let found = format!("`{}` of `{metric}`", by.as_str());
            let expected = format!("`{metric}` with its window alone: requests are counted over all of it");
            return Err(ParseError::new(word, found, expected));
        }
        let window = Some(Window { span, by });
        Ok(Measured { name, metric, window })
    }

    fn name(&mut self, expected: &str) -> Result<(&'a Token, &'a str), ParseError> {
        let token = self.peek();
        match &token.word {
            Word::Name(name) => {
                self.take();
                Ok((token, name))
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn window(&mut self) -> Result<Option<Span>, ParseError> {
        if !self.takes("[") {
            return Ok(None);
        }
        let span = self.time()?;
        match self.takes("]") {
            true => Ok(Some(span)),
            false => Err(self.unexpected("`]`")),
        }
    }

    fn unknown_aggregate(&self, word: &Token, text: &str) -> ParseError {
        let words = Aggregate::ALL.map(Aggregate::as_str);
        let meant = match text.trim_end_matches("_over_time") {
            "mean" | "average" => Some("avg"),
            plain => nearest(plain, words),
        };
        let found = format!("unknown aggregate `{}`", short(text));
        let error = ParseError::new(word, found, "avg, max or min");
        match meant {
            _ if self.knows(text) => error.help(format!("a window is written `{text}[5m]`")),
            Some(meant) => error.help(format!("did you mean `{meant}(…[5m])`?")),
            None => error,
        }
    }
}
