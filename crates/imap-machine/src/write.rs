//! Small pieces of responses, appended to the output without allocating.

/// A number in decimal.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A text as it is.
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// A text for people, in a status line: anything that could end the line, or is not ASCII, becomes
/// a question mark (RFC 3501 §9: text = 1*TEXT-CHAR).
pub(crate) fn push_human(out: &mut Vec<u8>, text: &str) {
    out.extend(text.chars().map(|c| if matches!(c, ' '..='~') { c as u8 } else { b'?' }));
}

// RFC 8474 §4: mailboxid = "MAILBOXID" SP "(" objectid ")"
pub(crate) fn push_object_id(out: &mut Vec<u8>, mailbox: mail_types::MailboxId) {
    out.extend_from_slice(b"(F");
    push_number(out, mailbox.0);
    out.push(b')');
}
