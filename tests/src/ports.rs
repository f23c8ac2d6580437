//! People and the source host of a story.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use weir_app::{EffectError, People, Retry, Source, SourceError, SourceFile};
use weir_domain::approval::MessageRef;
use weir_domain::effect::CommitState;
use weir_domain::ids::{Commit, RunId, StepId};
use weir_domain::run::{Cause, Repository, Run, RunStatus};
use weir_domain::time::Span;

use crate::faults::Faults;

/// People who read, and how each message stands now.
#[derive(Debug)]
pub struct FakePeople {
    pub(crate) faults: Arc<Faults>,
    /// Text of each approval message, by its time stamp.
    pub messages: Mutex<BTreeMap<String, String>>,
    /// Runs whose on-call was paged.
    pub pages: Mutex<BTreeSet<RunId>>,
}

impl FakePeople {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        Self {
            faults,
            messages: Mutex::default(),
            pages: Mutex::default(),
        }
    }

    fn alive(&self, operation: &'static str) -> Result<(), EffectError> {
        match self.faults.dead() {
            true => Err(EffectError::later(operation, "a message", "the process is dead")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl People for FakePeople {
    async fn show_approval(&self, run: &Run, stage: usize) -> Result<Option<MessageRef>, EffectError> {
        let n = self.faults.before_effect();
        self.alive("post")?;
        let approval = run.stages[stage]
            .approval
            .as_ref()
            .expect("an approval is shown once it was asked for");
        // A repeat before the message's place was noted posts again; Slack would too.
        let ts = approval
            .message
            .as_ref()
            .map_or_else(|| approval.token.to_string(), |message| message.ts.clone());
        let mut words = approval.state.words();
        if matches!(run.status, RunStatus::RolledBack { .. }) {
            words.push_str(", and rolled back");
        }
        self.messages
            .lock()
            .expect("no story panics while it holds this")
            .insert(ts.clone(), words);
        self.faults.after_effect(n);
        self.alive("post")?;
        Ok(Some(MessageRef {
            channel: "C1".into(),
            ts,
        }))
    }

    async fn page(&self, run: &Run, _step: StepId) -> Result<(), EffectError> {
        let n = self.faults.before_effect();
        self.alive("page")?;
        self.pages
            .lock()
            .expect("no story panics while it holds this")
            .insert(run.id.clone());
        self.faults.after_effect(n);
        self.alive("page")
    }
}

/// A source host: files by commit, and statuses as they stand.
#[derive(Debug)]
pub struct FakeSource {
    pub(crate) faults: Arc<Faults>,
    /// Files by commit.
    pub files: Mutex<BTreeMap<Commit, Vec<SourceFile>>>,
    /// Commits in the order they were made; each descends from those before it.
    pub history: Mutex<Vec<Commit>>,
    /// Last status by commit.
    pub statuses: Mutex<BTreeMap<Commit, (CommitState, String)>>,
    /// What the next reads of files meet, first first; then they succeed.
    pub troubles: Mutex<VecDeque<Retry>>,
}

impl FakeSource {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        Self {
            faults,
            files: Mutex::default(),
            history: Mutex::default(),
            statuses: Mutex::default(),
            troubles: Mutex::default(),
        }
    }

    /// A commit is made, with these files; it descends from all before it.
    pub fn commit(&self, commit: &Commit, files: &[(&str, &str)]) {
        let files = files.iter().map(|(path, text)| SourceFile {
            path: (*path).into(),
            text: (*text).into(),
        });
        let mut all = self.files.lock().expect("no story panics while it holds this");
        all.insert(commit.clone(), files.collect());
        let mut history = self.history.lock().expect("no story panics while it holds this");
        history.push(commit.clone());
    }

    fn alive(&self, operation: &'static str) -> Result<(), SourceError> {
        match self.faults.dead() {
            true => Err(SourceError {
                operation,
                why: "the process is dead".into(),
                retry: Retry::After(Span::seconds(1)),
            }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Source for FakeSource {
    async fn files(
        &self,
        _: &Repository,
        commit: &Commit,
        more: &[String],
    ) -> Result<Vec<SourceFile>, SourceError> {
        self.alive("read files")?;
        let trouble = self
            .troubles
            .lock()
            .expect("no story panics while it holds this")
            .pop_front();
        if let Some(retry) = trouble {
            return Err(SourceError {
                operation: "read files",
                why: "this is the trouble of the story".into(),
                retry,
            });
        }
        let files = self.files.lock().expect("no story panics while it holds this");
        let asked = |file: &SourceFile| file.path.starts_with(".weir/") || more.contains(&file.path);
        let all = files.get(commit).cloned().unwrap_or_default();
        Ok(all.into_iter().filter(asked).collect())
    }

    async fn descends(
        &self,
        _: &Repository,
        ancestor: &Commit,
        descendant: &Commit,
    ) -> Result<bool, SourceError> {
        self.alive("compare commits")?;
        let history = self.history.lock().expect("no story panics while it holds this");
        let place = |commit: &Commit| history.iter().position(|known| known == commit);
        Ok(place(ancestor).is_some_and(|old| place(descendant).is_some_and(|new| old <= new)))
    }

    async fn report(
        &self,
        cause: &Cause,
        _: &str,
        state: CommitState,
        words: &str,
    ) -> Result<(), SourceError> {
        let n = self.faults.before_effect();
        self.alive("set a status")?;
        let mut statuses = self.statuses.lock().expect("no story panics while it holds this");
        statuses.insert(cause.after.clone(), (state, words.to_owned()));
        drop(statuses);
        self.faults.after_effect(n);
        self.alive("set a status")
    }
}
