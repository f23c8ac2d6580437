//! Definitions: the YAML that users write, to the pipelines that runs keep.
//!
//! ```text
//! files ─▶ yaml (tree with places) ─▶ shape (table of keys) ─▶ read (typed) ─▶ merge ─▶ Definition
//!                                                       Definition + push + manifests ─▶ resolve ─▶ Pipeline
//! ```
//!
//! Every complaint has a file, a line and a column, says what was found and what was expected, and offers the nearest
//! right spelling. A definition is checked by resolving it with sample values, so that what `weir validate` says and
//! what a run is refused for are the same. The text is not trusted: bytes, depth, nodes, aliases and paths have limits,
//! and nothing in here panics on input. Nothing is executed, fetched or written.

mod condition;
mod definition;
mod diagnostic;
mod load;
mod merge;
mod names;
mod nearest;
mod presets;
mod read;
mod render;
mod report;
mod resolve;
mod shape;
mod slug;
mod source;
mod values;
mod variables;
mod weighed;
mod yaml;

pub use condition::{CommandError, Metrics, ParseError, condition_json, parse as parse_condition};
pub use definition::*;
pub use diagnostic::{Class, Diagnostic, Severity};
pub use load::{Loaded, Scope, load, load_with};
pub use report::{Report, manifests_beside, validate, validate_paths};
pub use resolve::{ResourceFiles, resolve};
pub use shape::{reference, schema};
pub use source::{Located, Place, SourceFile};
pub use values::values;
pub use variables::Variables;
