//! One request from Slack, from its raw bytes to its answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use weir_app::door::{Request, Response};
use weir_app::{Engine, HandleError};
use weir_domain::Reply;
use weir_domain::approval::{Answer, count_answer};
use weir_domain::event::Event;
use weir_domain::ids::{ApprovalToken, RunId};
use weir_domain::people::Identity;
use weir_domain::run::Run;
use weir_slack::interaction::read;
use weir_slack::{
    Action, Addressee, BlockActions, Headers, Interaction, InteractionError, Refused, Secret, ViewSubmission,
    verify,
};

use crate::evidence::evidence;
use crate::replies::Replies;

/// The whole of an answer. Slack waits 3 s, cold start included; beyond it the person sees an error either way.
const ANSWER_WITHIN: Duration = Duration::from_millis(2_800);

/// One call to Slack beside the answer. With [`DECIDE_WITHIN`] it stays under the 3 s that Slack waits.
const REPLY_WITHIN: Duration = Duration::from_millis(1_000);

/// Finding the run, deciding, and the second of [`crate::BACK_WITHIN`].
const DECIDE_WITHIN: Duration = Duration::from_millis(1_700);

/// The dialog that asks for the reason of a rejection.
const REJECT_DIALOG: &str = "reject";

const UNKNOWN: &str = "This button belongs to no approval that Weir knows. Nothing was counted.";
const GOES_ON: &str = "It goes on.";
const GOES_BACK: &str = "Traffic goes back.";
/// The reason that a rollback by a button has in the log.
const PRESSED: &str = "Roll back in Slack";
const SLOW: &str =
    "Weir could not reach its store in time. Look at the message: if it has not changed, press again.";

/// The door for Slack.
#[derive(Clone)]
pub struct Callback {
    /// The loop, with this function's rights.
    pub engine: Engine,
    /// Signing secrets; several during a rotation.
    pub secrets: Vec<Secret>,
    /// Whom requests must be meant for.
    pub addressee: Addressee,
    /// What is told beside the answer.
    pub replies: Arc<dyn Replies>,
}

/// What came of a person's answer.
enum Outcome {
    /// The message of the buttons says it.
    Counted,
    /// Whoever pressed hears it: what came of it, or why nothing did.
    Said(String),
    /// Nothing was decided.
    Failed(String),
}

impl Callback {
    /// Answers one request within 3 s.
    pub async fn handle(&self, request: &Request) -> Response {
        let headers = Headers::from_pairs(request.headers.iter().map(|(n, v)| (n, v.as_str())));
        let now_unix_s = self.engine.ports.clock.now().0.div_euclid(1_000);
        let verified = match verify(&headers, &request.body, &self.secrets, now_unix_s) {
            Ok(verified) => verified,
            Err(refused) => return turned_away(refused),
        };
        let interaction = read(&headers, &verified, &self.addressee);
        let answer = timeout(ANSWER_WITHIN, self.act(interaction)).await;
        answer.unwrap_or_else(|_| {
            tracing::error!("a request of Slack could not be answered in time");
            Response::text(503, SLOW)
        })
    }

    async fn act(&self, interaction: Result<Interaction, InteractionError>) -> Response {
        match interaction {
            Ok(Interaction::BlockActions(press)) => self.pressed(&press).await,
            Ok(Interaction::ViewSubmission(view)) => self.submitted(&view).await,
            Ok(Interaction::UrlVerification { challenge }) => Response::text(200, challenge),
            Ok(Interaction::Ignored { kind }) => {
                tracing::info!(slack.kind = kind, "an interaction that starts nothing");
                Response::text(200, "")
            }
            Err(error) => unreadable(&error),
        }
    }

    async fn pressed(&self, press: &BlockActions) -> Response {
        let token = ApprovalToken::new(&press.token);
        let person = &press.person.id;
        let outcome = match press.action {
            Action::Approve => self.answer(&token, person, Answer::Approve).await,
            Action::Reject => return self.reject(press, &token).await,
            Action::Resume => self.resume(&token, person).await,
            Action::RollBack => self.roll_back(&token, person).await,
            Action::Details => self.details(&token).await,
        };
        self.tell_unless_counted(press, outcome).await
    }

