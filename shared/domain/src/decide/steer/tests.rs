//! What one answer lets go on, of all that a run asks.

use serde_json::json;

use super::{answered, hold, let_pass};
use crate::audit::Action;
use crate::begin;
use crate::decide::{Draft, Reply};
use crate::event::{Limits, Moment};
use crate::ids::{ApprovalToken, EnvironmentName, ReleaseName, RunId, StepId};
use crate::people::Identity;
use crate::rollout::testing;
use crate::rollout::{Inconclusive, Paused, Phase};
use crate::run::State;
use crate::time::Timestamp;

fn moment(token: &str) -> Moment {
    Moment {
        now: Timestamp(0),
        token: ApprovalToken::new(token),
        limits: Limits::default(),
    }
}

/// What a rollout asks.
#[derive(Clone, Copy, Debug)]
enum Asks {
    Nothing,
    /// Somebody holds it.
    Held,
    /// The definition pauses it here.
    Written,
    /// Its step could not be decided.
    Undecided,
}

/// A release of three clusters that bo pushed, whose rollouts are watched and ask this.
fn run(asks: [Asks; 3]) -> State {
    let step = |environment: &&str| {
        let mut rule = testing::rule(&[5], 1);
        rule.lane.environment = EnvironmentName::new(*environment);
        rule.release = Some(ReleaseName::new("all"));
        json!({"name": environment, "slug": environment, "work": {"rollout": rule}})
    };
    let steps: Vec<_> = ["Asia", "EU", "US"].iter().map(step).collect();
    let person = |name: &str| json!({"name": name, "slack": name});
    let pipeline = json!({
        "name": "p", "digest": "d",
        "stages": [{"name": "s", "work": {"steps": {"parallel": true, "steps": steps}}}],
        "groups": [{"name": "team", "members": [person("ana"), person("bo")]}],
        "builds": {"cluster": "main", "namespace": "builds", "fetch_image": "git"},
    });
    let cause = json!({
        "repository": {"name": "a/b", "clone_url": "file:///nowhere"}, "git_ref": "refs/heads/main",
        "before": "0", "after": "1", "actor": {"person": {"name": "bo", "identity": {"slack": "bo"}}}, "headline": "", "reason": "", "received": 0,
    });
    let cause = serde_json::from_value(cause).expect("it is a cause");
    let pipeline = serde_json::from_value(pipeline).expect("it is a pipeline");
    let lanes = Default::default();
    let mut state = begin(RunId::new("r"), 1, cause, pipeline, lanes, &moment("t")).next;
    let draft = Draft::new(&state, &moment("held"));
    let actor = super::known(&mut Draft::new(&state, &moment("held")), &slack("ana")).expect("she is known");
    for (at, asks) in asks.into_iter().enumerate() {
        let rollout = state.run.stages[0].steps[at].rollout.as_mut().expect("it began");
        rollout.phase = Phase::Watching { step: 0 };
        let held = Paused::held(&draft, actor.clone(), "");
        match asks {
            Asks::Nothing => {}
            Asks::Held => rollout.paused = Some(held),
            Asks::Written => {
                rollout.paused = Some(Paused {
                    held: None,
                    token: Some(ApprovalToken::new(format!("written-{at}"))),
                    ..held
                });
            }
            Asks::Undecided => {
                rollout.inconclusive = Some(Inconclusive {
                    asked: Some(Timestamp(0)),
                    ..Inconclusive::default()
                });
            }
        }
    }
    state
}

fn slack(name: &str) -> Identity {
    Identity::Slack(name.into())
}

fn at(steps: &[usize]) -> Vec<StepId> {
    let id = |step: &usize| StepId {
        stage: 0,
        step: *step,
    };
    steps.iter().map(id).collect()
}

#[test]
fn one_answer_is_for_all_that_is_held_or_for_one_other_question() {
    use Asks::{Held, Nothing, Undecided, Written};
    for (asks, pressed, expected) in [
        ([Nothing, Nothing, Nothing], None, vec![]),
        ([Held, Nothing, Held], None, vec![0, 2]),
        ([Held, Held, Held], Some("held"), vec![0, 1, 2]),
        // What is held comes first, and says nothing about a step that could not be decided.
        ([Undecided, Held, Held], None, vec![1, 2]),
        ([Written, Held, Nothing], None, vec![1]),
        ([Written, Written, Undecided], None, vec![0]),
        // A button answers what it was shown for.
        ([Written, Written, Held], Some("written-1"), vec![1]),
        ([Undecided, Written, Held], Some("held"), vec![2]),
        ([Held, Held, Nothing], Some("written-0"), vec![]),
        ([Undecided, Nothing, Nothing], Some("held"), vec![]),
    ] {
        let state = run(asks);
        let pressed = pressed.map(ApprovalToken::new);
        let draft = Draft::new(&state, &moment("now"));
        assert_eq!(
            answered(&draft, pressed.as_ref()),
            at(&expected),
            "{asks:?}, {pressed:?}"
        );
    }
}

#[test]
fn the_answer_says_what_goes_on_and_what_is_still_asked() {
    let state = run([Asks::Held, Asks::Undecided, Asks::Held]);
    let mut draft = Draft::new(&state, &moment("now"));
    let_pass(&mut draft, &slack("bo"), "", None);
    let told = "bo lets llm in Asia, llm in US go on; still asked about: llm in EU";
    assert_eq!(draft.reply, Some(Reply::Done(told.into())));
    // Nothing vouches for what could not be decided but somebody else.
    let_pass(&mut draft, &slack("bo"), "", None);
    assert!(
        matches!(&draft.reply, Some(Reply::Refused(words)) if words.contains("somebody else must let it pass"))
    );
    let_pass(&mut draft, &slack("ana"), "", None);
    let told = "ana lets the step pass, unverified";
    assert_eq!(draft.reply, Some(Reply::Done(told.into())));
}

#[test]
fn what_one_word_holds_is_found_by_one_token_and_let_go_once() {
    let state = run([Asks::Nothing; 3]);
    let mut draft = Draft::new(&state, &moment("now"));
    hold(&mut draft, &slack("ana"), "a look");
    let asking: Vec<&str> = draft
        .run
        .asking()
        .into_keys()
        .map(ApprovalToken::as_str)
        .collect();
    assert_eq!(asking, ["now"]);
    let_pass(&mut draft, &slack("bo"), "", Some(&ApprovalToken::new("now")));
    assert!(draft.run.asking().is_empty());
    let decision = draft.finish();
    let given = decision
        .notes
        .iter()
        .filter(|note| note.action == Action::ApprovalGiven);
    assert_eq!(given.count(), 1);
}
