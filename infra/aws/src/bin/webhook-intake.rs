//! webhook-intake on Lambda: turns a signed push into runs, and an alarm into traffic that goes back.

use std::collections::BTreeMap;

use weir_lambda::{Host, HostError};
use weir_webhook_intake::{Alarms, Intake, Reception};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), weir_lambda::Error> {
    let host = weir_lambda::start("webhook-intake", &variable).await?;
    host.serve_doors(
        reception,
        |reception, request| async move { reception.handle(&request).await },
        |reception, message| async move { reception.alarms.noticed(&message).await },
    )
    .await
}

fn reception(host: &Host) -> Result<Reception, HostError> {
    let engine = weir_webhook_intake::engine(host.ports()?);
    Ok(Reception {
        alarms: Alarms {
            engine: engine.clone(),
            secrets: host.secrets.alarms(),
        },
        intake: Intake {
            engine,
            keys: host.secrets.github(),
            // Pods clone from where the payload says.
            clone_urls: BTreeMap::new(),
            registry: host.settings.registry.clone(),
        },
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where configuration is read, once"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
