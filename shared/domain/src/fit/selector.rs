//! Label selectors and node terms, as the scheduler reads them.

use std::collections::BTreeMap;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// One requirement on labels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What is asked of it.
    pub test: Test,
}

/// What a requirement asks of a label's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Test {
    /// It is one of these.
    In(Vec<String>),
    /// It is none of these; a label that is absent is none of them.
    NotIn(Vec<String>),
    /// The label is there.
    Exists,
    /// It is not.
    DoesNotExist,
    /// It is a whole number above this one.
    Above(i64),
    /// It is a whole number below this one.
    Below(i64),
}

impl Requirement {
    /// Whether a value, or its absence, passes.
    pub fn accepts(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|text| text.parse::<i64>().ok());
        match &self.test {
            Test::In(values) => value.is_some_and(|v| values.iter().any(|one| one == v)),
            Test::NotIn(values) => value.is_none_or(|v| values.iter().all(|one| one != v)),
            Test::Exists => value.is_some(),
            Test::DoesNotExist => value.is_none(),
            Test::Above(limit) => number().is_some_and(|n| n > *limit),
            Test::Below(limit) => number().is_some_and(|n| n < *limit),
        }
    }

    fn holds(&self, labels: &Labels) -> bool {
        self.accepts(labels.get(&self.key).map(String::as_str))
    }
}

/// Requirements that must all hold; none at all match everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selector(pub Vec<Requirement>);

impl Selector {
    /// Whether labels have all that is required.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

/// One alternative of a required node affinity.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeTerm {
    /// On labels.
    pub labels: Vec<Requirement>,
    /// On the node's name, the only field there is.
    pub name: Vec<Requirement>,
}

impl NodeTerm {
    /// Whether a node passes. A term without requirements matches nothing.
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        !(self.labels.is_empty() && self.name.is_empty())
            && self.labels.iter().all(|requirement| requirement.holds(labels))
            && self
                .name
                .iter()
                .all(|requirement| requirement.accepts(Some(name)))
    }
}

/// Pods in some namespaces, within a topology domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodTerm {
    /// Node label whose values are the domains.
    pub key: String,
    /// Which pods; nothing matches no pod.
    pub selector: Option<Selector>,
    /// In these namespaces,
    pub namespaces: Vec<String>,
    /// and in those whose labels match.
    pub namespace_selector: Option<Selector>,
}

impl PodTerm {
    /// Whether a pod with these labels in this namespace is meant.
    pub fn matches(&self, namespace: &str, labels: &Labels, namespaces: &BTreeMap<String, Labels>) -> bool {
        let Some(selector) = &self.selector else {
            return false;
        };
        let none = Labels::new();
        let inside = self.namespaces.iter().any(|name| name == namespace)
            || self
                .namespace_selector
                .as_ref()
                .is_some_and(|wanted| wanted.matches(namespaces.get(namespace).unwrap_or(&none)));
        inside && selector.matches(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_knows_a_value_and_its_absence() {
        let list = || vec!["a".to_owned(), "b".to_owned()];
        let table = [
            (Test::In(list()), Some("a"), true),
            (Test::In(list()), Some("c"), false),
            (Test::In(list()), None, false),
            (Test::NotIn(list()), Some("a"), false),
            (Test::NotIn(list()), Some("c"), true),
            (Test::NotIn(list()), None, true),
            (Test::Exists, Some(""), true),
            (Test::Exists, None, false),
            (Test::DoesNotExist, Some("x"), false),
            (Test::DoesNotExist, None, true),
            (Test::Above(40), Some("80"), true),
            (Test::Above(40), Some("40"), false),
            (Test::Above(40), Some("many"), false),
            (Test::Above(40), None, false),
            (Test::Below(40), Some("39"), true),
            (Test::Below(40), None, false),
        ];
        for (test, value, passes) in table {
            let requirement = Requirement {
                key: "k".into(),
                test,
            };
            assert_eq!(requirement.accepts(value), passes, "{requirement:?} on {value:?}");
        }
    }

    #[test]
    fn empty_selectors_match_everything_and_empty_node_terms_nothing() {
        assert!(Selector::default().matches(&Labels::new()));
        assert!(!NodeTerm::default().matches("n", &Labels::new()));
    }
}
