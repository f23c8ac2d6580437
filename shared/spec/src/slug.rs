//! Names for machines, made from names for people.

/// Lower-case letters, digits and single dashes; `Build & Push` is `build-push`. At most 63 characters, as Kubernetes
/// wants it, and never empty.
pub(crate) fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if out.len() >= 63 {
            break;
        }
    }
    let trimmed = out.trim_end_matches('-');
    if trimmed.is_empty() {
        "x".into()
    } else {
        trimmed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_people_become_names_for_machines() {
        let table = [
            ("Build & Push", "build-push"),
            ("  Verify Endpoints ", "verify-endpoints"),
            ("AWS-Prod", "aws-prod"),
            ("模型", "x"),
        ];
        for (name, expected) in table {
            assert_eq!(slug(name), expected);
        }
        assert_eq!(slug(&"a".repeat(200)).len(), 63);
    }
}
