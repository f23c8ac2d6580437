//! An approval: who was asked, who has answered, how it ended.

use serde::{Deserialize, Serialize};

use crate::ids::{ApprovalToken, GroupName, PersonName, RunId};
use crate::people::{Actor, Group, Identity, Person, person_behind};
use crate::pipeline::{ApprovalRule, Quorum};
use crate::time::Timestamp;

/// An approval of one stage of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Approval {
    /// Names this approval in a button.
    pub token: ApprovalToken,
    /// When people were asked.
    pub asked: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// Who approved so far.
    pub given: Vec<Given>,
    /// How it stands.
    pub state: ApprovalState,
    /// Where the message stands that asks, once it was posted.
    #[serde(default)]
    pub message: Option<MessageRef>,
}

/// One person's approval.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Given {
    /// Who.
    pub by: PersonName,
    /// When.
    pub at: Timestamp,
}

/// How an approval stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Not enough answers yet.
    Waiting,
    /// Everyone who must has approved.
    Approved,
    /// One rejection ends it.
    Rejected {
        /// Who.
        by: PersonName,
        /// Why.
        reason: String,
    },
    /// Nobody answered in time.
    Expired,
    /// A newer run was approved or took its place.
    Superseded {
        /// Which.
        by: RunId,
    },
    /// The run ended otherwise.
    Withdrawn,
}

/// A posted message that can be changed later.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MessageRef {
    /// Channel id.
    pub channel: String,
    /// Time stamp, which is the message's id.
    pub ts: String,
}

/// What a person answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Go on.
    Approve,
    /// Stop, and why.
    Reject(String),
}

/// Why an answer was not counted. The text is for the person who answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The identity belongs to nobody.
    #[error(
        "{0} is not mapped to a person; add it to a member in the `groups:` section of .weir, for example `members: [{{name: you, slack: U…}}]`"
    )]
    Unmapped(Identity),
    /// The person is in none of the groups that must approve.
    #[error("You are not in {groups}; members: {members}.")]
    NotMember {
        /// The groups that are asked.
        groups: String,
        /// Their members.
        members: String,
    },
    /// The pusher may not approve their own change.
    #[error("You pushed this change, so somebody else of {groups} must approve it.")]
    OwnChange {
        /// The groups that are asked.
        groups: String,
    },
    /// It has already ended.
    #[error("This approval has already ended: {0}.")]
    Ended(String),
    /// The person's answer is counted already.
    #[error("Your approval is already counted; still needed: {0}.")]
    Repeated(String),
}

impl ApprovalState {
    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Waiting => "waiting".into(),
            Self::Approved => "approved".into(),
            Self::Rejected { by, reason } if reason.is_empty() => format!("rejected by {by}"),
            Self::Rejected { by, reason } => format!("rejected by {by}: {reason}"),
            Self::Expired => "expired".into(),
            Self::Superseded { by } => format!("superseded by {by}"),
            Self::Withdrawn => "withdrawn, because its run has ended".into(),
        }
    }
}

/// Counts an answer if this person may give it. Membership is read here, where the decision is made (invariant 11).
///
/// # Errors
/// A [`Refusal`]: nothing was counted.
pub fn count_answer(
    approval: &mut Approval,
    rule: &ApprovalRule,
    groups: &[Group],
    pusher: &Actor,
    identity: &Identity,
    answer: &Answer,
    now: Timestamp,
) -> Result<PersonName, Refusal> {
    if approval.state != ApprovalState::Waiting {
        return Err(Refusal::Ended(approval.state.words()));
    }
    let person = person_behind(groups, identity).ok_or_else(|| Refusal::Unmapped(identity.clone()))?;
    let asked: Vec<&Group> = groups
        .iter()
        .filter(|group| rule.needs.iter().any(|need| need.group == group.name))
        .collect();
    let names = join(asked.iter().map(|group| group.name.as_str()), " and ");
    if !asked.iter().any(|group| is_member(group, person)) {
        let members = join(
            asked.iter().flat_map(|g| &g.members).map(|p| p.name.as_str()),
            ", ",
        );
        return Err(Refusal::NotMember {
            groups: names,
            members,
        });
    }
    match answer {
        Answer::Reject(reason) => {
            approval.state = ApprovalState::Rejected {
                by: person.name.clone(),
                reason: reason.clone(),
            };
        }
        Answer::Approve => {
            if !rule.pusher_may_approve && pusher.person() == Some(&person.name) {
                return Err(Refusal::OwnChange { groups: names });
            }
            if approval.given.iter().any(|given| given.by == person.name) {
                return Err(Refusal::Repeated(words_of(&progress(approval, rule, groups))));
            }
            approval.given.push(Given {
                by: person.name.clone(),
                at: now,
            });
            if progress(approval, rule, groups)
                .iter()
                .all(|part| part.have >= part.need)
            {
                approval.state = ApprovalState::Approved;
            }
        }
    }
    Ok(person.name.clone())
}

/// How far one group's quorum is filled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Progress {
    /// The group.
    pub group: GroupName,
    /// People counted for it.
    pub have: u32,
    /// People it needs.
    pub need: u32,
}

/// `ml-team 1/2, product 0/1`.
pub fn words_of(progress: &[Progress]) -> String {
    join(
        progress
            .iter()
            .map(|part| format!("{} {}/{}", part.group, part.have, part.need)),
        ", ",
    )
}

/// Fills the quorums with distinct people, as many places as can be filled: a person in two groups takes the place
/// where nobody else could stand.
pub fn progress(approval: &Approval, rule: &ApprovalRule, groups: &[Group]) -> Vec<Progress> {
    let places: Vec<&Quorum> = rule
        .needs
        .iter()
        .flat_map(|need| std::iter::repeat_n(need, need.people as usize))
        .collect();
    let fits = |person: &Given, place: &Quorum| {
        groups
            .iter()
            .any(|group| group.name == place.group && group.members.iter().any(|m| m.name == person.by))
    };
    let mut taken: Vec<Option<usize>> = vec![None; places.len()];
    for person in 0..approval.given.len() {
        let mut tried = vec![false; places.len()];
        let can = |p: usize, place: usize| fits(&approval.given[p], places[place]);
        seat(person, &can, &mut taken, &mut tried);
    }
    let have = |name: &GroupName| {
        places
            .iter()
            .zip(&taken)
            .filter(|(place, seat)| &place.group == name && seat.is_some())
            .count()
    };
    rule.needs
        .iter()
        .map(|need| Progress {
            group: need.group.clone(),
            have: u32::try_from(have(&need.group)).unwrap_or(u32::MAX),
            need: need.people,
        })
        .collect()
}

/// Finds a seat for a person, moving others where they fit as well (augmenting path of a bipartite matching).
fn seat(
    person: usize,
    can: &dyn Fn(usize, usize) -> bool,
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for place in 0..taken.len() {
        if tried[place] || !can(person, place) {
            continue;
        }
        tried[place] = true;
        if taken[place].is_none_or(|other| seat(other, can, taken, tried)) {
            taken[place] = Some(person);
            return true;
        }
    }
    false
}

fn is_member(group: &Group, person: &Person) -> bool {
    group.members.iter().any(|member| member.name == person.name)
}

fn join(parts: impl IntoIterator<Item = impl AsRef<str>>, sep: &str) -> String {
    let parts: Vec<_> = parts.into_iter().collect();
    parts.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(sep)
}
