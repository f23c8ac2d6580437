//! Patterns as GitHub Actions writes them, matched in time linear in the text.
//!
//! | token | matches |
//! |---|---|
//! | `*` | any run of characters other than `/` |
//! | `**` | any run of characters |
//! | `**/` at the start of a directory name | zero or more whole directories |
//! | `?` | zero or one of the character before it |
//! | `+` | one or more of the character before it |
//! | `[a-z0]` | one of the characters listed |
//! | `\` | the next character itself |
//!
//! A pattern is compiled to a chain of states that are walked all at once, so no input can make the matcher go back:
//! the steps for a text are at most its length times the number of states.

use std::iter::Peekable;
use std::str::Chars;

use thiserror::Error;

use crate::limits::MAX_PATTERN_CHARS;

/// Why a pattern is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidPattern {
    /// Nothing, or nothing after `!`.
    #[error("the pattern is empty")]
    Empty,
    /// Longer than anything it could match.
    #[error("the pattern is longer than {MAX_PATTERN_CHARS} characters")]
    TooLong,
    /// `?` or `+` where no single character stands before it.
    #[error(
        "'{0}' repeats the character before it, and there is none; write '\\{0}' for the character itself"
    )]
    NothingToRepeat(char),
    /// `[` without `]`.
    #[error("'[' has no closing ']'; write '\\[' for the character itself")]
    OpenBracket,
    /// `[]`.
    #[error("'[]' lists no character")]
    EmptyBracket,
    /// `[^…]` or `[!…]`: other tools negate with it, GitHub does not.
    #[error("a bracket cannot be negated; list the characters that it should match")]
    NegatedBracket,
    /// A range that is not within a-z, A-Z or 0-9, or runs backwards.
    #[error("the range {0}-{1} is not an ascending one within a-z, A-Z or 0-9")]
    Range(char, char),
    /// A `\` at the end.
    #[error("'\\' stands at the end and escapes nothing")]
    DanglingEscape,
}

/// One compiled pattern, without its `!`.
#[derive(Debug, Clone)]
pub struct Glob {
    states: Vec<State>,
}

#[derive(Debug, Clone, PartialEq)]
enum Set {
    One(char),
    Listed(Vec<(char, char)>),
    NotSlash,
    Any,
}

impl Set {
    fn holds(&self, c: char) -> bool {
        match self {
            Self::One(one) => *one == c,
            Self::Listed(ranges) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)),
            Self::NotSlash => c != '/',
            Self::Any => true,
        }
    }
}

/// What may happen between two positions of the pattern.
#[derive(Debug, Clone, PartialEq)]
enum State {
    /// Exactly one character.
    Once(Set),
    /// One character or none.
    Maybe(Set),
    /// Any number of characters.
    Many(Set),
    /// The entrance of `**/`: nothing at all (skipping this state and the next), or on to [`State::InDirectories`].
    Directories,
    /// Inside `**/`: any characters, and out after a `/`.
    InDirectories,
}

impl Glob {
    /// Compiles a pattern that does not start with the negating `!`.
    pub fn compile(pattern: &str) -> Result<Self, InvalidPattern> {
        if pattern.is_empty() {
            return Err(InvalidPattern::Empty);
        }
        if pattern.chars().count() > MAX_PATTERN_CHARS {
            return Err(InvalidPattern::TooLong);
        }
        let mut states = Vec::new();
        let mut rest = pattern.chars().peekable();
        let mut at_directory_start = true;
        while let Some(c) = rest.next() {
            let slash = c == '/';
            match c {
                '*' => at_directory_start = star(&mut rest, at_directory_start, &mut states),
                '?' | '+' => return Err(InvalidPattern::NothingToRepeat(c)),
                _ => {
                    let set = match c {
                        '[' => bracket(&mut rest)?,
                        '\\' => Set::One(rest.next().ok_or(InvalidPattern::DanglingEscape)?),
                        _ => Set::One(c),
                    };
                    push_repeated(set, &mut rest, &mut states);
                    at_directory_start = slash;
                }
            }
        }
        Ok(Self { states })
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        self.walk(text).0
    }

