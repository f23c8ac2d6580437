//! What one look, or one answer, has in hand: effects to perform and things to look at, side by side for each cluster.
//!
//! ```text
//!   cluster a   effect ─▶ effect ─▶ look ─▶ decide ┐
//!   cluster b   look ─────▶ decide ─▶ effect       ├─ one state, one commit at a time
//!   people      page                               ┘
//! ```
//! What belongs to one cluster is done one after another, in the order in which it was decided. A cluster that does not answer
//! keeps nobody from another: what was seen there is decided on when it is there, and while somebody is still waited for, the
//! others are looked at again when they are due.

mod place;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesUnordered, StreamExt};
use weir_domain::event::Event;
use weir_domain::ids::RunId;
use weir_domain::{Duty, Wanted, wants};

use crate::engine::{CONFLICT_LIMIT, EARLY, Engine, HandleError};
use crate::perform::{Failed, overtaken};
use crate::retry::{Classified, Retry};
use crate::store::{EffectKey, Loaded, OutboxRow, Scrape, StoreError};
use place::{Place, is_as_before, is_silence, place_of, place_of_look, step_of};

/// What came of one thing.
enum Done {
    Performed(OutboxRow, Result<Option<Event>, Failed>),
    Seen(Box<Look>, Result<(Event, Option<Scrape>), HandleError>),
}

/// One thing that is looked at.
struct Look {
    wanted: Wanted,
    /// What was stored when it began.
    under: Arc<Loaded>,
    /// How often it was looked at.
    times: u32,
}

type Tasks<'a> = FuturesUnordered<BoxFuture<'a, Done>>;

/// What is in hand for one run.
pub(crate) struct Hand<'a> {
    engine: &'a Engine,
    run: RunId,
    loaded: Arc<Loaded>,
    duty: Option<Duty>,
    tasks: Tasks<'a>,
    tried: Vec<EffectKey>,
    wanted: VecDeque<Wanted>,
    performing: Vec<Place>,
    looking: Vec<Place>,
    /// Where the first look has not ended.
    first: Vec<Place>,
    /// Who did not answer: asked again with the next look.
    silent: Vec<Place>,
    /// A look was decided on, so that the next is known.
    put_off: bool,
}

impl<'a> Hand<'a> {
    /// Only effects are in hand.
    pub(crate) fn new(engine: &'a Engine, loaded: Loaded) -> Self {
        Self {
            engine,
            run: loaded.state.run.id.clone(),
            loaded: Arc::new(loaded),
            duty: None,
            tasks: FuturesUnordered::new(),
            tried: Vec::new(),
            wanted: VecDeque::new(),
            performing: Vec::new(),
            looking: Vec::new(),
            first: Vec::new(),
            silent: Vec::new(),
            put_off: false,
        }
    }

    /// A duty is looked after too.
    ///
    /// # Errors
    /// The store failed, or others kept writing.
    pub(crate) async fn looking_after(mut self, duty: Duty) -> Result<Self, HandleError> {
        self.duty = Some(duty);
        self.wanted = self.wants(duty).into();
        if self.wanted.is_empty() {
            self.decide_on_nothing(duty).await?;
        }
        let run = &self.loaded.state.run;
        self.first = self
            .wanted
            .iter()
            .map(|wanted| place_of_look(run, wanted))
            .collect();
        Ok(self)
    }

    /// Works until nothing is in hand any more.
    ///
    /// # Errors
    /// The store failed, or others kept writing.
    pub(crate) async fn work(mut self) -> Result<(), HandleError> {
        loop {
            self.start_effects().await?;
            self.start_looks();
            match self.next().await {
                Some(Done::Performed(row, result)) => self.performed(&row, result).await?,
                Some(Done::Seen(look, result)) => self.seen(*look, result?).await?,
                None if self.tasks.is_empty() => return Ok(()),
                None => self.look_again().await?,
            }
        }
    }

    /// What is done next; nothing: nothing is under way, or the others are due while somebody is waited for.
    async fn next(&mut self) -> Option<Done> {
        let waited_for = !self.first.is_empty() || !self.performing.is_empty();
        let due = self
            .duty
            .filter(|_| waited_for && self.put_off && self.wanted.is_empty());
        let Some(at) = due.and_then(|duty| self.loaded.due(duty)) else {
            return self.tasks.next().await;
        };
        let wait = Duration::from_millis(at.since(self.engine.ports.clock.now()).0);
        tokio::select! {
            biased;
            done = self.tasks.next() => done,
            () = tokio::time::sleep(wait) => None,
        }
    }

    /// Effects that may begin: of each place the first, weights before all others.
    async fn start_effects(&mut self) -> Result<(), HandleError> {
        let engine = self.engine;
        let loaded = self.loaded.clone();
        let mut rows: Vec<&OutboxRow> = loaded.outbox.iter().filter(|row| self.is_mine(row)).collect();
        rows.sort_by_key(|row| (!row.effect.moves_traffic(), row.key.clone()));
        for row in rows {
            let place = place_of(&loaded.state.run, &row.effect);
            if self.performing.contains(&place) {
                continue;
            }
            self.tried.push(row.key.clone());
            if overtaken(&loaded.state.run, &row.effect) {
                engine.ports.store.settle(&row.key).await?;
                continue;
            }
            self.performing.push(place);
            let (row, loaded) = (row.clone(), loaded.clone());
            let performed = async move {
                let result = engine.perform(&loaded.state.run, &row.effect).await;
                Done::Performed(row, result)
            };
            self.tasks.push(performed.boxed());
        }
        Ok(())
    }

