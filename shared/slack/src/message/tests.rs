use serde_json::json;

use super::*;

const EXPIRES: i64 = 1_764_000_000;

fn view() -> ApprovalView {
    ApprovalView {
        pipeline: "LLM-Model-Update".into(),
        number: 42,
        environment: "production".into(),
        commit: "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334".into(),
        author: "Ada".into(),
        what_changes: vec!["models: 3f1a → 9c0e".into()],
        evidence: vec!["staging: smoke test passed".into()],
        plan: vec![
            "5 % for 10m, then 100 %".into(),
            "peak 5 GPUs, revert instant".into(),
        ],
        waiting_cost: "nothing yet".into(),
        needs: vec![
            GroupProgress {
                group: "product".into(),
                have: 0,
                need: 1,
            },
            GroupProgress {
                group: "ml-team".into(),
                have: 0,
                need: 1,
            },
        ],
        given: Vec::new(),
        expires_at_unix: EXPIRES,
        token: "apr_1".into(),
    }
}

fn text(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}

fn section(content: &str) -> Value {
    json!({"type": "section", "text": text(content)})
}

fn date(word: &str, at: i64, utc: &str) -> Value {
    json!({"type": "mrkdwn", "text": format!("{word} <!date^{at}^{{date_short_pretty}} {{time}}|{utc}>")})
}

fn context(elements: &[Value]) -> Value {
    json!({"type": "context", "elements": elements})
}

#[test]
fn a_waiting_approval_shows_change_evidence_plan_needs_and_buttons() {
    let message = Message::approval(&view()).to_json();
    assert_eq!(
        message["text"],
        "LLM-Model-Update #42 wants production: needs: product 0/1, ml-team 0/1, expires 2025-11-24 16:00 UTC"
    );
    assert_eq!(message["mrkdwn"], false);
    let expected = json!([
        {"type": "header", "text": text("LLM-Model-Update #42 wants production")},
        context(&[text("a1b2c3d4e5f6 by Ada")]),
        section("What changes\n• models: 3f1a → 9c0e"),
        section("Evidence so far\n• staging: smoke test passed"),
        section("Plan\n• 5 % for 10m, then 100 %\n• peak 5 GPUs, revert instant"),
        context(&[text("waiting costs nothing yet")]),
        context(&[text("needs: product 0/1, ml-team 0/1")]),
        context(&[date("expires", EXPIRES, "2025-11-24 16:00 UTC")]),
        {"type": "actions", "block_id": "weir:v1", "elements": [
            {"type": "button", "action_id": "approve", "value": "apr_1", "style": "primary", "text": text("Approve"),
             "confirm": {"title": text("Let it go to production?"), "text": text("LLM-Model-Update #42, a1b2c3d4e5f6"),
                         "confirm": text("Approve"), "deny": text("Cancel")}},
            {"type": "button", "action_id": "reject", "value": "apr_1", "style": "danger", "text": text("Reject")},
            {"type": "button", "action_id": "details", "value": "apr_1", "text": text("Details")},
        ]},
    ]);
    assert_eq!(message["blocks"], expected);
}

#[test]
fn a_partly_given_approval_says_who_when_and_what_is_missing() {
    let mut view = view();
    view.needs[0].have = 1;
    view.given = vec![Given {
        by: "ben".into(),
        group: "product".into(),
        at_unix: EXPIRES - 3600,
    }];
    let message = Message::approval(&view).to_json();
    let blocks = message["blocks"].as_array().unwrap();
    let needs = context(&[text(
        "needs: product 1/1, ml-team 0/1; missing: 1 more of ml-team",
    )]);
    assert!(blocks.contains(&needs), "{blocks:#?}");
    assert!(blocks.contains(&context(&[
        text("✓ ben for product"),
        date("at", EXPIRES - 3600, "2025-11-24 15:00 UTC")
    ])));
    assert_eq!(blocks.last().unwrap()["type"], "actions");
}

