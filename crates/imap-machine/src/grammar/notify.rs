use super::fetch::{FetchAttribute, attributes};
use super::filter::MailboxFilter;
use super::scan::{Parsed, Scan, SyntaxError};

/// Groups of events in one NOTIFY.
pub const EVENT_GROUPS_MAX: usize = 100;
/// Events named in one group; there are fewer than that.
const EVENTS_MAX: usize = 32;

/// NOTIFY (RFC 5465 §3.1)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// NONE: nothing is wanted.
    None,
    /// SET
    Set {
        /// STATUS: the client wants to know now how things stand.
        status: bool,
        /// What it wants to hear, of which mailboxes.
        groups: Vec<EventGroup>,
    },
    /// SET with an event that nobody can be told of here.
    BadEvent,
}

/// What is wanted of some mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGroup {
    /// Which.
    pub mailboxes: MailboxFilter,
    /// What; nothing for NONE.
    pub events: Events,
}

/// Events (RFC 5465 §5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// MessageNew and MessageExpunge, which come together.
    pub messages: bool,
    /// What to fetch of each new message of the selected mailbox.
    pub fetch: Vec<FetchAttribute>,
    /// FlagChange
    pub flags: bool,
    /// MailboxName
    pub name: bool,
    /// SubscriptionChange
    pub subscription: bool,
    /// MailboxMetadataChange
    pub metadata: bool,
    /// ServerMetadataChange
    pub server_metadata: bool,
}

impl Events {
    /// The names of all events that are known.
    pub const NAMES: &'static str = "MessageNew MessageExpunge FlagChange MailboxName \
         SubscriptionChange MailboxMetadataChange ServerMetadataChange";

    const fn names_mailboxes(&self) -> bool {
        self.name || self.subscription || self.metadata || self.server_metadata
    }
}

impl Notify {
    // RFC 5465 §8: notify = "NOTIFY" SP (notify-set / notify-none);
    // notify-set = "SET" [SP "STATUS"] SP event-groups; event-groups = event-group *(SP event-group)
    pub(super) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        scan.space()?;
        match scan.word()?.as_str() {
            "NONE" => {
                scan.end()?;
                return Ok(Self::None);
            }
            "SET" => {}
            _ => return Err(SyntaxError("NOTIFY takes SET or NONE")),
        }
        let status = scan.eat_text(" STATUS");
        let (mut groups, mut is_known) = (Vec::new(), true);
        while !scan.at_end() {
            if groups.len() == EVENT_GROUPS_MAX {
                return Err(SyntaxError("NOTIFY takes at most 100 groups of events"));
            }
            scan.space()?;
            let (group, known) = EventGroup::parse(scan)?;
            is_known &= known;
            groups.push(group);
        }
        scan.end()?;
        if groups.is_empty() {
            return Err(SyntaxError("NOTIFY SET takes groups of events"));
        }
        // RFC 5465 §6.1: only one of the specifiers of the selected mailbox.
        if groups.iter().filter(|group| group.mailboxes.is_selected()).count() > 1 {
            return Err(SyntaxError("the selected mailbox may be named once"));
        }
        Ok(if is_known { Self::Set { status, groups } } else { Self::BadEvent })
    }
}

impl EventGroup {
    // RFC 5465 §8: event-group = "(" filter-mailboxes SP events ")";
    // events = ("(" event *(SP event) ")") / "NONE"
    fn parse(scan: &mut Scan<'_>) -> Parsed<(Self, bool)> {
        scan.expect(b'(', "a group of events stands in parentheses")?;
        let mailboxes = MailboxFilter::parse(scan)?;
        scan.space()?;
        let (mut events, mut is_known) = (Events::default(), true);
        if scan.eat(b'(') {
            let (mut new, mut expunge) = (false, false);
            for _ in 0..EVENTS_MAX {
                match scan.atom()?.to_ascii_uppercase().as_str() {
                    "MESSAGENEW" => {
                        new = true;
                        if scan.eat_text(" (") {
                            events.fetch = attributes(scan)?;
                        }
                    }
                    "MESSAGEEXPUNGE" => expunge = true,
                    "FLAGCHANGE" => events.flags = true,
                    "MAILBOXNAME" => events.name = true,
                    "SUBSCRIPTIONCHANGE" => events.subscription = true,
                    "MAILBOXMETADATACHANGE" => events.metadata = true,
                    "SERVERMETADATACHANGE" => events.server_metadata = true,
                    _ => is_known = false,
                }
                if scan.peek() == Some(b')') {
                    break;
                }
                scan.space()?;
            }
            scan.expect(b')', "too many events")?;
            // RFC 5465 §5: "both events MUST be specified".
            if new != expunge || (events.flags && !new) {
                return Err(SyntaxError("MessageNew and MessageExpunge come together"));
            }
            events.messages = new;
        } else if scan.word()? != "NONE" {
            return Err(SyntaxError("events stand in parentheses"));
        }
        scan.expect(b')', "a parenthesis is not closed")?;
        // RFC 5465 §6.1: "It is an error to specify other types of events".
        if mailboxes.is_selected() && events.names_mailboxes() {
            return Err(SyntaxError("of the selected mailbox only messages can be told"));
        }
        if !mailboxes.is_selected() && !events.fetch.is_empty() {
            return Err(SyntaxError("only of the selected mailbox can messages be fetched"));
        }
        Ok((Self { mailboxes, events }, is_known))
    }
}
