//! Secrets of the host, read once at the start from the environment, or from files that it names.

use std::fmt;

/// Where the value of a variable comes from; the environment, but for tests.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Bytes of a file with a secret: a few keys of a few hundred bytes each.
const FILE_LIMIT: u64 = 64 << 10;

/// Signs what GitHub delivers.
pub(crate) const GITHUB_SECRET: &str = "WEIR_GITHUB_SECRET";
/// Signs what Slack delivers.
pub(crate) const SLACK_SIGNING_SECRET: &str = "WEIR_SLACK_SIGNING_SECRET";
/// Lets Weir write in Slack.
pub(crate) const SLACK_TOKEN: &str = "WEIR_SLACK_TOKEN";
/// Lets Weir read files and set statuses at GitHub.
pub(crate) const GITHUB_TOKEN: &str = "WEIR_GITHUB_TOKEN";

/// Monitoring systems prove themselves by it.
pub(crate) const ALARM_SECRET: &str = "WEIR_ALARM_SECRET";

/// The values of one variable: one, or several while one is exchanged for the next. Shown, they are a count.
#[derive(Clone, Default)]
pub(crate) struct Values(Vec<String>);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

impl Values {
    /// Each value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The one to send.
    pub(crate) fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    /// Whether the variable is not set.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// All of them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Secrets {
    /// [`GITHUB_SECRET`]
    pub(crate) github_secret: Values,
    /// [`SLACK_SIGNING_SECRET`]
    pub(crate) slack_signing_secret: Values,
    /// [`SLACK_TOKEN`]
    pub(crate) slack_token: Values,
    /// [`GITHUB_TOKEN`]
    pub(crate) github_token: Values,
    /// [`ALARM_SECRET`]
    pub(crate) alarm_secret: Values,
}

impl Secrets {
    /// Reads each from `NAME`, or from the file that `NAME_FILE` names; several stand on lines of their own.
    ///
    /// # Errors
    /// A file cannot be read, both variables are set, or nothing stands in one that is set.
    pub(crate) fn read(lookup: Lookup<'_>) -> Result<Self, String> {
        Ok(Self {
            github_secret: values(GITHUB_SECRET, lookup)?,
            slack_signing_secret: values(SLACK_SIGNING_SECRET, lookup)?,
            slack_token: values(SLACK_TOKEN, lookup)?,
            github_token: values(GITHUB_TOKEN, lookup)?,
            alarm_secret: values(ALARM_SECRET, lookup)?,
        })
    }

    /// Names of those that are set.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let all = [
            (GITHUB_SECRET, &self.github_secret),
            (SLACK_SIGNING_SECRET, &self.slack_signing_secret),
            (SLACK_TOKEN, &self.slack_token),
            (GITHUB_TOKEN, &self.github_token),
            (ALARM_SECRET, &self.alarm_secret),
        ];
        all.into_iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, _)| name)
            .collect()
    }
}

/// The values of one variable.
///
/// # Errors
/// Its file cannot be read, it is set twice, or empty.
pub(crate) fn values(name: &str, lookup: Lookup<'_>) -> Result<Values, String> {
    let file = format!("{name}_FILE");
    let text = match (lookup(name), lookup(&file)) {
        (None, None) => return Ok(Values::default()),
        (Some(_), Some(_)) => return Err(format!("both {name} and {file} are set: unset one")),
        (Some(text), None) => text,
        (None, Some(path)) => {
            from_file(&path).map_err(|error| format!("{file}={path} cannot be read: {error}"))?
        }
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let values: Vec<String> = lines.map(str::to_owned).collect();
    match values.is_empty() {
        true => Err(format!("{name} is set and empty: give it a value, or unset it")),
        false => Ok(Values(values)),
    }
}

fn from_file(path: &str) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(FILE_LIMIT)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Secrets, String> {
        let pairs: Vec<(String, String)> = pairs
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Secrets::read(&|name| {
            pairs
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn several_values_stand_on_lines_and_are_never_shown() {
        let secrets = read(&[(GITHUB_SECRET, "hunter2\nhunter3\n")]).unwrap();
        assert_eq!(
            secrets.github_secret.iter().collect::<Vec<_>>(),
            ["hunter2", "hunter3"]
        );
        assert_eq!(secrets.names(), [GITHUB_SECRET]);
        assert!(!format!("{secrets:?}").contains("hunter"));
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "xoxb-1\r\n").unwrap();
        let secrets = read(&[("WEIR_SLACK_TOKEN_FILE", path.to_str().unwrap())]).unwrap();
        assert_eq!(secrets.slack_token.first(), Some("xoxb-1"));
    }

    #[test]
    fn what_is_set_and_cannot_be_used_is_an_error_that_shows_no_value() {
        let errors = [
            read(&[(GITHUB_SECRET, " \n")]),
            read(&[(GITHUB_SECRET, "hunter2"), ("WEIR_GITHUB_SECRET_FILE", "/x")]),
            read(&[("WEIR_GITHUB_TOKEN_FILE", "/does/not/exist")]),
        ];
        for error in errors {
            let error = error.unwrap_err();
            assert!(error.contains("WEIR_") && !error.contains("hunter2"), "{error}");
        }
    }
}
