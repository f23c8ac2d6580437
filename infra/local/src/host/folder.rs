//! The folder of everything that is kept. One host at a time: it holds a lock that the kernel drops when the host ends,
//! however it ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A folder that Weir makes is its owner's alone.
const FOLDER_MODE: u32 = 0o700;
/// So are the files in it; SQLite gives its side files the rights of the first.
const FILE_MODE: u32 = 0o600;
/// Others who could write here could replace the state, or the socket that commands trust.
const OTHERS_WRITE: u32 = 0o022;

/// The folder, locked while this lives.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    _lock: File,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// It cannot be made, looked at or written.
    #[error("the state folder {path} cannot be used")]
    Unusable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may write in it.
    #[error(
        "others may write in the state folder {path} (mode {mode:03o}), and so change what Weir decided: chmod 700 {path}"
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
    /// Another host holds it.
    #[error(
        "another weir runs on the state folder {0}: stop it first, or give this one a --state of its own"
    )]
    Taken(PathBuf),
}

impl StateFolder {
    /// Makes the folder if it is not there, and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable {
            path: path.to_owned(),
            source,
        };
        let mut folder = DirBuilder::new();
        folder
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path)
            .map_err(unusable)?;
        let mode = fs::metadata(path).map_err(unusable)?.mode() & 0o777;
        if mode & OTHERS_WRITE != 0 {
            return Err(FolderError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        let lock = private(&path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(FolderError::Taken(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The file of the store, made for its owner alone before SQLite would make it for everyone.
    pub(crate) fn database(&self) -> Result<PathBuf, FolderError> {
        let path = self.path.join("weir.db");
        let made =
            private(&path).and_then(|file| file.set_permissions(fs::Permissions::from_mode(FILE_MODE)));
        match made {
            Ok(()) => Ok(path),
            Err(source) => Err(FolderError::Unusable { path, source }),
        }
    }

    /// Where the socket goes. One that a host left behind is removed: whoever holds the lock knows that nobody answers
    /// there.
    pub(crate) fn socket(&self) -> Result<PathBuf, FolderError> {
        let path = self.path.join(crate::protocol::SOCKET);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(FolderError::Unusable { path, source })
            }
            _ => Ok(path),
        }
    }
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(FILE_MODE);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_holds_a_folder_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = StateFolder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(
            fs::metadata(first.database().unwrap()).unwrap().mode() & 0o777,
            0o600
        );
        let second = StateFolder::open(&path).unwrap_err();
        assert!(matches!(second, FolderError::Taken(_)), "{second}");
        drop(first);
        StateFolder::open(&path).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_in_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o775)).unwrap();
        let error = StateFolder::open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("mode 775") && error.contains("chmod 700"),
            "{error}"
        );
    }
}
