use std::fmt::Display;

use imap_machine::{Code, Refusal};
use store::Refused;

/// What a missing mailbox is to the command.
#[derive(Clone, Copy, Debug)]
pub enum Missing {
    /// RFC 5530: what the command is about does not exist.
    NonExistent,
    /// RFC 3501 §6.3.11, §6.4.7: the target does not exist, and CREATE would help.
    TryCreate,
}

/// What the client may know of why the store did not do it.
pub fn refusal(refused: &Refused, missing: Missing) -> Refusal {
    match refused {
        Refused::Missing(_) => no_mailbox(missing),
        Refused::Exists(_) => {
            Refusal::new(Code::AlreadyExists, "There is a mailbox of this name already")
        }
        Refused::HasChildren(_) => Refusal::new(
            Code::HasChildren,
            "This name is no mailbox itself, but others are below it; delete those",
        ),
        Refused::MetadataTooLarge => {
            Refusal::new(Code::MetadataMaxSize, "The value of an annotation is too large")
        }
        Refused::MetadataTooMany => {
            Refusal::new(Code::MetadataTooMany, "There are as many annotations as there may be")
        }
        Refused::TooManyKeywords => {
            Refusal::new(Code::Limit, "A message can have no more keywords than it has")
        }
        Refused::OverQuota => Refusal::new(Code::OverQuota, "The quota is used up"),
        Refused::NotAllowed => {
            Refusal::new(Code::NoPerm, "You have no right to do this with this mailbox")
        }
        Refused::Invalid(reason) => Refusal::new(Code::Cannot, reason.clone()),
        Refused::UidsUsedUp => Refusal::new(
            Code::Limit,
            "This mailbox can take no more messages; move them into a new one",
        ),
        Refused::Unavailable(reason) => not_now("make a change", reason),
        // No such thing is asked of the store here.
        Refused::UnknownUser(_) | Refused::RelayDenied(_) => not_now("make a change", refused),
    }
}

pub fn no_mailbox(missing: Missing) -> Refusal {
    match missing {
        Missing::NonExistent => Refusal::new(Code::NonExistent, "There is no such mailbox"),
        Missing::TryCreate => {
            Refusal::new(Code::TryCreate, "There is no such mailbox; create it first")
        }
    }
}

/// Our own trouble: the operator reads the cause, the client that it may come again.
pub fn not_now(doing: &str, cause: impl Display) -> Refusal {
    tracing::error!(%cause, "cannot {doing}");
    Refusal::new(Code::Unavailable, "The server cannot do this now, nothing is lost; try again")
}

/// The machine asked what makes no sense: only a bug does.
pub fn lost_track() -> Refusal {
    tracing::error!("a session asked about a mailbox that it has not selected");
    Refusal::new(Code::ServerBug, "The server lost track of this session; connect again")
}
