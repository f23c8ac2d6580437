//! What several test files share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its part, and fails where it cannot go on"
)]

use std::path::{Path, PathBuf};

pub(crate) use weir_article::root;

use weir_spec::{Diagnostic, Scope, SourceFile, load};

/// The article's ten files, where they lie next to the repository.
pub(crate) fn article() -> Option<Vec<SourceFile>> {
    let files = weir_article::files()?.into_iter();
    Some(files.map(|(name, text)| SourceFile::new(name, text)).collect())
}

/// One file, named by its last part.
pub(crate) fn read(path: &Path) -> SourceFile {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    SourceFile::new(name, std::fs::read_to_string(path).unwrap())
}

/// One complaint as its JSON says it.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) severity: String,
    pub(crate) file: String,
    pub(crate) at: (u32, u32),
    pub(crate) message: String,
    pub(crate) help: String,
}

fn said(files: &[SourceFile], scope: Scope) -> Vec<Said> {
    let loaded = load(files, scope);
    let one = |d: &Diagnostic| Said {
        severity: d.severity.as_str().into(),
        file: d.place.file.to_string(),
        at: (d.place.line, d.place.column),
        message: d.message(),
        help: d.help.clone().unwrap_or_default(),
    };
    loaded.diagnostics.iter().map(one).collect()
}

/// What is said about one file of several.
pub(crate) fn alone(text: &str) -> Vec<Said> {
    said(&[SourceFile::new("a.yaml", text)], Scope::OneFile)
}

/// What is said about all files of a definition.
pub(crate) fn together(files: &[(&str, &str)]) -> Vec<Said> {
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| SourceFile::new(*path, *text))
        .collect();
    said(&files, Scope::Whole)
}

/// What is said of a canary with these keys, in a step with these others.
pub(crate) fn of_canary(canary: &str, rest: &str) -> Vec<Said> {
    let place = "service: {name: llm, spec: {containers: [{name: model, image: 'a:1', healthChecks: [{type: HTTP, path: /health}]}]}}
environments:
  - {name: East, type: Kubernetes, spec: {cluster: c, namespace: east}}
";
    let pipeline = format!(
        "pipeline:
  name: P
  stages:
    - stage: A
      steps:
        - step:
            name: N
            type: Kubernetes
            spec:
              namespace: east
              canary: {{{canary}}}
              {rest}
"
    );
    together(&[("p.yaml", &pipeline), ("place.yaml", place)])
}

/// The project's own example files.
pub(crate) fn examples() -> Vec<SourceFile> {
    let folders = ["docs/examples", "docs/examples/ladder"];
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// The documents of a file, as another reader of YAML sees them.
pub(crate) fn documents(file: &SourceFile) -> Vec<serde_json::Value> {
    serde_saphyr::from_multiple(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path))
}
