//! Files to a definition: every document to its section, sections merged, references checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_domain::digest::sha256_hex;

use crate::definition::{Definition, Trigger};
use crate::diagnostic::{Class, Diagnostic, Severity, Sink};
use crate::merge::Merge;
use crate::render::{list, short};
use crate::resolve::{ResourceFiles, check_manifest, rehearse};
use crate::shape::{ISOLATION, SECTIONS, Shape, check};
use crate::source::{Place, SourceFile};
use crate::yaml::{self, Entry, Kind, Node};

/// Files of one definition.
const MAX_FILES: usize = 200;
/// Bytes of one definition.
const MAX_BYTES: usize = 4 << 20;
/// Values of one definition; the largest we have seen has 4,000.
const MAX_NODES: usize = 100_000;
/// Isolation blocks that need no declared environment.
const COMMON: [&str; 5] = ["dev", "test", "staging", "preprod", "production"];

/// How much of a definition the files are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// One file of several: what it refers to may stand elsewhere, and is a warning.
    OneFile,
    /// All of it: a reference that cannot be followed is an error.
    Whole,
}

/// A definition and everything there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    /// The definition; parts with errors are left out of it.
    pub definition: Definition,
    /// Complaints, errors first.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether there is no error.
    pub fn is_valid(&self) -> bool {
        self.diagnostics.iter().all(|d| d.severity == Severity::Warning)
    }
}

/// Reads files, merges them by section and checks the whole, without the commit's manifests.
pub fn load(files: &[SourceFile], scope: Scope) -> Loaded {
    load_with(files, &ResourceFiles::partial(BTreeMap::new()), scope)
}

/// The same, with manifests of the commit: they are checked for every step that names them.
pub fn load_with(files: &[SourceFile], resources: &ResourceFiles, scope: Scope) -> Loaded {
    let mut sink = Sink::default();
    let mut definition = match read(files, &mut sink) {
        Some(documents) => whole(files, &documents, resources, &mut sink),
        None => Definition::default(),
    };
    definition.digest = digest(files);
    let mut diagnostics = sink.sorted();
    if scope == Scope::OneFile {
        for diagnostic in diagnostics.iter_mut().filter(|d| d.class == Class::Reference) {
            diagnostic.severity = Severity::Warning;
        }
        diagnostics.sort_by(|a, b| (a.severity, &a.place).cmp(&(b.severity, &b.place)));
    }
    Loaded {
        definition,
        diagnostics,
    }
}

/// Merges and checks documents that are all there.
fn whole(
    files: &[SourceFile],
    documents: &[Arc<Node>],
    resources: &ResourceFiles,
    sink: &mut Sink,
) -> Definition {
    let mut definition = merge(documents, sink);
    for file in files {
        if documents
            .iter()
            .any(|d| is_manifest(d) && *d.place.file == *file.path)
        {
            definition.manifests.insert(file.path.clone(), file.text.clone());
        }
    }
    crate::names::check(&definition, sink);
    definition.warnings = sink
        .warnings()
        .map(|d| format!("{}: {}", d.place, d.message()))
        .collect();
    rehearse(&definition, resources, sink);
    definition
}

/// SHA-256 over the files in the order of their paths, each with its length, so that no two lists are alike.
fn digest(files: &[SourceFile]) -> String {
    let mut sorted: Vec<&SourceFile> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut bytes = Vec::new();
    for file in sorted {
        for part in [&file.path, &file.text] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
    }
    sha256_hex(&bytes)
}

