//! Texts that other people chose, on their way into a message.

/// One line, at most `limit` characters long after escaping.
///
/// Control characters, invisible characters and marks that turn the reading direction go; line ends become spaces;
/// `&`, `<` and `>` are escaped, so that no mention, link or date can be built. Stars, underlines and backticks stay as
/// they are, because such texts stand in plain-text objects alone, where they mean nothing.
pub(crate) fn plain(text: &str, limit: usize) -> String {
    let visible = text.chars().filter_map(visible).collect::<String>();
    let words: Vec<&str> = visible.split_whitespace().collect();
    cut_escaped(&words.join(" "), limit)
}

fn cut_escaped(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let mut single = [0_u8; 4];
        let piece: &str = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => c.encode_utf8(&mut single),
        };
        let piece_length = piece.chars().count();
        // Room for the ellipsis stays as long as something follows.
        let reserve = usize::from(rest.peek().is_some());
        if length + piece_length + reserve > limit {
            out.truncate(out.trim_end().len());
            out.push('…');
            break;
        }
        out.push_str(piece);
        length += piece_length;
    }
    out
}

/// The character as it may be shown, or nothing.
fn visible(c: char) -> Option<char> {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        // Zero width, direction marks, embeddings and isolates, invisible operators, byte order mark, tags.
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => None,
        '\u{061c}' | '\u{180e}' | '\u{feff}' | '\u{00ad}' | '\u{e0000}'..='\u{e007f}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

/// Items as lines, each cut.
pub(crate) fn lines(items: &[String]) -> String {
    let lines: Vec<String> = items
        .iter()
        .map(|item| plain(item, crate::limits::LINE_CHARS))
        .collect();
    lines.join("\n")
}

/// Items as lines under a title, within one section: long lines are cut, and lines beyond the limit counted.
pub(crate) fn bullets(title: &str, items: &[String]) -> String {
    use crate::limits::{LINE_CHARS, LIST_LINES, SECTION_CHARS};
    let mut lines = vec![plain(title, LINE_CHARS)];
    lines.extend(
        items
            .iter()
            .take(LIST_LINES)
            .map(|item| format!("• {}", plain(item, LINE_CHARS))),
    );
    if items.len() > LIST_LINES {
        lines.push(format!("… and {} more", items.len() - LIST_LINES));
    }
    let text = lines.join("\n");
    debug_assert!(
        text.chars().count() <= SECTION_CHARS,
        "title and 8 lines of 300 fit a section of 3000"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_what_cannot_be_seen_is_gone() {
        assert_eq!(
            plain("<!channel> & <@U1>", 100),
            "&lt;!channel&gt; &amp; &lt;@U1&gt;"
        );
        assert_eq!(plain("a\u{202e}b\u{1b}[31m\u{200b}c\nd\0", 100), "ab[31mc d");
        assert_eq!(plain("  \n ", 100), "");
    }

    #[test]
    fn cutting_counts_the_escaped_text_and_never_splits_an_entity() {
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(plain("&&", 10), "&amp;&amp;");
        assert_eq!(plain("&&&", 10), "&amp;…");
        for limit in 1..40 {
            let cut = plain("<é & <<>> 日本語> tail tail tail tail", limit);
            assert!(cut.chars().count() <= limit, "{limit}: {cut}");
            assert_eq!(cut.matches('&').count(), cut.matches(';').count(), "{cut}");
        }
    }

    #[test]
    fn long_lists_are_counted_and_fit_a_section() {
        let items = vec!["x&".repeat(2000); 50];
        let text = bullets("What changes", &items);
        assert!(text.chars().count() <= 3000);
        assert!(text.ends_with("… and 42 more"));
    }
}
