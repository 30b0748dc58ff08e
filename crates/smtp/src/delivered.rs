//! The report that a sender asked for with NOTIFY=SUCCESS about recipients who have the message in
//! their mailbox with its acceptance (RFC 3461 §5.2.3). It is accepted in the same commit.

use mail_types::{Address, Deadline, Domain, EnhancedStatus, ReversePath, Timestamp};
use message::MailDate;
use message::dsn::{Action, Reader, Recipient, Report, Returned};
use smtp_machine::{Envelope, Notify};
use store::{Directory, NewCustody, NewReport, QueuedMail, Resolution};

/// Whether any recipient asks to be reported as delivered.
pub fn is_wanted(envelope: &Envelope) -> bool {
    // RFC 5321 §4.5.5: nobody is told about a message from <>.
    envelope.sender.reverse_path != ReversePath::Null
        && envelope.recipients.iter().any(|recipient| wants(recipient.notify))
}

const fn wants(notify: Option<Notify>) -> bool {
    matches!(notify, Some(Notify::On { success: true, .. }))
}

/// Whether an address has its mail in a mailbox here: an account, or an alias that leads to one.
/// What an alias sends on is reported by the hosts it goes to.
fn is_delivered_here(directory: &Directory, address: &Address) -> bool {
    match directory.resolve(address) {
        Resolution::Account(_) => true,
        Resolution::Alias(targets) => directory
            .expand(&targets)
            .iter()
            .any(|(_, leaf)| matches!(leaf, Resolution::Account(_))),
        Resolution::SenderOf(_) | Resolution::UnknownUser | Resolution::Remote => false,
    }
}

/// The report; `None` where none is due. `header` is that of the message as kept.
pub fn report(
    envelope: &Envelope,
    directory: &Directory,
    hostname: &Domain,
    header: &[u8],
    about: (mail_types::MailId, &str),
    now: Timestamp,
    deliver_by: Option<Deadline>,
) -> Option<NewReport> {
    let wanted = envelope
        .recipients
        .iter()
        .filter(|recipient| wants(recipient.notify))
        .filter(|recipient| is_delivered_here(directory, &recipient.address));
    let original = |orcpt: &smtp_machine::Orcpt| format!("{};{}", orcpt.addr_type, orcpt.address);
    let recipients: Vec<(&Address, Option<String>)> = wanted
        .map(|recipient| (&recipient.address, recipient.orcpt.as_ref().map(original)))
        .collect();
    build(
        &Delivered {
            to: envelope.sender.reverse_path.address()?,
            recipients,
            envelope_id: envelope.sender.params.envid.as_deref(),
            about: about.0,
            name: about.1,
            mark: about.1.to_owned(),
            arrival: now,
            future_release: None,
            deliver_by,
            header,
        },
        hostname,
        now,
    )
}

/// The report about a recipient that has the message only now; `None` where it did not ask for one.
#[must_use]
pub fn late_report(
    mail: &QueuedMail,
    custody: &NewCustody,
    header: &[u8],
    hostname: &Domain,
    now: Timestamp,
) -> Option<NewReport> {
    let accepted = &mail.accepted;
    if !custody.notify.is_some_and(|notify| notify.success && !notify.never) {
        return None;
    }
    let receipt = mail.facts.receipt.to_string();
    build(
        &Delivered {
            // RFC 5321 §4.5.5: nobody is told about a message from <>.
            to: accepted.reverse_path.address()?,
            recipients: vec![(&custody.recipient, custody.original_recipient.clone())],
            envelope_id: accepted.envelope_id.as_deref(),
            about: accepted.mail,
            name: &receipt,
            // Each recipient is told of by itself, perhaps at the same moment.
            mark: format!("{receipt}.{}", custody.custody),
            arrival: mail.facts.accepted,
            future_release: mail.facts.future_release.map(|later| later.request()),
            deliver_by: mail.facts.deliver_by,
            header,
        },
        hostname,
        now,
    )
}

/// A delivery that somebody wants to hear of.
struct Delivered<'a> {
    to: &'a Address,
    /// Each with its ORCPT.
    recipients: Vec<(&'a Address, Option<String>)>,
    envelope_id: Option<&'a str>,
    about: mail_types::MailId,
    /// What it is known by here.
    name: &'a str,
    /// What makes the report's own names unique.
    mark: String,
    arrival: Timestamp,
    /// RFC 4865 §6: how its sender asked for it to leave later.
    future_release: Option<String>,
    /// RFC 2852.
    deliver_by: Option<Deadline>,
    header: &'a [u8],
}

fn build(delivered: &Delivered<'_>, hostname: &Domain, now: Timestamp) -> Option<NewReport> {
    let Delivered { to, recipients, envelope_id, about, name, mark, .. } = delivered;
    let Delivered { arrival, future_release, header, .. } = delivered;
    let date = |at| MailDate { at, offset_minutes: 0 };
    let recipients: Vec<Recipient<'_>> = recipients
        .iter()
        .map(|(address, original)| Recipient {
            address,
            original: original.as_deref(),
            action: Action::Delivered,
            status: EnhancedStatus::new(2, 1, 5),
            remote_mta: None,
            diagnostic: None,
            reason: None,
            meant: None,
            last_attempt: None,
            will_retry_until: None,
        })
        .collect();
    if recipients.is_empty() {
        return None;
    }
    let from = Address::parse(&format!("postmaster@{hostname}")).ok()?;
    let message_id = format!("{mark}.{}.delivered@{hostname}", now.millis());
    let report = Report {
        kind: Action::Delivered,
        reporting_mta: hostname,
        from: &from,
        to,
        reader: Reader::Sender,
        at: date(now),
        message_id: &format!("<{message_id}>"),
        boundary: &format!("delivered-{mark}-{}", now.millis()),
        future_release: future_release.as_deref(),
        deliver_by: delivered.deliver_by.map(|by| (date(by.at), by.mode)),
        envelope_id: *envelope_id,
        receipt: Some(name),
        arrival: Some(date(*arrival)),
        recipients: &recipients,
        original: header,
        // RFC 3461 §4.3: RET counts for failures alone; a success returns headers.
        returned: Returned::Headers,
    };
    let mut bytes = message::return_path(&ReversePath::Null).into_bytes();
    bytes.extend_from_slice(&report.build());
    let subject = message::HeaderFacts::read(&bytes, &message::Limits::default()).subject;
    // Far below the limit of a body in the journal: a header and a few words.
    let body = journal::Body::from_bytes(&bytes).ok()?;
    let (to, about) = ((*to).clone(), *about);
    Some(NewReport { to, about, body, subject, message_id: Some(message_id) })
}