/// All documents. Nothing: some could not be read, and what refers to them cannot be judged.
fn read(files: &[SourceFile], sink: &mut Sink) -> Option<Vec<Arc<Node>>> {
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    if files.len() > MAX_FILES || bytes > MAX_BYTES {
        let place = files
            .first()
            .map_or_else(|| Place::start_of(""), |file| Place::start_of(&file.path));
        let found = format!("a definition of {} files and {bytes} bytes", files.len());
        sink.push(Diagnostic::error(&place, found).expected(format!("at most {MAX_FILES} and {MAX_BYTES}")));
        return None;
    }
    let mut out = Vec::new();
    let mut complete = true;
    for file in files {
        match yaml::documents(file, sink) {
            Some(documents) => out.extend(documents),
            None => complete = false,
        }
    }
    let nodes: usize = out.iter().map(|document: &Arc<Node>| document.size()).sum();
    if nodes > MAX_NODES {
        let place = Place::start_of(&files[0].path);
        let found = format!("a definition of {nodes} values");
        sink.push(Diagnostic::error(&place, found).expected(format!("at most {MAX_NODES}")));
        return None;
    }
    let is_empty =
        |document: &Arc<Node>| matches!(document.kind, Kind::Map(_)) && document.entries().is_empty();
    if complete && out.iter().all(is_empty) {
        let place = files
            .first()
            .map_or_else(|| Place::start_of(""), |file| Place::start_of(&file.path));
        let expected = format!("sections: {}", section_names());
        sink.push(Diagnostic::error(&place, "nothing is defined").expected(expected));
    }
    complete.then_some(out)
}

/// A Kubernetes manifest among the files: it is checked as what a step's `resources` may name.
fn is_manifest(document: &Node) -> bool {
    document.get("apiVersion").is_some() && document.get("kind").is_some()
}

fn merge(documents: &[Arc<Node>], sink: &mut Sink) -> Definition {
    let mut merge = Merge::new(documents.iter().map(|d| &**d), sink);
    let environments = merge.environment_names();
    for document in documents {
        if is_manifest(document) {
            check_manifest(document, None, merge.sink);
            continue;
        }
        if !matches!(document.kind, Kind::Map(_)) {
            let found = format!("a document that is {}", document.what());
            let expected = format!("sections: {}", section_names());
            merge
                .sink
                .push(Diagnostic::error(&document.place, found).expected(expected));
        }
        for entry in document.entries() {
            section(entry, &environments, &mut merge);
        }
    }
    merge.finish()
}

fn section_names() -> String {
    list(SECTIONS.iter().map(|key| key.name))
}

fn section(entry: &Entry, environments: &[String], merge: &mut Merge<'_>) {
    let name = entry.key.as_str();
    if let Some(key) = SECTIONS.iter().find(|key| key.name == name) {
        if let Some(instead) = key.inert {
            let found = format!("`{name}` has no effect yet: {instead}");
            merge.sink.push(Diagnostic::warning(&entry.key_place, found));
        }
        check(&entry.value, key.shape, name, &merge.metrics, merge.sink);
        return merge.section(entry);
    }
    if COMMON.contains(&name) || environments.iter().any(|e| e == name) {
        check(
            &entry.value,
            &Shape::Object(ISOLATION),
            name,
            &merge.metrics,
            merge.sink,
        );
        return merge.isolation(entry);
    }
    let found = format!("unknown section `{}`", short(name));
    let known = SECTIONS.iter().map(|key| key.name).chain(COMMON);
    let known = known.chain(environments.iter().map(String::as_str));
    let looks = !entry.value.entries().is_empty()
        && entry
            .value
            .entries()
            .iter()
            .all(|e| ISOLATION.iter().any(|key| key.name == e.key));
    // Settings of an environment that another file may declare.
    let complaint = if looks {
        Diagnostic::reference(
            &entry.key_place,
            format!("settings for `{}`, which is no environment", short(name)),
        )
    } else {
        Diagnostic::error(&entry.key_place, found)
    };
    merge
        .sink
        .push(complaint.expected(section_names()).nearest(name, known));
}

/// The pipelines' triggers, with the name of what each starts.
impl Definition {
    /// Every trigger, with the pipeline that it starts.
    pub fn triggers(&self) -> impl Iterator<Item = (&str, &Trigger)> {
        self.pipelines.iter().flat_map(|pipeline| {
            pipeline
                .triggers
                .iter()
                .map(|trigger| (pipeline.name.value.as_str(), trigger))
        })
    }
}
