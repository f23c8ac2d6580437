//! The article's own files: every one is accepted as it stands.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod kit;

use weir_spec::{Scope, Severity, load};

#[test]
fn every_file_of_the_article_is_valid_alone() {
    let Some(files) = kit::article() else { return };
    assert_eq!(files.len(), 10, "the article has ten files");
    for file in files {
        let path = file.path.clone();
        let loaded = load(&[file], Scope::OneFile);
        let errors: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| (d.place.clone(), d.message()))
            .collect();
        assert!(loaded.is_valid(), "{path}: {errors:#?}");
    }
}
