//! What a request says, whoever sent it.

use serde::Deserialize;
use serde_json::Value;
use weir_domain::event::Alarm;
use weir_domain::ids::{EnvironmentName, LaneKey, ServiceName};

use crate::alertmanager::Group;
use crate::cloudwatch::{Notification, StateChange};
use crate::moment::Moment;
use crate::plain::Plain;
use crate::token::Verified;

/// Alarms of one request that are looked at; more than these are a storm, of which the first tell enough.
pub const ALARMS_LIMIT: usize = 100;
/// Characters kept of a name and of a summary.
const NAME_CHARS: usize = 100;
const SUMMARY_CHARS: usize = 300;

/// One alarm of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// Something is wrong with a service in an environment.
    Raised(LaneKey, Alarm),
    /// Nothing follows from it, and why.
    Passed {
        /// The alarm's name.
        name: String,
        /// Why.
        why: String,
    },
}

/// A request that no known sender sends.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No JSON.
    #[error("the body is no JSON")]
    Json(#[source] serde_json::Error),
    /// JSON of another shape.
    #[error(
        "the body is neither a group of Alertmanager (`alerts`), nor a CloudWatch alarm's state change (`detail-type`) or \
         notification (`AlarmName`), nor a plain alarm (`alarm`)"
    )]
    Shape,
    /// The shape is known, and something in it is not as it must be.
    #[error("the body looks like {kind}, and is not")]
    Fields {
        /// What it looks like.
        kind: &'static str,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads a request's alarms.
///
/// # Errors
/// [`ReadError`]
pub fn read(verified: Verified<'_>) -> Result<Vec<Told>, ReadError> {
    let body: Value = serde_json::from_slice(verified.0).map_err(ReadError::Json)?;
    if body.get("alerts").is_some() {
        let group: Group = fields(&body, "a group of Alertmanager")?;
        return Ok(group.told().take(ALARMS_LIMIT).collect());
    }
    if body.get("detail-type").is_some() {
        let change: StateChange = fields(&body, "a CloudWatch alarm's state change")?;
        return Ok(vec![change.told()]);
    }
    if body.get("AlarmName").is_some() {
        let notification: Notification = fields(&body, "a CloudWatch alarm's notification")?;
        return Ok(vec![notification.told()]);
    }
    if body.get("alarm").is_some() {
        let plain: Plain = fields(&body, "a plain alarm")?;
        return Ok(vec![plain.told()]);
    }
    Err(ReadError::Shape)
}

fn fields<T: for<'a> Deserialize<'a>>(body: &Value, kind: &'static str) -> Result<T, ReadError> {
    T::deserialize(body).map_err(|source| ReadError::Fields { kind, source })
}

/// An alarm as far as its sender says what it is.
pub(crate) struct Said<'a> {
    pub(crate) name: &'a str,
    pub(crate) service: Option<&'a str>,
    pub(crate) environment: Option<&'a str>,
    pub(crate) since: &'a Moment,
    pub(crate) summary: &'a str,
    /// How a service and an environment are named.
    pub(crate) addressed_by: &'static str,
}

impl Said<'_> {
    /// Raised, if it says whose it is and since when.
    pub(crate) fn raised(&self) -> Told {
        let (Some(service), Some(environment)) = (named(self.service), named(self.environment)) else {
            return passed(
                self.name,
                format!("it names no service and environment: {}", self.addressed_by),
            );
        };
        let Some(since) = self.since.read() else {
            return passed(self.name, "the moment since when it is raised cannot be read");
        };
        Told::Raised(
            LaneKey {
                service: ServiceName::new(service),
                environment: EnvironmentName::new(environment),
            },
            Alarm {
                name: cut(self.name, NAME_CHARS),
                since,
                summary: cut(self.summary, SUMMARY_CHARS),
            },
        )
    }
}

pub(crate) fn passed(name: &str, why: impl Into<String>) -> Told {
    Told::Passed {
        name: cut(name, NAME_CHARS),
        why: why.into(),
    }
}

fn named(name: Option<&str>) -> Option<&str> {
    name.map(str::trim).filter(|name| !name.is_empty())
}

/// The first line's first characters.
fn cut(text: &str, chars: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.trim().chars().take(chars).collect()
}
