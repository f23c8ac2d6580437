//! One address for everybody who calls this function.

use weir_app::door::{Request, Response};

use crate::alarms::Alarms;
use crate::intake::Intake;

/// The doors of a function that has one address.
pub struct Reception {
    /// For GitHub.
    pub intake: Intake,
    /// For monitoring systems.
    pub alarms: Alarms,
}

impl Reception {
    /// Leads a request to its door. Who brings the `Authorization` of an alarm is heard as one; GitHub signs instead, and
    /// sends no such header. A wrong guess lets nobody in: each door authenticates for itself.
    pub async fn handle(&self, request: &Request) -> Response {
        let is = |name: &str| {
            request
                .headers
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(name))
        };
        match is("authorization") && !is(weir_github::signature::HEADER) {
            true => self.alarms.handle(request).await,
            false => self.intake.handle(request).await,
        }
    }
}
