//! A CloudWatch alarm's state change: as EventBridge hands it on, and as the message that its action sends to a topic of SNS.
//! Shapes: Amazon CloudWatch User Guide, "Alarm events and EventBridge" and "Notifying users on alarm changes".

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

/// What stands in the message of a notification.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Notification {
    alarm_name: String,
    new_state_value: String,
    #[serde(default)]
    new_state_reason: String,
    state_change_time: Moment,
}

impl StateChange {
    pub(crate) fn told(&self) -> Told {
        let state = &self.detail.state;
        told(
            &self.detail.alarm_name,
            &state.value,
            &state.timestamp,
            &state.reason,
        )
    }
}

impl Notification {
    pub(crate) fn told(&self) -> Told {
        told(
            &self.alarm_name,
            &self.new_state_value,
            &self.state_change_time,
            &self.new_state_reason,
        )
    }
}

fn told(name: &str, state: &str, since: &Moment, reason: &str) -> Told {
    if state != "ALARM" {
        return passed(name, format!("it is {state}"));
    }
    let mut parts = name.strip_prefix(PREFIX).unwrap_or_default().splitn(3, '/');
    let said = Said {
        name,
        service: parts.next(),
        environment: parts.next(),
        since,
        summary: reason,
        addressed_by: "call the alarm weir/SERVICE/ENVIRONMENT/NAME",
    };
    said.raised()
}
