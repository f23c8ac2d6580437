//! A small AWS: runs a template's functions, unchanged, as Lambda would, and what they call.
//!
//! ```text
//!   SQS ◀─ poll ─▶ Mapping ─┐             ┌─▶ Sandbox ─▶ the runtime's HTTP interface ◀─▶ the program
//!   HTTP ─────────▶ Door ───┼─▶ Function ─┤                                                    │
//!   every minute ───────────┘             └─▶ Sandbox …                                        ▼
//!   DynamoDB Local, ElasticMQ, stand-ins ◀── Account: does the function's role grant that? ◀─ calls
//! ```
//! A sandbox handles one event at a time. A program that ends is started again with the next event, and the event that
//! it held has failed. If it is asked for, things go wrong now and then, and are counted: [`Fault`]. Left out: freezing
//! between events, what a new sandbox costs at Lambda, signatures.

mod account;
mod door;
mod function;
mod mapping;
mod runtime;
mod sandbox;
mod stack;
mod template;
mod trouble;

pub use account::{ACCOUNT, Bill, REGION};
pub use door::Door;
pub use function::{Function, Invoked, Tally};
pub use mapping::Mapping;
pub use sandbox::Program;
pub use stack::{Given, Key, Stack, StackError, entrance};
pub use template::{Names, Resource, Template, TemplateError, Unknown};
pub use trouble::{Fault, spread};
