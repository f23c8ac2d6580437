//! webhook-intake on Lambda: turns a signed push into runs.

use std::collections::BTreeMap;

use weir_lambda::{Host, HostError};
use weir_webhook_intake::Intake;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), weir_lambda::Error> {
    let host = weir_lambda::start("webhook-intake", &variable).await?;
    host.serve_door(
        intake,
        |intake, request| async move { intake.handle(&request).await },
    )
    .await
}

fn intake(host: &Host) -> Result<Intake, HostError> {
    Ok(Intake {
        engine: weir_webhook_intake::engine(host.ports()?),
        secrets: host.secrets.github(),
        // Pods clone from where the payload says.
        clone_urls: BTreeMap::new(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where configuration is read, once"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
