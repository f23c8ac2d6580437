//! The client against a local server that answers with GitHub's shapes and keeps what it was asked.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};
use weir_github::{
    ApiError, CommitSha, CommitState, CommitStatus, GitHubApi, Relation, RepositoryName, RepositoryPath,
    Retry, Secret, SourceError,
};

const COMMIT: &str = "1111111111111111111111111111111111111111";
const FOLDER: &str = "2222222222222222222222222222222222222222";
const FILE: &str = "3333333333333333333333333333333333333333";

/// One way in which the other side behaves.
#[derive(Clone, Copy, PartialEq)]
enum Conversation {
    Usual,
    Refused(u16),
    RateLimitedFor(u64),
    SecondaryLimit,
    Moved,
    EndlessAnswer,
    NotJson,
    LinkAsDefinition,
    LyingAboutSize,
}

#[derive(Clone)]
struct Server {
    conversation: Conversation,
    asked: Arc<Mutex<Vec<Asked>>>,
}

struct Asked {
    line: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

struct World {
    api: GitHubApi,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl World {
    async fn start(conversation: Conversation) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let server = Server {
            conversation,
            asked: Arc::clone(&asked),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(serve).with_state(server);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let api = GitHubApi::new(&format!("http://{address}/api/v3"), Secret::new("ghs_secret")).unwrap();
        Self { api, asked }
    }

    fn lines(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .map(|asked| asked.line.clone())
            .collect()
    }

    async fn status(&self) -> Result<(), ApiError> {
        let status = CommitStatus::new(
            CommitState::Pending,
            "weir/LLM-Model-Update",
            "waiting for ml-team",
        );
        self.api.write_status(&repository(), &commit(), &status).await
    }
}

async fn serve(State(server): State<Server>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec();
    let line = format!("{} {}", parts.method, parts.uri);
    server.asked.lock().unwrap().push(Asked {
        line: line.clone(),
        headers: parts.headers,
        body,
    });
    let plain = |status: u16, text: &str| {
        Response::builder()
            .status(StatusCode::from_u16(status).unwrap())
            .body(Body::from(text.to_owned()))
            .unwrap()
    };
    match server.conversation {
        Conversation::Refused(status) => {
            plain(status, r#"{"message":"no","documentation_url":"https://docs"}"#)
        }
        Conversation::RateLimitedFor(seconds) => {
            let builder = Response::builder().status(429).header("retry-after", seconds);
            builder.body(Body::from("{}")).unwrap()
        }
        Conversation::SecondaryLimit => {
            let builder = Response::builder()
                .status(403)
                .header("x-ratelimit-remaining", "0");
            builder.body(Body::from("{}")).unwrap()
        }
        Conversation::Moved => {
            let builder = Response::builder()
                .status(301)
                .header("location", "http://169.254.169.254/latest");
            builder.body(Body::empty()).unwrap()
        }
        Conversation::NotJson => plain(200, "<html>"),
        Conversation::EndlessAnswer => plain(200, &" ".repeat(9 * 1024 * 1024)),
        conversation => match line.as_str() {
            line if line.ends_with(&format!("/git/trees/{COMMIT}")) => plain(200, &root().to_string()),
            line if line.ends_with(&format!("/git/trees/{FOLDER}")) => {
                plain(200, &folder(conversation).to_string())
            }
            line if line.ends_with(&format!("/git/blobs/{FILE}"))
                && conversation == Conversation::LyingAboutSize =>
            {
                plain(200, &"x".repeat(2 * 1024 * 1024))
            }
            line if line.ends_with(&format!("/git/blobs/{FILE}")) => plain(200, "pipeline:\n  name: x\n"),
            line if line.contains("/compare/") => {
                plain(200, r#"{"status":"diverged","ahead_by":1,"behind_by":2}"#)
            }
            line if line.contains("/statuses/") => plain(201, r#"{"id":1,"state":"pending"}"#),
            _ => plain(404, r#"{"message":"Not Found"}"#),
        },
    }
}

fn root() -> Value {
    json!({"sha": COMMIT, "truncated": false, "tree": [
        {"path": "README.md", "mode": "100644", "type": "blob", "sha": FILE, "size": 20, "url": "https://x"},
        {"path": ".weir", "mode": "040000", "type": "tree", "sha": FOLDER, "url": "https://x"},
        {"path": "link", "mode": "120000", "type": "blob", "sha": FILE, "size": 5},
    ]})
}

fn folder(conversation: Conversation) -> Value {
    let mode = if conversation == Conversation::LinkAsDefinition {
        "120000"
    } else {
        "100644"
    };
    json!({"sha": FOLDER, "truncated": false, "tree": [
        {"path": "notes.txt", "mode": "100644", "type": "blob", "sha": FILE, "size": 20},
        {"path": "pipeline.yaml", "mode": mode, "type": "blob", "sha": FILE, "size": 20},
        {"path": "sub", "mode": "040000", "type": "tree", "sha": FOLDER},
    ]})
}

fn repository() -> RepositoryName {
    RepositoryName::parse("acme/llm-service").unwrap()
}

fn commit() -> CommitSha {
    CommitSha::parse(COMMIT).unwrap()
}

fn path(text: &str) -> RepositoryPath {
    RepositoryPath::parse(text).unwrap()
}

#[tokio::test]
async fn definitions_are_read_through_trees_and_blobs_of_the_commit() {
    let world = World::start(Conversation::Usual).await;
    let files = world.api.definitions(&repository(), &commit()).await.unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(
        (files[0].path.as_str(), files[0].text.as_str()),
        (".weir/pipeline.yaml", "pipeline:\n  name: x\n")
    );
    assert_eq!(
        world.lines(),
        [
            format!("GET /api/v3/repos/acme/llm-service/git/trees/{COMMIT}"),
            format!("GET /api/v3/repos/acme/llm-service/git/trees/{FOLDER}"),
            format!("GET /api/v3/repos/acme/llm-service/git/blobs/{FILE}"),
        ]
    );
    let asked = world.asked.lock().unwrap();
    for request in asked.iter() {
        assert_eq!(request.headers["authorization"], "Bearer ghs_secret");
        assert_eq!(request.headers["x-github-api-version"], "2022-11-28");
        assert!(
            request.headers["user-agent"]
                .to_str()
                .unwrap()
                .starts_with("weir/")
        );
    }
    assert_eq!(asked[0].headers["accept"], "application/vnd.github+json");
    assert_eq!(asked[2].headers["accept"], "application/vnd.github.raw+json");
}

#[tokio::test]
async fn named_files_links_and_absences_are_told_apart() {
    let world = World::start(Conversation::Usual).await;
    let read = async |name: &str| world.api.files(&repository(), &commit(), &[path(name)]).await;
    assert_eq!(read("README.md").await.unwrap()[0].path, path("README.md"));
    assert_eq!(read(".weir/pipeline.yaml").await.unwrap().len(), 1);
    assert!(matches!(read("link").await, Err(SourceError::Link(_))));
    assert!(matches!(read("link/x").await, Err(SourceError::NoSuchFile(_))));
    assert!(matches!(read(".weir").await, Err(SourceError::NotAFile(_))));
    assert!(matches!(
        read("none/x.yaml").await,
        Err(SourceError::NoSuchFile(_))
    ));
}

#[tokio::test]
async fn a_link_among_the_definitions_is_refused() {
    let world = World::start(Conversation::LinkAsDefinition).await;
    let answer = world.api.definitions(&repository(), &commit()).await;
    assert!(matches!(answer, Err(SourceError::Link(p)) if p == path(".weir/pipeline.yaml")));
}

#[tokio::test]
async fn a_blob_larger_than_it_claimed_is_cut_off() {
    let world = World::start(Conversation::LyingAboutSize).await;
    let answer = world.api.definitions(&repository(), &commit()).await;
    assert!(matches!(
        answer,
        Err(SourceError::Api(ApiError::TooLarge { limit: 1_048_576 }))
    ));
}

#[tokio::test]
async fn a_status_is_posted_in_githubs_shape() {
    let world = World::start(Conversation::Usual).await;
    world.status().await.unwrap();
    assert_eq!(
        world.lines(),
        [format!("POST /api/v3/repos/acme/llm-service/statuses/{COMMIT}")]
    );
    let body: Value = serde_json::from_slice(&world.asked.lock().unwrap()[0].body).unwrap();
    let expected =
        json!({"state": "pending", "context": "weir/LLM-Model-Update", "description": "waiting for ml-team"});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_relation_is_read_from_the_comparison() {
    let world = World::start(Conversation::Usual).await;
    let base = CommitSha::parse(FILE).unwrap();
    assert_eq!(
        world.api.relation(&repository(), &base, &commit()).await.unwrap(),
        Relation::Diverged
    );
    let line = format!("GET /api/v3/repos/acme/llm-service/compare/{FILE}...{COMMIT}?per_page=1");
    assert_eq!(world.lines(), [line]);
}

#[tokio::test]
async fn refusals_are_classified_and_say_whether_to_try_again() {
    let after = |seconds| Retry::After(Duration::from_secs(seconds));
    let cases = [
        (Conversation::Refused(401), Retry::Never),
        (Conversation::Refused(403), Retry::Never),
        (Conversation::Refused(404), Retry::Never),
        (Conversation::Refused(422), Retry::Never),
        (Conversation::Refused(418), Retry::Never),
        (Conversation::Refused(500), after(5)),
        (Conversation::Refused(503), after(5)),
        (Conversation::Refused(429), after(60)),
        (Conversation::SecondaryLimit, after(60)),
        (Conversation::RateLimitedFor(17), after(17)),
        (Conversation::RateLimitedFor(1_000_000), after(3600)),
        (Conversation::Moved, Retry::Never),
    ];
    for (conversation, expected) in cases {
        let world = World::start(conversation).await;
        let error = world.status().await.unwrap_err();
        assert_eq!(error.retry(), expected, "{error:?}");
        // Nothing was followed or repeated on the quiet.
        assert_eq!(world.lines().len(), 1);
    }
}

#[tokio::test]
async fn an_unknown_commit_is_named() {
    let world = World::start(Conversation::Refused(404)).await;
    let error = world.api.definitions(&repository(), &commit()).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::NoSuchCommit(name) if name == COMMIT),
        "{error:?}"
    );
}

#[tokio::test]
async fn endless_and_unreadable_answers_are_errors() {
    let world = World::start(Conversation::EndlessAnswer).await;
    let error = world.api.definitions(&repository(), &commit()).await.unwrap_err();
    assert!(matches!(error, SourceError::Api(ApiError::TooLarge { .. })));
    let world = World::start(Conversation::NotJson).await;
    let error = world.api.definitions(&repository(), &commit()).await.unwrap_err();
    assert!(matches!(error, SourceError::Api(ApiError::Json(_))));
}

#[tokio::test]
async fn nobody_listening_is_worth_a_second_try_and_shows_no_token() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let api = GitHubApi::new(&format!("http://{address}"), Secret::new("ghs_secret")).unwrap();
    let error = api.definitions(&repository(), &commit()).await.unwrap_err();
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(5)));
    assert!(!format!("{error:?} {api:?}").contains("ghs_secret"));
}

#[test]
fn only_plain_https_bases_are_accepted() {
    for base in [
        "http://api.github.com",
        "ftp://x",
        "https://u:p@x/",
        "https://x/?a=b",
        "x",
        "file:///etc",
    ] {
        assert!(
            matches!(GitHubApi::new(base, None), Err(ApiError::BaseUrl)),
            "{base}"
        );
    }
    assert!(GitHubApi::new("https://api.github.com", None).is_ok());
}
