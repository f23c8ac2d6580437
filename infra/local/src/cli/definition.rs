//! Files that commands are given.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use weir_spec::{Scope, SourceFile};

use super::output::Failure;

/// Definition files of one folder that are looked at.
const MAX_FILES: usize = 1_000;

/// Bytes of one input: far more than any webhook body or log that people look at by hand.
const MAX_BYTES: u64 = 256 << 20;

/// The whole of a file, or of stdin for `-`.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
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

/// A definition: one file, or `*.yaml` and `*.yml` of a folder or of its `.weir`. Links are not followed.
pub(super) fn read_definition(path: &Path) -> Result<(Vec<SourceFile>, Scope), Failure> {
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
