use super::mailbox::MailboxName;
use super::scan::{Parsed, Scan, SyntaxError};

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
    /// subtree: these and all below them.
    Subtree(Vec<MailboxName>),
    /// subtree-one: these and those directly below them.
    SubtreeOne(Vec<MailboxName>),
    /// mailboxes: these.
    Mailboxes(Vec<MailboxName>),
}

impl MailboxFilter {
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
            return Ok(names);
        }
        scan.space()?;
    }
}
