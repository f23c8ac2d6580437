//! A CloudWatch alarm's state change, as EventBridge hands it on.
//! Shape: Amazon CloudWatch User Guide, "Alarm events and EventBridge".

use serde::Deserialize;

use crate::moment::Moment;
use crate::read::{Said, Told, passed};

/// What an alarm's name begins with that is meant for Weir: alarms have no labels in their events.
const PREFIX: &str = "weir/";

#[derive(Deserialize)]
pub(crate) struct StateChange {
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "alarmName")]
    alarm_name: String,
    state: State,
}

#[derive(Deserialize)]
struct State {
    value: String,
    #[serde(default)]
    reason: String,
    timestamp: Moment,
}

impl StateChange {
    pub(crate) fn told(&self) -> Told {
        let name = self.detail.alarm_name.as_str();
        if self.detail.state.value != "ALARM" {
            return passed(name, format!("it is {}", self.detail.state.value));
        }
        let mut parts = name.strip_prefix(PREFIX).unwrap_or_default().splitn(3, '/');
        let said = Said {
            name,
            service: parts.next(),
            environment: parts.next(),
            since: &self.detail.state.timestamp,
            summary: &self.detail.state.reason,
            addressed_by: "call the alarm weir/SERVICE/ENVIRONMENT/NAME",
        };
        said.raised()
    }
}
