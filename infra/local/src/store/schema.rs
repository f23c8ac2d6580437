//! The file: how it is opened, and which form of it this Weir knows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

/// Form of the table. A file of another form is refused; it is changed by migrations, never in passing.
const TABLE_VERSION: i64 = 1;

/// How long a statement waits for another process that reads the file, for example a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLE: &str = "
create table schema_version (version integer not null);
create table item (
    pk      text    not null,
    sk      text    not null,
    version integer not null,
    body    text    not null,
    due     integer,
    duty    text,
    born    integer,
    primary key (pk, sk)
) without rowid;
create index item_due on item (due, pk, duty) where due is not null;
create unique index item_born on item (born) where born is not null;
";

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refused.
    #[error("the state in {path} could not be opened")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// Another Weir wrote it.
    #[error(
        "the state in {path} has table version {found}; this weir knows {TABLE_VERSION}: use the weir that wrote it, or a newer one"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: i64,
    },
    /// The thread for it could not be started.
    #[error("the thread of the store could not be started")]
    Thread(#[source] std::io::Error),
}

/// Opens the file, makes the table if the file is new, and sets what durability rests on.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Open {
        path: path.to_owned(),
        source,
    };
    let mut db = Connection::open(path).map_err(failed)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // Read the answer: a file system without shared memory stays in another mode and says so.
    db.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
        .map_err(failed)?;
    db.pragma_update(None, "synchronous", "full").map_err(failed)?;
    db.set_prepared_statement_cache_capacity(64);
    let made = make(&mut db).map_err(failed)?;
    match made {
        Some(found) if found != TABLE_VERSION => Err(OpenError::Version {
            path: path.to_owned(),
            found,
        }),
        _ => Ok(db),
    }
}

/// The version that the file had; nothing for a new one, which now has a table.
fn make(db: &mut Connection) -> rusqlite::Result<Option<i64>> {
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let known = tx
        .query_row(
            "select 1 from sqlite_master where name = 'schema_version'",
            [],
            |_| Ok(()),
        )
        .optional()?;
    if known.is_some() {
        return tx
            .query_row("select version from schema_version", [], |row| row.get(0))
            .map(Some);
    }
    tx.execute_batch(TABLE)?;
    tx.execute(
        "insert into schema_version (version) values (?1)",
        [TABLE_VERSION],
    )?;
    tx.commit()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_table_version_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weir.db");
        let db = open(&path).unwrap();
        db.execute("update schema_version set version = 7", []).unwrap();
        drop(db);
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("table version 7; this weir knows 1"), "{error}");
    }

    #[test]
    fn every_commit_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir.path().join("weir.db")).unwrap();
        let full: i64 = db
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap();
        let mode: String = db
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!((full, mode.as_str()), (2, "wal"));
    }
}
