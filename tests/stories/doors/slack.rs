//! Requests in Slack's name.

use serde_json::Value;
use weir_app::door::{Request, Response};
use weir_domain::approval::ApprovalState;
use weir_domain::ids::{ApprovalToken, RunId};
use weir_domain::run::Run;
use weir_domain::time::Span;
use weir_tests::{World, once, replay, sample, samples, slack_press, slack_reason};

use super::waits_for_ml_team;

const FORM: &str = "application/x-www-form-urlencoded";

async fn answer(world: &World, request: &Request) -> Response {
    world.doors.callback.handle(request).await
}

async fn waiting(world: &World) -> (RunId, ApprovalToken) {
    let run = waits_for_ml_team(world).await;
    let token = world.approval(&run).await;
    (run, token)
}

/// Nobody's answer was counted.
async fn expect_untouched(world: &World, run: &RunId) {
    let run = world.run(run).await;
    let approval = run
        .stages
        .iter()
        .find_map(|stage| stage.approval.as_ref())
        .expect("it asks for an approval");
    assert_eq!(
        (&approval.state, approval.given.len()),
        (&ApprovalState::Waiting, 0)
    );
}

/// Lets the approval expire, so that the story can end in silence.
async fn nobody_answers(world: &World, run: &RunId) {
    world.pass(Span::hours(25)).await;
    world.expect_status(run, "failed").await;
}

#[test]
fn somebody_else_is_refused_with_a_message_and_a_member_resumes_the_run() {
    replay(async |world| {
        let (run, token) = waiting(&world).await;
        let (answer, told) = world
            .press(&slack_press("approve-by-outsider", "U0MALLORY", &token))
            .await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("not mapped to a person"), "{told:?}");
        expect_untouched(&world, &run).await;
        let (_, told) = world.press(&slack_press("approve", "U0ADA", &token)).await;
        assert!(told[0].starts_with("You pushed this change"), "{told:?}");
        expect_untouched(&world, &run).await;
        let (answer, _) = world.press(&slack_press("approve", "U0BEN", &token)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn what_counted_shows_in_the_message_and_a_late_tap_explains_itself() {
    once(async |world| {
        let (run, token) = waiting(&world).await;
        let press = slack_press("approve", "U0BEN", &token);
        assert_eq!(world.press(&press).await.1, Vec::<String>::new());
        assert_eq!(
            world.press(&press).await.1,
            ["This approval has already ended: approved."]
        );
        world.run_until_run(&run, Run::is_over).await;
        let messages = world.people.messages.lock().unwrap().clone();
        assert!(messages.values().all(|words| words == "approved"), "{messages:?}");
        world
    });
}

#[test]
fn a_tap_after_the_expiry_explains_itself() {
    once(async |world| {
        let (run, token) = waiting(&world).await;
        nobody_answers(&world, &run).await;
        let (_, told) = world.press(&slack_press("approve", "U0BEN", &token)).await;
        assert_eq!(told, ["This approval has already ended: expired."]);
        world
    });
}

#[test]
fn what_is_not_signed_now_by_who_knows_the_secret_is_turned_away_unread() {
    once(async |world| {
        let (run, token) = waiting(&world).await;
        let press = slack_press("approve", "U0BEN", &token);
        let now = world.from_slack(FORM, &press, 0);
        let without = |name: &str| {
            let mut request = now.clone();
            request.headers.retain(|(own, _)| own != name);
            request
        };
        let mut doubled = now.clone();
        doubled.headers.push(now.headers[1].clone());
        let mut changed = now.clone();
        changed.body.push(b' ');
        let mut younger = world.from_slack(FORM, &press, 301);
        younger.headers[2].1 = (world.now().0 / 1_000).to_string();
        let attacks = [
            ("unsigned", without("x-slack-signature")),
            ("without a time", without("x-slack-request-timestamp")),
            ("two signatures", doubled),
            ("changed", changed),
            ("too old", world.from_slack(FORM, &press, 301)),
            ("from the future", world.from_slack(FORM, &press, -301)),
            ("old with a new time", younger),
        ];
        for (name, request) in attacks {
            let answer = answer(&world, &request).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (401, "unauthorized"),
                "{name}"
            );
        }
        let large = world.from_slack(FORM, &vec![b'a'; 1024 * 1024 + 1], 0);
        assert_eq!(answer(&world, &large).await.status, 413);
        expect_untouched(&world, &run).await;
        // Slack's own libraries take a request of exactly five minutes ago.
        assert_eq!(
            answer(&world, &world.from_slack(FORM, &press, 300)).await.status,
            200
        );
        world.run_until_run(&run, Run::is_over).await;
        world.expect_status(&run, "succeeded").await;
        world
    });
}

#[test]
fn a_request_that_is_replayed_in_its_window_counts_once() {
    once(async |world| {
        let (run, token) = waiting(&world).await;
        let request = world.from_slack(FORM, &slack_press("approve", "U0BEN", &token), 0);
        for _ in 0..3 {
            assert_eq!(answer(&world, &request).await.status, 200);
        }
        let given = world.log(&run).await;
        let given = given
            .iter()
            .filter(|entry| serde_json::to_string(entry).unwrap().contains("approved by ben"));
        assert_eq!(given.count(), 1);
        world.run_until_run(&run, Run::is_over).await;
        world
    });
}

#[test]
fn what_cannot_be_read_or_is_meant_for_others_moves_nothing() {
    once(async |world| {
        let (run, _) = waiting(&world).await;
        for kind in [
            "slack-block-actions",
            "slack-view-submission",
            "slack-url-verification",
        ] {
            for (content_type, name, bytes) in samples(kind, "invalid") {
                let answer = answer(&world, &world.from_slack(content_type, &bytes, 0)).await;
                let foreign = ["other-app", "no-app", "other-workspace", "person-"]
                    .iter()
                    .any(|part| name.contains(part));
                assert_eq!(answer.status, if foreign { 403 } else { 400 }, "{kind} {name}");
            }
        }
        assert_eq!(
            answer(&world, &world.from_slack("text/plain", b"x", 0))
                .await
                .status,
            400
        );
        expect_untouched(&world, &run).await;
        nobody_answers(&world, &run).await;
        world
    });
}

#[test]
fn the_trial_of_the_address_gets_its_challenge_back() {
    once(async |world| {
        let bytes = sample("slack-url-verification", "valid/challenge.json");
        let challenge: Value = serde_json::from_slice(&bytes).unwrap();
        let answer = answer(&world, &world.from_slack("application/json", &bytes, 0)).await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, challenge["challenge"].as_str().unwrap())
        );
        world
    });
}

