//! Requests to one API server, as JSON: limits on time and size, and every failure sorted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use weir_app::{Together, with_causes};

use crate::fault::{Fault, NO_KIND, sort};
use crate::names;

/// A request and its whole answer may take this long; longer than one read, so that a slow list still comes through.
const REQUEST_LIMIT: Duration = Duration::from_secs(15);
/// Largest answer that is read: a list of some thousand pods.
const ANSWER_LIMIT: usize = 32 << 20;
/// Objects in a page of a long list: a pod has some 10 KiB.
const PAGE: usize = 500;
/// Tries of a read, if each fails quickly: etcd's leader changed, or a balancer's server ends. A look reads some twenty
/// things and needs them all; what is written is tried again by the outbox.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);
const QUICK: Duration = Duration::from_secs(1);
/// How long an object that was read is good for deciding a write: a look's own write follows within a second.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Objects that are remembered: as many as rollouts that move at once.
const REMEMBERED_MAX: usize = 1_000;
/// Who Weir is in `managedFields`.
const FIELD_MANAGER: &str = "weir";

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The connection failed, or it took too long.
    Away(String),
    /// More bytes than allowed.
    TooLarge,
}

/// What a client is not good for any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doubt {
    /// Nobody is where it goes, or somebody whose certificate no authority of the cluster has signed.
    Place,
    /// The API server does not know who it is.
    Token,
}

/// One API server.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    doubt: Arc<OnceLock<Doubt>>,
    /// Lists that many looks need at the same moment, by path and query.
    lists: Arc<Together<String, (), Listed>>,
    /// Pods of a namespace, by its path, for the lanes and revisions that are looked at.
    pods: Arc<Together<String, Sought, Listed>>,
    /// Objects as they were read last, by path, and when.
    objects: Arc<Mutex<BTreeMap<String, (Instant, Value)>>>,
}

/// The label of a lane, and those of its revisions.
type Sought = (String, Vec<String>);

/// A list that several share.
type Listed = Result<Arc<Vec<Value>>, Fault>;

