//! Words of a condition and where they begin, in characters.

use weir_domain::time::unit_ms;

/// What a word is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    Name(String),
    /// A number with the unit that follows it, as written.
    Amount(String),
    Symbol(&'static str),
    /// Something that no condition holds.
    Strange(String),
    End,
}

/// A word at a place.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) word: Word,
    pub(super) at: usize,
    pub(super) width: usize,
}

/// Longest first, so that `>=` is not `>`.
const SYMBOLS: [&str; 15] = [
    "||", "&&", ">=", "<=", "==", "!=", "(", ")", "[", "]", ">", "<", "!", "=", "|",
];

pub(super) fn words(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at].is_whitespace() {
            at += 1;
            continue;
        }
        let (word, width) = next(&chars[at..]);
        out.push(Token { word, at, width });
        at += width;
    }
    out.push(Token {
        word: Word::End,
        at: chars.len(),
        width: 1,
    });
    out
}

fn next(rest: &[char]) -> (Word, usize) {
    let first = rest[0];
    if first.is_ascii_digit() {
        return amount(rest);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let width = run(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        return (Word::Name(rest[..width].iter().collect()), width);
    }
    let starts = |symbol: &&&str| symbol.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    match SYMBOLS.iter().find(starts) {
        Some(symbol) => (Word::Symbol(symbol), symbol.len()),
        None => (Word::Strange(first.to_string()), 1),
    }
}

/// A number and its unit: letters, `%` and `/` that follow directly or after blanks, but not the word `for`. Behind a time follow
/// its smaller parts, as in `1h30m`.
fn amount(rest: &[char]) -> (Word, usize) {
    let (mut width, mut unit) = part(rest);
    while is_of_time(&unit) {
        let blanks = run(&rest[width..], |c| c == ' ');
        let (more, next) = part(&rest[width + blanks..]);
        if !is_of_time(&next) {
            break;
        }
        (width, unit) = (width + blanks + more, next);
    }
    (Word::Amount(rest[..width].iter().collect()), width)
}

/// Width and unit of one number; no unit where none follows, no width where none begins.
fn part(rest: &[char]) -> (usize, String) {
    let digits = run(rest, |c| c.is_ascii_digit() || c == '.');
    if digits == 0 {
        return (0, String::new());
    }
    let blanks = run(&rest[digits..], |c| c == ' ');
    let unit = run(&rest[digits + blanks..], |c| {
        c.is_ascii_alphabetic() || matches!(c, '%' | '/')
    });
    let name: String = rest[digits + blanks..digits + blanks + unit].iter().collect();
    match name.as_str() {
        "" | "for" | "and" | "or" => (digits, String::new()),
        _ => (digits + blanks + unit, name),
    }
}

fn is_of_time(unit: &str) -> bool {
    unit_ms(unit).is_some()
}

fn run(rest: &[char], holds: impl Fn(char) -> bool) -> usize {
    rest.iter().take_while(|c| holds(**c)).count()
}