    /// What the judge has seen so far.
    async fn details(&self, token: &ApprovalToken) -> Outcome {
        match self.run(token).await {
            Ok(run) => Outcome::Said(evidence(&run, self.engine.ports.clock.now())),
            Err(outcome) => outcome,
        }
    }

    /// Opens the dialog for the reason. Whoever may not reject hears it now instead of after typing a reason; the
    /// refusal is decided and recorded like any other.
    async fn reject(&self, press: &BlockActions, token: &ApprovalToken) -> Response {
        let run = match self.run(token).await {
            Ok(run) => run,
            Err(outcome) => return self.tell_unless_counted(press, outcome).await,
        };
        if !may_reject(&run, token, &press.person.id) {
            let answer = Answer::Reject(String::new());
            let outcome = self.answer(token, &press.person.id, answer).await;
            return self.tell_unless_counted(press, outcome).await;
        }
        let Some(trigger_id) = &press.trigger_id else {
            return self
                .tell(
                    press,
                    "Slack gave no way to ask for a reason. Press Reject again.",
                )
                .await;
        };
        let (name, number) = (run.pipeline.name.as_str(), run.number);
        let dialog = self.replies.ask_reason(trigger_id, token.as_str(), name, number);
        let why = match timeout(REPLY_WITHIN, dialog).await {
            Ok(Ok(())) => return Response::text(200, ""),
            Ok(Err(why)) => why,
            Err(_) => "Slack did not answer in time".to_owned(),
        };
        tracing::warn!(run.id = %run.id, why, "the dialog of a rejection did not open");
        self.tell(
            press,
            "The dialog that asks for a reason did not open. Nothing was counted; press Reject again.",
        )
        .await
    }

    /// A dialog was sent. It has no address for messages: a refusal stands in the dialog, which stays open.
    async fn submitted(&self, view: &ViewSubmission) -> Response {
        if view.callback_id != REJECT_DIALOG {
            return Response::text(200, "");
        }
        let typed = view.values.get(&("why".to_owned(), "reason".to_owned()));
        let reason = typed.map(|text| text.trim().to_owned()).unwrap_or_default();
        let token = ApprovalToken::new(&view.token);
        match self.answer(&token, &view.person.id, Answer::Reject(reason)).await {
            Outcome::Counted => Response::text(200, ""),
            Outcome::Said(words) | Outcome::Failed(words) => Response::json(
                200,
                &json!({"response_action": "errors", "errors": {"why": words}}),
            ),
        }
    }

    /// Hands a person's answer to the run that the token belongs to.
    async fn answer(&self, token: &ApprovalToken, person: &str, answer: Answer) -> Outcome {
        let event = Event::ApprovalAnswered {
            token: token.clone(),
            by: Identity::Slack(person.to_owned()),
            answer,
        };
        self.decide(token, &event).await
    }

    /// Lets a paused step go on.
    async fn resume(&self, token: &ApprovalToken, person: &str) -> Outcome {
        let event = Event::PassRequested {
            by: Identity::Slack(person.to_owned()),
            reason: String::new(),
            pause: Some(token.clone()),
        };
        self.decide_and_say(token, &event, GOES_ON).await
    }

    /// Sends traffic back, if what served before is well.
    async fn roll_back(&self, token: &ApprovalToken, person: &str) -> Outcome {
        let event = Event::RollbackRequested {
            by: Identity::Slack(person.to_owned()),
            reason: PRESSED.to_owned(),
            force: false,
        };
        self.decide_and_say(token, &event, GOES_BACK).await
    }

    /// The message stays as it is: who pressed hears what came of it.
    async fn decide_and_say(&self, token: &ApprovalToken, event: &Event, done: &str) -> Outcome {
        match self.decide(token, event).await {
            Outcome::Counted => Outcome::Said(done.to_owned()),
            outcome => outcome,
        }
    }