impl Api {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            doubt: Arc::default(),
            lists: Arc::default(),
            pods: Arc::default(),
            objects: Arc::default(),
        }
    }

    /// Why another client should be made, if one should. All copies of this one share it.
    pub(crate) fn doubts(&self) -> Option<Doubt> {
        self.doubt.get().copied()
    }

    fn doubt(&self, doubt: Doubt) {
        // The first one stands: whoever makes another client does so for either.
        let _ = self.doubt.set(doubt);
    }

    /// The object at a path.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Fault> {
        for _ in 1..TRIES {
            let began = Instant::now();
            match self.json(Method::GET, path, "", None).await {
                // Another client is needed, not another try.
                Err(Fault::Away(why)) if self.doubts().is_some() => return Err(Fault::Away(why)),
                Err(Fault::Away(_)) if began.elapsed() < QUICK => tokio::time::sleep(PAUSE).await,
                result => return result,
            }
        }
        self.json(Method::GET, path, "", None).await
    }

    /// The object at a path, or nothing if there is none of that name. [`Fault::Missing`] if there is no such kind.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>, Fault> {
        match self.get(path).await {
            Ok(object) => Ok(Some(object)),
            Err(Fault::Missing(said)) if said.contains(NO_KIND) => Err(Fault::Missing(said)),
            Err(Fault::Missing(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The objects at a path that carry all these labels.
    pub(crate) async fn list(&self, path: &str, labels: &str) -> Result<Vec<Value>, Fault> {
        let query = format!("{path}?labelSelector={}", percent(labels));
        match self.get(&query).await?["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// The same for a list that others ask for at the same moment: it is read once for all of them.
    pub(crate) async fn list_together(&self, path: &str, labels: &str) -> Listed {
        let read = |_| async { self.list(path, labels).await.map(Arc::new) };
        self.lists.ask(format!("{path}?{labels}"), (), read).await
    }

    /// The pods of a lane's revisions at a path, and those of other lanes that are asked for at the same moment.
    pub(crate) async fn pods_together(&self, path: &str, lane: String, revisions: Vec<String>) -> Listed {
        let read = |sought: BTreeSet<Sought>| async move {
            let lanes: Vec<&str> = sought.iter().map(|(lane, _)| lane.as_str()).collect();
            let revisions = sought.iter().flat_map(|(_, revisions)| revisions);
            let revisions: BTreeSet<&str> = revisions.map(String::as_str).collect();
            let revisions: Vec<&str> = revisions.into_iter().collect();
            let labels = format!(
                "{} in ({}),{} in ({})",
                names::LANE,
                lanes.join(","),
                names::REVISION,
                revisions.join(",")
            );
            self.list(path, &labels).await.map(Arc::new)
        };
        self.pods.ask(path.to_owned(), (lane, revisions), read).await
    }

    /// Keeps an object that was read for a write that may follow at once.
    pub(crate) fn remember(&self, path: &str, object: &Value) {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.len() >= REMEMBERED_MAX {
            objects.clear();
        }
        objects.insert(path.to_owned(), (Instant::now(), object.clone()));
    }

    /// The object as it was read a moment ago, once. It may have changed since: what is decided on it is to be written under
    /// the condition that it has not.
    pub(crate) fn recall(&self, path: &str) -> Option<Value> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, object) = objects.remove(path)?;
        (at.elapsed() < REMEMBERED).then_some(object)
    }

    /// All objects at a path, page by page: a large cluster's pods are more than one answer holds.
    pub(crate) async fn list_all(&self, path: &str, query: &str) -> Result<Vec<Value>, Fault> {
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let from = if next.is_empty() {
                next
            } else {
                format!("&continue={}", percent(&next))
            };
            let mut page = self.get(&format!("{path}?limit={PAGE}{query}{from}")).await?;
            if let Value::Array(items) = page["items"].take() {
                all.extend(items);
            }
            next = page["metadata"]["continue"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if next.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Makes an object; [`Fault::Exists`] if one of that name is there.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<(), Fault> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        self.done(Method::POST, &path, "application/json", Some(object))
            .await
    }

    /// Puts a question that is not kept: what comes back is the answer.
    pub(crate) async fn ask(&self, path: &str, question: &Value) -> Result<Value, Fault> {
        self.json(Method::POST, path, "application/json", Some(question))
            .await
    }

    /// Changes an object by a JSON Patch.
    pub(crate) async fn patch(&self, path: &str, operations: &[Value]) -> Result<(), Fault> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        let body = Value::Array(operations.to_vec());
        self.done(Method::PATCH, &path, "application/json-patch+json", Some(&body))
            .await
    }

    /// Removes an object as it was read; [`Fault::Conflict`] if it is another one by now.
    pub(crate) async fn delete(&self, path: &str, object: &Value) -> Result<(), Fault> {
        let metadata = &object["metadata"];
        let options = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        });
        match self
            .done(Method::DELETE, path, "application/json", Some(&options))
            .await
        {
            Err(Fault::Missing(_)) => Ok(()),
            other => other,
        }
    }

    async fn json(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        let answer = self.answered(method, path, content, body).await?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| Fault::Away(format!("the API server's answer cannot be read: {error}")))
    }

    /// A request of whose answer nothing but its success is of interest.
    async fn done(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<(), Fault> {
        self.answered(method, path, content, body).await.map(drop)
    }

    async fn answered(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Fault> {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let answer = self
            .send(method, path, content, bytes, ANSWER_LIMIT)
            .await
            .map_err(|none| match none {
                NoAnswer::Away(why) => Fault::Away(why),
                NoAnswer::TooLarge => Fault::Refused(format!("the answer is over {ANSWER_LIMIT} bytes")),
            })?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(sort(answer.status, &answer.body)),
        }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        content: &str,
        body: Vec<u8>,
        limit: usize,
    ) -> Result<Answer, NoAnswer> {
        let mut request = Request::builder().method(method).uri(path);
        if !content.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, content);
        }
        let request = request
            .body(Body::from(body))
            .map_err(|error| NoAnswer::Away(format!("`{path}` is not a path: {error}")))?;
        let whole = async {
            let response = self
                .client
                .send(request)
                .await
                .inspect_err(|error| {
                    if never_connected(error) {
                        self.doubt(Doubt::Place);
                    }
                })
                .map_err(|error| NoAnswer::Away(with_causes(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, limit).collect().await.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    NoAnswer::TooLarge
                } else {
                    NoAnswer::Away(with_causes(error.as_ref()))
                }
            })?;
            let body = body.to_bytes();
            let said = || serde_json::from_slice(&body).unwrap_or_default();
            if head.status == StatusCode::UNAUTHORIZED && is_status(&said()) {
                self.doubt(Doubt::Token);
            }
            Ok(Answer {
                status: head.status,
                body,
            })
        };
        tokio::time::timeout(REQUEST_LIMIT, whole)
            .await
            .unwrap_or_else(|_| {
                Err(NoAnswer::Away(format!(
                    "no answer within {} s",
                    REQUEST_LIMIT.as_secs()
                )))
            })
    }
}

/// Whether there was no connection to send a request on: no answer to the call, or a TLS handshake that failed.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        let client = error.downcast_ref::<hyper_util::client::legacy::Error>();
        if client.is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return true;
        }
        at = error.source();
    }
    false
}

/// Whether an answer is the API server's own, and not that of a pod behind its proxy.
pub(crate) fn is_status(said: &Value) -> bool {
    said["kind"] == "Status" && said["apiVersion"] == "v1"
}

/// Text as part of a query.
pub(crate) fn percent(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        })
}