#[test]
fn every_final_state_replaces_the_buttons_and_keeps_the_account() {
    let at_unix = EXPIRES;
    let cases = [
        (
            Outcome::Approved {
                by: vec!["ada".into(), "ben".into()],
                at_unix,
            },
            "✓ approved",
            "approved by ada, ben",
        ),
        (
            Outcome::Rejected {
                by: "ben".into(),
                reason: "p99 looks odd".into(),
                at_unix,
            },
            "✗ rejected",
            "rejected by ben: p99 looks odd",
        ),
        (
            Outcome::Rejected {
                by: "ben".into(),
                reason: String::new(),
                at_unix,
            },
            "✗ rejected",
            "rejected by ben",
        ),
        (
            Outcome::Expired { at_unix },
            "✗ expired",
            "nobody decided in time; nothing moved",
        ),
        (
            Outcome::Superseded {
                by: "#44".into(),
                at_unix,
            },
            "superseded by #44",
            "#44 took its place",
        ),
        (
            Outcome::Cancelled {
                by: "ada".into(),
                at_unix,
            },
            "✗ cancelled",
            "cancelled by ada",
        ),
        (
            Outcome::RolledBack {
                why: "error_rate 6.1 % > 2 %".into(),
                serves_now: "r41".into(),
                at_unix,
            },
            "✗ rolled back",
            "error_rate 6.1 % &gt; 2 %; r41 serves now",
        ),
    ];
    for (outcome, state, detail) in cases {
        let message = Message::decided(&view(), &outcome).to_json();
        let blocks = message["blocks"].as_array().unwrap();
        assert_eq!(
            blocks[0]["text"],
            text(&format!("LLM-Model-Update #42 → production: {state}"))
        );
        assert!(blocks.contains(&section(detail)), "{blocks:#?}");
        assert!(blocks.contains(&section("What changes\n• models: 3f1a → 9c0e")));
        let buttons: Vec<&Value> = blocks
            .iter()
            .filter(|block| block["type"] == "actions")
            .flat_map(|block| block["elements"].as_array().unwrap())
            .map(|button| &button["action_id"])
            .collect();
        match outcome {
            Outcome::Approved { .. } => assert_eq!(buttons, ["roll_back", "details"], "it is on its way"),
            _ => assert!(buttons.is_empty(), "{buttons:?}"),
        }
    }
}

#[test]
fn the_page_says_what_happened_what_serves_and_what_to_do() {
    let page = RollbackPage {
        pipeline: "LLM-Model-Update".into(),
        number: 43,
        environment: "production".into(),
        way_back: WayBack::Done,
        happened: "The candidate answered 6.1 % of requests with errors.".into(),
        measured: vec!["error_rate 6.1 % of 1,131 requests; limit 2 %".into()],
        done: vec!["weight 0 accepted 1.8 s after the verdict".into()],
        serves_now: "r42 at 100 %, 4/4 warm".into(),
        to_do: "nothing until morning".into(),
        at_unix: EXPIRES,
        token: "ev_1".into(),
    };
    let message = Message::rolled_back(&page).to_json();
    let expected = json!([
        {"type": "header", "text": text("✗ rolled back: LLM-Model-Update #43 in production")},
        section("What happened: The candidate answered 6.1 % of requests with errors."),
        section("What was measured\n• error_rate 6.1 % of 1,131 requests; limit 2 %"),
        section("What was done\n• weight 0 accepted 1.8 s after the verdict"),
        section("Serving now: r42 at 100 %, 4/4 warm"),
        section("What to do: nothing until morning"),
        context(&[date("rolled back", EXPIRES, "2025-11-24 16:00 UTC")]),
        {"type": "actions", "block_id": "weir:v1", "elements": [
            {"type": "button", "action_id": "details", "value": "ev_1", "text": text("Show evidence")},
        ]},
    ]);
    assert_eq!(message["blocks"], expected);
}

