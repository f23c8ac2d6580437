//! The article's files, where they lie next to the repository. Nothing needs them but the tests that read them
//! verbatim, and those are skipped without them: `make test` counts these at its end. With `CI=true` nothing is skipped.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Name and text of each YAML file, by name. `None` if they are not there; the test that asked is skipped then.
///
/// # Panics
///
/// If they are not there with `CI=true`, or cannot be read.
pub fn files() -> Option<Vec<(String, String)>> {
    let folder = root().join("../shared/spec");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        skip(&folder);
        return None;
    };
    let paths = entries.map(|entry| {
        entry
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .path()
    });
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path);
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (
                name,
                text.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            )
        })
        .collect();
    files.sort();
    Some(files)
}

/// Leaves a file for `make test` to count: what a test that passes prints is not shown.
fn skip(folder: &Path) {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(
        !ci,
        "{} is not there; with CI=true nothing is skipped",
        folder.display()
    );
    let kept = root().join("target/skipped");
    let test = std::thread::current()
        .name()
        .unwrap_or("unnamed")
        .replace("::", "-");
    std::fs::create_dir_all(&kept)
        .and_then(|()| {
            std::fs::write(
                kept.join(test),
                "the article's files are not next to the repository\n",
            )
        })
        .unwrap_or_else(|error| panic!("{}: {error}", kept.display()));
}
