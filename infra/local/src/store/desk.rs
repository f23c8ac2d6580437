//! A thread that owns a connection and does one piece of work after another, so that nobody else blocks on the disk.
//!
//! Pieces that wait together share one transaction and one sync, each in a savepoint of its own: one that fails takes
//! nothing of the others with it. Nobody hears of success before the sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::{Connection, Savepoint, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use weir_app::StoreError;

use super::schema::OpenError;

/// Pieces that share a transaction. More wait for the next; a batch of this size takes a few milliseconds.
const BATCH: usize = 64;

/// Tells whoever waits what came of their piece, once the transaction has ended with this.
type Reply = Box<dyn FnOnce(Result<(), Arc<rusqlite::Error>>) + Send>;

/// One piece of work.
type Piece = Box<dyn FnOnce(&mut Transaction<'_>) -> Reply + Send>;

/// The transaction of a whole batch failed.
#[derive(Debug, thiserror::Error)]
#[error("the transaction failed")]
struct BatchError(#[source] Arc<rusqlite::Error>);

/// The thread has ended, or the piece panicked.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the store gave no answer")]
struct Silent;

/// Where pieces of work are handed in.
pub(super) struct Desk {
    pieces: mpsc::UnboundedSender<Piece>,
}

impl Desk {
    /// Starts the thread. It ends when the desk is dropped and everything handed in is done.
    pub(super) fn new(name: &str, db: Connection, behavior: TransactionBehavior) -> Result<Self, OpenError> {
        let (pieces, waiting) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(db, waiting, behavior))
            .map_err(OpenError::Thread)?;
        Ok(Self { pieces })
    }

    /// Does a piece of work and waits until it is on the disk. An error undoes the piece.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Savepoint<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let piece: Piece = Box::new(move |tx| {
            let result = in_savepoint(tx, operation, work);
            Box::new(move |end| {
                let result = match end {
                    Ok(()) => result,
                    Err(error) => Err(unavailable(operation, BatchError(error))),
                };
                // Whoever asked may have gone away.
                let _ = tell.send(result);
            })
        });
        self.pieces
            .send(piece)
            .map_err(|_| unavailable(operation, Silent))?;
        told.await.map_err(|_| unavailable(operation, Silent))?
    }
}

/// The store did not do it.
pub(super) fn unavailable(
    operation: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Unavailable {
        operation,
        source: Box::new(source),
    }
}

fn in_savepoint<T>(
    tx: &mut Transaction<'_>,
    operation: &'static str,
    work: impl FnOnce(&Savepoint<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let failed = |error| unavailable(operation, error);
    // Dropped without a commit, a savepoint takes everything back.
    let savepoint = tx.savepoint().map_err(failed)?;
    let value = work(&savepoint)?;
    savepoint.commit().map_err(failed)?;
    Ok(value)
}

fn work(mut db: Connection, mut waiting: mpsc::UnboundedReceiver<Piece>, behavior: TransactionBehavior) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        together(&mut db, batch, behavior);
    }
}

fn together(db: &mut Connection, batch: Vec<Piece>, behavior: TransactionBehavior) {
    let mut replies = Vec::with_capacity(batch.len());
    let all = || {
        let mut tx = db.transaction_with_behavior(behavior)?;
        for piece in batch {
            // A panic undoes its savepoint on the way out; who asked hears that there is no answer.
            match catch_unwind(AssertUnwindSafe(|| piece(&mut tx))) {
                Ok(reply) => replies.push(reply),
                Err(_) => tracing::error!("a piece of work of the store panicked"),
            }
        }
        tx.commit()
    };
    let end: Result<(), Arc<rusqlite::Error>> = all().map_err(Arc::new);
    if let Err(error) = &end {
        tracing::error!(error = %error, "a transaction of the store failed");
    }
    for reply in replies {
        reply(end.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Desk {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("create table t (n integer primary key)")
            .unwrap();
        Desk::new("test", db, TransactionBehavior::Immediate).unwrap()
    }

    fn insert(sp: &Savepoint<'_>, n: i64) -> Result<(), StoreError> {
        sp.execute("insert into t values (?1)", [n])
            .map(|_| ())
            .map_err(|error| unavailable("insert", error))
    }

    async fn all(desk: &Desk) -> Vec<i64> {
        desk.run("read", |sp| {
            let mut rows = sp.prepare("select n from t order by n").unwrap();
            let rows = rows.query_map([], |row| row.get(0)).unwrap();
            Ok(rows.map(Result::unwrap).collect())
        })
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn a_piece_that_fails_is_undone_whole_and_alone() {
        let desk = desk();
        let good = desk.run("insert", |sp| insert(sp, 1));
        let bad = desk.run("insert", |sp| {
            insert(sp, 2)?;
            insert(sp, 1)
        });
        let also_good = desk.run("insert", |sp| insert(sp, 3));
        let (good, bad, also_good) = tokio::join!(good, bad, also_good);
        assert!(good.is_ok() && bad.is_err() && also_good.is_ok());
        assert_eq!(all(&desk).await, [1, 3]);
    }

    #[tokio::test]
    async fn a_piece_that_panics_is_undone_and_the_desk_goes_on() {
        let desk = desk();
        let panics = desk.run::<()>("insert", |sp| {
            insert(sp, 1)?;
            panic!("a bug");
        });
        assert!(matches!(panics.await, Err(StoreError::Unavailable { .. })));
        desk.run("insert", |sp| insert(sp, 2)).await.unwrap();
        assert_eq!(all(&desk).await, [2]);
    }
}
