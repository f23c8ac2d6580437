//! What is said of a cluster or a source beside where it is.

use std::collections::BTreeMap;

use super::FUNCTIONS;

/// What follows a place, `;KEY=VALUE`.
pub(super) struct Options<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Options<'a> {
    pub(super) fn read(parts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for part in parts {
            let pair = part.split_once('=').filter(|(_, value)| !value.is_empty());
            let (key, value) = pair.ok_or_else(|| format!("`{part}` is no option; expected KEY=VALUE"))?;
            if all.insert(key, value).is_some() {
                return Err(format!("`{key}` is said twice; keep one"));
            }
        }
        Ok(Self(all))
    }

    pub(super) fn given(&mut self, key: &str) -> Option<&'a str> {
        self.0.remove(key)
    }

    pub(super) fn needed(&mut self, key: &str, what: &str) -> Result<&'a str, String> {
        self.given(key)
            .ok_or_else(|| format!("no `{key}=`; expected {what}"))
    }

    /// `KEY.FUNCTION=VALUE` of every function, or of none.
    pub(super) fn by_function(&mut self, key: &str) -> Result<BTreeMap<&'static str, &'a str>, String> {
        let all = FUNCTIONS.into_iter();
        let given: BTreeMap<&'static str, &str> = all
            .filter_map(|function| Some((function, self.given(&format!("{key}.{function}"))?)))
            .collect();
        let missing = FUNCTIONS
            .into_iter()
            .find(|function| !given.contains_key(function));
        match missing.filter(|_| !given.is_empty()) {
            Some(function) => Err(format!(
                "no `{key}.{function}=`, though others have theirs; say it for every function"
            )),
            None => Ok(given),
        }
    }

    /// One that nobody asked for.
    pub(super) fn unknown(self) -> Option<&'a str> {
        self.0.keys().next().copied()
    }
}
