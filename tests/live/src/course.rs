//! The course of a rollout on a stage: waited for, steered, told and drawn.

use serde_json::{Value, json};
use weir_domain::audit::Action;
use weir_domain::event::Event;
use weir_domain::ids::{RevisionId, RunId};
use weir_domain::people::Identity;
use weir_domain::rollout::{Phase, Rollout};
use weir_domain::run::Run;

use crate::load::Load;
use crate::stage::Stage;
use crate::wait::eventually;

impl Stage {
    /// A run that has ended, as expected.
    ///
    /// # Panics
    /// It has ended otherwise, or does not end.
    pub async fn ends(&self, run: &RunId, word: &str) -> Run {
        let ended = self.host.until(word, run, Run::is_over).await;
        if ended.status.word() != word {
            self.tell_log(run).await;
        }
        assert_eq!(ended.status.word(), word, "{}", ended.status.words());
        ended
    }

    /// Lets it go on until its rollout is as expected.
    pub async fn until(&self, run: &RunId, what: &str, is: impl Fn(&Rollout) -> bool) -> Run {
        let is = |run: &Run| {
            let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
            all.next().is_some_and(&is)
        };
        self.host.until(what, run, is).await
    }

    /// A person takes it back.
    pub async fn roll_back(&self, run: &RunId) {
        let (by, reason) = (Identity::Slack("U1".into()), "wrong language".into());
        let event = Event::RollbackRequested {
            by,
            reason,
            force: false,
        };
        self.host.tell(run, &event).await;
    }

    /// A person lets it go on.
    pub async fn go_on(&self, run: &RunId) {
        let (by, reason) = (Identity::Slack("U1".into()), "looked at it".into());
        self.host
            .tell(
                run,
                &Event::PassRequested {
                    by,
                    reason,
                    pause: None,
                },
            )
            .await;
    }

    /// Every answer is of this version, soon and then ten times in a row.
    pub async fn answers(&self, version: &str) {
        eventually("users are answered by one version", async || {
            for _ in 0..10 {
                match self.world.ask().await {
                    Ok(own) if own == version => {}
                    other => return Err(format!("{other:?}")),
                }
            }
            Ok(())
        })
        .await;
    }

    /// Draws what a run did, for the docs, where it is asked for.
    ///
    /// # Panics
    /// It cannot be drawn.
    pub async fn draw(&self, file: &str, title: &str, run: &RunId, load: &Load) {
        let log = self.host.log(run).await;
        let entries: Vec<Value> = log.iter().map(|entry| json!(entry)).collect();
        let lost = load.lost_by_second().await;
        let course = weir_plot::rollout(&entries, &lost);
        let course = course.or_else(|| weir_plot::experiment(&entries, &lost));
        picture(file, &course.expect("it has shares").draw(title));
    }

    /// What a run's log says of one kind of action.
    pub async fn told(&self, run: &RunId, action: Action) -> Vec<String> {
        let log = self.host.log(run).await.into_iter();
        log.filter(|entry| entry.action == action)
            .map(|entry| entry.detail)
            .collect()
    }

    /// Lets half of the requests to one pod of a revision fail, whatever its model is; its name.
    ///
    /// # Panics
    /// The revision has no pod, or it cannot be told.
    pub async fn spoil_one(&self, revision: &RevisionId) -> String {
        let pod = self.pods(revision).await.swap_remove(0);
        let fault = json!({"error_ratio": 0.5});
        assert_eq!(self.world.spoil(&pod, &fault).await.ok(), fault);
        pod
    }

    /// Names of the pods of a revision.
    pub async fn pods(&self, revision: &RevisionId) -> Vec<String> {
        let found = self.world.pods(&format!("weir.dev/revision={revision}")).await;
        let name = |pod: &Value| Some(pod["metadata"]["name"].as_str()?.to_owned());
        found.iter().filter_map(name).collect()
    }

    /// Gives the GPUs back: only when no pod holds one is there room for the next test.
    pub async fn clear(self) {
        self.world.clear().await;
    }

    /// Prints what happened.
    pub async fn tell_log(&self, run: &RunId) {
        for entry in self.host.log(run).await {
            eprintln!("{} {}", entry.action.as_str(), entry.detail);
        }
    }
}

/// Keeps a picture for the docs, where it is asked for.
///
/// # Panics
/// It cannot be written.
pub fn picture(file: &str, svg: &str) {
    if let Some(folder) = std::env::var_os("WEIR_PLOTS") {
        let path = std::path::Path::new(&folder).join(file);
        std::fs::write(path, svg).expect("the folder of the pictures can be written to");
    }
}

/// The rollout of a run.
///
/// # Panics
/// It has none.
pub fn rollout(run: &Run) -> &Rollout {
    let mut all = run.steps().filter_map(|(.., state)| state.rollout.as_deref());
    all.next().expect("the run rolls out")
}

/// Milliseconds from the last decision about traffic to the moment in which requests followed.
pub fn effective_ms(rollout: &Rollout) -> Option<u64> {
    let change = rollout.changes.last()?;
    Some(change.effective?.since(change.decided).0)
}

/// The first step has its share, and users have followed.
pub fn first_step_in_effect(rollout: &Rollout) -> bool {
    let last = rollout.changes.last();
    let effective = last.is_some_and(|change| change.effective.is_some());
    rollout.phase == Phase::Watching { step: 0 } && effective
}

/// A replica that was replaced has left.
pub fn replaced(rollout: &Rollout) -> bool {
    rollout.replaced.as_ref().is_some_and(|replaced| replaced.gone)
}

/// Expects that nothing failed any more from one moment to another, that what failed before was answered by one version, and
/// that nothing was cut; how many failed.
///
/// # Panics
/// It was not so.
pub fn failed_by_version_alone(version: &str, before: &Value, after: &Value) -> u64 {
    let lost = |totals: &Value| (totals["total"]["failed"].clone(), totals["total"]["cut"].clone());
    assert_eq!(lost(after), lost(before), "{after}");
    assert_eq!(after["total"]["cut"], 0, "{after}");
    let failed = after["total"]["failed"].as_u64().expect("it is a count");
    assert_eq!(after["total"]["by_version"][version]["failed"], failed, "{after}");
    failed
}
