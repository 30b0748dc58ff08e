//! What must hold for any octets: the fuzz target and the test that replays its corpus ask it.

use std::collections::HashSet;

use message::{Fields, Kind, Limits, Part, Structure};

use crate::letter::{OWN_FIELDS, Wanted, from_json, from_raw, read_json};
use crate::mime::Letter;

/// RFC 5322 §2.1.1: octets of a line without its end.
const LINE_OCTETS_MAX: usize = 998;
/// Fields that a message may have once and no more (RFC 5322 §3.6), and those made here.
const AT_MOST_ONCE: [&str; 6] = ["from", "reply-to", "to", "cc", "subject", "mime-version"];

/// Reads the octets as a message to send, and as the JSON of `POST /api/v1/send`: what comes of them is a message that every
/// reader takes for what was asked for, with no field or part that the caller has smuggled in.
///
/// # Errors
/// What is broken, in words.
pub fn check_send(bytes: &[u8]) -> Result<(), String> {
    if let Ok(raw) = from_raw(bytes, "") {
        envelope(&raw)?;
        ends(&raw.content)?;
    }
    // As unforeseen to the octets as the random one is.
    let boundary = format!("part-{}", blake3::hash(bytes).to_hex().split_at(24).0);
    let Ok(wanted) = from_json(bytes, &boundary) else { return Ok(()) };
    let (letter, _) = read_json(bytes).map_err(|problem| problem.detail)?;
    envelope(&wanted)?;
    lines(&wanted.content)?;
    header(&letter, &wanted.content)?;
    parts(&letter, &wanted.content)
}

fn envelope(wanted: &Wanted) -> Result<(), String> {
    let mut seen = HashSet::new();
    let all = &wanted.recipients;
    if all.is_empty() || !all.iter().all(|one| seen.insert(one.folded())) {
        return Err(format!("nobody, or somebody twice: {all:?}"));
    }
    Ok(())
}

fn lines(content: &[u8]) -> Result<(), String> {
    let Some(content) = content.strip_suffix(b"\r\n") else {
        return Err("the last line has no end".to_owned());
    };
    for line in content.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > LINE_OCTETS_MAX || line.contains(&b'\r') || line.contains(&0) {
            return Err(format!("a line that mail cannot carry: {}", line.escape_ascii()));
        }
    }
    ends(content)
}

/// RFC 5321 §2.3.8: no octet that two readers take for different things.
fn ends(content: &[u8]) -> Result<(), String> {
    let mut before = b'\n';
    for &octet in content {
        if (octet == b'\n') != (before == b'\r') || octet == 0 {
            return Err("a bare CR, a bare LF or a NUL".to_owned());
        }
        before = octet;
    }
    Ok(())
}

fn header(letter: &Letter, content: &[u8]) -> Result<(), String> {
    let fields: Vec<_> = Fields::new(content).collect();
    for name in AT_MOST_ONCE {
        let times = fields.iter().filter(|field| field.is(name)).count();
        if times > 1 || (times == 0 && matches!(name, "from" | "mime-version")) {
            return Err(format!("{name} is there {times} times"));
        }
    }
    let own = |name: &&[u8]| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        !OWN_FIELDS.contains(&name.as_str()) && !name.starts_with("content-")
    };
    let theirs: Vec<&[u8]> = fields.iter().map(|field| field.name).filter(own).collect();
    let asked: Vec<&[u8]> = letter.fields.iter().map(|(name, _)| name.as_bytes()).collect();
    if theirs != asked {
        return Err(format!("fields {theirs:?}, not {asked:?}"));
    }
    let envelope = message::envelope(content);
    for (found, wanted) in [
        (&envelope.from, &letter.from),
        (&envelope.to, &letter.to),
        (&envelope.cc, &letter.cc),
        (&envelope.reply_to, &letter.reply_to),
    ] {
        let found: Vec<_> = found.iter().filter_map(message::EnvelopeAddress::address).collect();
        let wanted: Vec<_> = wanted.iter().map(|mailbox| mailbox.address.clone()).collect();
        if found != wanted {
            return Err(format!("{found:?} is read, {wanted:?} was asked for"));
        }
    }
    let subject = fields.iter().find(|field| field.is("subject"));
    let read = subject.map(|field| words(&message::decode_words(field.value)));
    if read != letter.subject.as_deref().map(words) {
        return Err(format!("the subject reads {read:?}, not {:?}", letter.subject));
    }
    Ok(())
}

/// The text without what folding and controls come to.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

fn parts(letter: &Letter, content: &[u8]) -> Result<(), String> {
    let structure = Structure::parse(content, &Limits::default());
    let root = structure.root();
    let children: Vec<&Part> = match &root.kind {
        Kind::Multipart(all) => all.iter().map(|&index| &structure.parts()[index]).collect(),
        Kind::Leaf | Kind::Opaque(_) | Kind::Message { .. } => Vec::new(),
    };
    let files = &letter.attachments;
    let behind = if files.is_empty() { &[][..] } else { children.get(1..).unwrap_or_default() };
    if behind.len() != files.len() {
        return Err(format!("{} files are read, not {}", behind.len(), files.len()));
    }
    for (part, file) in behind.iter().zip(files) {
        let read = message::decoded_part(content, part).map_err(|error| format!("{error:?}"))?;
        if *read != *file.bytes {
            return Err(format!("a file of type {} is read otherwise", file.media_type));
        }
        let params = part.content.disposition.as_ref().map(|how| how.params.as_slice());
        let name = message::param_text(params.unwrap_or_default(), "filename");
        if name != file.file_name {
            return Err(format!("the file is called {name:?}, not {:?}", file.file_name));
        }
    }
    Ok(())
}
