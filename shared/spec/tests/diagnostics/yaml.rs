//! What YAML itself forbids, and what it would do to a memory.

use super::kit::alone;

#[test]
fn what_yaml_itself_forbids_is_told_where_it_stands() {
    let table = [
        ("a: [1, 2", (1, 4), "not YAML: unclosed bracket"),
        ("pipeline:\n\tname: x", (2, 2), "not YAML: tabs"),
        ("dev: {}\ndev: {}", (2, 1), "key `dev` is written twice"),
        (
            "dev: {replicas: 1, replicas: 2}",
            (1, 20),
            "key `replicas` is written twice",
        ),
        ("dev: !!python/object:os.system {}", (1, 32), "a YAML tag"),
        ("a: &x [*x]", (1, 8), "an alias to a value that holds it"),
        ("a: *nobody", (1, 4), "not YAML"),
    ];
    for (text, at, message) in table {
        let said = alone(text);
        assert!(
            said.iter().any(|d| d.at == at && d.message.contains(message)),
            "{text}\n{said:#?}"
        );
    }
}

#[test]
fn bombs_are_refused_before_they_grow() {
    let mut aliases = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let row = vec![format!("*a{}", i - 1); 10].join(", ");
        aliases.push_str(&format!("a{i}: &a{i} [{row}]\n"));
    }
    let deep = "[".repeat(5_000);
    let deep_block: String = (0..500).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    let scalar = format!("a: {}", "x".repeat(300 << 10));
    let file = format!("# {}", "x".repeat(2 << 20));
    let keys: String = (0..3_000).map(|i| format!("k{i}: 1\n")).collect();
    let items = format!("pipeline: {{name: p, stages: [{}]}}", vec!["1"; 501].join(","));
    let merges = format!(
        "a: &a {{{}}}\nb: {{<<: [{}]}}",
        (0..900)
            .map(|i| format!("k{i}: 1"))
            .collect::<Vec<_>>()
            .join(", "),
        vec!["*a"; 90].join(", ")
    );
    for text in [aliases, deep, deep_block, scalar, file, keys, items, merges] {
        let said = alone(&text);
        assert!(said.iter().any(|d| d.severity == "error"), "{text:.60}");
        assert!(said.len() <= 500);
    }
}

#[test]
fn a_merge_key_takes_what_the_mapping_does_not_say_itself() {
    let text = "dev: &d {replicas: 1, image_pull_policy: Always}\nstaging:\n  <<: *d\n  replicas: 3\n";
    let said = alone(text);
    assert!(said.is_empty(), "{said:#?}");
}
