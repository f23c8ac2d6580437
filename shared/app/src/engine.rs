//! load → decide → commit, again on conflict; then perform.

use weir_domain::audit::chain;
use weir_domain::event::{Event, Moment};
use weir_domain::ids::RunId;
use weir_domain::run::{Run, State};
use weir_domain::time::{Span, Timestamp};
use weir_domain::{Decision, Duty, Rejected, Reply, decide, next_look};

use crate::changed;
use crate::hand::Hand;
use crate::perform::Rights;
use crate::ports::Ports;
use crate::retry::{Classified, Retry};
use crate::store::{Commit, EffectKey, Loaded, OutboxRow, Scrape, StoreError};

/// Times a decision is made again because somebody else was faster. Ten writers on one run are already a fault.
pub(crate) const CONFLICT_LIMIT: u32 = 10;

/// The sweep takes an effect this long after its decision, if whoever decided it did not perform it. It is also the
/// delay of the guard message of a traffic effect (design §4).
pub(crate) const GUARD: Span = Span::seconds(10);

/// A hint may come this much before its time, because clocks of two machines differ.
pub(crate) const EARLY: Span = Span::seconds(1);

/// Who makes a decision: somebody on duty, who says when the next look is due, or something that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    Duty(Duty),
    Event,
}

/// The loop over the ports, with what its owner may perform.
#[derive(Clone)]
pub struct Engine {
    /// The world.
    pub ports: Ports,
    /// What is performed at once; everything else is hinted to those who may.
    pub rights: Rights,
}

/// What came of an event.
#[derive(Clone, PartialEq, Debug)]
pub struct Handled {
    /// The state after.
    pub state: State,
    /// What the person who acted is told.
    pub reply: Option<Reply>,
}

/// An event could not be handled.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// There is no such run.
    #[error("there is no run {0}")]
    UnknownRun(RunId),
    /// The event does not belong to the run.
    #[error("the event was rejected")]
    Rejected(#[from] Rejected),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl Classified for HandleError {
    fn retry(&self) -> Retry {
        match self {
            Self::UnknownRun(_) | Self::Rejected(_) => Retry::Never,
            Self::Store(error) => error.retry(),
        }
    }
}

impl Engine {
    /// Looks after one duty of a run: performs what is left over, looks at the world, decides, performs.
    ///
    /// # Errors
    /// The store failed, or others kept writing. A run that is not there is nobody's error: the hint was late.
    pub async fn look(&self, run: &RunId, duty: Duty) -> Result<(), HandleError> {
        for _ in 0..CONFLICT_LIMIT {
            match self.look_once(run, duty).await {
                Err(error) if error.retry() == Retry::Conflict => {}
                Err(HandleError::UnknownRun(_)) => return Ok(()),
                result => return result,
            }
        }
        Err(StoreError::Conflict(format!("run {run}")).into())
    }

    async fn look_once(&self, run: &RunId, duty: Duty) -> Result<(), HandleError> {
        let loaded = self.load(run).await?;
        // Somebody has looked since this hint was sent, and has said when to look next: a duplicate must not start a
        // second chain of looks.
        let due = loaded
            .due(duty)
            .is_some_and(|at| at <= self.ports.clock.now() + EARLY);
        let hand = Hand::new(self, loaded);
        let hand = match due {
            true => hand.looking_after(duty).await?,
            false => hand,
        };
        // On the heap: it holds all that is known of a run, and so would everybody who waits for it.
        Box::pin(hand.work()).await
    }

    /// Handles something that happened to a run.
    ///
    /// # Errors
    /// The run is unknown, the event is not its own, the store failed, or others kept writing.
    pub async fn handle(&self, run: &RunId, event: &Event) -> Result<Handled, HandleError> {
        let (stored, reply) = self.decide_until_stored(run, event, None).await?;
        let mut state = stored.state.clone();
        self.perform_outbox(stored).await?;
        if let Some(loaded) = self.ports.store.load(run).await? {
            state = loaded.state;
        }
        Ok(Handled { state, reply })
    }

    /// The same without performing: for events that performing itself gives rise to. What is stored then, which is also
    /// what is known at first, if anything is.
    pub(crate) async fn decide_until_stored(
        &self,
        run: &RunId,
        event: &Event,
        mut known: Option<Loaded>,
    ) -> Result<(Loaded, Option<Reply>), HandleError> {
        for _ in 0..CONFLICT_LIMIT {
            let loaded = self.known_or_loaded(run, &mut known).await?;
            match self.handle_once(loaded, event).await {
                Err(error) if error.retry() == Retry::Conflict => {}
                result => return result,
            }
        }
        Err(StoreError::Conflict(format!("run {run}")).into())
    }

