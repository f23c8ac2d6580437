//! The Prometheus text format, as far as counters and histograms need it.
//!
//! Linear in the text, and never more than one line's labels in memory. A line that is not understood is reported as
//! such and costs nothing else: pages come from servers that anyone may have written.

use std::borrow::Cow;

/// Longest line in bytes; a sample with twenty long labels is a tenth of it.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Labels of one sample; servers use about ten.
const LABELS_MAX: usize = 64;
/// Largest count that a page's floating-point number still tells exactly.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

/// One value of one series.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) name: &'a str,
    labels: Vec<(&'a str, Cow<'a, str>)>,
    pub(crate) value: f64,
}

/// A line that is neither a sample, nor a comment, nor empty; with its name, as far as it has one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed<'a>(pub(crate) Option<&'a str>);

impl Sample<'_> {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(label, _)| *label == name)?;
        Some(&found.1)
    }

    /// The value as a count; not NaN, not negative, not beyond what a float counts by ones.
    pub(crate) fn count(&self) -> Option<u64> {
        // The comparison is false for NaN, and the range makes the cast exact but for a fraction.
        (0.0..=COUNT_MAX)
            .contains(&self.value)
            .then_some(self.value as u64)
    }
}

/// The samples of a page whose name is `wanted`, and its malformed lines.
pub(crate) fn samples<'a>(
    page: &'a str,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Result<Sample<'a>, Malformed<'a>>> {
    page.lines().filter_map(move |line| {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let Some((name, rest)) = name(line) else {
            return Some(Err(Malformed(None)));
        };
        let short = line.len() <= LINE_BYTES_MAX;
        let read = || short.then(|| sample(name, rest)).flatten();
        wanted(name).then(|| read().ok_or(Malformed(Some(name))))
    })
}

/// Whether the page has such a family, with or without samples: client libraries write the head of a counter that has
/// counted nothing yet.
pub(crate) fn declares(page: &str, family: &str) -> bool {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .any(|head| head.split_ascii_whitespace().next() == Some(family))
}

fn name(line: &str) -> Option<(&str, &str)> {
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let begins = name.starts_with(|c: char| !c.is_ascii_digit());
    (begins && rest.starts_with(['{', ' ', '\t'])).then_some((name, rest))
}

fn sample<'a>(name: &'a str, rest: &'a str) -> Option<Sample<'a>> {
    let mut rest = rest.trim_ascii_start();
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = self::labels(inside)?;
    }
    // An OpenMetrics exemplar follows a `#`.
    let mut words = rest.split('#').next()?.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    let timestamp = words.next().is_none_or(|word| word.parse::<f64>().is_ok());
    (timestamp && words.next().is_none()).then_some(Sample { name, labels, value })
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// What stands between the braces, and what follows them.
fn labels(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        if labels.len() == LABELS_MAX {
            return None;
        }
        let (label, after) = rest.split_once('=')?;
        let (value, after) = quoted(after.trim_ascii_start().strip_prefix('"')?)?;
        labels.push((label.trim_ascii_end(), value));
        rest = after.trim_ascii_start();
        rest = rest
            .strip_prefix(',')
            .or_else(|| rest.starts_with('}').then_some(rest))?;
    }
}

/// Text up to the closing quote, and what follows it. Copied only if something is escaped.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let plain = text.find(['"', '\\'])?;
    if text[plain..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..plain]), &text[plain + 1..]));
    }
    let mut value = String::from(&text[..plain]);
    let mut chars = text[plain..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(value), &text[plain + at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(page: &str) -> Vec<Result<Sample<'_>, Malformed<'_>>> {
        samples(page, |_| true).collect()
    }

    fn value(line: &str) -> Option<f64> {
        all(line).pop()?.ok().map(|sample| sample.value)
    }

    #[test]
    fn every_form_of_a_line_that_servers_write_is_read() {
        for (line, expected) in [
            ("up 1", 1.0),
            ("a:b_total 2 1395066363000", 2.0),
            ("a{} 3", 3.0),
            ("a { b = \"c\" , } 4", 4.0),
            ("a{b=\"}\",c=\"# \"} 5e2", 500.0),
            ("a_bucket{le=\"+Inf\"} 1.5E-1 # {trace=\"x\"} 0.67", 0.15),
            ("\ta 6\t", 6.0),
            ("a +Inf", f64::INFINITY),
        ] {
            assert_eq!(value(line), Some(expected), "{line}");
        }
        assert!(value("a NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn escapes_in_labels_are_undone() {
        let found = all(r#"a{x="say \"hi\"\n\\",y="é"} 1"#);
        let sample = found[0].as_ref().unwrap();
        assert_eq!(sample.label("x"), Some("say \"hi\"\n\\"));
        assert_eq!(sample.label("y"), Some("é"));
        assert_eq!(sample.label("z"), None);
    }

    #[test]
    fn what_is_no_sample_is_malformed() {
        for line in ["<html>", "{\"error\": 1}", "a", "1a 1"] {
            assert_eq!(all(line), [Err(Malformed(None))], "{line}");
        }
        for line in [
            "a{ 1",
            "a{b} 1",
            "a{b=c} 1",
            "a{b=\"c} 1",
            "a{b=\"c\\",
            "a{b=\"c\"d=\"e\"} 1",
            "a one",
            "a 1 2 3",
            &format!("a{{b=\"{}\"}} 1", "x".repeat(LINE_BYTES_MAX)),
            &format!("a{{{}}} 1", "b=\"\",".repeat(LABELS_MAX + 1)),
        ] {
            assert_eq!(all(line), [Err(Malformed(Some("a")))], "{line}");
        }
        assert_eq!(all("# HELP a b\n\n# TYPE a counter\r\n"), []);
    }

    #[test]
    fn only_what_can_be_counted_is_a_count() {
        let count = |line: &str| all(line)[0].as_ref().unwrap().count();
        assert_eq!(count("a 7.0"), Some(7));
        assert_eq!(count("a 9.007199254740992e15"), Some(1 << 53));
        for line in ["a -1", "a NaN", "a +Inf", "a -Inf", "a 1e300"] {
            assert_eq!(count(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            for sample in samples(&text, |_| true).flatten() {
                sample.count();
            }
        }

        #[test]
        fn nearly_right_text_neither(text in "[a-z]{0,3}[{]?([a-z]{0,2}=?\"?[\\\\n\"é]{0,3}\"?,?){0,3}[}]? ?[0-9e+.-]{0,5}( [0-9#]{0,3}){0,2}") {
            for sample in samples(&text, |_| true).flatten() {
                sample.count();
            }
        }

        #[test]
        fn a_written_label_is_read_back(value in "(?s).{0,40}") {
            let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            prop_assume!(!escaped.contains('\r') && escaped.trim_ascii() == escaped);
            let line = format!("a{{x=\"{escaped}\"}} 1");
            let found = all(&line);
            prop_assert_eq!(found[0].as_ref().unwrap().label("x"), Some(value.as_str()));
        }
    }
}
