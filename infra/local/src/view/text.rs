//! Text for a terminal: escaped, measured in columns, wrapped.

/// Makes text harmless: what would move the cursor, colour, ring or turn the reading direction becomes visible, and line
/// ends become spaces.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() || is_mark(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Characters that show nothing and change how others are read.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that cleaned text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

fn width(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Exactly `wide` columns: cut with `…`, or filled with spaces.
pub(crate) fn fit(text: &str, wide: usize) -> String {
    let mut out = cut(text, wide);
    out.push_str(&" ".repeat(wide.saturating_sub(columns(&out))));
    out
}

/// At most `wide` columns.
pub(crate) fn cut(text: &str, wide: usize) -> String {
    if columns(text) <= wide {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        if used + width(c) + 1 > wide {
            break;
        }
        used += width(c);
        out.push(c);
    }
    out.push('…');
    out
}

/// Lines of at most `wide` columns, broken at spaces where there are any.
pub(crate) fn wrap(text: &str, wide: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word.to_owned();
        if !line.is_empty() && columns(&line) + 1 + columns(&word) > wide {
            lines.push(std::mem::take(&mut line));
        }
        while line.is_empty() && columns(&word) > wide {
            let head = head(&word, wide);
            let rest = word.split_off(head);
            lines.push(std::mem::replace(&mut word, rest));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Bytes of the first characters that fit, at least one.
fn head(word: &str, wide: usize) -> usize {
    let mut used = 0;
    let fits = word.char_indices().take_while(|(_, c)| {
        used += width(*c);
        used <= wide
    });
    fits.last().map_or_else(
        || word.chars().next().map_or(0, char::len_utf8),
        |(at, c)| at + c.len_utf8(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_terminal_becomes_visible() {
        let table = [
            ("plain – 模型 é", "plain – 模型 é"),
            ("a\u{1b}[31mred", "a\\u{1b}[31mred"),
            ("a\u{202e}b\u{2066}c", "a\\u{202e}b\\u{2066}c"),
            ("two\nlines\ttab\r", "two lines tab "),
            ("\u{9b}31m\u{7}", "\\u{9b}31m\\u{7}"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
        ];
        for (given, shown) in table {
            assert_eq!(clean(given), shown);
        }
    }

    #[test]
    fn lines_never_exceed_their_columns() {
        let text = "一个很长的中文句子没有空格 and some words, averyveryverylongwordwithoutanyspace end";
        for wide in [2, 5, 8, 20, 40] {
            let lines = wrap(text, wide);
            assert!(
                lines.iter().all(|line| columns(line) <= wide),
                "{wide}: {lines:?}"
            );
            let joined: String = lines.concat();
            assert_eq!(joined.replace(' ', ""), text.replace(' ', ""));
        }
        assert_eq!(wrap("", 9), [""]);
    }

    #[test]
    fn cells_are_exactly_as_wide_as_asked() {
        for text in [
            "",
            "short",
            "exactly10!",
            "far too long for it",
            "模型模型模型模型",
        ] {
            assert_eq!(columns(&fit(text, 10)), 10, "{text}");
        }
        assert_eq!(fit("far too long", 7), "far to…");
    }
}
