//! Folders of definitions, as they lie in a repository.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod kit;

use std::fs;
use std::path::{Path, PathBuf};

use weir_spec::{Report, Severity, validate_paths};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn check(path: &Path) -> Report {
    validate_paths(&[path.to_owned()]).unwrap()
}

fn errors(report: &Report) -> Vec<String> {
    let errors = report
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error);
    errors
        .map(|d| format!("{}:{} {}", file_name(&d.place.file), d.place.line, d.message()))
        .collect()
}

fn file_name(path: &str) -> String {
    Path::new(path)
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

const PIPELINE: &str = "pipeline:\n  name: P\n  stages:\n    - stage: S\n      steps:\n        - step: {name: N, type: Kubernetes, spec: {namespace: prod, resources: [k8s/app.yaml]}}\n";
const WORLD: &str = "environments:\n  - name: Prod\n    spec: {cluster: c}\n";
const MANIFEST: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec:\n  template:\n    spec:\n      containers: [{name: c, image: 'i:1'}]\n";

#[test]
fn sections_of_a_folder_are_merged_and_manifests_read_from_the_root() {
    let folder = folder(&[
        (".weir/a.yaml", PIPELINE),
        (".weir/b.yml", WORLD),
        (".weir/notes.txt", "x: ["),
        ("k8s/app.yaml", MANIFEST),
    ]);
    for path in [folder.path().to_owned(), folder.path().join(".weir")] {
        let report = check(&path);
        assert!(report.valid, "{}", report.text(false));
    }
}

#[test]
fn a_forbidden_manifest_is_told_at_its_own_place() {
    let manifest = MANIFEST.replace("containers:", "hostNetwork: true\n      containers:");
    let folder = folder(&[
        (".weir/a.yaml", PIPELINE),
        (".weir/b.yaml", WORLD),
        ("k8s/app.yaml", &manifest),
    ]);
    let report = check(folder.path());
    assert_eq!(errors(&report).len(), 1);
    assert!(
        errors(&report)[0].starts_with("app.yaml:7 `hostNetwork` in a pod template"),
        "{:?}",
        errors(&report)
    );
    assert!(
        report.text(false).contains("7 │       hostNetwork: true"),
        "{}",
        report.text(false)
    );
}

#[test]
fn a_link_is_not_followed() {
    let folder = folder(&[
        (".weir/a.yaml", PIPELINE),
        (".weir/b.yaml", WORLD),
        ("secret.yaml", MANIFEST),
    ]);
    fs::create_dir(folder.path().join("k8s")).unwrap();
    std::os::unix::fs::symlink("../secret.yaml", folder.path().join("k8s/app.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join(".weir/c.yaml")).unwrap();
    let report = check(folder.path());
    assert_eq!(errors(&report), ["a.yaml:6 `k8s/app.yaml` is not in the commit"]);
}

#[test]
fn a_file_alone_is_one_of_several_and_two_are_all() {
    let folder = folder(&[("a.yaml", PIPELINE), ("b.yaml", "dev: {replicas: 1}")]);
    let path = |name: &str| folder.path().join(name);
    assert!(check(&path("a.yaml")).valid);
    let both = validate_paths(&[path("a.yaml"), path("b.yaml")]).unwrap();
    assert!(!both.valid);
}

#[test]
fn a_folder_without_definitions_and_a_path_that_is_not_there_are_told() {
    let empty = folder(&[("readme.md", "x")]);
    assert_eq!(check(empty.path()).diagnostics[0].found, "nothing is defined");
    assert!(validate_paths(&[empty.path().join("nowhere.yaml")]).is_err());
    fs::write(empty.path().join("latin.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    assert!(validate_paths(&[empty.path().join("latin.yaml")]).is_err());
}

#[test]
fn several_documents_of_one_file_are_several_files() {
    let text = format!(
        "{PIPELINE}---\n{WORLD}---\n{}",
        PIPELINE.replace("name: P", "name: Q")
    );
    let folder = folder(&[(".weir/all.yaml", &text), ("k8s/app.yaml", MANIFEST)]);
    let report = check(folder.path());
    assert!(report.valid, "{}", report.text(false));
}

#[test]
fn the_projects_examples_are_valid() {
    for path in ["docs/examples", "docs/examples/ladder"] {
        let report = check(&kit::root().join(path));
        assert!(report.valid, "{}", report.text(false));
    }
}

#[test]
fn the_examples_are_valid_where_a_repository_has_them_too() {
    let files = fs::read_dir(kit::root().join("docs/examples")).unwrap();
    let paths = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file());
    let files: Vec<(String, String)> = paths
        .map(|path| {
            let name = format!(".weir/{}", file_name(&path.to_string_lossy()));
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let folder = folder(&files);
    let report = check(folder.path());
    assert!(report.valid, "{}", report.text(false));
}

#[test]
fn the_articles_files_together_lack_what_the_article_does_not_say() {
    let Some(files) = kit::article() else { return };
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|file| kit::root().join("../shared/spec").join(&file.path))
        .collect();
    let report = validate_paths(&paths).unwrap();
    let expected = [
        "01-pipeline-ai-model-deploy.yaml:13 a `docker` command, and no builder to run it",
        "01-pipeline-ai-model-deploy.yaml:14 a `docker` command, and no builder to run it",
        "01-pipeline-ai-model-deploy.yaml:35 `ai-service-deployment.yaml` is not in the commit",
        "01-pipeline-ai-model-deploy.yaml:37 stage `Approval` names no approvers, and no policy says who approves for Production",
        "04-scenario-llm-model-update.yaml:31 a `docker` command, and no builder to run it",
        "04-scenario-llm-model-update.yaml:32 a `docker` command, and no builder to run it",
        "04-scenario-llm-model-update.yaml:76 unknown group `ml-team`: expected one that is declared; none is",
        "05-scenario-model-ab-test.yaml:8 the step `Deploy Model A` names no environment: expected one of: Staging, Production, AWS-Prod, GCP-Prod, Azure-Prod",
        "05-scenario-model-ab-test.yaml:18 the step `Deploy Model B` names no environment: expected one of: Staging, Production, AWS-Prod, GCP-Prod, Azure-Prod",
    ];
    assert_eq!(errors(&report), expected);
}