    /// Looks that may begin: what is to be done at a place comes first.
    fn start_looks(&mut self) {
        for wanted in std::mem::take(&mut self.wanted) {
            let place = place_of_look(&self.loaded.state.run, &wanted);
            let run = &self.loaded.state.run;
            let mut rows = self.loaded.outbox.iter().filter(|row| self.is_mine(row));
            let first =
                self.performing.contains(&place) || rows.any(|row| place_of(run, &row.effect) == place);
            if first || self.looking.contains(&place) {
                self.wanted.push_back(wanted);
            } else {
                self.looking.push(place);
                self.look(wanted, 1);
            }
        }
    }

    fn look(&mut self, wanted: Wanted, times: u32) {
        let (engine, under) = (self.engine, self.loaded.clone());
        let look = Box::new(Look { wanted, under, times });
        let looked = async move {
            let seen = engine.see(&look.under, &look.wanted).await;
            Done::Seen(look, seen)
        };
        self.tasks.push(looked.boxed());
    }

    fn is_mine(&self, row: &OutboxRow) -> bool {
        self.engine.rights.may(&self.loaded.state.run, &row.effect) && !self.tried.contains(&row.key)
    }

    /// What is worth a look and may be asked.
    fn wants(&self, duty: Duty) -> Vec<Wanted> {
        let state = &self.loaded.state;
        let mut wanted = wants(state, duty, self.engine.ports.clock.now() + EARLY);
        wanted.retain(|wanted| {
            let place = place_of_look(&state.run, wanted);
            let busy = [&self.performing, &self.looking, &self.silent, &self.first];
            !busy.into_iter().any(|places| places.contains(&place))
        });
        wanted
    }

    /// Somebody is still waited for, and the others are due.
    async fn look_again(&mut self) -> Result<(), HandleError> {
        let Some(duty) = self.duty else { return Ok(()) };
        if self
            .loaded
            .due(duty)
            .is_none_or(|at| at > self.engine.ports.clock.now())
        {
            return Ok(());
        }
        self.wanted = self.wants(duty).into();
        match self.wanted.is_empty() {
            // Time passes for the one that is waited for too: a person may have to be called.
            true => self.decide_on_nothing(duty).await,
            false => Ok(()),
        }
    }

    async fn decide_on_nothing(&mut self, duty: Duty) -> Result<(), HandleError> {
        for _ in 0..CONFLICT_LIMIT {
            let known = Loaded::clone(&self.loaded);
            match self.engine.decided(known, &Event::Woken, duty, None).await {
                Err(error) if error.retry() == Retry::Conflict => self.reload().await?,
                Err(error) => return Err(error),
                Ok(stored) => {
                    self.decided(stored);
                    return Ok(());
                }
            }
        }
        Err(self.conflict())
    }

    /// Decides on what was seen, together with the state that it was seen under; if that of its step has changed since, this
    /// one thing is looked at again: to begin with the first of several would let each conflict take back what the look has
    /// done so far. That a cluster does not answer holds whatever was decided meanwhile.
    async fn seen(
        &mut self,
        look: Look,
        (event, scrape): (Event, Option<Scrape>),
    ) -> Result<(), HandleError> {
        let Some(duty) = self.duty else { return Ok(()) };
        let (step, place) = (
            step_of(&look.wanted),
            place_of_look(&self.loaded.state.run, &look.wanted),
        );
        let away = is_silence(&event);
        for _ in look.times..=CONFLICT_LIMIT {
            if !away && !is_as_before(&look.under, &self.loaded, step) {
                self.look(look.wanted, look.times + 1);
                return Ok(());
            }
            let known = Loaded::clone(&self.loaded);
            match self.engine.decided(known, &event, duty, scrape.clone()).await {
                Err(error) if error.retry() == Retry::Conflict => self.reload().await?,
                Err(error) => return Err(error),
                Ok(stored) => {
                    self.decided(stored);
                    self.looking.retain(|other| *other != place);
                    forget_one(&mut self.first, &place);
                    if away {
                        self.silent.push(place);
                    }
                    return Ok(());
                }
            }
        }
        Err(self.conflict())
    }

    fn decided(&mut self, stored: Loaded) {
        self.loaded = Arc::new(stored);
        self.put_off = true;
    }

    async fn performed(
        &mut self,
        row: &OutboxRow,
        result: Result<Option<Event>, Failed>,
    ) -> Result<(), HandleError> {
        let place = place_of(&self.loaded.state.run, &row.effect);
        let known = Loaded::clone(&self.loaded);
        self.loaded = Arc::new(self.engine.performed(known, row, result).await?);
        self.performing.retain(|other| *other != place);
        Ok(())
    }

    async fn reload(&mut self) -> Result<(), HandleError> {
        self.loaded = Arc::new(self.engine.load(&self.run).await?);
        Ok(())
    }

    fn conflict(&self) -> HandleError {
        StoreError::Conflict(format!("run {}", self.run)).into()
    }
}

/// A place may stand there for several looks.
fn forget_one(places: &mut Vec<Place>, place: &Place) {
    if let Some(at) = places.iter().position(|other| other == place) {
        places.swap_remove(at);
    }
}
