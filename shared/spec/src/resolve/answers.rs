//! Questions that a shadow and stable are asked, and the condition that says how many answers may differ.

use weir_domain::condition::Condition;
use weir_domain::strategy::{BODY_MAX, PATH_MAX, QUESTIONS_MAX, Question, Strategy, is_pointer};

use super::Resolver;
use crate::definition::{RolloutDef, ShadowDef};
use crate::diagnostic::Diagnostic;
use crate::render::short;
use crate::source::{Located, Place};

/// The metric that they give.
const METRIC: &str = "answers_differ";

impl Resolver<'_> {
    /// Complains about questions that cannot be put, about answers that nothing is said of, and about a condition on answers where
    /// there are none.
    pub(super) fn answers(&mut self, rollout: &RolloutDef, strategy: &Strategy) {
        let mentions = self.mentions(rollout, strategy.judged().is_some());
        let shadow = rollout.shadow.as_ref().filter(|shadow| shadow.answers.is_some());
        if let Some(shadow) = shadow {
            self.questions(shadow);
        }
        match (shadow, mentions) {
            (Some(shadow), None) => {
                let found = "answers are compared, and nothing says how many may differ";
                let help = format!("for example `rollback: {{condition: {METRIC} > 2%}}`");
                self.sink.push(Diagnostic::error(&shadow.place, found).help(help));
            }
            (None, Some(place)) => {
                let found = format!("`{METRIC}` is counted where a `shadow` has `answers`, and here is none");
                let help = "the step would wait for data that never comes: leave it out, or ask something";
                self.sink.push(Diagnostic::error(&place, found).help(help));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// Where a condition stands that asks for it: the step's own, or one of the policy's where a step is judged.
    fn mentions(&self, rollout: &RolloutDef, judged: bool) -> Option<Place> {
        let asks = |condition: &Condition| condition.metrics().contains(&METRIC);
        let own = rollout.rollback.as_ref().filter(|own| asks(&own.value));
        let mut policy = self.definition.automatic_rollback.iter().filter(|_| judged);
        let of_policy = || {
            policy
                .find(|rule| asks(&rule.condition))
                .map(|rule| rule.place.clone())
        };
        own.map(|own| own.place.clone()).or_else(of_policy)
    }

    fn questions(&mut self, shadow: &ShadowDef) {
        let written = shadow.answers.as_deref().unwrap_or_default();
        if !(1..=QUESTIONS_MAX).contains(&written.len()) {
            let found = format!("{} questions under `answers`", written.len());
            let complaint = Diagnostic::error(&shadow.place, found);
            self.sink
                .push(complaint.expected(format!("1 to {QUESTIONS_MAX}")));
        }
        for Located { value, place } in written {
            if let Some((found, expected)) = fault(value) {
                self.sink.push(Diagnostic::error(place, found).expected(expected));
            }
        }
    }
}

/// What is wrong with a question, and what was expected.
fn fault(question: &Question) -> Option<(String, String)> {
    let path = short(&question.path);
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !question.path.starts_with('/') || !question.path.bytes().all(plain) {
        return Some((
            format!("path `{path}`"),
            "a path from `/` on, such as /v1/completions".into(),
        ));
    }
    if question.path.len() > PATH_MAX {
        return Some((
            format!("a path of {} bytes", question.path.len()),
            format!("{PATH_MAX} at most"),
        ));
    }
    // Written out or encoded: it goes into a path of the API server.
    let lower = question.path.to_ascii_lowercase();
    if lower.contains("..") || ["%2e", "%2f", "%5c"].iter().any(|dot| lower.contains(dot)) {
        return Some((format!("path `{path}`"), "a path without `..`".into()));
    }
    let body = question.body.as_ref().map_or(0, |body| body.to_string().len());
    if body > BODY_MAX {
        return Some((
            format!("a body of {body} bytes of JSON"),
            format!("{BODY_MAX} at most"),
        ));
    }
    (!is_pointer(&question.compare)).then(|| {
        let found = format!("`compare: {}`", short(&question.compare));
        (found, "a JSON Pointer, such as /choices/0/text".into())
    })
}
