use proptest::prelude::*;

use super::*;

fn matches(pattern: &str, text: &str) -> bool {
    Glob::compile(pattern).unwrap().matches(text)
}

fn check(pattern: &str, accepted: &[&str], refused: &[&str]) {
    for text in accepted {
        assert!(matches(pattern, text), "{pattern} should match {text}");
    }
    for text in refused {
        assert!(!matches(pattern, text), "{pattern} should not match {text}");
    }
}

#[test]
fn branches_and_tags_match_as_githubs_cheat_sheet_says() {
    check(
        "feature/*",
        &["feature/my-branch", "feature/your-branch"],
        &["feature/a/b", "feature"],
    );
    check(
        "feature/**",
        &["feature/beta-a/my-branch", "feature/mona/the/octocat"],
        &["features/x"],
    );
    check("main", &["main"], &["Main", "main2", "xmain"]);
    check("*", &["main", "releases", ".hidden"], &["all/the/branches"]);
    check("**", &["main", "all/the/branches", "every/tag"], &[]);
    check(
        "*feature",
        &["mona-feature", "feature", "ver-10-feature"],
        &["feature-1", "a/feature"],
    );
    check("v2*", &["v2", "v2.0", "v2.9"], &["v1", "v2/x"]);
    check(
        "v[12].[0-9]+.[0-9]+",
        &["v1.10.1", "v2.0.0"],
        &["v3.0.0", "v1..0", "v1.0.0-rc"],
    );
}

#[test]
fn paths_match_as_githubs_cheat_sheet_says() {
    check("*", &["README.md", "server.rb"], &["docs/README.md"]);
    check("*.jsx?", &["page.js", "page.jsx"], &["page.jsxx", "a/page.js"]);
    check("**", &["all/the/files.md"], &[]);
    check("*.js", &["app.js", "index.js"], &["js/app.js"]);
    check(
        "**.js",
        &["index.js", "js/index.js", "src/js/app.js"],
        &["index.ts"],
    );
    check("docs/*", &["docs/README.md", "docs/file.txt"], &["docs/a/b"]);
    check(
        "docs/**",
        &["docs/README.md", "docs/mona/octocat.txt"],
        &["docs", "docs2/x"],
    );
    check(
        "docs/**/*.md",
        &[
            "docs/README.md",
            "docs/mona/hello-world.md",
            "docs/a/markdown/file.md",
        ],
        &["docsx.md"],
    );
    check(
        "**/docs/**",
        &[
            "docs/hello.md",
            "dir/docs/my-file.txt",
            "space/docs/plan/space.doc",
        ],
        &["xdocs/a"],
    );
    check(
        "**/README.md",
        &["README.md", "js/README.md"],
        &["aREADME.md", "js/aREADME.md"],
    );
    check("**/*src/**", &["a/src/app.js", "my-src/code/js/app.js"], &["src"]);
    check(
        "**/*-post.md",
        &["my-post.md", "path/their-post.md"],
        &["post.md"],
    );
    check(
        "**/migrate-*.sql",
        &[
            "migrate-10909.sql",
            "db/migrate-v1.0.sql",
            "db/sept/migrate-v1.sql",
        ],
        &["migrate.sql"],
    );
    check(
        "models/**",
        &["models/model.safetensors", "models/.hidden/x"],
        &["my/models/x", "models"],
    );
}

#[test]
fn two_stars_inside_a_name_leave_the_slash_as_it_is() {
    check("a**/b", &["a/b", "ax/y/b"], &["ab"]);
    check("a/**/b", &["a/b", "a/x/y/b"], &["ab", "a/xb"]);
    check("**/**/b", &["b", "x/b", "x/y/z/b"], &["xb"]);
}

#[test]
fn an_escape_makes_the_next_character_plain() {
    check(r"v1\+x", &["v1+x"], &["v1x", "v11x"]);
    check(r"\!x", &["!x"], &["x"]);
    check(r"a\*", &["a*"], &["ab"]);
    check(r"[\]x]", &["]", "x"], &["\\"]);
    check("a!b", &["a!b"], &[]);
    check("[a-]", &["a", "-"], &["b"]);
    check("é?x+", &["x", "éxx"], &["ééx", "é"]);
}

