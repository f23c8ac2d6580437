//! People, groups, and who acted.

use serde::{Deserialize, Serialize};

use crate::ids::{GroupName, PersonName};

/// A person and the identities by which doors know them. An identity that no person carries is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    /// Name inside Weir.
    pub name: PersonName,
    /// Slack user id, for example `U024BE7LH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<String>,
    /// GitHub login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<String>,
    /// Unix user id on the machine that runs `weir up`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// People who may approve in the name of one group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Group {
    /// Name, for example `ml-team`.
    pub name: GroupName,
    /// Its members.
    pub members: Vec<Person>,
}

/// An identity as a door has authenticated it, before it is mapped to a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A Slack user id, from a verified request of the configured workspace.
    Slack(String),
    /// A GitHub login, from a verified delivery.
    Github(String),
    /// A Unix user id, from the peer of the local socket.
    Uid(u32),
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slack(id) => write!(f, "Slack user {id}"),
            Self::Github(login) => write!(f, "GitHub user {login}"),
            Self::Uid(uid) => write!(f, "user id {uid}"),
        }
    }
}

impl Person {
    /// Whether this person carries the identity. GitHub logins are compared without case, as GitHub does.
    pub fn is(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Slack(id) => self.slack.as_ref() == Some(id),
            Identity::Github(login) => self
                .github
                .as_ref()
                .is_some_and(|own| own.eq_ignore_ascii_case(login)),
            Identity::Uid(uid) => self.uid == Some(*uid),
        }
    }
}

/// The person behind an identity, if exactly one name carries it; two names with one identity are no answer.
pub fn person_behind<'a>(groups: &'a [Group], identity: &Identity) -> Option<&'a Person> {
    let mut found: Option<&Person> = None;
    for person in groups
        .iter()
        .flat_map(|group| &group.members)
        .filter(|person| person.is(identity))
    {
        match found {
            Some(first) if first.name != person.name => return None,
            _ => found = Some(person),
        }
    }
    found
}

/// Who caused a decision.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Weir itself: a timer, a check, a rule of the definition.
    Weir,
    /// A known person, and the identity that proved it.
    Person {
        /// The person.
        name: PersonName,
        /// How they were recognised.
        identity: Identity,
    },
    /// Somebody whom no group names.
    Unknown(Identity),
}

impl Actor {
    /// The actor behind an identity.
    pub fn from_identity(groups: &[Group], identity: Identity) -> Self {
        match person_behind(groups, &identity) {
            Some(person) => Self::Person {
                name: person.name.clone(),
                identity,
            },
            None => Self::Unknown(identity),
        }
    }

    /// The person's name, if known.
    pub fn person(&self) -> Option<&PersonName> {
        match self {
            Self::Person { name, .. } => Some(name),
            _ => None,
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Weir => f.write_str("weir"),
            Self::Person { name, .. } => write!(f, "{name}"),
            Self::Unknown(identity) => write!(f, "{identity} (not in any group)"),
        }
    }
}
