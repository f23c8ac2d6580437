//! How requests to an API server fare: rarely something goes wrong, in another way each time, and it is counted.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde_json::json;
use weir_lambda_host::spread;

/// What goes wrong with a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// 429: the server has too much to do.
    Busy,
    /// The request is done, and the connection breaks before the answer arrives.
    Unanswered,
    /// 500: etcd's leader changed, say.
    Failing,
    /// The connection breaks before the request arrives.
    Unheard,
    /// 503: nobody is behind the load balancer.
    Nobody,
    /// 409 to a write: somebody else was faster.
    Conflict,
    /// 401, and for this token from now on: it has expired.
    Expired,
}

impl Fault {
    /// What befalls whoever enters with what never expires.
    pub const ALL: [Self; 6] = [
        Self::Conflict,
        Self::Unanswered,
        Self::Busy,
        Self::Failing,
        Self::Unheard,
        Self::Nobody,
    ];

    /// What befalls whoever can get another token.
    pub const WITH_TOKENS: [Self; 7] = [
        Self::Conflict,
        Self::Unanswered,
        Self::Busy,
        Self::Failing,
        Self::Unheard,
        Self::Nobody,
        Self::Expired,
    ];

    /// In words, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Busy => "429",
            Self::Unanswered => "reset after the commit",
            Self::Failing => "500",
            Self::Unheard => "reset before it",
            Self::Nobody => "503",
            Self::Conflict => "409",
            Self::Expired => "token expired",
        }
    }

    /// Whether it means something to a write alone.
    pub fn is_of_writes(self) -> bool {
        matches!(self, Self::Conflict | Self::Unanswered)
    }

    fn befalls(self, kind: Kind) -> bool {
        match self {
            Self::Conflict => kind == Kind::Change,
            _ => !self.is_of_writes() || kind != Kind::Read,
        }
    }

    /// What is answered in place of the server.
    pub(super) fn answer(self) -> Option<(StatusCode, Bytes)> {
        let status = match self {
            Self::Unanswered | Self::Unheard => return None,
            Self::Busy => {
                let text = b"Too many requests, please try again later.\n";
                return Some((StatusCode::TOO_MANY_REQUESTS, Bytes::from_static(text)));
            }
            Self::Failing => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Nobody => StatusCode::SERVICE_UNAVAILABLE,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Expired => StatusCode::UNAUTHORIZED,
        };
        let (reason, message) = match self {
            Self::Conflict => (
                "Conflict",
                "the object has been modified; please apply your changes to the latest version",
            ),
            Self::Expired => ("Unauthorized", "Unauthorized"),
            _ => ("", "etcdserver: leader changed"),
        };
        let said = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message});
        Some((status, Bytes::from(said.to_string())))
    }
}

/// Requests that fare by themselves, so that the few that change something meet everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Read,
    Change,
    /// Objects that are made or removed, and questions that are asked like that.
    Other,
}

impl Kind {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Read,
            Method::PATCH | Method::PUT => Self::Change,
            _ => Self::Other,
        }
    }
}

/// How requests fare.
#[derive(Default)]
pub(super) struct Weather {
    pub(super) away: bool,
    /// Nothing goes wrong for now.
    pub(super) calm: bool,
    /// One of so many that read, and one of so many that write.
    pub(super) every: Option<(u64, u64)>,
    pub(super) faults: &'static [Fault],
    seen: BTreeMap<Kind, u64>,
    met: BTreeMap<(Kind, Fault), u64>,
    expired: BTreeSet<Vec<u8>>,
}

impl Weather {
    /// What befalls this request.
    pub(super) fn next<B>(&mut self, request: &Request<B>) -> Option<Fault> {
        if self.away {
            return Some(Fault::Unheard);
        }
        let token = request.headers().get(header::AUTHORIZATION);
        if token.is_some_and(|token| self.expired.contains(token.as_bytes())) {
            return Some(Fault::Expired);
        }
        let (reads, writes) = self.every.filter(|_| !self.calm)?;
        let kind = Kind::of(request.method());
        let seen = self.seen.entry(kind).or_default();
        *seen += 1;
        let hit = match kind {
            // Spread, and the same each time: exactly every ninth would be the same request of each look that makes nine.
            Kind::Read => spread(*seen).is_multiple_of(reads),
            Kind::Change | Kind::Other => seen.is_multiple_of(writes),
        };
        if !hit {
            return None;
        }
        // What was met least is next.
        let met = |fault: &&Fault| self.met.get(&(kind, **fault)).copied().unwrap_or_default();
        let possible = self.faults.iter().filter(|fault| fault.befalls(kind));
        let fault = *possible.min_by_key(met)?;
        if fault == Fault::Expired {
            self.expired.insert(token?.as_bytes().to_vec());
        }
        *self.met.entry((kind, fault)).or_default() += 1;
        Some(fault)
    }

    /// How often each has befallen somebody while the server was there.
    pub(super) fn met(&self) -> Vec<(Fault, u64)> {
        let times = |fault: Fault| {
            let all = self.met.iter().filter(|((_, met), _)| *met == fault);
            all.map(|(_, times)| *times).sum::<u64>()
        };
        self.faults.iter().map(|fault| (*fault, times(*fault))).collect()
    }
}
