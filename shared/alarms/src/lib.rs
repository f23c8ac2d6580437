//! Alarms of monitoring systems: who may raise one, and what it says.
//!
//! ```text
//! request ─▶ authenticate ─▶ read ─▶ Told::Raised(lane, alarm) │ Told::Passed(name, why)
//! ```
//! A sender proves itself by a secret in its `Authorization` header, which Alertmanager, Datadog and EventBridge can all
//! send; a topic of SNS cannot, and starts the function itself ([`vouched`]). An alarm names its service and environment itself; one that does not is nobody's and moves nothing. What it
//! may do is decided elsewhere: it can only send traffic back.

mod alertmanager;
mod cloudwatch;
mod moment;
mod plain;
mod read;
mod token;

pub use read::{ALARMS_LIMIT, ReadError, Told, read};
pub use token::{BODY_LIMIT, Refused, Verified, authenticate, vouched};
