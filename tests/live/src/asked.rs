//! What whoever runs a benchmark or a soak may choose.

/// A text, if it was chosen.
pub fn asked_text(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the size of a benchmark is its caller's"
    )]
    let asked = std::env::var(name).ok();
    asked.filter(|text| !text.is_empty())
}

/// A number, and else the usual one.
///
/// # Panics
/// What was chosen is none.
pub fn asked(name: &str, usual: usize) -> usize {
    asked_text(name).map_or(usual, |asked| {
        asked
            .parse()
            .unwrap_or_else(|_| panic!("{name} is `{asked}`: expected a number"))
    })
}
