//! The text form of conditions: `error_rate > 2% || latency_p99 > 1000ms for 5m`.
//!
//! ```text
//! or         = and { "||" and }
//! and        = unary { "&&" unary }
//! unary      = "!" unary | "(" or ")" | comparison
//! comparison = metric ( ">" | ">=" | "<" | "<=" | "==" | "!=" ) number [ unit ] [ "for" time ]
//! ```
//!
//! Names and units are checked here: a comparison of a time with a percentage never reaches a rollout, nor does a condition
//! that no measurement makes true or false.

mod command;
mod lexer;
mod metrics;
mod parser;
mod possible;
mod quantity;

pub use command::{CommandError, condition_json};
pub use metrics::Metrics;
pub use parser::{ParseError, parse};
pub(crate) use possible::senseless;
