//! A small Lambda: runs the functions' own programs, unchanged, as Lambda would.
//!
//! ```text
//!   SQS ◀─ poll ─▶ Mapping ─▶ Function ─▶ the runtime's HTTP interface ◀─▶ the program
//!   a request ───▶ Function::request ──┘
//! ```
//! One program handles one event at a time, as one sandbox does. A program that ends is started again with the next
//! event, and the event that it held has failed. Left out: freezing between events, several sandboxes, IAM.

mod function;
mod mapping;
mod runtime;
mod template;

pub use function::{Function, Invoked};
pub use mapping::Mapping;
pub use template::{Names, Resource, Template, TemplateError};
