use super::*;
use crate::names::{CommitSha, RepositoryName};

fn push(git_ref: &str, files: &[&str]) -> Push {
    Push {
        repository: RepositoryName::parse("acme/llm-service").unwrap(),
        clone_url: None,
        default_branch: None,
        git_ref: GitRef::parse(git_ref).unwrap(),
        before: CommitSha::parse(&"a".repeat(40)).unwrap(),
        after: CommitSha::parse(&"b".repeat(40)).unwrap(),
        created: false,
        deleted: false,
        forced: false,
        commits: 1,
        changed_files: files.iter().map(|f| (*f).to_owned()).collect(),
        truncated: false,
        head_commit: None,
        pusher: None,
        sender: None,
    }
}

fn list(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|p| (*p).to_owned()).collect()
}

fn branches_and_paths(branches: &[&str], paths: &[&str]) -> FilterSpec {
    FilterSpec {
        branches: list(branches),
        paths: list(paths),
        ..FilterSpec::default()
    }
}

fn article() -> FilterSpec {
    branches_and_paths(&["main"], &["models/**", "src/**"])
}

fn decide(spec: &FilterSpec, push: &Push) -> Answer {
    Filter::compile(spec).unwrap().decide(push)
}

#[test]
fn branch_and_path_must_both_match() {
    let main = "refs/heads/main";
    assert_eq!(
        decide(&article(), &push(main, &["README.md", "models/a/b.bin"])),
        Answer::Run("branch main matches branches: main; models/a/b.bin matches paths: models/**, src/** (2 files changed)".into())
    );
    assert_eq!(
        decide(&article(), &push(main, &["README.md", "docs/a", "Makefile"])),
        Answer::Ignore(
            "branch main matches branches: main, but no changed file matches paths: models/**, src/** (3 files changed)".into()
        )
    );
    assert_eq!(
        decide(&article(), &push("refs/heads/dev", &["models/a"])),
        Answer::Ignore("branch dev does not match branches: main".into())
    );
}

#[test]
fn an_empty_trigger_runs_for_branches_alone() {
    let spec = FilterSpec::default();
    assert_eq!(
        decide(&spec, &push("refs/heads/x", &["a"])),
        Answer::Run("push to x".into())
    );
    assert!(!decide(&spec, &push("refs/tags/v1", &[])).runs());
    assert!(!decide(&spec, &push("refs/notes/x", &["a"])).runs());
}

#[test]
fn order_of_patterns_counts() {
    let spec = branches_and_paths(&["**"], &["src/**", "!src/docs/**", "src/docs/api/**"]);
    let runs = |files: &[&str]| decide(&spec, &push("refs/heads/x", files)).runs();
    assert!(runs(&["src/a"]));
    assert!(!runs(&["src/docs/a"]));
    assert!(runs(&["src/docs/api/a"]));
    assert!(runs(&["src/docs/a", "src/b"]));
    let releases = branches_and_paths(&["releases/**", "!releases/**-alpha"], &[]);
    assert!(decide(&releases, &push("refs/heads/releases/10", &["a"])).runs());
    assert!(!decide(&releases, &push("refs/heads/releases/beta/3-alpha", &["a"])).runs());
}

#[test]
fn ignored_paths_skip_only_when_every_file_is_ignored() {
    let spec = FilterSpec {
        paths_ignore: list(&["docs/**", "*.md"]),
        ..FilterSpec::default()
    };
    let answer = |files: &[&str]| decide(&spec, &push("refs/heads/x", files));
    assert!(!answer(&["docs/a", "README.md"]).runs());
    assert!(answer(&["docs/a", "src/b"]).runs());
    assert!(!answer(&[]).runs());
    let spec = FilterSpec {
        branches_ignore: list(&["wip/**"]),
        ..FilterSpec::default()
    };
    assert!(!decide(&spec, &push("refs/heads/wip/a", &["a"])).runs());
    assert!(decide(&spec, &push("refs/heads/main", &["a"])).runs());
}