#[test]
fn what_is_no_pattern_is_refused_with_its_reason() {
    let cases = [
        ("", InvalidPattern::Empty),
        ("?x", InvalidPattern::NothingToRepeat('?')),
        ("*+", InvalidPattern::NothingToRepeat('+')),
        ("a??", InvalidPattern::NothingToRepeat('?')),
        ("[abc", InvalidPattern::OpenBracket),
        ("[a-", InvalidPattern::OpenBracket),
        ("x[]", InvalidPattern::EmptyBracket),
        ("[^a]", InvalidPattern::NegatedBracket),
        ("[!a]", InvalidPattern::NegatedBracket),
        ("[z-a]", InvalidPattern::Range('z', 'a')),
        ("[A-z]", InvalidPattern::Range('A', 'z')),
        ("x\\", InvalidPattern::DanglingEscape),
    ];
    for (pattern, reason) in cases {
        assert_eq!(Glob::compile(pattern).unwrap_err(), reason, "{pattern}");
    }
    assert_eq!(
        Glob::compile(&"a".repeat(1025)).unwrap_err(),
        InvalidPattern::TooLong
    );
}

#[test]
fn many_stars_cost_no_more_than_length_times_states() {
    let pattern = "*a**b".repeat(200) + "x";
    let glob = Glob::compile(&pattern).unwrap();
    for length in [1_000, 2_000, 4_000] {
        let (found, steps) = glob.walk(&"ab".repeat(length / 2));
        assert!(!found);
        assert!(
            steps <= length * glob.states.len(),
            "{steps} steps for {length} characters"
        );
    }
}

/// The same meaning, read off the pattern's own text as directly as possible: try every way to split the text.
/// Knows no escapes, and of brackets only `[ab]`.
fn reference(pattern: &[char], directory_start: bool, text: &[char]) -> bool {
    let Some(first) = pattern.first() else {
        return text.is_empty();
    };
    let splits = || 0..=text.len();
    if *first == '*' {
        let stars = pattern.iter().take_while(|c| **c == '*').count();
        let rest = &pattern[stars..];
        if stars >= 2 && directory_start && rest.first() == Some(&'/') {
            return splits()
                .any(|n| (n == 0 || text[n - 1] == '/') && reference(&rest[1..], true, &text[n..]));
        }
        let fits = |run: &[char]| stars >= 2 || !run.contains(&'/');
        return splits().any(|n| fits(&text[..n]) && reference(rest, false, &text[n..]));
    }
    let (listed, length) = if *first == '[' {
        (vec!['a', 'b'], 4)
    } else {
        (vec![*first], 1)
    };
    let (least, most, length) = match pattern.get(length) {
        Some('?') => (0, 1, length + 1),
        Some('+') => (1, text.len(), length + 1),
        _ => (1, 1, length),
    };
    let starts = *first == '/';
    splits().any(|n| {
        (least..=most).contains(&n)
            && text[..n].iter().all(|c| listed.contains(c))
            && reference(&pattern[length..], starts, &text[n..])
    })
}

proptest! {
    #[test]
    fn the_walk_agrees_with_a_naive_search(pattern in "(\\*\\*/|\\*\\*|\\*|a\\?|b\\+|\\[ab\\]|a|b|/){1,7}", text in "[ab/]{0,9}") {
        let glob = Glob::compile(&pattern).unwrap();
        let (written, chars): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(glob.matches(&text), reference(&written, true, &chars), "{} on {}", pattern, text);
    }

    #[test]
    fn no_pattern_and_no_text_make_it_panic_or_overstep(pattern in ".{0,40}", text in ".{0,40}") {
        if let Ok(glob) = Glob::compile(&pattern) {
            let (_, steps) = glob.walk(&text);
            prop_assert!(steps <= text.chars().count() * glob.states.len());
        }
    }

    #[test]
    fn an_escaped_text_matches_itself_alone(text in "[a-c*?+\\[\\]!/\\\\]{1,12}", other in "[a-c*?+\\[\\]!/\\\\]{1,12}") {
        let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
        prop_assert_eq!(matches(&escaped, &other), text == other);
        prop_assert!(matches(&escaped, &text));
    }
}
