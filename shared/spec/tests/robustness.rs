//! Whatever the bytes are, a definition is accepted or refused, and nothing panics.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod kit;

use proptest::prelude::*;
use weir_spec::{ResourceFiles, Scope, SourceFile, Variables, load, load_with, resolve, validate};

fn try_all(text: &str) {
    let file = SourceFile::new("a.yaml", text);
    for scope in [Scope::OneFile, Scope::Whole] {
        let loaded = load(std::slice::from_ref(&file), scope);
        for pipeline in &loaded.definition.pipelines {
            let _ = resolve(
                &loaded.definition,
                &pipeline.name.value,
                &Variables::default(),
                &ResourceFiles::default(),
            );
        }
    }
    // As a manifest that a step names.
    let resources = ResourceFiles::new([("m.yaml".to_owned(), text.to_owned())].into());
    let step = "pipeline: {name: P, stages: [{stage: S, steps: [{step: {name: N, type: Kubernetes, spec: {resources: [m.yaml]}}}]}]}\nenvironments: [{name: E, spec: {cluster: c}}]";
    let _ = load_with(&[SourceFile::new("p.yaml", step)], &resources, Scope::Whole);
    let shown = validate(vec![file], [].into(), Scope::OneFile).text(false);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
}

fn any_example() -> impl Strategy<Value = String> {
    let texts: Vec<String> = kit::examples().into_iter().map(|file| file.text).collect();
    prop::sample::select(texts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_changed_example_never_panics(text in any_example(), at in any::<prop::sample::Index>(), cut in 0_usize..30, put in "[-a-z0-9:{}\\[\\]&*!|>'\"#%@ \n\t$,\u{1b}é]{0,6}") {
        let mut chars: Vec<char> = text.chars().collect();
        let start = at.index(chars.len());
        let end = (start + cut).min(chars.len());
        chars.splice(start..end, put.chars());
        try_all(&chars.into_iter().collect::<String>());
    }

    #[test]
    fn a_line_taken_out_or_doubled_never_panics(text in any_example(), at in any::<prop::sample::Index>(), doubled in any::<bool>()) {
        let mut lines: Vec<&str> = text.lines().collect();
        let at = at.index(lines.len());
        if doubled {
            lines.insert(at, lines[at]);
        } else {
            lines.remove(at);
        }
        try_all(&lines.join("\n"));
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        try_all(&text);
    }
}
