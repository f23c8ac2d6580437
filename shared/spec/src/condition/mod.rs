//! The text form of conditions: `error_rate > 2% || max(queue_depth[5m]) > 40 for 5m`.
//!
//! ```text
//! or         = and { "||" and }
//! and        = unary { "&&" unary }
//! unary      = "!" unary | "(" or ")" | comparison
//! comparison = measured ( ">" | ">=" | "<" | "<=" | "==" | "!=" ) number [ unit ] [ "for" time ]
//! measured   = metric [ window ] | ( "avg" | "max" | "min" ) "(" metric window ")"
//! window     = "[" time "]"
//! ```
//!
//! A window is written as in PromQL, because whoever writes one has written it there; what becomes of the readings in it is
//! one of three words, as in Datadog, and without a word their mean.
//!
//! Names and units are checked here: a comparison of a time with a percentage never reaches a rollout, nor does a condition
//! that no measurement makes true or false.

mod command;
mod lexer;
mod metrics;
mod parser;
mod possible;
mod quantity;
mod window;

pub use command::{CommandError, condition_json};
pub use metrics::Metrics;
pub(crate) use metrics::is_counted;
pub use parser::{ParseError, parse};
pub(crate) use possible::senseless;
