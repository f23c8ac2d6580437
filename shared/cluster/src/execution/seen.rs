//! A Kubernetes Job and its pod, read as how the step stands.

use std::collections::BTreeMap;

use serde_json::Value;
use weir_domain::seen::{ExecutionSeen, PodPhase};
use weir_domain::time::{Span, Timestamp};

use super::{FETCH_CONTAINER, STEP_CONTAINER};
use crate::pods::{condition, cut, is_pull_trouble, stands, statuses};

/// An image that could not be pulled for this long will not come by itself: registries that are away come back sooner.
const PULL_PATIENCE: Span = Span::minutes(3);
/// Kubernetes cuts what a container hands over at its end here.
const OUTPUT_LIMIT: usize = 4_096;

/// How a step stands; for its end the log is still to be read.
#[derive(PartialEq, Debug)]
pub(super) enum Standing {
    Seen(ExecutionSeen),
    Ended {
        pod: String,
        exit_code: i32,
        outputs: BTreeMap<String, String>,
    },
    NotFetched {
        pod: String,
        words: String,
    },
}

/// Whether the Kubernetes Job has ended.
pub(super) fn is_over(job: &Value) -> bool {
    ["Complete", "Failed"]
        .iter()
        .any(|kind| condition(job, kind).is_some_and(|c| c["status"] == "True"))
}

/// Whether the commit was fetched, so that the commands could begin.
pub(super) fn was_fetched(pod: &Value) -> bool {
    statuses(pod, "initContainerStatuses").all(|status| status["state"]["terminated"]["exitCode"] == 0)
}

/// Reads how a step stands.
pub(super) fn standing(job: &Value, pod: Option<&Value>, timeout: Span, now: Timestamp) -> Standing {
    let failed = condition(job, "Failed").filter(|c| c["status"] == "True");
    if failed.is_some_and(|condition| condition["reason"] == "DeadlineExceeded") {
        // A step is stopped by letting its deadline pass (`super::stop`).
        let cut_short = job["spec"]["activeDeadlineSeconds"] == 1 && timeout > Span::seconds(1);
        return Standing::Seen(ExecutionSeen::Failed(if cut_short {
            "stopped: it was told to".into()
        } else {
            format!("stopped: it took longer than {timeout}")
        }));
    }
    let Some(pod) = pod else {
        return Standing::Seen(match failed {
            Some(condition) => ExecutionSeen::Failed(format!(
                "its pod is gone: {}",
                cut(condition["message"].as_str().unwrap_or("nobody said why"))
            )),
            None if is_over(job) => {
                ExecutionSeen::Failed("its pod is gone, and what it wrote with it".into())
            }
            None => ExecutionSeen::Pending("its pod is being made".into()),
        });
    };
    of_pod(pod, now)
}

fn of_pod(pod: &Value, now: Timestamp) -> Standing {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let ended = |list: &str, container: &str| {
        let end =
            statuses(pod, list).find(|status| status["name"] == container)?["state"].get("terminated")?;
        Some((end["exitCode"].as_i64()?, end.clone()))
    };
    if let Some((code, _)) = ended("initContainerStatuses", FETCH_CONTAINER).filter(|(code, _)| *code != 0) {
        let words = format!("the commit could not be fetched (exit code {code})");
        return Standing::NotFetched { pod: name, words };
    }
    if let Some((code, end)) = ended("containerStatuses", STEP_CONTAINER) {
        if end["reason"] == "OOMKilled" {
            return failed(format!(
                "killed with exit code {code}: it used more memory than it may"
            ));
        }
        if end["reason"] == "DeadlineExceeded" || pod["status"]["reason"] == "DeadlineExceeded" {
            return failed("stopped: its deadline has passed".into());
        }
        return Standing::Ended {
            pod: name,
            exit_code: i32::try_from(code).unwrap_or(-1),
            outputs: outputs(end["message"].as_str().unwrap_or_default()),
        };
    }
    if pod["status"]["phase"] == "Failed" {
        let text = |key: &str| cut(pod["status"][key].as_str().unwrap_or_default());
        return failed(
            format!("its pod failed: {} {}", text("reason"), text("message"))
                .trim_end()
                .to_owned(),
        );
    }
    waiting(pod, now)
}

/// It has not ended: does it run, wait, or can it not even begin?
fn waiting(pod: &Value, now: Timestamp) -> Standing {
    if statuses(pod, "containerStatuses").any(|status| !status["state"]["running"].is_null()) {
        return Standing::Seen(ExecutionSeen::Running);
    }
    let all = statuses(pod, "initContainerStatuses").chain(statuses(pod, "containerStatuses"));
    let reasons: Vec<&str> = all
        .filter_map(|status| status["state"]["waiting"]["reason"].as_str())
        .collect();
    let (phase, words) = stands(pod, None);
    let since = pod["metadata"]["creationTimestamp"]
        .as_str()
        .and_then(unix_millis)
        .unwrap_or(now);
    let patience_is_over = now.since(since) >= PULL_PATIENCE;
    let hopeless = reasons.contains(&"InvalidImageName") || reasons.contains(&"ErrImageNeverPull");
    if hopeless || (patience_is_over && reasons.iter().any(|reason| is_pull_trouble(reason))) {
        return failed(words);
    }
    let fetching = statuses(pod, "initContainerStatuses").any(|status| !status["state"]["running"].is_null());
    Standing::Seen(match phase {
        _ if fetching => ExecutionSeen::Pending("the commit is being fetched".into()),
        PodPhase::Scheduling => ExecutionSeen::Pending(format!("no node yet: {words}")),
        _ => ExecutionSeen::Pending(words),
    })
}

fn failed(words: String) -> Standing {
    Standing::Seen(ExecutionSeen::Failed(words))
}

/// `NAME=value` lines. The last line of a text that fills the limit may be cut, so it does not count.
fn outputs(text: &str) -> BTreeMap<String, String> {
    let whole = if text.len() >= OUTPUT_LIMIT {
        text.rfind('\n').map_or("", |end| &text[..end])
    } else {
        text
    };
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let pairs = whole.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim_end_matches('\r')))
        .filter(|(name, _)| is_name(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A time as Kubernetes writes it, `2026-11-24T05:00:00Z`.
fn unix_millis(text: &str) -> Option<Timestamp> {
    let time: k8s_openapi::jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp(time.as_millisecond()))
}

#[cfg(test)]
mod tests;
