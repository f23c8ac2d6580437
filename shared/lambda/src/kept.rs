//! What a function is made of, built again when its secrets have changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::host::{Host, HostError};

/// Secrets are read again after this long, with the next event. Whoever exchanges one leaves the old one beside the new
/// one for longer.
pub(crate) const SECRETS_LIFE: Duration = Duration::from_secs(5 * 60);

/// An event does not wait longer for secrets: Slack's answer is due within three seconds. The old ones are kept then.
const READ_LIMIT: Duration = Duration::from_millis(500);

/// Something built of a host.
pub(crate) struct Kept<T, B> {
    build: B,
    life: Duration,
    now: Mutex<Current<T>>,
}

struct Current<T> {
    host: Host,
    built: Arc<T>,
    read: Instant,
}

impl<T, B: Fn(&Host) -> Result<T, HostError>> Kept<T, B> {
    /// Builds it. The host's secrets are believed for so long.
    pub(crate) fn new(host: Host, life: Duration, build: B) -> Result<Self, HostError> {
        let built = Arc::new(build(&host)?);
        let now = Mutex::new(Current {
            host,
            built,
            read: Instant::now(),
        });
        Ok(Self { build, life, now })
    }

    /// What stands for the secrets as they are now, or were within the last minutes.
    pub(crate) async fn current(&self) -> Arc<T> {
        let mut current = self.now.lock().await;
        if current.read.elapsed() >= self.life {
            // Whatever comes of it: one event in five minutes asks, not every event while nobody answers.
            current.read = Instant::now();
            match timeout(READ_LIMIT, current.host.renewed()).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(host))) => match (self.build)(&host) {
                    Ok(built) => {
                        tracing::info!("the secrets have changed");
                        current.built = Arc::new(built);
                        current.host = host;
                    }
                    Err(error) => keep(&error.to_string()),
                },
                Ok(Err(error)) => keep(&error.to_string()),
                Err(_) => keep("the secrets could not be read in time"),
            }
        }
        current.built.clone()
    }
}

fn keep(why: &str) {
    tracing::error!(why, "the secrets of the start are used on");
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_emulators::Canned;

    use super::*;

    fn said(secret: &str) -> (u16, String) {
        (200, json!({ "Name": "weir", "SecretString": secret }).to_string())
    }

    #[tokio::test]
    async fn a_secret_that_was_exchanged_is_used_without_a_restart() {
        let (old, new) = (
            r#"{"github_secrets": ["old"]}"#,
            r#"{"github_secrets": ["old", "new"]}"#,
        );
        let away = (500, "{}".to_owned());
        let mut answers = vec![said(old), said(new), said("no JSON")];
        answers.extend(std::iter::repeat_n(away, 3));
        answers.push(said(r#"{"github_secrets": ["new"]}"#));
        let server = Canned::serve(answers).await;
        let host = Host::for_tests(&server.url, old).await;
        let kept = Kept::new(host, Duration::ZERO, |host| {
            Ok(host.secrets.github_secrets.clone())
        })
        .unwrap();
        let first = kept.current().await;
        assert_eq!(*first, ["old"]);
        assert!(
            Arc::ptr_eq(&first, &kept.now.lock().await.built),
            "nothing was built anew"
        );
        for (what, expected) in [
            ("it was exchanged", vec!["old", "new"]),
            ("what stands there is none", vec!["old", "new"]),
            ("nobody answers", vec!["old", "new"]),
        ] {
            assert_eq!(*kept.current().await, expected, "{what}");
        }
    }

    #[tokio::test]
    async fn secrets_are_believed_for_some_minutes() {
        let server = Canned::serve(Vec::new()).await;
        let host = Host::for_tests(&server.url, "{}").await;
        let kept = Kept::new(host, SECRETS_LIFE, |_| Ok(())).unwrap();
        kept.current().await;
        assert!(server.requests().is_empty());
    }
}
