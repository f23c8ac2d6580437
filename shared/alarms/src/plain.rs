//! A plain alarm: what Datadog's custom payload, an EventBridge input transformer or a script can write.

use serde::Deserialize;

use crate::moment::Moment;
use crate::read::{Said, Told, passed};

/// Words for "it is raised", of Weir, Datadog's `$ALERT_TRANSITION`, and CloudWatch.
const RAISED: [&str; 4] = ["firing", "triggered", "re-triggered", "alarm"];

#[derive(Deserialize)]
pub(crate) struct Plain {
    alarm: String,
    service: Option<String>,
    environment: Option<String>,
    state: String,
    since: Moment,
    #[serde(default)]
    summary: String,
}

impl Plain {
    pub(crate) fn told(&self) -> Told {
        if !RAISED.contains(&self.state.to_lowercase().as_str()) {
            return passed(&self.alarm, format!("it is {}", self.state));
        }
        let said = Said {
            name: &self.alarm,
            service: self.service.as_deref(),
            environment: self.environment.as_deref(),
            since: &self.since,
            summary: &self.summary,
            addressed_by: "give the payload `service` and `environment`",
        };
        said.raised()
    }
}
