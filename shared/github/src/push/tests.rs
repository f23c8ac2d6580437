use serde_json::{Value, json};

use super::*;
use crate::limits::MAX_CHANGED_FILES;

const ZERO: &str = "0000000000000000000000000000000000000000";

fn payload() -> Value {
    json!({
        "ref": "refs/heads/main",
        "before": "a".repeat(40),
        "after": "b".repeat(40),
        "commits": [
            {"added": ["models/b", "models/a"], "removed": [], "modified": ["README.md"]},
            {"added": [], "removed": ["models/a"], "modified": ["src/x"]},
        ],
        "repository": {"full_name": "acme/llm-service"},
    })
}

fn with(change: impl FnOnce(&mut Value)) -> Result<Push, PushError> {
    let mut value = payload();
    change(&mut value);
    Push::parse(value.to_string().as_bytes())
}

#[test]
fn changed_files_are_a_union_in_order_of_first_mention() {
    let push = with(|_| {}).unwrap();
    assert_eq!(push.changed_files, ["models/b", "models/a", "README.md", "src/x"]);
    assert_eq!(push.commits, 2);
    assert!(push.files_are_complete());
}

#[test]
fn a_push_without_sender_pusher_and_head_commit_is_read() {
    let push = with(|_| {}).unwrap();
    assert_eq!(
        (push.sender, push.pusher, push.head_commit, push.clone_url),
        (None, None, None, None)
    );
}

#[test]
fn zeros_make_a_creation_or_deletion_even_without_the_flags() {
    let created = with(|p| p["before"] = ZERO.into()).unwrap();
    assert!(created.created && !created.deleted);
    let deleted = with(|p| p["after"] = ZERO.into()).unwrap();
    assert!(deleted.deleted && !deleted.created);
}

#[test]
fn exactly_2048_commits_count_as_truncated() {
    let commits = |n: usize| vec![json!({"added": ["x"], "removed": [], "modified": []}); n];
    let push = with(|p| p["commits"] = commits(2047).into()).unwrap();
    assert!(!push.truncated && !push.files_are_complete());
    let push = with(|p| p["commits"] = commits(2048).into()).unwrap();
    assert!(push.truncated && !push.files_are_complete());
    assert_eq!(push.changed_files, ["x"]);
}

#[test]
fn more_files_than_are_kept_count_as_truncated() {
    let files: Vec<String> = (0..=MAX_CHANGED_FILES).map(|n| format!("f{n}")).collect();
    let push = with(|p| p["commits"] = json!([{"added": files}])).unwrap();
    assert_eq!(push.changed_files.len(), MAX_CHANGED_FILES);
    assert!(push.truncated);
    let push = with(|p| p["commits"] = json!([{"added": ["x".repeat(5000), "models/a"]}])).unwrap();
    assert!(push.truncated);
}

#[test]
fn a_null_list_or_a_wrong_type_is_refused_with_its_position() {
    let error = with(|p| p["commits"] = Value::Null).unwrap_err();
    assert!(
        matches!(&error, PushError::Json(source) if source.line() == 1 && source.column() > 0),
        "{error:?}"
    );
    assert!(matches!(with(|p| p["ref"] = 7.into()), Err(PushError::Json(_))));
}

#[test]
fn impossible_names_are_refused_by_field() {
    let field = |result: Result<Push, PushError>| match result {
        Err(PushError::Name { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(with(|p| p["ref"] = "main".into())), "ref");
    assert_eq!(field(with(|p| p["before"] = "HEAD".into())), "before");
    assert_eq!(field(with(|p| p["after"] = "--output=x".into())), "after");
    assert_eq!(
        field(with(|p| p["repository"]["full_name"] = "../..".into())),
        "repository.full_name"
    );
    assert_eq!(
        field(with(|p| p["head_commit"] = json!({"id": "x"}))),
        "head_commit.id"
    );
}

#[test]
fn texts_of_people_are_cut() {
    let push = with(|p| {
        p["head_commit"] =
            json!({"id": "b".repeat(40), "message": "é".repeat(10_000), "author": {"name": "n".repeat(999)}});
        p["sender"] = json!({"login": "l".repeat(999)});
    })
    .unwrap();
    let head = push.head_commit.unwrap();
    assert_eq!(head.message.chars().count(), 4096);
    assert_eq!(head.author.unwrap().name.len(), 256);
    assert_eq!(push.sender.unwrap().len(), 256);
}

#[test]
fn the_dedup_key_depends_on_every_part_and_on_nothing_else() {
    let key = |change: fn(&mut Value)| with(change).unwrap().dedup_key();
    let same = key(|p| p["sender"] = json!({"login": "somebody"}));
    assert_eq!(same, key(|_| {}));
    assert_eq!(same.len(), 64);
    let others = [
        key(|p| p["ref"] = "refs/heads/other".into()),
        key(|p| p["ref"] = "refs/tags/main".into()),
        key(|p| p["before"] = "c".repeat(40).into()),
        key(|p| p["after"] = "c".repeat(40).into()),
        key(|p| p["repository"]["full_name"] = "acme/other".into()),
    ];
    assert!(others.iter().all(|other| *other != same));
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let text = payload().to_string();
    for end in 0..text.len() {
        assert!(Push::parse(&text.as_bytes()[..end]).is_err());
    }
}
