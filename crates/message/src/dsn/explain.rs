//! The words of a report for the person who sent the message.

use mail_types::{ByMode, EnhancedStatus};

use super::{Action, Reader, Recipient, Report, Returned};
use crate::date::format_date;
use crate::facts::HeaderFacts;

/// Recipients named in full; the rest are counted, and all are in the machine-readable part.
const RECIPIENTS_NAMED_MAX: usize = 100;
/// Characters of the subject that are quoted.
const SUBJECT_CHARS_MAX: usize = 200;

/// The Subject field of the report.
pub(super) fn subject(report: &Report<'_>) -> String {
    let what = match report.kind {
        Action::Failed => "Not delivered",
        Action::Delayed => "Not yet delivered",
        Action::Delivered => "Delivered",
        Action::Relayed => "Handed on",
        Action::Expanded => "Sent on to a list",
    };
    let whose = match report.reader {
        Reader::Sender => "your message",
        Reader::Postmaster => "a message without a sender",
    };
    match report.recipients {
        [one] => format!("{what}: {whose} to {}", one.address),
        several => format!("{what}: {whose} to {} recipients", several.len()),
    }
}

/// The human part, with LF line ends.
pub(super) fn human_text(report: &Report<'_>, facts: &HeaderFacts) -> String {
    let mut out = format!("This is the mail system of {}.\n\n", report.reporting_mta);
    if report.reader == Reader::Postmaster {
        out.push_str(&wrapped(FOR_POSTMASTER, ""));
        out.push('\n');
    }
    for action in
        [Action::Failed, Action::Delayed, Action::Delivered, Action::Relayed, Action::Expanded]
    {
        let of_action = || report.recipients.iter().filter(move |found| found.action == action);
        let count = of_action().count();
        if count == 0 {
            continue;
        }
        out.push_str(&wrapped(intro(report, action), ""));
        out.push('\n');
        for recipient in of_action().take(RECIPIENTS_NAMED_MAX) {
            about_recipient(&mut out, report, recipient);
        }
        if count > RECIPIENTS_NAMED_MAX {
            let more = count - RECIPIENTS_NAMED_MAX;
            out.push_str(&format!("  and {more} more, named in the delivery report below.\n\n"));
        }
    }
    about_message(&mut out, report, facts);
    out
}

/// What the postmaster is told first.
const FOR_POSTMASTER: &str = "You read this as the postmaster. The message below came from <>, most \
    often because it is a report itself. Such a message is never answered, so nobody else learns \
    that it failed.";

