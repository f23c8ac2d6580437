//! Servers of metrics that definitions may name: `--source NAME=KIND:WHERE`, keys from `WEIR_SOURCE_NAME`.

use std::sync::Arc;

use weir_app::Clock;
use weir_metrics::provider::{Keys, Named, Secret, Servers};

use super::secrets::{Lookup, values};

/// Makes a client for each. Nothing is sent yet.
///
/// # Errors
/// Which argument or key cannot be used, and why.
pub(crate) fn servers(all: &[String], lookup: Lookup<'_>, clock: &Arc<dyn Clock>) -> Result<Servers, String> {
    let all = all.iter().map(|text| named(text));
    let all: Vec<Named> = all.collect::<Result<_, _>>()?;
    if let Some(name) = Named::twice(&all) {
        return Err(format!("--source {name} is given twice"));
    }
    let keys = Variables(lookup);
    let made = all.iter().map(|named| {
        let server = named.server(&keys, clock);
        let server = server.map_err(|why| format!("--source {named}: {why}"))?;
        Ok((named.name().to_owned(), server))
    });
    made.collect()
}

/// What is refused is named and not shown: people write keys into addresses.
fn named(text: &str) -> Result<Named, String> {
    let name = text.split_once('=').map_or("", |(name, _)| name);
    let shown = if name.is_empty() { "" } else { " " };
    text.parse()
        .map_err(|error| format!("--source{shown}{name}: {error}"))
}

/// Keys in variables, or in files that variables name.
struct Variables<'a>(Lookup<'a>);

impl Keys for Variables<'_> {
    fn key(&self, source: &str) -> Result<Option<Secret>, String> {
        Ok(values(&variable(source), self.0)?.first().and_then(Secret::new))
    }

    fn place(&self, source: &str) -> String {
        let variable = variable(source);
        format!("{variable} (or {variable}_FILE)")
    }
}

/// `gpu-metrics` → `WEIR_SOURCE_GPU_METRICS`.
fn variable(source: &str) -> String {
    format!("WEIR_SOURCE_{}", source.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(texts: &[&str]) -> Result<Servers, String> {
        let lookup = |name: &str| (name == "WEIR_SOURCE_WITH_KEYS").then(|| "key:s3cret\n".to_owned());
        let named: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let clock: Arc<dyn Clock> = Arc::new(weir_app::SystemClock);
        servers(&named, &lookup, &clock)
    }

    #[test]
    fn keys_are_in_the_variable_of_the_source() {
        let servers = made(&[
            "with-keys=datadog:https://api.datadoghq.eu",
            "open=json:x.example",
        ])
        .unwrap();
        assert_eq!(servers.keys().collect::<Vec<_>>(), ["open", "with-keys"]);
    }

    #[test]
    fn what_cannot_be_used_is_said_without_a_key() {
        let table: [(&[&str], &str); 5] = [
            (
                &["prom=prometheus:https://ana:s3cret@prom.example?key=s3cret"],
                "--source prom: https://…@prom.example: expected https://HOST, or http:// on this machine",
            ),
            (
                &["s3cret"],
                "--source: expected NAME=KIND:WHERE, with a name of lower-case letters, digits and dashes",
            ),
            (
                &["open=datadog:https://api.datadoghq.eu"],
                "--source open=datadog:https://api.datadoghq.eu: set WEIR_SOURCE_OPEN (or WEIR_SOURCE_OPEN_FILE) to its keys",
            ),
            (
                &["open=cloudwatch:eu-west-1"],
                "--source open=cloudwatch:eu-west-1: set WEIR_SOURCE_OPEN (or WEIR_SOURCE_OPEN_FILE) to KEY:SECRET or \
                 KEY:SECRET:SESSION",
            ),
            (
                &["with-keys=json:x.example", "with-keys=json:y.example"],
                "--source with-keys is given twice",
            ),
        ];
        for (texts, expected) in table {
            assert_eq!(made(texts).err().unwrap(), expected);
        }
    }
}