#[test]
fn a_refusal_names_the_group_and_who_is_in_it() {
    let members = vec!["ada".to_owned(), "ben".to_owned()];
    let message = Message::not_a_member("ml-team", &members);
    assert_eq!(message.text(), "You are not in ml-team; members: @ada, @ben.");
    assert_eq!(
        Message::not_a_member("ml-team", &[]).text(),
        "You are not in ml-team; it has no members."
    );
    let many: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
    assert!(
        Message::not_a_member("g", &many)
            .text()
            .ends_with("@p9, and 20 more.")
    );
}

/// Every text object in a message, whatever it is nested in.
fn texts(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            if let (Some(Value::String(kind)), Some(Value::String(text))) =
                (fields.get("type"), fields.get("text"))
            {
                found.push((kind.clone(), text.clone()));
            }
            fields.values().for_each(|inner| texts(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| texts(inner, found)),
        _ => {}
    }
}

#[test]
fn hostile_words_reach_no_markup_and_no_limit() {
    let hostile = format!(
        "<!channel> *b* _i_ `c` <@U1|x> & \u{202e}\u{1b}[31m\n{}",
        "<&>".repeat(3000)
    );
    let lines = vec![hostile.clone(); 100];
    let view = ApprovalView {
        pipeline: hostile.clone(),
        environment: hostile.clone(),
        commit: hostile.clone(),
        author: hostile.clone(),
        what_changes: lines.clone(),
        evidence: lines.clone(),
        plan: lines.clone(),
        waiting_cost: hostile.clone(),
        needs: vec![
            GroupProgress {
                group: hostile.clone(),
                have: 1,
                need: 3
            };
            50
        ],
        given: vec![
            Given {
                by: hostile.clone(),
                group: hostile.clone(),
                at_unix: i64::MAX
            };
            50
        ],
        ..view()
    };
    let outcome = Outcome::Rejected {
        by: hostile.clone(),
        reason: hostile.clone(),
        at_unix: 0,
    };
    let page = RollbackPage {
        happened: hostile.clone(),
        measured: lines,
        to_do: hostile.clone(),
        ..RollbackPage::default()
    };
    let messages = [
        Message::approval(&view),
        Message::decided(&view, &outcome),
        Message::rolled_back(&page),
        Message::line(&hostile),
        Message::not_a_member(&hostile, &vec![hostile.clone(); 30]),
    ];
    for message in messages {
        let json = message.to_json();
        assert!(json["blocks"].as_array().unwrap().len() <= 50);
        assert!(json["text"].as_str().unwrap().chars().count() <= 300);
        let mut found = vec![("plain_text".to_owned(), message.text().to_owned())];
        texts(&json["blocks"], &mut found);
        for (kind, text) in found {
            assert!(text.chars().count() <= 3000);
            assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
            match kind.as_str() {
                "plain_text" => assert!(!text.contains(['<', '>']), "{text}"),
                "mrkdwn" => assert!(
                    text.matches('<').count() == 1 && text.contains("<!date^"),
                    "{text}"
                ),
                other => panic!("a {other} object with a text of its own"),
            }
        }
        for block in json["blocks"].as_array().unwrap() {
            let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
            if block["type"] == "header" {
                assert!(length(&block["text"]["text"]) <= 150);
            }
            assert!(
                block["elements"]
                    .as_array()
                    .is_none_or(|elements| elements.len() <= 10)
            );
            let confirm = &block["elements"][0]["confirm"];
            assert!(length(&confirm["title"]["text"]) <= 100 && length(&confirm["text"]["text"]) <= 300);
        }
    }
}

#[test]
fn the_dialog_carries_the_token_and_asks_for_a_reason() {
    let dialog = reject_dialog("apr_1", "LLM-Model-Update", 42);
    assert_eq!(
        (&dialog["callback_id"], &dialog["private_metadata"]),
        (&json!("reject"), &json!("apr_1"))
    );
    assert_eq!(
        dialog["blocks"][0],
        section("LLM-Model-Update #42 will not go on.")
    );
    assert_eq!(
        (
            &dialog["blocks"][1]["block_id"],
            &dialog["blocks"][1]["element"]["action_id"]
        ),
        (&json!("why"), &json!("reason"))
    );
}
