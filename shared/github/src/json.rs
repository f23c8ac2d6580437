//! A look at the nesting of JSON before a parser recurses or allocates for it.

use crate::limits::MAX_JSON_DEPTH;

/// Whether objects and arrays nest no deeper than [`MAX_JSON_DEPTH`]. One pass, no allocation; whether the text is
/// JSON at all is the parser's business.
pub(crate) fn depth_is_bounded(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (true, b'"') => in_string = false,
            (true, _) => {}
            (false, b'"') => in_string = true,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > MAX_JSON_DEPTH {
                    return false;
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (false, _) => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_strings_only() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(depth_is_bounded(nested(MAX_JSON_DEPTH).as_bytes()));
        assert!(!depth_is_bounded(nested(MAX_JSON_DEPTH + 1).as_bytes()));
        let quoted = format!("{{\"a\\\"{}\": 1}}", "[".repeat(1000));
        assert!(depth_is_bounded(quoted.as_bytes()));
        let siblings = "[],".repeat(1000);
        assert!(depth_is_bounded(siblings.as_bytes()));
    }
}
