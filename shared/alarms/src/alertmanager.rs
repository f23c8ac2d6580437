//! Alertmanager's webhook, version 4: a group of alerts, each with its labels.
//! Shape: Prometheus documentation, "Alerting configuration", `<webhook_config>`.

use serde::Deserialize;

use crate::moment::Moment;
use crate::read::{Said, Told, passed};

#[derive(Deserialize)]
pub(crate) struct Group {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    status: String,
    labels: Labels,
    #[serde(default)]
    annotations: Annotations,
    #[serde(rename = "startsAt")]
    starts_at: Moment,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    alertname: String,
    weir_service: Option<String>,
    weir_environment: Option<String>,
}

#[derive(Deserialize, Default)]
struct Annotations {
    #[serde(default)]
    summary: String,
}

impl Group {
    pub(crate) fn told(&self) -> impl Iterator<Item = Told> {
        self.alerts.iter().map(Alert::told)
    }
}

impl Alert {
    fn told(&self) -> Told {
        if self.status != "firing" {
            return passed(&self.labels.alertname, format!("it is {}", self.status));
        }
        let said = Said {
            name: &self.labels.alertname,
            service: self.labels.weir_service.as_deref(),
            environment: self.labels.weir_environment.as_deref(),
            since: &self.starts_at,
            summary: &self.annotations.summary,
            addressed_by: "give the alert the labels weir_service and weir_environment",
        };
        said.raised()
    }
}
