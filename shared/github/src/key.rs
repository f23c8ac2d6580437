//! What deliveries are signed with, and for which repository that counts.

use weir_app::Secret;

use crate::names::RepositoryName;

/// A webhook's secret: of one repository, or of every repository that has none of its own.
///
/// Who administers a repository can read nothing of its webhook's secret, but has set it, and could sign a push of any
/// other repository with it, if it counted there.
#[derive(Clone, Debug)]
pub struct Key {
    pub(crate) secret: Secret,
    repository: Option<RepositoryName>,
}

impl Key {
    /// Reads `SECRET`, or `owner/name SECRET`; nothing where it is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let scoped = text.split_once(' ').and_then(|(name, secret)| {
            Some(Self {
                repository: Some(RepositoryName::parse(name).ok()?),
                secret: Secret::new(secret.trim())?,
            })
        });
        scoped.or_else(|| Secret::new(text).map(Self::from))
    }

    fn is_of(&self, repository: &RepositoryName) -> bool {
        let own = self.repository.as_ref();
        // GitHub's names differ by more than case.
        own.is_some_and(|own| own.as_str().eq_ignore_ascii_case(repository.as_str()))
    }
}

impl From<Secret> for Key {
    fn from(secret: Secret) -> Self {
        Self {
            secret,
            repository: None,
        }
    }
}

/// Whether one of the keys that fitted counts for this repository: one of its own, or one of nobody's where none of
/// `all` is its own.
pub(crate) fn count_for(fitted: &[&Key], all: &[Key], repository: &RepositoryName) -> bool {
    match all.iter().any(|key| key.is_of(repository)) {
        true => fitted.iter().any(|key| key.is_of(repository)),
        false => fitted.iter().any(|key| key.repository.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_stands_before_its_secret() {
        let table = [
            ("hunter2", None, "hunter2"),
            ("acme/models hunter2", Some("acme/models"), "hunter2"),
            ("acme/models  two words", Some("acme/models"), "two words"),
            ("It's a Secret to Everybody", None, "It's a Secret to Everybody"),
            ("acme/models ", None, "acme/models "),
        ];
        for (text, repository, secret) in table {
            let key = Key::parse(text).unwrap();
            let own = key.repository.as_ref().map(RepositoryName::as_str);
            assert_eq!((own, key.secret.expose()), (repository, secret), "{text}");
            assert!(!format!("{key:?}").contains(secret));
        }
        assert!(Key::parse("").is_none());
    }

    #[test]
    fn a_repository_with_a_secret_of_its_own_is_believed_only_with_it() {
        let keys: Vec<Key> = ["all", "acme/models own", "acme/other theirs"]
            .map(|text| Key::parse(text).unwrap())
            .into();
        let table = [
            ("acme/models", [false, true, false]),
            ("ACME/Models", [false, true, false]),
            ("acme/other", [false, false, true]),
            ("acme/site", [true, false, false]),
        ];
        for (repository, counts) in table {
            let repository = RepositoryName::parse(repository).unwrap();
            for (key, expected) in keys.iter().zip(counts) {
                assert_eq!(
                    count_for(&[key], &keys, &repository),
                    expected,
                    "{key:?} {repository}"
                );
            }
        }
    }
}
