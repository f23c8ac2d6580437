//! Servers of metrics that the stack names, with keys of the secret, or asked as the function's role.

use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::sync::Mutex;
use weir_app::Clock;
use weir_aws::Identity;
use weir_metrics::provider::{Keys, Named, Provider, Secret, Servers, Tokens, Unready};

use crate::clients::Clients;
use crate::google::AsTheFunction;
use crate::secrets::Secrets;
use crate::ways;

/// Makes a client for each. Nothing is sent yet. One whose key is missing says so when it is asked: what needs no source,
/// such as traffic that goes back, does not wait for it.
pub(crate) fn servers(
    all: &[Named],
    secrets: &Secrets,
    clients: &Clients,
    clock: &Arc<dyn Clock>,
) -> Servers {
    let keys = OfTheSecret {
        secrets,
        clients,
        clock,
    };
    let made = all.iter().map(|named| {
        let server = named.server(&keys, clock).unwrap_or_else(|why| {
            tracing::error!(
                source.name = named.name(),
                why,
                "a source of metrics cannot be asked"
            );
            Arc::new(Unready(why)) as Arc<dyn Provider>
        });
        (named.name().to_owned(), server)
    });
    made.collect()
}

struct OfTheSecret<'a> {
    secrets: &'a Secrets,
    clients: &'a Clients,
    clock: &'a Arc<dyn Clock>,
}

impl Keys for OfTheSecret<'_> {
    fn key(&self, source: &str) -> Result<Option<Secret>, String> {
        let Some(text) = self.secrets.sources.get(source) else {
            return Ok(None);
        };
        let empty = || {
            let place = self.place(source);
            format!("{place} is empty: give it a value, or take it out")
        };
        Secret::new(text.trim()).map(Some).ok_or_else(empty)
    }

    fn place(&self, source: &str) -> String {
        format!("sources.{source} of the secret")
    }

    fn role(&self) -> Option<SharedCredentialsProvider> {
        self.clients.config.credentials_provider()
    }

    fn google(&self, believed: &str) -> Result<Arc<dyn Tokens>, String> {
        Ok(Arc::new(AsTheFunction {
            identity: Identity::new(self.clients.config.clone()),
            google: self.clients.google.clone(),
            believed: ways::believed(believed)?,
            clock: self.clock.clone(),
            kept: Mutex::default(),
        }))
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
