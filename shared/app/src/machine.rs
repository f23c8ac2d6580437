//! The clock and the randomness of the machine: what a host gives the loop, which itself reads neither.

use std::time::{SystemTime, UNIX_EPOCH};

use weir_domain::ids::ApprovalToken;
use weir_domain::time::Timestamp;

use crate::ports::{Clock, Ids};

/// Random bytes of a token: 160 bits, which nobody guesses.
const TOKEN_BYTES: usize = 20;

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a broken one; everything is then overdue, and nothing waits for ever.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Tokens from the kernel's randomness.
pub struct RandomIds;

impl Ids for RandomIds {
    fn approval_token(&self) -> ApprovalToken {
        ApprovalToken::new(token())
    }
}

/// Hexadecimal digits that nobody has seen.
fn token() -> String {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).expect("the kernel gives randomness, or nothing on this machine is safe");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let tokens: std::collections::BTreeSet<String> = (0..100).map(|_| token()).collect();
        assert_eq!(tokens.len(), 100);
        assert!(tokens.iter().all(|token| token.len() == 2 * TOKEN_BYTES));
    }
}