const fn intro(report: &Report<'_>, action: Action) -> &'static str {
    match action {
        Action::Failed if matches!(report.reader, Reader::Postmaster) => {
            "The message was not delivered to:"
        }
        Action::Failed => "Your message was not delivered to:",
        Action::Delayed => {
            "Your message has not been delivered yet. You need not send it again: it is kept \
             here and tried again. It is waiting for:"
        }
        Action::Delivered => "Your message was delivered to:",
        Action::Relayed if report.deliver_by.is_some() => {
            "Your message was handed on to the next mail system. You named a time to deliver it \
             by, and hear of this for that reason:"
        }
        Action::Relayed => {
            "Your message was handed on to a system that sends no reports of delivery, for:"
        }
        Action::Expanded => "Your message was sent on to the addresses behind:",
    }
}

fn about_recipient(out: &mut String, report: &Report<'_>, recipient: &Recipient<'_>) {
    out.push_str(&format!("  <{}>\n", recipient.address));
    let original = recipient.original.and_then(|original| original.split_once(';'));
    if let Some((_, written)) = original
        && !written.trim().eq_ignore_ascii_case(&recipient.address.to_string())
    {
        out.push_str(&format!("    (you wrote to {})\n", written.trim()));
    }
    if let Some(reason) = recipient.reason {
        out.push_str(&wrapped(reason, "    "));
    }
    if let Some(said) = recipient.diagnostic {
        let who = recipient.remote_mta.unwrap_or("the receiving server");
        out.push_str(&format!("    {who} said:\n"));
        for line in said.lines() {
            out.push_str(&format!("      {}\n", line.trim_end()));
        }
    }
    if let Some(meant) = recipient.meant {
        out.push_str(&wrapped(&format!("Did you mean <{meant}>?"), "    "));
    }
    if matches!(recipient.action, Action::Failed | Action::Delayed)
        && let Some(advice) = advice(recipient.status, goes_back(report))
    {
        out.push_str(&wrapped(advice, "    "));
    }
    if let (Action::Delayed, Some(until)) = (recipient.action, recipient.will_retry_until) {
        let until = format_date(until);
        let text = format!("It is tried again until {until}. You will be told if it then fails.");
        out.push_str(&wrapped(&text, "    "));
    }
    out.push('\n');
}

fn about_message(out: &mut String, report: &Report<'_>, facts: &HeaderFacts) {
    let (its, the) = match report.reader {
        Reader::Sender => ("Your", "your"),
        Reader::Postmaster => ("The", "the"),
    };
    if report.kind == Action::Failed {
        out.push_str(&match report.returned {
            Returned::Full => format!("{its} message is attached, so nothing of it is lost.\n\n"),
            Returned::Headers => format!("The header of {the} message is attached.\n\n"),
        });
    }
    out.push_str(&format!("About {the} message:\n"));
    if let Some(subject) = &facts.subject {
        let subject: String = subject.chars().take(SUBJECT_CHARS_MAX).collect();
        out.push_str(&format!("  Subject: {subject}\n"));
    }
    if let Some(date) = facts.date {
        out.push_str(&format!("  Written: {}\n", format_date(date)));
    }
    if let Some(arrival) = report.arrival {
        out.push_str(&format!("  Arrived here: {}\n", format_date(arrival)));
    }
    if let Some(id) = &facts.message_id {
        out.push_str(&format!("  Message-ID: {}\n", String::from_utf8_lossy(id)));
    }
    if let Some(receipt) = report.receipt {
        out.push_str(&format!("  Receipt: {receipt} (name it when you ask your postmaster)\n"));
    }
}

/// Whether its sender wanted it back where it is not delivered in time (RFC 2852).
const fn goes_back(report: &Report<'_>) -> bool {
    matches!(report.deliver_by, Some((_, ByMode::Return)))
}

/// What a status code of RFC 3463 means for the sender, and what to do.
const fn advice(status: EnhancedStatus, goes_back: bool) -> Option<&'static str> {
    let permanent = status.class == 5;
    Some(match (status.subject, status.detail) {
        (1, 0 | 1 | 3) if permanent => {
            "There is no such mailbox. Check the address for typing mistakes, or ask the \
             recipient for the right one."
        }
        (1, 2) | (4, 4) if permanent => {
            "No mail server was found for that domain. Check the part behind the @ for typing \
             mistakes."
        }
        (1, 6) if permanent => {
            "The recipient has moved. Ask them, by other means, for the new address."
        }
        (1, 10) if permanent => "That domain accepts no mail. Use another address.",
        (1, 7 | 8) => {
            "The other side did not like your own address. Ask your postmaster to look into it."
        }
        (2, 1) => "The mailbox is switched off. Reach the recipient by other means.",
        (2, 2) => "The mailbox is full. The recipient must make room first.",
        (2, 3) | (3, 4) => {
            "The message is too big for the other side. Send it in smaller pieces, or send a link \
             in place of the attachment."
        }
        (4, 1..=5) => {
            "The other side could not be reached or was too busy. That is mostly for a short time."
        }
        (4, 6) => {
            "The message went round in a circle between mail servers. Ask the recipient's \
             postmaster to look into their forwarding."
        }
        (4, 7) | (3, 3) if permanent && goes_back => {
            "You named a time to deliver it by. Send it again with more time, or without such a \
             time."
        }
        (4, 7) => {
            "It was tried for as long as this system tries. Send it again later, or reach the \
             recipient by other means."
        }
        (6, 7) => {
            "The other side cannot take addresses with these letters. Ask the recipient for an \
             address in plain letters."
        }
        (6, _) => "The other side cannot take a message of this kind. Send it as plain text.",
        (7, 8..=15) | (7, 1) if permanent => {
            "The other side refuses the message by its own rules. Reach the recipient by other \
             means, or ask your postmaster to look into it."
        }
        (7, 20..=29) => {
            "The other side could not confirm that the message is from you. Ask your postmaster \
             to look into it."
        }
        (_, _) if permanent => {
            "The message is refused for good: sending it again as it is would not help."
        }
        (_, _) => return None,
    })
}

/// Lines of at most 72 characters after the indent.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = indent.to_owned();
    let mut len = 0;
    for word in text.split_whitespace() {
        let chars = word.chars().count();
        if len > 0 && len + 1 + chars > 72 {
            out.push('\n');
            out.push_str(indent);
            len = 0;
        }
        if len > 0 {
            out.push(' ');
            len += 1;
        }
        out.push_str(word);
        len += chars;
    }
    out.push('\n');
    out
}
