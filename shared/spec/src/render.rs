//! Complaints as text for people: the line, a caret under the thing, and what to write.

use std::fmt::Write;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::SourceFile;

/// Columns of the narrowest terminal that the text is made for.
const COLUMNS: usize = 80;
/// Characters of a source line that are shown around the caret; the whole fits 80 columns.
const SHOWN: usize = 66;

/// `a, b, c`.
pub(crate) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// Text of the user's in a sentence: at most 60 characters, control characters escaped.
pub(crate) fn short(text: &str) -> String {
    let mut out: String = text.chars().take(60).map(visible).collect();
    if text.chars().nth(60).is_some() {
        out.push('…');
    }
    out
}

/// A character as it may be shown: what would move the cursor or turn the text around is written as its number.
fn visible(c: char) -> String {
    let turns =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    match c {
        '\t' => " ".into(),
        c if c.is_control() || turns => c.escape_unicode().to_string(),
        c => c.to_string(),
    }
}

/// A sentence as it may be shown: names of the user's stand in it.
fn clean(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Columns of a terminal that a character takes.
fn columns(c: char) -> usize {
    let wide = matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}');
    if wide { 2 } else { visible(c).chars().count() }
}

/// One complaint with its line of the source, if that is among `sources`.
pub(crate) fn diagnostic(out: &mut String, diagnostic: &Diagnostic, sources: &[SourceFile], color: bool) {
    let (on, off) = match (color, diagnostic.severity) {
        (false, _) => ("", ""),
        (true, Severity::Error) => ("\u{1b}[1;31m", "\u{1b}[0m"),
        (true, Severity::Warning) => ("\u{1b}[1;33m", "\u{1b}[0m"),
    };
    let place = &diagnostic.place;
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{on}{}{off}: {}",
        diagnostic.severity.as_str(),
        clean(&diagnostic.found)
    );
    let number = place.line.to_string();
    let gap = " ".repeat(number.len());
    let _ = writeln!(
        out,
        "{gap} ┌─ {}:{}:{}",
        short_path(&place.file),
        place.line,
        place.column
    );
    let expected = format!("expected {}", clean(&diagnostic.expected));
    let mut below = !diagnostic.expected.is_empty();
    if let Some(line) = source_line(diagnostic, sources) {
        let (text, before, width) = window(line, place.column as usize, place.width as usize);
        let _ = writeln!(out, "{number} │ {text}");
        let beside = below && gap.len() + before + width + expected.chars().count() <= COLUMNS - 4;
        let label = if beside {
            format!(" {expected}")
        } else {
            String::new()
        };
        below &= !beside;
        let (space, carets) = (" ".repeat(before), "^".repeat(width));
        let _ = writeln!(out, "{gap} │ {space}{on}{carets}{off}{label}");
    }
    if below {
        for line in wrapped(&expected, COLUMNS - gap.len() - 3) {
            let _ = writeln!(out, "{gap} │ {line}");
        }
    }
    if let Some(help) = diagnostic.help.as_deref().map(clean) {
        let _ = writeln!(out, "{gap} = help: {help}");
    }
}

fn short_path(path: &str) -> String {
    path.chars().map(visible).collect()
}

fn source_line<'a>(diagnostic: &Diagnostic, sources: &'a [SourceFile]) -> Option<&'a str> {
    let file = sources.iter().find(|file| *file.path == *diagnostic.place.file)?;
    file.text
        .lines()
        .nth(diagnostic.place.line.saturating_sub(1) as usize)
}

/// Words in lines of at most so many characters; a longer word has a line of its own.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            let space = if lines[last].is_empty() { "" } else { " " };
            lines[last].push_str(space);
            lines[last].push_str(word);
        }
    }
    lines
}

/// The part of the line around the column, the columns before the caret in it, and the caret's width.
fn window(line: &str, column: usize, width: usize) -> (String, usize, usize) {
    let chars: Vec<char> = line.chars().collect();
    let at = column.saturating_sub(1).min(chars.len());
    let start = if at + width.min(20) > SHOWN {
        at.saturating_sub(SHOWN / 2)
    } else {
        0
    };
    let mut shown = String::new();
    let (mut used, mut before, mut carets) = (0, 0, 0);
    if start > 0 {
        shown.push('…');
        (used, before) = (1, 1);
    }
    for (i, c) in chars.iter().enumerate().skip(start) {
        let takes = columns(*c);
        if used + takes > SHOWN {
            shown.push('…');
            break;
        }
        used += takes;
        shown.push_str(&visible(*c));
        if i < at {
            before += takes;
        } else if i < at + width {
            carets += takes;
        }
    }
    (shown, before, carets.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Place;

    fn shown(text: &str, column: u32, width: u32, color: bool) -> String {
        let sources = [SourceFile::new("a.yaml", text)];
        let place = Place {
            column,
            width,
            ..Place::start_of("a.yaml")
        };
        let complaint = Diagnostic::error(&place, "unknown strategy `canery`")
            .expected("canary, rolling")
            .help("did you mean `canary`?");
        let mut out = String::new();
        diagnostic(&mut out, &complaint, &sources, color);
        out
    }

    #[test]
    fn the_caret_stands_under_the_thing() {
        let expected = "\
error: unknown strategy `canery`
  ┌─ a.yaml:1:11
1 │ strategy: canery
  │           ^^^^^^ expected canary, rolling
  = help: did you mean `canary`?
";
        assert_eq!(shown("strategy: canery", 11, 6, false), expected);
        assert!(shown("strategy: canery", 11, 6, true).starts_with("\u{1b}[1;31merror"));
    }

    #[test]
    fn a_long_expectation_is_wrapped_below_the_caret() {
        let sources = [SourceFile::new("a.yaml", "key: value")];
        let names = vec!["something"; 20].join(", ");
        let complaint = Diagnostic::error(&Place::start_of("a.yaml"), "x").expected(names);
        let mut out = String::new();
        diagnostic(&mut out, &complaint, &sources, false);
        assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
        assert_eq!(out.matches("something").count(), 20);
    }

    #[test]
    fn control_characters_of_the_source_are_escaped() {
        let text = shown("a: \u{1b}[2J\u{202e}b", 4, 1, false);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
        assert!(text.contains("\\u{1b}"), "{text}");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let line = format!("{}here{}", "x".repeat(300), "y".repeat(300));
        let text = shown(&line, 301, 4, false);
        let source = text.lines().nth(2).unwrap();
        assert!(source.contains("here") && source.chars().count() <= 80, "{text}");
        let under = text.lines().nth(3).unwrap();
        let column = |line: &str, needle| line.split(needle).next().unwrap().chars().count();
        assert_eq!(column(source, "here"), column(under, "^^^^"));
    }

    #[test]
    fn a_name_of_the_users_moves_no_cursor() {
        let place = Place::start_of("a.yaml");
        let found = Diagnostic::error(&place, "request of 1 nvi\tdia\u{1b}[2J/gpu").expected("a\u{7}name");
        let mut out = String::new();
        diagnostic(&mut out, &found, &[], false);
        assert!(
            out.contains("nvi dia\\u{1b}[2J/gpu") && out.contains("a\\u{7}name"),
            "{out}"
        );
    }
}
