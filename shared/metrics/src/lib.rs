//! Sources of metrics: servers that a definition names ([`provider`]), asked by [`Sources`], and for everything else the
//! *direct* one: no metrics server, only the counters that gateway and pods have anyway, read through the cluster's API
//! server. What follows is about that one.
//!
//! ```text
//!              ┌─▶ gateway pods :19001 /stats/prometheus   requests and errors, endpoint by endpoint
//! Direct ─▶ API server
//!              └─▶ pods, their own metrics port            time to the first token; answers, if no gateway counts them
//! ```
//!
//! **Requests and errors** come from Envoy's per-endpoint counters of the route (`enablePerEndpointStats` of Envoy
//! Gateway), because a dead pod has no counters of its own and vLLM counts no failures. An endpoint's address leads to
//! the pod, the pod to its revision. `bad` is a 5xx, a reset or time-out before the answer began, or a connection that
//! was refused. Each attempt counts: a request that the gateway retried is as many. What goes to a pod without passing
//! the route is not counted.
//!
//! **A stream that is cut after its first byte** is a success to Envoy. Pods that count such cuts themselves
//! (`http_responses_cut_total`) add them to `bad`; vLLM's `abort` does not, since mostly the client left. A process that
//! dies takes its open streams with it uncounted: they show as the pod's crash, which a decision sees apart from traffic.
//!
//! **Latency** comes from the pods, for the gateway has no histogram per endpoint: the time to the first token if the
//! server tells it (vLLM, SGLang, TensorRT-LLM, Triton), else the time of an HTTP request. `latency_p99 > 1000ms` of a
//! condition is therefore answered by the time to the first token: the time of a whole stream measures how much was
//! generated. At most eight pods of a revision are read.
//!
//! **Without counters of a gateway**, a pod's own count of answers by status is used, from the first count on until a
//! gateway shows one; the two are never added up. Where a server tells no status, errors are unknown, and unknown is
//! [`NoData`](weir_domain::seen::TrafficSeen::NoData), not zero.
//!
//! # From count to count
//! What is there at the first count is the zero line; what appears later counts from zero. A counter that fell was
//! restarted and counts from zero again; a source that is gone keeps what it contributed; one that does not answer is
//! caught up with later. Between two counts a restart loses what was counted after the last reading, as with every
//! scraped counter, so counts can be too low and never too high. The exception is `started`, which takes an error for
//! a start of its own where that is larger: it may then name a request twice, and never stands still while a dead
//! pod's requests fail. Counts never decrease; an edge of the histogram may go if pods of one revision differ in it.
//!
//! A page on which a value that matters is no count is not used at all: half a page looks like a restart.
//!
//! The state is one JSON value of the run's step, below 6 KiB for 16 pods of two revisions behind two pods of a gateway.
//! One that cannot be read begins a new zero line, with a warning.
//!
//! # Outcomes
//! `Counts` if the source of requests answered; `NoData` if all that answered has nothing to count; `SourceError`, with
//! the hop that failed, if it could not be read. A pod that does not answer is no error of the source: the gateway
//! tells how its requests end.

mod text;

mod gateway;
mod page;

mod absorb;
mod answers;
mod tally;

mod blocked;
mod direct;

mod asked;
mod gpus;
pub mod provider;
mod sources;

pub use direct::Direct;
pub use sources::{Naming, Sources};
