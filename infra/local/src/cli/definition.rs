//! Files that commands are given.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use weir_domain::pipeline::Pipeline;
use weir_spec::{Definition, Diagnostic, PipelineDef, ResourceFiles, Scope, Severity, SourceFile, Variables};

use super::output::Failure;

/// Definition files of one folder that are looked at.
const MAX_FILES: usize = 1_000;

/// Bytes of one input: far more than any webhook body or log that people look at by hand.
const MAX_BYTES: u64 = 256 << 20;

/// Whether stdin was read: it has one end.
static STDIN_READ: AtomicBool = AtomicBool::new(false);

/// The whole of a file, or of stdin for `-`.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" && STDIN_READ.swap(true, Ordering::Relaxed) {
        return Err(Failure::new(
            "stdin was read already: only one of the files can be `-`",
        ));
    }
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes),
        false => fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)),
    };
    let length = read.map_err(|error| Failure::reading(path, &error))?;
    if length as u64 > MAX_BYTES {
        return Err(Failure::new(format!(
            "{} has more than {MAX_BYTES} bytes",
            path.display()
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Failure {
            line: Some(line),
            ..Failure::new(format!("{} is not UTF-8 text", path.display()))
        }
    })
}

/// Stands for the commit that nobody has pushed yet.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// A definition without a fault, and the manifests that it names.
pub(super) struct Sound {
    pub(super) definition: Definition,
    pub(super) manifests: ResourceFiles,
}

/// Reads a definition as `weir validate` does.
pub(super) fn sound(path: &Path) -> Result<Sound, Failure> {
    let (files, scope) = read_definition(path)?;
    let first = weir_spec::load(&files, scope);
    let unread = |error: io::Error| Failure::new(format!("a manifest beside {}: {error}", path.display()));
    let manifests = weir_spec::manifests_beside(path, &first.definition).map_err(unread)?;
    let manifests = ResourceFiles::partial(manifests);
    let loaded = weir_spec::load_with(&files, &manifests, scope);
    match loaded.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        Some(fault) => Err(Failure::definition(fault)),
        None => Ok(Sound {
            definition: loaded.definition,
            manifests,
        }),
    }
}

impl Sound {
    /// The pipeline of a name, or the only one.
    pub(super) fn pipeline(&self, name: Option<&str>) -> Result<&PipelineDef, Failure> {
        let all = self.definition.pipelines.as_slice();
        let names = || {
            let names: Vec<&str> = all.iter().map(|pipeline| pipeline.name.value.as_str()).collect();
            names.join(", ")
        };
        match (name, all) {
            (_, []) => Err(Failure::new("the definition has no pipeline")),
            (Some(name), _) => all
                .iter()
                .find(|pipeline| pipeline.name.value == name)
                .ok_or_else(|| Failure::new(format!("no pipeline `{name}`; there are: {}", names()))),
            (None, [one]) => Ok(one),
            (None, _) => Err(Failure::new(format!(
                "several pipelines, say --name: {}",
                names()
            ))),
        }
    }

    /// A pipeline as a run of this commit would have it; of none that was pushed yet without it.
    pub(super) fn resolve(&self, name: &str, commit: Option<&str>) -> Result<Pipeline, Vec<Diagnostic>> {
        let variables = Variables {
            git_commit: commit.unwrap_or(NO_COMMIT).to_owned(),
            branch: "main".into(),
            run_id: "offline".into(),
            registry: Some("registry".into()),
            ..Variables::default()
        };
        weir_spec::resolve(&self.definition, name, &variables, &self.manifests)
    }
}

/// A definition: one file, or `*.yaml` and `*.yml` of a folder or of its `.weir`. Links are not followed.
fn read_definition(path: &Path) -> Result<(Vec<SourceFile>, Scope), Failure> {
    if !path.is_dir() {
        return Ok((
            vec![SourceFile::new(path.to_string_lossy(), read_text(path)?)],
            Scope::OneFile,
        ));
    }
    let inner = path.join(".weir");
    let folder = if inner.is_dir() { inner } else { path.to_owned() };
    let paths = list(&folder).map_err(|error| Failure::reading(&folder, &error))?;
    if paths.is_empty() {
        return Err(Failure::new(format!(
            "{} holds no *.yaml or *.yml",
            folder.display()
        )));
    }
    let read = |path: &PathBuf| Ok(SourceFile::new(path.to_string_lossy(), read_text(path)?));
    Ok((
        paths.iter().map(read).collect::<Result<_, Failure>>()?,
        Scope::Whole,
    ))
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_FILES) {
        let entry = entry?;
        let path = entry.path();
        let yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if yaml && entry.file_type()?.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
