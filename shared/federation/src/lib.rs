//! Other clouds' tokens, in exchange for a proof of who a function is: nothing secret is kept anywhere (invariant 12).
//!
//! ```text
//!   proof ─▶ sts.googleapis.com ─▶ federated token ─▶ (iamcredentials: as a service account) ─▶ GKE
//!   proof ─▶ login.microsoftonline.com ─▶ token of an application ─▶ AKS
//! ```
//! Where the proof comes from is not known here. Each call goes to one fixed host, or to what stands in for it in tests;
//! redirects are not followed, and no token shows in an error.

mod call;
mod entra;
mod error;
mod google;

use weir_app::Secret;
use weir_domain::time::{Span, Timestamp};

pub use entra::{ASSERTION_AUDIENCE, Application, Entra};
pub use error::CallError;
pub use google::{GkeCluster, Google, Place, Provider, Subject};

/// A token is not used longer than this, even if it lives longer: whoever loses a right loses it within that time.
const LONGEST: Span = Span::minutes(15);

/// Clocks may differ by this, and requests be under way: a token is not used in its last part.
const MARGIN: Span = Span::seconds(60);

/// Lets its owner in for some minutes.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// For the `Authorization` header.
    pub token: Secret,
    /// When another must be asked for.
    pub until: Timestamp,
}

impl Bearer {
    /// One that was asked for at this time and lives so many seconds.
    fn living(token: Secret, asked: Timestamp, seconds: u64) -> Self {
        let life = Span::seconds(seconds.min(LONGEST.0 / 1_000));
        let until = asked + life - MARGIN;
        Self { token, until }
    }
}
