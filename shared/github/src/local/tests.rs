use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::source::Retry;

/// A repository made with git itself, under a fixed identity and time.
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

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.folder.path()).args(arguments);
        for variable in REDIRECTING {
            git.env_remove(variable);
        }
        git.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")]);
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "Ada")
                .env(format!("GIT_{who}_EMAIL"), "ada@acme.example");
            git.env(format!("GIT_{who}_DATE"), "2026-11-01T00:00:00Z");
        }
        let output = git.output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn link(&self, path: &str, target: &str) -> &Self {
        std::os::unix::fs::symlink(target, self.folder.path().join(path)).unwrap();
        self
    }

    fn commit(&self) -> CommitSha {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", "change"]);
        CommitSha::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    fn reader(&self) -> LocalRepository {
        LocalRepository::new(self.folder.path())
    }
}

fn path(text: &str) -> RepositoryPath {
    RepositoryPath::parse(text).unwrap()
}

#[test]
fn definitions_are_those_of_the_pinned_commit() {
    let repo = Repo::new();
    repo.write(".weir/pipeline.yaml", "one")
        .write(".weir/groups.yml", "g")
        .write(".weir/README.md", "no");
    repo.write(".weir/deeper/x.yaml", "no");
    let first = repo.commit();
    repo.write(".weir/pipeline.yaml", "two");
    let second = repo.commit();
    repo.write(".weir/pipeline.yaml", "not committed");

    let texts = |commit| {
        let files = repo.reader().definitions(commit).unwrap();
        files
            .into_iter()
            .map(|f| (f.path.to_string(), f.text))
            .collect::<Vec<_>>()
    };
    let groups = (".weir/groups.yml".to_owned(), "g".to_owned());
    assert_eq!(
        texts(&first),
        [groups.clone(), (".weir/pipeline.yaml".into(), "one".into())]
    );
    assert_eq!(
        texts(&second),
        [groups, (".weir/pipeline.yaml".into(), "two".into())]
    );
}

#[test]
fn a_commit_without_definitions_has_none() {
    let repo = Repo::new();
    repo.write("README.md", "x");
    let commit = repo.commit();
    assert_eq!(repo.reader().definitions(&commit).unwrap(), []);
}

#[test]
fn links_are_refused_and_never_followed() {
    let repo = Repo::new();
    repo.write(".weir/a.yaml", "x").write("real/f.yaml", "x");
    repo.link(".weir/passwd.yaml", "/etc/passwd")
        .link("folder", "real");
    let commit = repo.commit();
    let reader = repo.reader();
    assert!(
        matches!(reader.definitions(&commit), Err(SourceError::Link(p)) if p == path(".weir/passwd.yaml"))
    );
    assert!(matches!(
        reader.files(&commit, &[path("folder")]),
        Err(SourceError::Link(_))
    ));
    assert!(matches!(
        reader.files(&commit, &[path("folder/f.yaml")]),
        Err(SourceError::NoSuchFile(_))
    ));
    assert!(matches!(
        reader.files(&commit, &[path("real")]),
        Err(SourceError::NotAFile(_))
    ));

    let repo = Repo::new();
    repo.write("elsewhere/a.yaml", "x").link(".weir", "elsewhere");
    let commit = repo.commit();
    assert!(matches!(repo.reader().definitions(&commit), Err(SourceError::Link(p)) if p == path(".weir")));
}

#[test]
fn named_files_come_in_the_order_asked_for() {
    let repo = Repo::new();
    repo.write("k8s/a.yaml", "a").write("b *?[x].yaml", "b");
    let commit = repo.commit();
    let files = repo
        .reader()
        .files(&commit, &[path("b *?[x].yaml"), path("k8s/a.yaml")])
        .unwrap();
    assert_eq!(
        files.iter().map(|f| f.text.as_str()).collect::<Vec<_>>(),
        ["b", "a"]
    );
    let missing = repo.reader().files(&commit, &[path("k8s/*.yaml")]).unwrap_err();
    assert!(matches!(missing, SourceError::NoSuchFile(_)));
    assert_eq!(missing.retry(), Retry::Never);
}

#[test]
fn oversized_and_binary_files_are_refused() {
    let repo = Repo::new();
    repo.write("large", vec![b'a'; 1024 * 1024 + 1])
        .write("binary", [0xff, 0xfe, 0x00]);
    let commit = repo.commit();
    let read = |name| repo.reader().files(&commit, &[path(name)]);
    assert!(matches!(
        read("large"),
        Err(SourceError::TooLarge { bytes: 1_048_577, .. })
    ));
    assert!(matches!(read("binary"), Err(SourceError::NotText(_))));
}

#[test]
fn an_unknown_commit_and_a_missing_repository_are_told_apart() {
    let repo = Repo::new();
    repo.write("a", "a");
    let known = repo.commit();
    let unknown = CommitSha::parse(&"1".repeat(40)).unwrap();
    assert!(matches!(
        repo.reader().definitions(&unknown),
        Err(SourceError::NoSuchCommit(_))
    ));
    let empty = TempDir::new().unwrap();
    let nowhere = LocalRepository::new(empty.path());
    assert!(matches!(
        nowhere.definitions(&known),
        Err(SourceError::Git { .. })
    ));
    let gone = LocalRepository::new(empty.path().join("gone"));
    assert!(matches!(gone.definitions(&known), Err(SourceError::Git { .. })));
    assert_eq!(
        SourceError::Run(std::io::Error::other("x")).retry(),
        Retry::After(Duration::from_secs(1))
    );
}

#[test]
fn relations_between_commits_are_told() {
    let repo = Repo::new();
    let first = repo.commit();
    repo.write("a", "a");
    let second = repo.commit();
    repo.git(&["checkout", "--quiet", "-b", "side", first.as_str()]);
    repo.write("b", "b");
    let side = repo.commit();
    let relation = |base, head| repo.reader().relation(base, head).unwrap();
    assert_eq!(relation(&first, &first), Relation::Identical);
    assert_eq!(relation(&first, &second), Relation::Ahead);
    assert_eq!(relation(&second, &first), Relation::Behind);
    assert_eq!(relation(&second, &side), Relation::Diverged);
    let head = |name: &str| repo.reader().head_of(&GitRef::parse(name).unwrap()).unwrap();
    assert_eq!(head("refs/heads/side"), Some(side));
    assert_eq!(head("refs/heads/none"), None);
}

#[test]
fn the_archive_holds_the_commit_and_not_the_work_tree() {
    let repo = Repo::new();
    repo.write("models/a.txt", "weights of the commit");
    let commit = repo.commit();
    repo.write("models/a.txt", "changed since");
    let tar = repo.reader().archive(&commit).unwrap();
    let text = String::from_utf8_lossy(&tar);
    assert!(text.contains("models/a.txt") && text.contains("weights of the commit"));
    assert!(!text.contains("changed since"));
}

#[test]
fn a_definition_whose_name_cannot_be_spelled_is_not_left_out_in_silence() {
    let repo = Repo::new();
    repo.write(".weir/a\nb.yaml", "x");
    let commit = repo.commit();
    assert!(matches!(
        repo.reader().definitions(&commit),
        Err(SourceError::Name(_))
    ));
}
