//! The report that a sender asked for with NOTIFY=SUCCESS about recipients who have the message in
//! their mailbox with its acceptance (RFC 3461 §5.2.3). It is accepted in the same commit.

use mail_types::{Address, Domain, EnhancedStatus, ReversePath, Timestamp};
use message::MailDate;
use message::dsn::{Action, Reader, Recipient, Report, Returned};
use smtp_machine::{Envelope, Notify};
use store::{Directory, NewReport, Resolution};

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
) -> Option<NewReport> {
    let to = envelope.sender.reverse_path.address()?;
    let wanted: Vec<_> = envelope
        .recipients
        .iter()
        .filter(|recipient| wants(recipient.notify))
        .filter(|recipient| is_delivered_here(directory, &recipient.address))
        .collect();
    let at = MailDate { at: now, offset_minutes: 0 };
    let originals: Vec<Option<String>> = wanted
        .iter()
        .map(|recipient| {
            let original = recipient.orcpt.as_ref()?;
            Some(format!("{};{}", original.addr_type, original.address))
        })
        .collect();
    let recipients: Vec<Recipient<'_>> = wanted
        .iter()
        .zip(&originals)
        .map(|(recipient, original)| Recipient {
            address: &recipient.address,
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
    let (mail, name) = about;
    let message_id = format!("{name}.{}.delivered@{hostname}", now.millis());
    let report = Report {
        kind: Action::Delivered,
        reporting_mta: hostname,
        from: &from,
        to,
        reader: Reader::Sender,
        at,
        message_id: &format!("<{message_id}>"),
        boundary: &format!("delivered-{name}-{}", now.millis()),
        future_release: None,
        envelope_id: envelope.sender.params.envid.as_deref(),
        receipt: Some(name),
        arrival: Some(at),
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
    Some(NewReport { to: to.clone(), about: mail, body, subject, message_id: Some(message_id) })
}
