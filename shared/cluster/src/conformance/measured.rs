//! What was measured, and how it is told.

use weir_domain::time::Span;

/// How long one thing took, each time that it was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Measured {
    /// What.
    pub what: What,
    /// Each time.
    pub took: Vec<Span>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// An answer of the API server to a read.
    Answer,
    /// From a change of weights that was accepted to the gateway's controller having taken it up.
    Observed,
    /// From a Kubernetes Job that does nothing to its end.
    Job,
    /// From a pod to its being ready.
    Pod,
    /// From a pod being told to leave to its being no ready endpoint of its Service.
    Endpoint,
    /// From a pod being told to leave to its being gone.
    Drain,
    /// An answer of a pod by way of the API server.
    Proxy,
}

impl What {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Observed => "observed",
            Self::Job => "job",
            Self::Pod => "pod",
            Self::Endpoint => "endpoint",
            Self::Drain => "drain",
            Self::Proxy => "proxy",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Answer => "the API server answers a read",
            Self::Observed => "accepted weights are taken up by the gateway's controller",
            Self::Job => "a Kubernetes Job that does nothing has ended",
            Self::Pod => "a pod is ready",
            Self::Endpoint => "a pod that leaves is no ready endpoint any more",
            Self::Drain => "a pod that leaves at once is gone",
            Self::Proxy => "a pod answers by way of the API server's proxy",
        }
    }
}

impl Measured {
    /// The longest: what a plan may count on.
    pub fn bound(&self) -> Span {
        self.took.iter().copied().max().unwrap_or(Span::ZERO)
    }

    /// Half of them took no longer.
    pub fn median(&self) -> Span {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(Span::ZERO)
    }
}