#[test]
fn what_weir_does_not_act_on_is_answered() {
    once(async |world| {
        let shortcut = br#"payload={"type":"shortcut","api_app_id":"A0WEIR","team":{"id":"T0ACME"}}"#;
        let answer = answer(&world, &world.from_slack(FORM, shortcut, 0)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        world
    });
}

#[test]
fn a_forged_button_value_is_told_that_it_is_unknown() {
    once(async |world| {
        let (run, _) = waiting(&world).await;
        for name in ["approve", "reject", "details"] {
            let forged = slack_press(name, "U0BEN", &ApprovalToken::new("apr-9999"));
            let (answer, told) = world.press(&forged).await;
            assert_eq!(answer.status, 200);
            assert!(
                told[0].contains("no approval that Weir knows"),
                "{name}: {told:?}"
            );
        }
        expect_untouched(&world, &run).await;
        nobody_answers(&world, &run).await;
        world
    });
}

#[test]
fn a_rejection_asks_for_its_reason_and_ends_the_run() {
    replay(async |world| {
        let (run, token) = waiting(&world).await;
        world.press(&slack_press("reject", "U0BEN", &token)).await;
        let dialogs = world.doors.replies.dialogs.lock().unwrap().clone();
        assert_eq!(dialogs[0], (token.to_string(), "LLM-Model-Update".into(), 1));
        expect_untouched(&world, &run).await;
        let (answer, _) = world.press(&slack_reason("U0BEN", &token, "p99 looks odd")).await;
        assert_eq!(answer.status, 200);
        world.run_until_idle().await;
        let words = world.run(&run).await.status.words();
        assert!(words.contains("rejected by ben: p99 looks odd"), "{words}");
        world
    });
}

#[test]
fn who_may_not_reject_hears_it_before_typing_a_reason_and_it_is_recorded() {
    once(async |world| {
        let (run, token) = waiting(&world).await;
        let (_, told) = world.press(&slack_press("reject", "U0MALLORY", &token)).await;
        assert!(told[0].contains("not mapped to a person"), "{told:?}");
        assert!(world.doors.replies.dialogs.lock().unwrap().is_empty());
        // A dialog that somebody forged or kept is refused as well, in the dialog.
        let (answer, _) = world.press(&slack_reason("U0MALLORY", &token, "because")).await;
        let answer: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer["response_action"], "errors");
        assert!(
            answer["errors"]["why"].as_str().unwrap().contains("not mapped"),
            "{answer}"
        );
        expect_untouched(&world, &run).await;
        let log = world.log(&run).await;
        let refused = log
            .iter()
            .filter(|entry| serde_json::to_string(entry).unwrap().contains("U0MALLORY"));
        assert_eq!(refused.count(), 2);
        nobody_answers(&world, &run).await;
        world
    });
}

#[test]
fn details_tell_the_evidence_to_the_one_who_asks() {
    once(async |world| {
        let (run, token) = waiting(&world).await;
        let (answer, told) = world.press(&slack_press("details", "U0MALLORY", &token)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        let lines: Vec<&str> = told[0].lines().collect();
        assert!(
            lines[0].starts_with("LLM-Model-Update #1: running; branch main matches"),
            "{lines:#?}"
        );
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("Check Model Size: ok in ")),
            "{lines:#?}"
        );
        assert!(lines.contains(&"Approval: waiting"), "{lines:#?}");
        assert!(!told[0].contains(token.as_str()), "tokens stand in buttons only");
        nobody_answers(&world, &run).await;
        world
    });
}

#[test]
fn a_slack_that_does_not_answer_keeps_nobody_waiting_for_three_seconds() {
    once(async |world| {
        let (run, token) = waiting(&world).await;
        *world.doors.replies.silent.lock().unwrap() = true;
        for (name, person) in [
            ("approve", "U0MALLORY"),
            ("reject", "U0BEN"),
            ("details", "U0BEN"),
        ] {
            let began = tokio::time::Instant::now();
            let (answer, _) = world.press(&slack_press(name, person, &token)).await;
            assert_eq!(answer.status, 200);
            assert!(
                began.elapsed().as_millis() < 3_000,
                "{name}: {:?}",
                began.elapsed()
            );
        }
        expect_untouched(&world, &run).await;
        nobody_answers(&world, &run).await;
        world
    });
}
