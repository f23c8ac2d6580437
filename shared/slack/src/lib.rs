//! What Weir knows of Slack.
//!
//! Inwards: a request is authenticated on its raw bytes and its time ([`signature`]), then read ([`interaction`]): who
//! pressed which button for which token. Outwards: messages as values ([`message`]) and the client that posts,
//! updates and answers ([`client`]).
//!
//! ```text
//! headers + bytes ──▶ signature ──▶ interaction ──▶ person, action, opaque token
//! approval, outcome, page ──▶ message (JSON) ──▶ client ──▶ chat.postMessage · chat.update · response_url
//! ```
//! A button carries an opaque token and nothing else: what it stands for, and whether this person may press it, is
//! decided elsewhere. Texts that people outside chose reach Slack as plain text only, never as markup.

pub mod limits;

pub mod signature;

pub mod interaction;

pub mod message;
mod text;

pub mod client;

mod people;

pub use client::{PostedMessage, Retry, SlackClient, SlackError};
pub use interaction::{
    Action, Addressee, BlockActions, Interaction, InteractionError, Person, ResponseUrl, ViewSubmission,
    decode_body,
};
pub use message::{ApprovalView, Given, GroupProgress, Message, Outcome, RollbackPage, WayBack};
pub use people::SlackPeople;
pub use signature::{Refused, Verified, verify};
pub use weir_app::{Headers, Secret};
