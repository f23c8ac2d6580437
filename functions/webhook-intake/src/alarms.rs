//! Alarms of monitoring systems: a rollout whose traffic they are about sends it back at once.

use serde_json::{Value, json};
use weir_alarms::{Refused, Told, Verified, authenticate, read, vouched};
use weir_app::door::{Request, Response};
use weir_app::{Engine, Headers, Secret, with_causes};
use weir_domain::Reply;
use weir_domain::event::{Alarm, Event};
use weir_domain::ids::LaneKey;

use crate::intake::problem;

/// The door for alarms. What comes through it can only send traffic back.
#[derive(Clone)]
pub struct Alarms {
    /// The loop, with this function's rights.
    pub engine: Engine,
    /// What senders prove themselves by; several during a rotation.
    pub secrets: Vec<Secret>,
}

impl Alarms {
    /// Answers one request: what became of each alarm. A store that fails is 503, and the sender asks again.
    pub async fn handle(&self, request: &Request) -> Response {
        let headers = Headers::from_pairs(request.headers.iter().map(|(n, v)| (n, v.as_str())));
        match authenticate(&headers, &request.body, &self.secrets) {
            Ok(verified) => self.told(verified).await,
            Err(refused) => turned_away(refused),
        }
    }

    /// Answers the message of a topic that may start this function. 503: it is to be sent again.
    pub async fn noticed(&self, message: &[u8]) -> Response {
        match vouched(message) {
            Ok(verified) => self.told(verified).await,
            Err(refused) => turned_away(refused),
        }
    }

    async fn told(&self, verified: Verified<'_>) -> Response {
        let told = match read(verified) {
            Ok(told) => told,
            Err(error) => {
                let why = with_causes(&error);
                tracing::warn!(why, "an alarm cannot be read");
                return problem(400, &why);
            }
        };
        let mut answers = Vec::with_capacity(told.len());
        for one in told {
            let (name, became) = match one {
                Told::Passed { name, why } => (name, Ok(Reply::Refused(why))),
                Told::Raised(lane, alarm) => (alarm.name.clone(), self.raised(&lane, alarm).await),
            };
            match became {
                Ok(reply) => answers.push(answer(&name, reply)),
                Err(why) => {
                    tracing::error!(alarm.name = name, why, "an alarm could not be handled");
                    return problem(503, "the alarm could not be looked at now; send it again");
                }
            }
        }
        Response::json(200, &json!({ "alarms": answers }))
    }

    /// Hands the alarm to the run that moves its lane.
    async fn raised(&self, lane: &LaneKey, alarm: Alarm) -> Result<Reply, String> {
        let store = &self.engine.ports.store;
        let lanes = store.lanes(std::slice::from_ref(lane)).await;
        let lanes = lanes.map_err(|error| with_causes(&error))?;
        let Some(mover) = lanes.into_iter().find_map(|(lane, _)| lane.mover) else {
            return Ok(Reply::Refused(format!("nothing is being rolled out to {lane}")));
        };
        let event = Event::AlarmRaised {
            lane: lane.clone(),
            alarm,
        };
        let handled = self.engine.handle(&mover.run, &event).await;
        let handled = handled.map_err(|error| with_causes(&error))?;
        Ok(handled
            .reply
            .unwrap_or_else(|| Reply::Refused("nothing followed from it".into())))
    }
}

fn answer(name: &str, reply: Reply) -> Value {
    let (result, why) = match reply {
        Reply::Done(words) => ("sent_back", words),
        Reply::Refused(words) => ("passed", words),
    };
    tracing::info!(alarm.name = name, result, why, "an alarm was handled");
    json!({"alarm": name, "result": result, "why": why})
}

/// A stranger learns nothing but that they are one; the log says what to look for.
fn turned_away(refused: Refused) -> Response {
    tracing::warn!(why = %refused, "an alarm was turned away");
    match refused {
        Refused::TooLarge => problem(413, &refused.to_string()),
        _ => problem(401, "unauthorized"),
    }
}
