//! A server that cannot be asked as it is configured.

use std::collections::BTreeMap;

use async_trait::async_trait;
use weir_domain::time::{Span, Timestamp};

use super::{Answer, Fold, Labels, Pace, Provider, Window};

/// A server whose key is missing, say. Whoever asks it is told, so that a rollout that needs it holds, and one that does
/// not, or that goes back, is not stopped by it.
pub struct Unready(pub String);

#[async_trait]
impl Provider for Unready {
    /// It says so at once.
    fn pace(&self) -> Pace {
        Pace {
            lag: Span::ZERO,
            step: Span::ZERO,
        }
    }

    async fn number(&self, _: &str, _: Window, _: Fold) -> Answer<f64> {
        Answer::Error(self.0.clone())
    }

    fn unready(&self) -> Option<&str> {
        Some(&self.0)
    }

    fn has_series(&self) -> bool {
        true
    }

    async fn series(&self, _: &str, _: Timestamp) -> Answer<BTreeMap<Labels, f64>> {
        Answer::Error(self.0.clone())
    }
}
