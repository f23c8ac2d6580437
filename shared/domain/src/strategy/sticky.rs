//! How a caller stays with a variant.

use serde::{Deserialize, Serialize};

/// What says which variant a caller belongs to. Its value is the variant's version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// A header of this name, which the caller sends.
    Header(String),
    /// A cookie of this name, which the gateway gives with the first answer.
    Cookie(String),
}

impl Sticky {
    /// `the header x-model`.
    pub fn words(&self) -> String {
        match self {
            Self::Header(name) => format!("the header {name}"),
            Self::Cookie(name) => format!("the cookie {name}"),
        }
    }
}
