//! approval-callback on Lambda: a button pressed in Slack becomes an answer to an approval.

use std::sync::Arc;

use weir_approval_callback::Callback;
use weir_lambda::{Host, HostError};
use weir_slack::Addressee;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), weir_lambda::Error> {
    let host = weir_lambda::start("approval-callback", &variable).await?;
    host.serve_door(callback, |callback, request| async move {
        callback.handle(&request).await
    })
    .await
}

fn callback(host: &Host) -> Result<Callback, HostError> {
    Ok(Callback {
        engine: weir_approval_callback::engine(host.ports()?),
        secrets: host.secrets.slack(),
        addressee: Addressee {
            api_app_id: host.settings.slack_app.clone(),
            team_id: host.settings.slack_team.clone(),
            extra_response_hosts: host.settings.slack_stand_in(),
        },
        replies: Arc::new(host.slack_answers()?),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where configuration is read, once"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