    async fn decide(&self, token: &ApprovalToken, event: &Event) -> Outcome {
        let decide = async {
            match self.engine.ports.store.run_of_approval(token).await? {
                Some(run) => self.engine.handle(&run, event).await.map(Some),
                None => Ok(None),
            }
        };
        match timeout(DECIDE_WITHIN, decide).await {
            Ok(Ok(Some(handled))) => match handled.reply {
                Some(Reply::Refused(words)) => Outcome::Said(words),
                Some(Reply::Done(_)) | None => Outcome::Counted,
            },
            Ok(Ok(None) | Err(HandleError::Rejected(_) | HandleError::UnknownRun(_))) => {
                Outcome::Said(UNKNOWN.to_owned())
            }
            Ok(Err(error)) => {
                tracing::error!(why = %error, "an answer to an approval could not be handled");
                Outcome::Failed(SLOW.to_owned())
            }
            Err(_) => {
                tracing::error!("an answer to an approval took too long");
                Outcome::Failed(SLOW.to_owned())
            }
        }
    }

    async fn run(&self, token: &ApprovalToken) -> Result<Run, Outcome> {
        let store = &self.engine.ports.store;
        let find = async {
            let id: Option<RunId> = store.run_of_approval(token).await?;
            match id {
                Some(id) => store.load(&id).await,
                None => Ok(None),
            }
        };
        match timeout(DECIDE_WITHIN, find).await {
            Ok(Ok(Some(loaded))) => Ok(loaded.state.run),
            Ok(Ok(None)) => Err(Outcome::Said(UNKNOWN.to_owned())),
            Ok(Err(error)) => {
                tracing::error!(why = %error, "the run of an approval could not be loaded");
                Err(Outcome::Failed(SLOW.to_owned()))
            }
            Err(_) => Err(Outcome::Failed(SLOW.to_owned())),
        }
    }

    /// What counted shows in the message, which everybody sees; anything else is told to the one who pressed.
    async fn tell_unless_counted(&self, press: &BlockActions, outcome: Outcome) -> Response {
        match outcome {
            Outcome::Counted => Response::text(200, ""),
            Outcome::Said(words) | Outcome::Failed(words) => self.tell(press, &words).await,
        }
    }

    async fn tell(&self, press: &BlockActions, words: &str) -> Response {
        if let Some(to) = &press.response_url
            && timeout(REPLY_WITHIN, self.replies.tell(to, words)).await.is_err()
        {
            tracing::warn!("a person could not be told about their press in time");
        }
        Response::text(200, "")
    }
}

/// Whether a rejection by this person would count as things stand.
fn may_reject(run: &Run, token: &ApprovalToken, person: &str) -> bool {
    let asked = run.stages.iter().enumerate().find_map(|(stage, state)| {
        let approval = state
            .approval
            .as_ref()
            .filter(|approval| &approval.token == token)?;
        Some((approval.clone(), run.approval_rule(stage)?))
    });
    asked.is_some_and(|(mut approval, rule)| {
        let now = approval.asked;
        let (by, answer) = (Identity::Slack(person.to_owned()), Answer::Reject(String::new()));
        let (groups, pusher) = (&run.pipeline.groups, &run.cause.actor);
        count_answer(&mut approval, rule, groups, pusher, &by, &answer, now).is_ok()
    })
}

/// A stranger learns nothing but that they are one; the log says what to look for.
fn turned_away(refused: Refused) -> Response {
    tracing::warn!(why = %refused, "a request in Slack's name was turned away");
    match refused {
        Refused::TooLarge => Response::text(413, refused.to_string()),
        _ => Response::text(401, "unauthorized"),
    }
}

fn unreadable(error: &InteractionError) -> Response {
    tracing::warn!(why = %error, "a signed request of Slack is not acted on");
    match error {
        InteractionError::OtherApp | InteractionError::OtherTeam | InteractionError::External => {
            Response::text(403, error.to_string())
        }
        _ => Response::text(400, error.to_string()),
    }
}
