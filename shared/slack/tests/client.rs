//! The client against a local server that answers with Slack's shapes and keeps what it was asked.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use serde_json::{Value, json};
use weir_slack::{Message, PostedMessage, ResponseUrl, Retry, Secret, SlackClient, SlackError};

/// One way in which the other side behaves.
#[derive(Clone, Copy)]
enum Conversation {
    Usual,
    RefusedWith(&'static str),
    RateLimited(Option<u64>),
    Status(u16),
    Text(&'static str),
    Endless,
}

struct Asked {
    path: String,
    headers: HeaderMap,
    body: Value,
}

type Log = Arc<Mutex<Vec<Asked>>>;

struct World {
    client: SlackClient,
    address: String,
    asked: Log,
}

impl World {
    async fn start(conversation: Conversation) -> Self {
        let asked = Log::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new()
            .fallback(serve)
            .with_state((conversation, Arc::clone(&asked)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = SlackClient::new(&format!("http://{address}/api"), token()).unwrap();
        Self {
            client,
            address,
            asked,
        }
    }

    async fn post(&self) -> Result<PostedMessage, SlackError> {
        self.client
            .post_message("#releases", &Message::line("hello"))
            .await
    }

    fn response_url(&self) -> ResponseUrl {
        let text = format!("http://{}/actions/T1/2/secret-path", self.address);
        ResponseUrl::parse(&text, std::slice::from_ref(&self.address)).unwrap()
    }
}

fn token() -> Secret {
    Secret::new("xoxb-secret").unwrap()
}

async fn serve(State((conversation, asked)): State<(Conversation, Log)>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let body = serde_json::from_slice(&body).unwrap();
    asked.lock().unwrap().push(Asked {
        path: path.clone(),
        headers: parts.headers,
        body,
    });
    let answer =
        |status: u16, text: String| Response::builder().status(status).body(Body::from(text)).unwrap();
    match conversation {
        Conversation::Usual if path.starts_with("/actions/") => answer(200, "ok".to_owned()),
        Conversation::Usual => answer(
            200,
            json!({"ok": true, "channel": "C1", "ts": "1700000000.000100", "message": {}}).to_string(),
        ),
        Conversation::RefusedWith(code) => answer(200, json!({"ok": false, "error": code}).to_string()),
        Conversation::RateLimited(seconds) => {
            let builder = Response::builder().status(429);
            let builder = match seconds {
                Some(seconds) => builder.header("retry-after", seconds),
                None => builder,
            };
            builder
                .body(Body::from(r#"{"ok":false,"error":"ratelimited"}"#))
                .unwrap()
        }
        Conversation::Status(301) => {
            let builder = Response::builder()
                .status(301)
                .header("location", "http://169.254.169.254/");
            builder.body(Body::empty()).unwrap()
        }
        Conversation::Status(status) => answer(status, String::new()),
        Conversation::Text(text) => answer(200, text.to_owned()),
        Conversation::Endless => answer(200, " ".repeat(2 << 20)),
    }
}

#[tokio::test]
async fn a_message_is_posted_and_its_address_kept_for_updates() {
    let world = World::start(Conversation::Usual).await;
    let posted = world.post().await.unwrap();
    assert_eq!(
        posted,
        PostedMessage {
            channel: "C1".into(),
            ts: "1700000000.000100".into()
        }
    );
    world
        .client
        .update(&posted, &Message::line("done"))
        .await
        .unwrap();
    world
        .client
        .open_view("1.2.3", &json!({"type": "modal"}))
        .await
        .unwrap();

    let asked = world.asked.lock().unwrap();
    let paths: Vec<&str> = asked.iter().map(|a| a.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/api/chat.postMessage", "/api/chat.update", "/api/views.open"]
    );
    for request in asked.iter() {
        assert_eq!(request.headers["authorization"], "Bearer xoxb-secret");
        assert!(
            request.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("application/json")
        );
    }
    assert_eq!(
        (&asked[0].body["channel"], &asked[0].body["text"]),
        (&json!("#releases"), &json!("hello"))
    );
    assert_eq!(
        (&asked[1].body["channel"], &asked[1].body["ts"]),
        (&json!("C1"), &json!("1700000000.000100"))
    );
    assert_eq!(asked[1].body["blocks"][0]["text"]["text"], "done");
    assert_eq!(
        asked[2].body,
        json!({"trigger_id": "1.2.3", "view": {"type": "modal"}})
    );
}

#[tokio::test]
async fn an_answer_goes_to_one_person_and_carries_no_token() {
    let world = World::start(Conversation::Usual).await;
    let refusal = Message::not_a_member("ml-team", &["ada".to_owned()]);
    world
        .client
        .respond(&world.response_url(), &refusal)
        .await
        .unwrap();
    let asked = world.asked.lock().unwrap();
    assert_eq!(asked[0].path, "/actions/T1/2/secret-path");
    assert!(!asked[0].headers.contains_key("authorization"));
    assert_eq!(
        (
            &asked[0].body["response_type"],
            &asked[0].body["replace_original"]
        ),
        (&json!("ephemeral"), &json!(false))
    );
    assert_eq!(asked[0].body["text"], "You are not in ml-team; members: @ada.");
}

#[tokio::test]
async fn refusals_within_status_200_are_errors_with_slacks_word() {
    for code in [
        "channel_not_found",
        "not_in_channel",
        "message_not_found",
        "cant_update_message",
        "invalid_auth",
    ] {
        let error = World::start(Conversation::RefusedWith(code))
            .await
            .post()
            .await
            .unwrap_err();
        assert!(
            matches!(&error, SlackError::Refused { code: c, .. } if c == code),
            "{error:?}"
        );
        assert_eq!(error.retry(), Retry::Never);
    }
    let error = World::start(Conversation::RefusedWith("internal_error"))
        .await
        .post()
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(5)));
    let error = World::start(Conversation::RefusedWith("\u{1b}[31m"))
        .await
        .post()
        .await
        .unwrap_err();
    assert!(matches!(error, SlackError::Unreadable { .. }));
    let world = World::start(Conversation::RefusedWith("used_url")).await;
    let error = world
        .client
        .respond(&world.response_url(), &Message::line("x"))
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        SlackError::Refused {
            method: "response_url",
            ..
        }
    ));
}

#[tokio::test]
async fn failures_say_whether_and_when_to_try_again() {
    let after = |seconds| Retry::After(Duration::from_secs(seconds));
    let cases = [
        (Conversation::RateLimited(Some(30)), after(30)),
        (Conversation::RateLimited(Some(100_000)), after(600)),
        (Conversation::RateLimited(None), after(1)),
        (Conversation::RefusedWith("ratelimited"), after(1)),
        (Conversation::Status(503), after(5)),
        (Conversation::Status(404), Retry::Never),
        (Conversation::Status(301), Retry::Never),
        (Conversation::Text("<html>"), Retry::Never),
        (Conversation::Text(r#"{"ok":true}"#), Retry::Never),
        (Conversation::Endless, Retry::Never),
    ];
    for (conversation, expected) in cases {
        let world = World::start(conversation).await;
        let error = world.post().await.unwrap_err();
        assert_eq!(error.retry(), expected, "{error:?}");
        assert_eq!(world.asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn neither_token_nor_answer_address_shows_in_errors() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = SlackClient::new(&format!("http://{address}"), token()).unwrap();
    let to = ResponseUrl::parse(
        &format!("http://{address}/secret-path"),
        std::slice::from_ref(&address),
    )
    .unwrap();
    let post = client.post_message("C1", &Message::line("x")).await.unwrap_err();
    let answer = client.respond(&to, &Message::line("x")).await.unwrap_err();
    let shown = format!("{client:?} {post:?} {post} {answer:?} {answer} {to:?}");
    assert!(
        !shown.contains("xoxb-secret") && !shown.contains("secret-path"),
        "{shown}"
    );
    assert_eq!(post.retry(), Retry::After(Duration::from_secs(5)));
}

#[test]
fn only_plain_https_bases_are_accepted() {
    for base in [
        "http://slack.com/api",
        "ftp://x",
        "https://u:p@x/",
        "https://x/?a=b",
        "x",
    ] {
        assert!(
            matches!(SlackClient::new(base, token()), Err(SlackError::BaseUrl)),
            "{base}"
        );
    }
    assert!(SlackClient::new(weir_slack::client::BASE_URL, token()).is_ok());
}

/// The first message of an approval is posted, later ones change it; a page is posted.
#[tokio::test]
async fn an_approval_is_posted_once_and_changed_afterwards() {
    use weir_app::People;
    let world = World::start(Conversation::Usual).await;
    let people = weir_slack::SlackPeople {
        client: world.client.clone(),
        channel: "#releases".into(),
    };
    let mut commit = weir_contracts::sample::first("a");
    assert_eq!(
        people.show_approval(&commit.run, 1).await.unwrap(),
        None,
        "no approval"
    );
    weir_contracts::sample::ask(&mut commit, "apr-1");
    let mut run = commit.run;
    let shown = people.show_approval(&run, 0).await.unwrap().unwrap();
    assert_eq!(
        (shown.channel.as_str(), shown.ts.as_str()),
        ("C1", "1700000000.000100")
    );
    run.stages[0].approval.as_mut().unwrap().message = Some(shown.clone());
    assert_eq!(people.show_approval(&run, 0).await.unwrap(), Some(shown));
    people.page(&run, weir_contracts::sample::ROLLOUT).await.unwrap();
    let asked = world.asked.lock().unwrap();
    let paths: Vec<&str> = asked.iter().map(|a| a.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/api/chat.postMessage", "/api/chat.update"],
        "a run without a rollout pages nobody"
    );
    assert_eq!(asked[0].body["channel"], "#releases");
    assert_eq!(asked[1].body["ts"], "1700000000.000100");
}

#[tokio::test]
async fn what_slack_says_decides_whether_a_message_is_tried_again() {
    use weir_app::{People, Retry as Again};
    for (conversation, lasts) in [
        (Conversation::RefusedWith("channel_not_found"), true),
        (Conversation::RefusedWith("internal_error"), false),
        (Conversation::RateLimited(Some(7)), false),
        (Conversation::Status(502), false),
    ] {
        let world = World::start(conversation).await;
        let people = weir_slack::SlackPeople {
            client: world.client.clone(),
            channel: "#releases".into(),
        };
        let mut commit = weir_contracts::sample::first("a");
        weir_contracts::sample::ask(&mut commit, "apr-1");
        let error = people.show_approval(&commit.run, 0).await.unwrap_err();
        assert_eq!(error.retry == Again::Never, lasts, "{error}");
        assert!(!error.to_string().contains("xoxb"), "{error}");
    }
}