#[test]
fn tags_run_only_where_the_trigger_names_them_and_whatever_the_paths() {
    let tag = push("refs/tags/v1.2", &[]);
    assert_eq!(
        decide(&article(), &tag),
        Answer::Ignore("tag v1.2: the trigger has no tags: list".into())
    );
    let mut spec = article();
    spec.tags = list(&["v*"]);
    assert_eq!(
        decide(&spec, &tag),
        Answer::Run("tag v1.2 matches tags: v*".into())
    );
    assert!(!decide(&spec, &push("refs/tags/x", &[])).runs());
    assert!(decide(&spec, &push("refs/heads/main", &["src/a"])).runs());
    let tags_alone = FilterSpec {
        tags: list(&["v*"]),
        ..FilterSpec::default()
    };
    assert!(!decide(&tags_alone, &push("refs/heads/main", &["a"])).runs());
}

#[test]
fn a_deletion_never_runs() {
    let mut deletion = push("refs/heads/main", &[]);
    deletion.deleted = true;
    deletion.forced = true;
    assert_eq!(
        decide(&article(), &deletion),
        Answer::Ignore("main was deleted; deletions start no run".into())
    );
    assert!(!decide(&FilterSpec::default(), &deletion).runs());
}

#[test]
fn a_push_that_may_hide_files_counts_as_matched() {
    let with = |change: fn(&mut Push)| {
        let mut push = push("refs/heads/main", &["README.md"]);
        change(&mut push);
        decide(&article(), &push)
    };
    assert!(
        with(|p| p.forced = true)
            .reason()
            .ends_with("dropped, so paths counts as matched")
    );
    assert!(
        with(|p| p.commits = 1001)
            .reason()
            .contains("1001 commits are more than 1000")
    );
    assert!(with(|p| p.truncated = true).runs());
    assert!(!with(|p| p.commits = 1000).runs());
    let other_branch = {
        let mut push = push("refs/heads/dev", &["README.md"]);
        push.forced = true;
        decide(&article(), &push)
    };
    assert!(!other_branch.runs());
}

#[test]
fn pushes_without_commits_or_files_do_not_run_by_mistake() {
    let mut empty = push("refs/heads/main", &[]);
    assert!(!decide(&article(), &empty).runs());
    empty.commits = 0;
    assert!(!decide(&article(), &empty).runs());
    assert!(!decide(&FilterSpec::default(), &empty).runs());
    empty.created = true;
    let answer = decide(&article(), &empty);
    assert!(
        !answer.runs()
            && answer
                .reason()
                .contains("created from commits that were there before"),
        "{answer:?}"
    );
    assert!(decide(&FilterSpec::default(), &empty).runs());
}

#[test]
fn what_is_wrong_is_reported_with_list_place_and_pattern() {
    let spec = branches_and_paths(&["main", "[z-a]"], &["!docs/**"]);
    assert_eq!(
        Filter::problems(&spec),
        [
            InvalidFilter::Pattern {
                key: Key::Branches,
                index: 1,
                pattern: "[z-a]".into(),
                reason: InvalidPattern::Range('z', 'a')
            },
            InvalidFilter::OnlyNegations {
                key: Key::Paths,
                pattern: "!docs/**".into()
            },
        ]
    );
    let both = FilterSpec {
        paths: list(&["a"]),
        paths_ignore: list(&["b", "!c"]),
        ..FilterSpec::default()
    };
    assert_eq!(
        Filter::compile(&both).unwrap_err().to_string(),
        "paths and paths-ignore cannot be used together; use paths with '!' patterns"
    );
    assert_eq!(Filter::problems(&both).len(), 2);
    assert!(Filter::compile(&branches_and_paths(&["!"], &[])).is_err());
    assert!(Filter::compile(&branches_and_paths(&vec!["a"; 257], &[])).is_err());
    assert!(Filter::problems(&article()).is_empty());
}
