//! One line an event, for logs and pipes: `weir watch` where there is no terminal.

use serde_json::Value;
use weir_domain::audit::Entry;
use weir_domain::run::Run;

use super::Zone;
use super::text::clean;
use super::timeline::who;

/// `2026-11-24T01:17:03.120+08:00 LLM-Model-Update#42 weight_accepted weight=5 gpus=5 by=weir "…"`
pub(crate) fn line(run: &Run, entry: &Entry, zone: &Zone) -> String {
    let pipeline = clean(run.pipeline.name.as_str()).replace(' ', "-");
    let mut line = format!(
        "{} {pipeline}#{} {}",
        zone.exact(entry.at),
        run.number,
        entry.action.as_str()
    );
    for (name, value) in &entry.evidence {
        line.push_str(&format!(" {}={}", clean(name), field(value)));
    }
    if let (Some(before), Some(after)) = (&entry.before, &entry.after) {
        line.push_str(&format!(" from={} to={}", word(before), word(after)));
    }
    line.push_str(&format!(
        " gpus={} by={} {}",
        entry.gpus,
        word(&who(entry)),
        quoted(&entry.detail)
    ));
    line
}

fn field(value: &Value) -> String {
    match value {
        Value::String(text) => word(text),
        other => word(&other.to_string()),
    }
}

fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '%' | '+' | '@');
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", clean(text).replace('"', "'"))
}

#[cfg(test)]
mod tests {
    use crate::view::sample;

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let (run, entries) = sample::hostile();
        for entry in &entries {
            let line = super::line(&run, entry, &sample::look().zone);
            assert!(!line.chars().any(char::is_control), "{line}");
        }
    }

    #[test]
    fn an_event_carries_its_evidence() {
        let (run, entries) = sample::rolled_back();
        let lines: Vec<String> = entries
            .iter()
            .map(|entry| super::line(&run, entry, &sample::look().zone))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
