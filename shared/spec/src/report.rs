//! What `weir validate` answers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::definition::Definition;
use crate::diagnostic::Diagnostic;
use crate::load::{Scope, load_with};
use crate::render;
use crate::resolve::ResourceFiles;
use crate::source::SourceFile;

/// Bytes read of one file; what is longer is refused by the reader of YAML, with its position.
const MAX_READ: u64 = (1 << 20) + 1;
/// Files of one folder that are looked at.
const MAX_ENTRIES: usize = 1_000;

/// The answer: whether the definition may run, and what there is to say.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether there is no error.
    pub valid: bool,
    /// Complaints, errors first.
    pub diagnostics: Vec<Diagnostic>,
    #[serde(skip)]
    sources: Vec<SourceFile>,
}

impl Report {
    /// The answer for people, from 80 columns up; `color` marks severities that are words all the same.
    pub fn text(&self, color: bool) -> String {
        let mut out = String::new();
        for diagnostic in &self.diagnostics {
            render::diagnostic(&mut out, diagnostic, &self.sources, color);
        }
        let warnings = self
            .diagnostics
            .iter()
            .filter(|d| d.severity == crate::Severity::Warning)
            .count();
        let errors = self.diagnostics.len() - warnings;
        let verdict = if self.valid { "valid" } else { "not valid" };
        out.push_str(&format!(
            "{verdict}: {}, {}\n",
            counted(errors, "error"),
            counted(warnings, "warning")
        ));
        out
    }
}

fn counted(n: usize, word: &str) -> String {
    if n == 1 {
        format!("1 {word}")
    } else {
        format!("{n} {word}s")
    }
}

/// Checks files that are already read. `resources`: manifests of the commit by path, as far as they are known.
pub fn validate(files: Vec<SourceFile>, resources: BTreeMap<String, String>, scope: Scope) -> Report {
    let loaded = load_with(&files, &ResourceFiles::partial(resources.clone()), scope);
    let mut sources = files;
    sources.extend(
        resources
            .into_iter()
            .map(|(path, text)| SourceFile { path, text }),
    );
    Report {
        valid: loaded.is_valid(),
        diagnostics: loaded.diagnostics,
        sources,
    }
}

/// Checks files and folders. One file alone is one of several; a folder, or several paths, are the whole. Manifests
/// that steps name are looked for as [`manifests_beside`] does, from the first path on.
///
/// # Errors
/// A path that cannot be read.
pub fn validate_paths(paths: &[PathBuf]) -> io::Result<Report> {
    let mut files = Vec::new();
    let mut scope = if paths.len() == 1 {
        Scope::OneFile
    } else {
        Scope::Whole
    };
    for path in paths {
        if path.is_dir() {
            scope = Scope::Whole;
            for file in definition_files(path)? {
                files.push(read(&file)?);
            }
        } else {
            files.push(read(path)?);
        }
    }
    let first = load_with(&files, &ResourceFiles::partial(BTreeMap::new()), scope);
    let resources = match paths.first() {
        Some(path) => manifests_beside(path, &first.definition)?,
        None => BTreeMap::new(),
    };
    Ok(validate(files, resources, scope))
}

/// The manifests that steps of a definition name, as far as they are there: from the folder that holds `.weir`, else from
/// the definition's own folder.
///
/// # Errors
/// One that cannot be read.
pub fn manifests_beside(path: &Path, definition: &Definition) -> io::Result<BTreeMap<String, String>> {
    let root = root_of(path);
    let pipelines = definition.pipelines.iter();
    let wanted = pipelines.flat_map(|pipeline| definition.resource_paths(&pipeline.name.value));
    let mut resources = BTreeMap::new();
    for name in wanted {
        // A path that leaves the folder has been complained about and is not read.
        let inside = Path::new(&name).components().all(|part| {
            matches!(
                part,
                std::path::Component::Normal(_) | std::path::Component::CurDir
            )
        });
        let at = root.join(&name);
        let plain = fs::symlink_metadata(&at).is_ok_and(|data| data.is_file());
        if inside && plain {
            let key = name.strip_prefix("./").unwrap_or(&name).to_owned();
            resources.insert(key, read(&at)?.text);
        }
    }
    Ok(resources)
}

/// The folder that the paths of a definition count from.
fn root_of(path: &Path) -> PathBuf {
    let folder = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(Path::new(""))
    };
    let inner = folder.file_name().is_some_and(|name| name == ".weir");
    match folder.parent() {
        Some(parent) if inner => parent.to_owned(),
        _ => folder.to_owned(),
    }
}

/// `*.yaml` and `*.yml` of a folder, of its `.weir` where it has one; links are not followed.
fn definition_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let inner = folder.join(".weir");
    let folder = if inner.is_dir() { inner } else { folder.to_owned() };
    let mut out = Vec::new();
    for entry in fs::read_dir(&folder)?.take(MAX_ENTRIES) {
        let entry = entry?;
        let path = entry.path();
        let named = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if named && entry.file_type()?.is_file() {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

fn read(path: &Path) -> io::Result<SourceFile> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_READ).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is not UTF-8", path.display()),
        )
    })?;
    Ok(SourceFile::new(path.to_string_lossy(), text))
}