    /// What is known, once; afterwards somebody else was faster, and it is read.
    async fn known_or_loaded(&self, run: &RunId, known: &mut Option<Loaded>) -> Result<Loaded, HandleError> {
        match known.take() {
            Some(known) => Ok(known),
            None => self.load(run).await,
        }
    }

    pub(crate) async fn load(&self, run: &RunId) -> Result<Loaded, HandleError> {
        self.ports
            .store
            .load(run)
            .await?
            .ok_or_else(|| HandleError::UnknownRun(run.clone()))
    }

    async fn handle_once(
        &self,
        loaded: Loaded,
        event: &Event,
    ) -> Result<(Loaded, Option<Reply>), HandleError> {
        let decision = decide(&loaded.state, event, &self.moment())?;
        let reply = decision.reply.clone();
        let stored = self.commit(loaded, decision, By::Event, None, None).await?;
        Ok((stored, reply))
    }

    /// Decides on what a duty saw; what is stored.
    pub(crate) async fn decided(
        &self,
        loaded: Loaded,
        event: &Event,
        duty: Duty,
        scrape: Option<Scrape>,
    ) -> Result<Loaded, HandleError> {
        let decision = decide(&loaded.state, event, &self.moment())?;
        let by = By::Duty(duty);
        Ok(self.commit(loaded, decision, by, scrape, None).await?)
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: self.ports.clock.now(),
            token: self.ports.ids.approval_token(),
            limits: self.ports.limits,
        }
    }

    /// Stores a decision and hints at what follows from it. What is stored now, as a read would give it.
    pub(crate) async fn commit(
        &self,
        before: Loaded,
        decision: Decision,
        by: By,
        scrape: Option<Scrape>,
        push: Option<weir_domain::ids::PushKey>,
    ) -> Result<Loaded, StoreError> {
        let now = self.ports.clock.now();
        let Decision {
            next: mut state,
            effects,
            notes,
            ..
        } = decision;
        let mut entries = Vec::with_capacity(notes.len());
        for note in notes {
            let run = &mut state.run;
            run.logged += 1;
            let entry = chain(note, &run.id, run.logged, now, run.gpus(), &run.log_tail);
            run.log_tail.clone_from(&entry.hash);
            entries.push(entry);
        }
        let looks = Duty::ALL.map(|duty| {
            let next = next_look(&state, duty, &self.ports.limits, now);
            // Only who looked may put a look off.
            let kept = before.due(duty).filter(|_| by != By::Duty(duty));
            (duty, next.map(|next| kept.map_or(next, |kept| kept.min(next))))
        });
        let version = before.version + 1;
        let outbox: Vec<OutboxRow> = (0..)
            .zip(effects)
            .map(|(n, effect)| OutboxRow {
                key: EffectKey {
                    run: state.run.id.clone(),
                    version,
                    n,
                },
                effect,
                due: now + GUARD,
                attempts: 0,
            })
            .collect();
        let commit = Commit {
            run: state.run.clone(),
            expected: before.version,
            lanes: changed::lanes(&before, &state),
            pools: changed::pools(&before, &state),
            entries,
            outbox: outbox.clone(),
            looks,
            scrape: scrape.clone(),
            closed: changed::closed_stages(&before, &state),
            push,
        };
        // Before the commit: whoever is killed right after it has moved no traffic and sent no hint. If the commit fails,
        // somebody looks for nothing.
        if outbox.iter().any(|row| row.effect.moves_traffic()) {
            let run = &state.run.id;
            self.ports.queue.hint(run, Duty::Traffic, now + GUARD).await;
        }
        let (lanes, pools) = (
            changed::keys(&commit.lanes, |lane| &lane.key),
            changed::keys(&commit.pools, |pool| &pool.key),
        );
        self.ports.store.commit(commit).await?;
        self.hint(&state.run, &outbox, &before, looks, now).await;
        Ok(Loaded {
            version,
            lanes: changed::moved(before.lanes, lanes),
            pools: changed::moved(before.pools, pools),
            looks: looks
                .into_iter()
                .filter_map(|(duty, at)| Some((duty, at?)))
                .collect(),
            outbox: before.outbox.into_iter().chain(outbox).collect(),
            scrapes: changed::scrapes(before.scrapes, scrape, &state.run),
            state,
        })
    }

    /// Tells those who may perform what this engine may not, and those who look next.
    async fn hint(
        &self,
        run: &Run,
        outbox: &[OutboxRow],
        before: &Loaded,
        looks: [(Duty, Option<Timestamp>); 2],
        now: Timestamp,
    ) {
        for (duty, at) in looks {
            let others = outbox
                .iter()
                .any(|row| row.effect.duty() == duty && !self.rights.may(run, &row.effect));
            if others {
                self.ports.queue.hint(&run.id, duty, now).await;
            }
            if let Some(at) = at.filter(|at| before.due(duty) != Some(*at)) {
                self.ports.queue.hint(&run.id, duty, at).await;
            }
        }
    }
}
