//! Flags of messages in mbox files: fields that mail programs write into the messages.

use mail_types::{Flags, Keyword, SystemFlag};

/// Fields in which programs keep what is theirs; taken out when a message leaves the file.
const OWN_FIELDS: [&str; 7] =
    ["Status", "X-Status", "X-Keywords", "X-Mozilla-Status", "X-UID", "X-IMAP", "X-IMAPbase"];
/// The subject of the message in which UW-IMAP and its kin keep data of the folder.
const FOLDER_DATA: &[u8] = b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA";
/// Bits of X-Mozilla-Status.
const MOZILLA: [(u16, SystemFlag); 4] = [
    (0x0001, SystemFlag::Seen),
    (0x0002, SystemFlag::Answered),
    (0x0004, SystemFlag::Flagged),
    (0x0008, SystemFlag::Deleted),
];

/// Whether this is no message but data of the folder's.
#[must_use]
pub fn internal_data(content: &[u8]) -> bool {
    let limits = message::Limits::default();
    let subject = message::find_field(content, "Subject", &limits);
    subject.is_some_and(|field| field.value.trim_ascii() == FOLDER_DATA)
        && message::find_field(content, "X-IMAP", &limits).is_some()
}

/// Takes the fields that keep flags out of a message (line ends CRLF); answers what they say, and
/// how many keywords of theirs are none here.
pub fn take_flags(content: &mut Vec<u8>) -> (Flags, usize) {
    let mut flags = Flags::default();
    let mut strange = 0;
    let header = message::header_range(content);
    let mut kept = Vec::with_capacity(header.len());
    let mut rest = &content[header.clone()];
    let mut found = false;
    while !rest.is_empty() {
        let field = field_length(rest);
        let (this, next) = rest.split_at(field);
        match OWN_FIELDS.iter().find(|name| is_field(this, name)) {
            Some(name) => {
                found = true;
                let colon = memchr::memchr(b':', this).map_or(0, |colon| colon + 1);
                let value = String::from_utf8_lossy(&this[colon..]);
                strange += read_field(name, value.trim(), &mut flags);
            }
            None => kept.extend_from_slice(this),
        }
        rest = next;
    }
    if found {
        content.splice(header, kept);
    }
    (flags, strange)
}

/// Bytes of a field with its folded lines.
fn field_length(bytes: &[u8]) -> usize {
    let ends = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1);
    ends.into_iter()
        .find(|&end| !matches!(bytes.get(end), Some(b' ' | b'\t')))
        .unwrap_or(bytes.len())
}

fn is_field(line: &[u8], name: &str) -> bool {
    line.len() > name.len()
        && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
        && line[name.len()..].trim_ascii_start().starts_with(b":")
}

fn read_field(name: &str, value: &str, flags: &mut Flags) -> usize {
    match name {
        "Status" if value.contains('R') => flags.insert(SystemFlag::Seen),
        "X-Status" => {
            for letter in value.chars() {
                match letter {
                    'A' => flags.insert(SystemFlag::Answered),
                    'F' => flags.insert(SystemFlag::Flagged),
                    'D' => flags.insert(SystemFlag::Deleted),
                    'T' => flags.insert(SystemFlag::Draft),
                    _ => {}
                }
            }
        }
        "X-Keywords" => {
            let mut strange = 0;
            for word in value.split([' ', ',', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
                match Keyword::new(word) {
                    Ok(keyword) => flags.insert_keyword(keyword),
                    Err(_) => strange += 1,
                }
            }
            return strange;
        }
        "X-Mozilla-Status" => {
            let bits = u16::from_str_radix(value, 16).unwrap_or(0);
            MOZILLA.iter().filter(|(bit, _)| bits & bit != 0).for_each(|(_, f)| flags.insert(*f));
        }
        _ => {}
    }
    0
}
