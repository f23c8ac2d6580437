//! Errors in words.

use std::error::Error;

/// An error with everything that caused it, for a log or a person: the innermost says what happened. A cause whose words
/// stand in those before it is left out.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(error), |error| (*error).source()) {
        let words = cause.to_string();
        if parts.last().is_none_or(|last| !last.contains(&words)) {
            parts.push(words);
        }
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Link {
        words: &'static str,
        source: Option<Box<Link>>,
    }

    fn chained(words: &[&'static str]) -> Link {
        let inner_first = words.iter().rev();
        let chain = inner_first.fold(None, |source, words| Some(Box::new(Link { words, source })));
        *chain.expect("there is one")
    }

    #[test]
    fn the_innermost_cause_is_said_and_none_twice() {
        for (chain, said) in [
            (&["away"][..], "away"),
            (&["cannot ask", "no route"], "cannot ask: no route"),
            (
                &["cannot ask: no route", "no route", "timed out"],
                "cannot ask: no route: timed out",
            ),
        ] {
            assert_eq!(with_causes(&chained(chain)), said);
        }
    }
}
