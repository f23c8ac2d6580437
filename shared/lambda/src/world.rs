//! The clock and the randomness of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use weir_app::{Clock, Ids};
use weir_domain::ids::ApprovalToken;
use weir_domain::time::Timestamp;

/// Random bytes of a token: 160 bits, which nobody guesses.
const TOKEN_BYTES: usize = 20;

/// The machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a broken one; everything is then overdue, and nothing waits for ever.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Tokens from the kernel's randomness.
pub(crate) struct RandomIds;

impl Ids for RandomIds {
    fn approval_token(&self) -> ApprovalToken {
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).expect("the kernel gives randomness, or nothing here is safe");
        ApprovalToken::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}
