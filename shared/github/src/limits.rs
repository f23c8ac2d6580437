//! Every bound on untrusted input, in one place.

use std::time::Duration;

/// Bytes of one webhook body. GitHub does not send larger ones.
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;

/// Nesting of JSON objects and arrays. A push nests five deep; the rest is room for what GitHub may add.
pub const MAX_JSON_DEPTH: usize = 64;

/// Commits that a push payload names at most; exactly this many means that there may have been more.
pub const MAX_LISTED_COMMITS: usize = 2048;

/// Commits from which on GitHub no longer evaluates path filters and always runs.
pub const MAX_COMMITS_FOR_PATHS: usize = 1000;

/// Distinct changed files that are kept of one push. Beyond it the push counts as truncated.
pub const MAX_CHANGED_FILES: usize = 20_000;

/// Bytes of one path in a commit: the limit of Linux.
pub const MAX_PATH_BYTES: usize = 4096;

/// Bytes of a branch or tag name. Git stores loose refs as files, whose names cannot be longer than a path's.
pub const MAX_REF_BYTES: usize = 1024;

/// Characters kept of a person's name or address in a payload.
pub const MAX_PERSON_CHARS: usize = 256;

/// Characters kept of a commit message.
pub const MAX_MESSAGE_CHARS: usize = 4096;

/// Patterns of one list in a trigger.
pub const MAX_PATTERNS: usize = 256;

/// Characters of one pattern.
pub const MAX_PATTERN_CHARS: usize = 1024;

/// Bytes of one definition file.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Bytes of all definition files of a commit together.
pub const MAX_TOTAL_BYTES: u64 = 8 * 1024 * 1024;

/// Definition files of one commit.
pub const MAX_FILES: usize = 256;

/// Bytes of a directory listing, from git or from the API.
pub const MAX_LISTING_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of the packed tree of a commit.
pub const MAX_ARCHIVE_BYTES: u64 = 1024 * 1024 * 1024;

/// Characters of a status description that GitHub accepts.
pub const MAX_STATUS_DESCRIPTION_CHARS: usize = 140;

/// Characters kept of a status context.
pub const MAX_STATUS_CONTEXT_CHARS: usize = 255;

/// A whole request to the API, answer included. GitHub waits 10 s for us; we do not wait longer for it.
pub const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Until the connection to the API stands.
pub const API_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Pause after an answer that asks for one without naming it; GitHub's own advice for its secondary limits.
pub const DEFAULT_RATE_LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// Pause after a failure on GitHub's side.
pub const SERVER_FAILURE_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause that an answer can ask for: the window of GitHub's rate limit.
pub const MAX_PAUSE: Duration = Duration::from_secs(3600);
