//! What may stand in a definition: one table of keys that the checks, the JSON Schema and the reference page are all
//! made from.

mod check;
mod pipeline;
mod reference;
mod schema;
mod sections;
mod service;
mod values;

pub(crate) use check::check;
pub(crate) use check::is_variable_name;
pub(crate) use sections::{ISOLATION, SECTIONS};
pub(crate) use values::{parse_chance, parse_percent, parse_span};

pub use reference::reference;
pub use schema::schema;

/// What a value must look like.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Text that is not empty; a number is taken as it is written.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number from, to.
    Count(u64, u64),
    /// A percentage, 0 to 100; with `true` it may have a fraction.
    Percent(bool),
    /// A chance between 0 and 1, both excluded: `1%` or `0.01`.
    Chance,
    /// An amount of money or another number that is not negative.
    Number,
    /// A length of time with its unit; with `true` it must be longer than nothing.
    Span(bool),
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A condition over metrics.
    Condition,
    /// A path of the commit, relative to its root.
    Path,
    /// A Kubernetes quantity: `8Gi`, `500m`, `4`.
    Quantity,
    /// A name as Kubernetes takes it: lower-case letters, digits and dashes, at most 63.
    DnsName,
    /// Environment of a container: a mapping, or a list of mappings with one key.
    Env,
    /// A list with at least one item.
    List(&'static Shape),
    /// One item, or a list of them.
    OneOrMany(&'static Shape),
    /// A mapping with these keys.
    Object(&'static [Key]),
    /// A mapping whose keys are the user's own names.
    Named(&'static Shape),
    /// A mapping or list in Kubernetes' own words.
    Kubernetes,
    /// A list in the first shape or a mapping in the second.
    ListOrMap(&'static Shape, &'static Shape),
    /// One word, or a mapping.
    WordOr(&'static [&'static str], &'static Shape),
    /// Text, or a mapping.
    TextOr(&'static Shape),
    /// A mapping whose key `type` says which keys stand under `spec`.
    ByType(&'static [Key], &'static [(&'static str, &'static Shape)]),
}

/// One key of a mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) required: bool,
    /// Set on a key that is accepted and does nothing yet; the text says what happens instead.
    pub(crate) inert: Option<&'static str>,
    /// What it does, for the reference page and editors.
    pub(crate) doc: &'static str,
}

impl Key {
    /// A key that may be left out.
    pub(crate) const fn new(name: &'static str, shape: &'static Shape, doc: &'static str) -> Self {
        Self {
            name,
            shape,
            required: false,
            inert: None,
            doc,
        }
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) const fn inert(mut self, instead: &'static str) -> Self {
        self.inert = Some(instead);
        self
    }
}
