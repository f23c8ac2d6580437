//! Slack's limits and ours, in one place.

use std::time::Duration;

/// Bytes of one request from Slack. A button press is a few kilobytes; function URLs end at 6 MB.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Seconds that a request's time may be off, either way; Slack's own libraries accept exactly this many.
pub const MAX_CLOCK_DIFFERENCE_S: u64 = 300;

/// Characters of an opaque token, so that it fits a button, a log line and a key.
pub const MAX_TOKEN_CHARS: usize = 255;

/// Characters of a header block.
pub const HEADER_CHARS: usize = 150;

/// Characters of a section's text.
pub const SECTION_CHARS: usize = 3000;

/// Characters kept of one line of a list, so that one long line leaves room for the others.
pub const LINE_CHARS: usize = 300;

/// Lines kept of one list.
pub const LIST_LINES: usize = 8;

/// Elements of a context block.
pub const CONTEXT_ELEMENTS: usize = 10;

/// Blocks of a message.
pub const MESSAGE_BLOCKS: usize = 50;

/// Characters of a button's label.
pub const BUTTON_CHARS: usize = 75;

/// Characters of a confirm dialog's title.
pub const CONFIRM_TITLE_CHARS: usize = 100;

/// Characters of a confirm dialog's text.
pub const CONFIRM_TEXT_CHARS: usize = 300;

/// Characters of a confirm dialog's buttons.
pub const CONFIRM_BUTTON_CHARS: usize = 30;

/// Characters of the line that notifications show. Slack takes more; a phone does not show more.
pub const FALLBACK_CHARS: usize = 300;

/// Characters of a modal's title and buttons.
pub const MODAL_TITLE_CHARS: usize = 24;

/// Characters that a person may type as a reason.
pub const REASON_CHARS: usize = 500;

/// Bytes of an answer of Slack's interface.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// A whole call, answer included. A button press must be answered within 3 s, and posting happens beside it.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Until the connection stands.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause after a refusal for rate that names none: one message a second and channel is what Slack allows.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(1);

/// Pause after a failure on Slack's side.
pub const SERVER_FAILURE_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause that an answer can ask for.
pub const MAX_PAUSE: Duration = Duration::from_secs(600);
