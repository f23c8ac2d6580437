//! Files of a commit in a repository on this machine, read with the `git` program.
//!
//! Every call blocks on a short process; an asynchronous caller moves it to a thread for blocking work.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::limits::{MAX_ARCHIVE_BYTES, MAX_FILE_BYTES, MAX_LISTING_BYTES};
use crate::names::{CommitSha, GitRef, InvalidName};
use crate::source::{Budget, EntryKind, Relation, RepositoryPath, SourceError, SourceFile};

/// A repository in a folder, with or without a work tree. Only commits are read, never the work tree.
#[derive(Debug, Clone)]
pub struct LocalRepository {
    path: PathBuf,
}

/// One line of `git ls-tree -l`.
struct Entry {
    kind: EntryKind,
    object: String,
    bytes: u64,
    path: RepositoryPath,
}

/// Variables that would make git look elsewhere than in the folder it is given.
const REDIRECTING: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
];

/// Characters of git's complaint that are kept.
const MAX_STDERR_CHARS: usize = 300;

impl LocalRepository {
    /// Names the folder; it is looked at on first use.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commit that a branch or tag points at now, `None` where there is none.
    pub fn head_of(&self, git_ref: &GitRef) -> Result<Option<CommitSha>, SourceError> {
        let commit = format!("{}^{{commit}}", git_ref.full());
        let output = self.run(
            "rev-parse",
            &["--verify", "--quiet", "--end-of-options", &commit],
            MAX_LISTING_BYTES,
        )?;
        if !output.success {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        CommitSha::parse(text.trim()).map(Some).map_err(SourceError::Name)
    }

    /// The definition files `.weir/*.yaml` and `.weir/*.yml`, by name. Empty where the commit has no such folder.
    pub fn definitions(&self, commit: &CommitSha) -> Result<Vec<SourceFile>, SourceError> {
        self.require(commit)?;
        let folder = RepositoryPath::definitions();
        match self.list(commit, folder.as_str())?.into_iter().next() {
            None => return Ok(Vec::new()),
            Some(entry) if entry.kind == EntryKind::Folder => {}
            Some(entry) if entry.kind == EntryKind::Link => return Err(SourceError::Link(folder)),
            Some(_) => return Err(SourceError::NotAFile(folder)),
        }
        let mut budget = Budget::default();
        let mut files = Vec::new();
        for entry in self.list(commit, ".weir/")? {
            if entry.kind != EntryKind::Folder && entry.path.is_yaml() {
                files.push(self.read_entry(&entry, &mut budget)?);
            }
        }
        Ok(files)
    }

    /// The named files, in the order asked for.
    pub fn files(
        &self,
        commit: &CommitSha,
        paths: &[RepositoryPath],
    ) -> Result<Vec<SourceFile>, SourceError> {
        self.require(commit)?;
        let mut budget = Budget::default();
        let read = |path: &RepositoryPath| {
            let found = self
                .list(commit, path.as_str())?
                .into_iter()
                .find(|entry| entry.path == *path);
            let entry = found.ok_or_else(|| SourceError::NoSuchFile(path.clone()))?;
            self.read_entry(&entry, &mut budget)
        };
        paths.iter().map(read).collect()
    }

    /// The whole commit as an uncompressed tar archive, for the working directory of its steps.
    pub fn archive(&self, commit: &CommitSha) -> Result<Vec<u8>, SourceError> {
        self.require(commit)?;
        let output = self.run("archive", &["--format=tar", commit.as_str()], MAX_ARCHIVE_BYTES)?;
        output.whole("archive", MAX_ARCHIVE_BYTES, "1 GiB")
    }

    /// How `head` lies to `base`.
    pub fn relation(&self, base: &CommitSha, head: &CommitSha) -> Result<Relation, SourceError> {
        self.require(base)?;
        self.require(head)?;
        if base == head {
            return Ok(Relation::Identical);
        }
        if self.is_ancestor(base, head)? {
            return Ok(Relation::Ahead);
        }
        Ok(if self.is_ancestor(head, base)? {
            Relation::Behind
        } else {
            Relation::Diverged
        })
    }

    fn is_ancestor(&self, ancestor: &CommitSha, of: &CommitSha) -> Result<bool, SourceError> {
        let arguments = ["--is-ancestor", ancestor.as_str(), of.as_str()];
        let output = self.run("merge-base", &arguments, MAX_LISTING_BYTES)?;
        // Git answers "no" with 1 and a failure with anything else.
        match output.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(output.failure("merge-base")),
        }
    }