    /// The answer, and the number of states looked at on the way.
    fn walk(&self, text: &str) -> (bool, usize) {
        let end = self.states.len();
        let (mut active, mut next) = (Positions::new(end), Positions::new(end));
        self.enter(0, &mut active);
        let mut steps = 0;
        for c in text.chars() {
            next.clear();
            for position in active.list.iter().copied().filter(|p| *p < end) {
                steps += 1;
                match &self.states[position] {
                    State::Once(set) | State::Maybe(set) if set.holds(c) => {
                        self.enter(position + 1, &mut next);
                    }
                    State::Many(set) if set.holds(c) => self.enter(position, &mut next),
                    State::InDirectories => {
                        self.enter(position, &mut next);
                        if c == '/' {
                            self.enter(position + 1, &mut next);
                        }
                    }
                    _ => {}
                }
            }
            std::mem::swap(&mut active, &mut next);
            if active.list.is_empty() {
                return (false, steps);
            }
        }
        (active.member[end], steps)
    }

    /// Adds a position and every other that is reached from it without a character.
    fn enter(&self, position: usize, positions: &mut Positions) {
        let mut at = position;
        while positions.insert(at) {
            match self.states.get(at) {
                Some(State::Maybe(_) | State::Many(_)) => at += 1,
                Some(State::Directories) => {
                    positions.insert(at + 1);
                    at += 2;
                }
                _ => return,
            }
        }
    }
}

/// Positions in a pattern, each at most once.
struct Positions {
    list: Vec<usize>,
    member: Vec<bool>,
}

impl Positions {
    fn new(end: usize) -> Self {
        Self {
            list: Vec::with_capacity(end + 1),
            member: vec![false; end + 1],
        }
    }

    fn insert(&mut self, position: usize) -> bool {
        let new = !self.member[position];
        if new {
            self.member[position] = true;
            self.list.push(position);
        }
        new
    }

    fn clear(&mut self) {
        for position in self.list.drain(..) {
            self.member[position] = false;
        }
    }
}

/// Reads what follows a `*`; says whether a directory name starts after it.
fn star(rest: &mut Peekable<Chars<'_>>, at_directory_start: bool, states: &mut Vec<State>) -> bool {
    let mut stars = 1;
    while rest.next_if_eq(&'*').is_some() {
        stars += 1;
    }
    if stars == 1 {
        states.push(State::Many(Set::NotSlash));
        return false;
    }
    if at_directory_start && rest.next_if_eq(&'/').is_some() {
        states.push(State::Directories);
        states.push(State::InDirectories);
        return true;
    }
    states.push(State::Many(Set::Any));
    false
}

/// Adds a set of characters with the `?` or `+` that may follow it.
fn push_repeated(set: Set, rest: &mut Peekable<Chars<'_>>, states: &mut Vec<State>) {
    if rest.next_if_eq(&'?').is_some() {
        states.push(State::Maybe(set));
    } else if rest.next_if_eq(&'+').is_some() {
        states.push(State::Once(set.clone()));
        states.push(State::Many(set));
    } else {
        states.push(State::Once(set));
    }
}

/// Reads a bracket after its `[`.
fn bracket(rest: &mut Peekable<Chars<'_>>) -> Result<Set, InvalidPattern> {
    if matches!(rest.peek(), Some('^' | '!')) {
        return Err(InvalidPattern::NegatedBracket);
    }
    let mut ranges = Vec::new();
    loop {
        let low = match rest.next().ok_or(InvalidPattern::OpenBracket)? {
            ']' if ranges.is_empty() => return Err(InvalidPattern::EmptyBracket),
            ']' => return Ok(Set::Listed(ranges)),
            '\\' => rest.next().ok_or(InvalidPattern::OpenBracket)?,
            c => c,
        };
        let mut ahead = rest.clone();
        // A `-` before the closing bracket is the character itself.
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) if high != ']' => {
                *rest = ahead;
                if !is_range(low, high) {
                    return Err(InvalidPattern::Range(low, high));
                }
                high
            }
            _ => low,
        };
        ranges.push((low, high));
    }
}

fn is_range(low: char, high: char) -> bool {
    let same_kind = |f: fn(&char) -> bool| f(&low) && f(&high);
    low <= high
        && (same_kind(char::is_ascii_lowercase)
            || same_kind(char::is_ascii_uppercase)
            || same_kind(char::is_ascii_digit))
}

#[cfg(test)]
mod tests;
