use mail_types::SpecialUse;

use super::mailbox::{MailboxName, SEPARATOR};
use super::scan::{Parsed, Scan, SyntaxError};

/// Below this name are the mailboxes of others (RFC 2342 §5).
pub(crate) const OTHER_USERS: &str = "Other Users";

/// Mailboxes named in one command, and kinds of them.
pub const FILTERED_MAILBOXES_MAX: usize = 1000;

/// Which mailboxes a command is about (RFC 5465 §6, RFC 7377 §2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxFilter {
    /// selected
    Selected,
    /// selected-delayed: the selected one, told only when EXPUNGE may be.
    SelectedDelayed,
    /// inboxes: where mail may be delivered to.
    Inboxes,
    /// personal: all in the personal namespace.
    Personal,
    /// subscribed
    Subscribed,
    /// subtree: these and all below them. Names in order, here and below.
    Subtree(Vec<MailboxName>),
    /// subtree-one: these and those directly below them.
    SubtreeOne(Vec<MailboxName>),
    /// mailboxes: these.
    Mailboxes(Vec<MailboxName>),
}

impl MailboxFilter {
    /// Whether it is about the selected mailbox.
    #[must_use]
    pub const fn is_selected(&self) -> bool {
        matches!(self, Self::Selected | Self::SelectedDelayed)
    }

    /// Whether it means the mailbox of this name, which is not asked about as the selected one.
    #[must_use]
    pub fn covers(
        &self,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
        is_subscribed: bool,
    ) -> bool {
        let text = name.as_str();
        let has = |names: &[MailboxName], name: &str| {
            names.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
        };
        match self {
            Self::Selected | Self::SelectedDelayed => false,
            // RFC 5465 §6.3: where delivery puts messages.
            Self::Inboxes => name.is_inbox() || special_use == Some(SpecialUse::Junk),
            // RFC 5465 §6.2: in the personal namespace.
            Self::Personal => {
                text.strip_prefix(OTHER_USERS).is_none_or(|rest| !rest.starts_with(SEPARATOR))
            }
            Self::Subscribed => is_subscribed,
            Self::Subtree(roots) => {
                let ends = text.match_indices(SEPARATOR).map(|(end, _)| &text[..end]);
                ends.chain([text]).any(|above| has(roots, above))
            }
            Self::SubtreeOne(roots) => {
                has(roots, text) || name.parent().is_some_and(|parent| has(roots, parent))
            }
            Self::Mailboxes(names) => has(names, text),
        }
    }

    // RFC 5465 §8: filter-mailboxes = filter-mailboxes-selected / filter-mailboxes-other;
    // filter-mailboxes-other = "inboxes" / "personal" / "subscribed" / ("subtree" SP
    // one-or-more-mailbox) / ("mailboxes" SP one-or-more-mailbox); RFC 7377 §5 adds "subtree-one"
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        Ok(match scan.word()?.as_str() {
            "SELECTED" => Self::Selected,
            "SELECTED-DELAYED" => Self::SelectedDelayed,
            "INBOXES" => Self::Inboxes,
            "PERSONAL" => Self::Personal,
            "SUBSCRIBED" => Self::Subscribed,
            "SUBTREE" => Self::Subtree(one_or_more(scan)?),
            "SUBTREE-ONE" => Self::SubtreeOne(one_or_more(scan)?),
            "MAILBOXES" => Self::Mailboxes(one_or_more(scan)?),
            _ => return Err(SyntaxError("unknown kind of mailboxes")),
        })
    }
}

// RFC 5465 §8: one-or-more-mailbox = mailbox / many-mailboxes;
// many-mailboxes = "(" mailbox *(SP mailbox) ")"
fn one_or_more(scan: &mut Scan<'_>) -> Parsed<Vec<MailboxName>> {
    scan.space()?;
    if !scan.eat(b'(') {
        return Ok(vec![MailboxName::parse(scan)?]);
    }
    let mut names = Vec::new();
    loop {
        if names.len() == FILTERED_MAILBOXES_MAX {
            return Err(SyntaxError("too many mailboxes in one command"));
        }
        names.push(MailboxName::parse(scan)?);
        if scan.eat(b')') {
            names.sort_unstable();
            names.dedup();
            return Ok(names);
        }
        scan.space()?;
    }
}