    fn require(&self, commit: &CommitSha) -> Result<(), SourceError> {
        let object = format!("{commit}^{{commit}}");
        let output = self.run("cat-file", &["-e", &object], MAX_LISTING_BYTES)?;
        match output.code {
            Some(0) => Ok(()),
            _ if output.stderr.contains("not a git repository")
                || output.stderr.contains("dubious ownership") =>
            {
                Err(output.failure("cat-file"))
            }
            _ if output.stderr.contains("cannot change to") => Err(output.failure("cat-file")),
            _ => Err(SourceError::NoSuchCommit(commit.to_string())),
        }
    }

    fn list(&self, commit: &CommitSha, path: &str) -> Result<Vec<Entry>, SourceError> {
        let arguments = ["-z", "-l", "--full-tree", commit.as_str(), "--", path];
        let output = self.run("ls-tree", &arguments, MAX_LISTING_BYTES)?;
        let listing = output.whole("ls-tree", MAX_LISTING_BYTES, "8 MiB of file names")?;
        let lines = listing.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        lines.map(entry).collect()
    }

    fn read_entry(&self, entry: &Entry, budget: &mut Budget) -> Result<SourceFile, SourceError> {
        entry.kind.must_be_file(&entry.path)?;
        budget.take(&entry.path, entry.bytes)?;
        let output = self.run("cat-file", &["blob", &entry.object], MAX_FILE_BYTES)?;
        let bytes = output.whole("cat-file", MAX_FILE_BYTES, "1 MiB in one file")?;
        let text = String::from_utf8(bytes).map_err(|_| SourceError::NotText(entry.path.clone()))?;
        Ok(SourceFile {
            path: entry.path.clone(),
            text,
        })
    }

    /// Runs git in the folder alone: no prompts, no replaced objects, no fetching of what is missing.
    fn run(&self, command: &'static str, arguments: &[&str], limit: u64) -> Result<Output, SourceError> {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.path).arg(command).args(arguments);
        for variable in REDIRECTING {
            git.env_remove(variable);
        }
        git.envs([
            ("LC_ALL", "C"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_LITERAL_PATHSPECS", "1"),
        ]);
        // Complaints are read beside the answer: a full pipe that nobody reads would block git.
        let mut child = git
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(SourceError::Run)?;
        let stderr = child.stderr.take().expect("stderr was piped above");
        let complaint = std::thread::spawn(move || read_up_to(stderr, 64 * 1024));
        let stdout = read_up_to(child.stdout.take().expect("stdout was piped above"), limit + 1);
        // With its reading ends closed, git ends by itself even when more was to come.
        let status = child.wait().map_err(SourceError::Run)?;
        let stderr = complaint.join().unwrap_or_default();
        Ok(Output {
            success: status.success(),
            code: status.code(),
            stdout,
            stderr: printable(&String::from_utf8_lossy(&stderr)),
        })
    }
}

struct Output {
    success: bool,
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Output {
    fn whole(self, command: &'static str, limit: u64, what: &'static str) -> Result<Vec<u8>, SourceError> {
        if self.stdout.len() as u64 > limit {
            return Err(SourceError::TooMuch { what });
        }
        if self.success {
            Ok(self.stdout)
        } else {
            Err(self.failure(command))
        }
    }

    fn failure(self, command: &'static str) -> SourceError {
        SourceError::Git {
            command,
            stderr: self.stderr,
        }
    }
}

fn read_up_to(stream: impl Read, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A stream that breaks off ends the reading; git's exit code tells whether that was a failure.
    if stream.take(limit).read_to_end(&mut bytes).is_err() {
        bytes.clear();
    }
    bytes
}

fn printable(text: &str) -> String {
    let spaced = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    spaced.take(MAX_STDERR_CHARS).collect()
}

/// Reads `mode type object size<TAB>path`. A name that no path of ours can spell fails the listing: a definition must
/// not be left out in silence.
fn entry(line: &[u8]) -> Result<Entry, SourceError> {
    let unreadable = || SourceError::Git {
        command: "ls-tree",
        stderr: "a line could not be read".to_owned(),
    };
    let text = std::str::from_utf8(line).map_err(|_| SourceError::Name(InvalidName::Path))?;
    let (meta, path) = text.split_once('\t').ok_or_else(unreadable)?;
    let fields: Vec<&str> = meta.split_ascii_whitespace().collect();
    let [mode, _, object, size] = fields[..] else {
        return Err(unreadable());
    };
    Ok(Entry {
        kind: EntryKind::from_mode(mode).ok_or_else(unreadable)?,
        object: object.to_owned(),
        // Folders and submodules have `-` in the place of a size.
        bytes: size.parse().unwrap_or(0),
        path: RepositoryPath::parse(path).map_err(SourceError::Name)?,
    })
}

#[cfg(test)]
mod tests;
