//! The store on DynamoDB: one table, one transaction a decision, no scans.
//!
//! ```text
//! RUN#<id>    STATE           version, commit, body    what changes of the run
//!                             traffic, steps           when each duty is due
//!                             due                      the minute of the earlier of both
//!                             scrape#<step>            what the metrics source wants to see again
//!                             born                     when it began
//!             STATE#CLOSED    body, closed             stages in which nothing moves any more
//!             STATE#PIPELINE  body                     its pipeline and its cause, written once
//!             EVENT#<n>       body                     the entries of one commit; n is the first's
//!             OUTBOX#<v>#<n>  version, body, due, duty an effect that is not settled
//! LANE#<service>#<env> STATE  version, body            the lane
//! PUSH#<pipeline>#<key> STATE body, expires            the run that a push started
//! APPROVAL#<token>    STATE   body, expires            the run that asks
//! NUMBER#<pipeline>   <n>     body                     the run that has the number
//! CLUSTER#…           STATE   body                     where a cluster is (`eks::Shelf`)
//! ```
//!
//! **What is written.** A decision that only says when to look next is one `UpdateItem` of `STATE`, because the looks
//! and the scrapes are attributes of it and no items of their own: that is what most decisions are, and what a rollout
//! costs. Any other decision is one `TransactWriteItems`, conditioned on every version. A run's pipeline is pinned
//! (invariant 13), and what caused it is past: both are written once and read with the run. Stages in which nothing moves any
//! more are written when one is added. Every other write carries only what changes.
//!
//! A body of half a KB or more is deflated with a dictionary of what stands in every run (`deflate`): units are counted by
//! size, and a run shrinks to a fifth. Logs stay text.
//!
//! **Ambiguous answers.** A write that succeeded although its answer was lost is tried again by the client, and must
//! not come back as a conflict. A transaction carries a token by which DynamoDB knows the repeat for ten minutes; the
//! single write leaves the same token in `commit` and finds it there.
//!
//! **What is read.** A query may see one item of a commit and not yet another: the run and its closed stages say at which version
//! those were written last, and are read again if the run is ahead. Items by key, and items of one partition, are read strongly consistent. A run is read before its
//! lanes: its version is a condition of every commit, so if the commit succeeds the run had not changed when its lanes
//! were read. The two indexes are eventually consistent, which DynamoDB does not let one choose:
//! - `due` is rounded down to the minute, and what it names is read where it stands. It may miss what was written within
//!   the last second, or name what is settled by now. It only makes somebody look (invariant 7): the next sweep finds the
//!   one, and looking at the other changes nothing.
//! - `born` lists runs for people.
//!
//! Both are sparse, and their keys are spread over shards by the run's id, so that no key takes all writes.
//!
//! **Limits.** An item has at most 400 KB and a transaction 100 actions. The entries of a commit share an item, so a
//! long log costs one action; what is still too large is refused with its size before it is sent.
//!
//! **What expires.** Pushes and approvals, long after anybody can use them. Runs and their logs never do: they are the
//! record of what was done and why. The run's id is a digest of its push, so that even a push whose item has expired
//! starts nothing twice.

mod actions;
mod decode;
mod deflate;
mod dynamo;
mod fault;
mod item;
pub(crate) mod keys;
mod pack;
mod read;
mod sparse;
pub mod table;
mod write;

pub use dynamo::DynamoStore;
