use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use weir_app::{Retry as Again, Source};
use weir_domain::effect::CommitState as Wanted;
use weir_domain::people::Actor;
use weir_domain::time::Timestamp;

use super::*;

/// A repository made with git itself.
struct Repo {
    folder: TempDir,
}

impl Repo {
    fn new() -> Self {
        let repo = Self {
            folder: TempDir::new().unwrap(),
        };
        repo.git(&["init", "--quiet", "--initial-branch=main"]);
        repo
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.path()).args(arguments);
        git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Ada")
                .env(format!("GIT_{who}_EMAIL"), "ada@acme.example");
        }
        let output = git.output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn commit(&self, files: &[(&str, &str)]) -> Commit {
        for (path, text) in files {
            let path = self.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", "change"]);
        Commit::new(self.git(&["rev-parse", "HEAD"]))
    }

    fn host(&self) -> Repositories {
        let local = LocalRepository::new(self.path());
        Repositories::new([("acme/llm".to_owned(), local)].into(), None)
    }
}

fn named(name: &str) -> Repository {
    Repository {
        name: name.into(),
        clone_url: "https://git.example/acme/llm".into(),
    }
}

#[tokio::test]
async fn definitions_come_with_the_files_that_exist_of_those_asked_for_each_once() {
    let repo = Repo::new();
    let commit = repo.commit(&[(".weir/p.yaml", "p"), ("k8s/a.yaml", "a"), ("README.md", "no")]);
    let more = [
        "./k8s/a.yaml",
        "k8s/b.yaml",
        ".weir/p.yaml",
        "../../etc/passwd",
        "/etc/passwd",
    ]
    .map(str::to_owned);
    let files = repo
        .host()
        .files(&named("acme/llm"), &commit, &more)
        .await
        .unwrap();
    let paths: Vec<(&str, &str)> = files.iter().map(|f| (f.path.as_str(), f.text.as_str())).collect();
    assert_eq!(paths, [(".weir/p.yaml", "p"), ("k8s/a.yaml", "a")]);
}

#[tokio::test]
async fn a_fault_of_the_commit_lasts_and_what_may_still_come_does_not() {
    let repo = Repo::new();
    std::fs::create_dir_all(repo.path().join(".weir")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", repo.path().join(".weir/p.yaml")).unwrap();
    let commit = repo.commit(&[]);
    let host = repo.host();
    let error = host.files(&named("acme/llm"), &commit, &[]).await.unwrap_err();
    assert_eq!(error.retry, Again::Never, "{error}");

    let unknown = Commit::new("1".repeat(40));
    let error = host.files(&named("acme/llm"), &unknown, &[]).await.unwrap_err();
    assert_eq!(error.retry, Again::After(NOT_THERE_YET), "{error}");

    let error = host.files(&named("acme/other"), &commit, &[]).await.unwrap_err();
    assert_eq!(error.retry, Again::After(MENDING));
    assert!(
        error.to_string().contains("acme/other is not on this machine"),
        "{error}"
    );

    let empty = TempDir::new().unwrap();
    let local = LocalRepository::new(empty.path().join("gone"));
    let host = Repositories::new([("acme/llm".to_owned(), local)].into(), None);
    let error = host.files(&named("acme/llm"), &commit, &[]).await.unwrap_err();
    assert_eq!(error.retry, Again::After(MENDING), "{error}");
}

#[tokio::test]
async fn names_that_could_be_something_else_are_refused() {
    let host = Repo::new().host();
    let commit = Commit::new("--upload-pack=x");
    let error = host.files(&named("acme/llm"), &commit, &[]).await.unwrap_err();
    assert_eq!(error.retry, Again::Never);
    let commit = Commit::new("1".repeat(40));
    let error = host.files(&named("../x"), &commit, &[]).await.unwrap_err();
    assert_eq!(error.retry, Again::Never);
}

#[tokio::test]
async fn a_commit_descends_from_itself_and_from_those_before_it() {
    let repo = Repo::new();
    let first = repo.commit(&[("a", "1")]);
    let second = repo.commit(&[("a", "2")]);
    let host = repo.host();
    for (ancestor, descendant, expected) in [
        (&first, &second, true),
        (&first, &first, true),
        (&second, &first, false),
    ] {
        let answer = host.descends(&named("acme/llm"), ancestor, descendant).await;
        assert_eq!(answer.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_status_of_a_commit_on_this_machine_succeeds() {
    let repo = Repo::new();
    let commit = repo.commit(&[("a", "1")]);
    let cause = Cause {
        repository: named("acme/llm"),
        git_ref: "refs/heads/main".into(),
        before: commit.clone(),
        after: commit,
        actor: Actor::Weir,
        headline: String::new(),
        reason: String::new(),
        received: Timestamp(0),
    };
    let (host, long) = (repo.host(), "x".repeat(500));
    let report = host.report(&cause, "weir/x", Wanted::Error, &long);
    report.await.unwrap();
}

#[test]
fn a_limit_is_waited_for_and_a_missing_right_is_mended() {
    use crate::api::ApiError;
    let table = [
        (ApiError::Server(502), NOT_THERE_YET),
        (
            ApiError::RateLimited {
                after: Duration::from_secs(7),
            },
            Span::seconds(7),
        ),
        (ApiError::Unauthorized, MENDING),
        (ApiError::NotFound, MENDING),
    ];
    for (error, pause) in table {
        let words = error.to_string();
        let error = failed("read", &SourceError::Api(error));
        assert_eq!(error.retry, Again::After(pause), "{words}");
        assert!(error.why.contains(&words), "{}", error.why);
    }
}
