use super::mailbox::MailboxName;
use super::manage::Manage;
use super::scan::{Parsed, Scan, SyntaxError};

/// Octets of an entry name.
pub const ENTRY_NAME_OCTETS_MAX: usize = 255;
/// Entries named by one command.
const ENTRIES_MAX: usize = 64;

/// GETMETADATA (RFC 5464 §4.2)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetMetadata {
    /// Of which mailbox; none: of the server.
    pub mailbox: Option<MailboxName>,
    /// MAXSIZE: octets of a value that is told.
    pub octets_max: Option<u32>,
    /// DEPTH
    pub depth: Depth,
    /// Which entries; at least one.
    pub entries: Vec<EntryName>,
}

/// SETMETADATA (RFC 5464 §4.3)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetMetadata {
    /// Of which mailbox; none: of the server.
    pub mailbox: Option<MailboxName>,
    /// Entries with their new values; none takes the entry away.
    pub values: Vec<(EntryName, Option<Vec<u8>>)>,
}

/// How far below an entry GETMETADATA looks (RFC 5464 §4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Not at all.
    #[default]
    Zero,
    /// Right below it.
    One,
    /// All the way.
    Infinity,
}

/// The name of a metadata entry (RFC 5464 §3): `/private`, `/shared`, or below them, in lower case
/// since case does not matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(Box<str>);

impl EntryName {
    /// From text in any case.
    ///
    /// # Errors
    /// Where it is no name of an entry.
    pub fn new(name: &str) -> Parsed<Self> {
        const BAD: SyntaxError =
            SyntaxError("an entry's name is /private/... or /shared/..., 255 octets at most");
        let name = name.to_ascii_lowercase();
        let rest = name.strip_prefix("/private").or_else(|| name.strip_prefix("/shared"));
        // RFC 5464 §3: no "*", no "%", no control or non-ASCII octet, no "//", no "/" at the end.
        let sound = rest.is_some_and(|rest| {
            rest.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*' && byte != b'%')
                && rest.split('/').skip(1).all(|part| !part.is_empty())
                && (rest.is_empty() || rest.starts_with('/'))
        });
        if !sound || name.len() > ENTRY_NAME_OCTETS_MAX {
            return Err(BAD);
        }
        Ok(Self(name.into()))
    }

    // RFC 5464 §5: entry = astring
    pub(super) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        Self::new(&String::from_utf8_lossy(&scan.astring()?))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it may have a value: those below which all others are may not.
    fn can_be_set(&self) -> bool {
        self.0.matches('/').count() > 1
    }
}

/// SP mailbox; the empty string is the server.
fn mailbox(scan: &mut Scan<'_>) -> Parsed<Option<MailboxName>> {
    scan.space()?;
    let wire = scan.astring()?;
    if wire.is_empty() {
        return Ok(None);
    }
    MailboxName::from_wire_in(&wire, scan.names).map(Some)
}

// RFC 5464 §5: getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries. The
// examples have the options behind the mailbox, and so do clients: both are taken.
pub(super) fn get_metadata(scan: &mut Scan<'_>) -> Parsed<Manage> {
    let (mut octets_max, mut depth) = (None, Depth::default());
    let mut options = |scan: &mut Scan<'_>| -> Parsed<()> {
        loop {
            match scan.word()?.as_str() {
                "MAXSIZE" => {
                    scan.space()?;
                    octets_max = Some(scan.number()?);
                }
                "DEPTH" => {
                    scan.space()?;
                    depth = match scan.word()?.as_str() {
                        "0" => Depth::Zero,
                        "1" => Depth::One,
                        "INFINITY" => Depth::Infinity,
                        _ => return Err(SyntaxError("DEPTH is 0, 1 or infinity")),
                    };
                }
                _ => return Err(SyntaxError("GETMETADATA takes MAXSIZE and DEPTH")),
            }
            if scan.eat(b')') {
                return Ok(());
            }
            scan.space()?;
        }
    };
    if scan.eat_text(" (") {
        options(scan)?;
    }
    let mailbox = mailbox(scan)?;
    scan.space()?;
    let is_list = |scan: &Scan<'_>| scan.peek() == Some(b'(');
    let is_option = |scan: &Scan<'_>| scan.rest().get(1).is_some_and(u8::is_ascii_alphabetic);
    if is_list(scan) && is_option(scan) {
        scan.expect(b'(', "options stand in parentheses")?;
        options(scan)?;
        scan.space()?;
    }
    let entries = entries(scan)?;
    Ok(Manage::GetMetadata(GetMetadata { mailbox, octets_max, depth, entries }))
}

// RFC 5464 §5: entries = entry / "(" entry *(SP entry) ")"
pub(super) fn entries(scan: &mut Scan<'_>) -> Parsed<Vec<EntryName>> {
    let mut entries = Vec::new();
    if scan.eat(b'(') {
        loop {
            if entries.len() == ENTRIES_MAX {
                return Err(SyntaxError("at most 64 entries at a time"));
            }
            entries.push(EntryName::parse(scan)?);
            if scan.eat(b')') {
                break;
            }
            scan.space()?;
        }
    } else {
        entries.push(EntryName::parse(scan)?);
    }
    Ok(entries)
}

// RFC 5464 §5: setmetadata = "SETMETADATA" SP mailbox SP entry-values;
// entry-values = "(" entry-value *(SP entry-value) ")"; entry-value = entry SP value;
// value = nstring / literal8
pub(super) fn set_metadata(scan: &mut Scan<'_>) -> Parsed<Manage> {
    let mailbox = mailbox(scan)?;
    scan.space()?;
    scan.expect(b'(', "entries and values stand in parentheses")?;
    let mut values = Vec::new();
    loop {
        if values.len() == ENTRIES_MAX {
            return Err(SyntaxError("at most 64 entries at a time"));
        }
        let entry = EntryName::parse(scan)?;
        if !entry.can_be_set() {
            return Err(SyntaxError("only what lies below /private and /shared can be set"));
        }
        scan.space()?;
        let value = if scan.eat(b'~') {
            let octets = scan.literal_header()?.octets;
            Some(scan.take(octets as usize).ok_or(SyntaxError("a literal is cut off"))?.to_vec())
        } else {
            scan.nstring()?.map(std::borrow::Cow::into_owned)
        };
        values.push((entry, value));
        if scan.eat(b')') {
            return Ok(Manage::SetMetadata(SetMetadata { mailbox, values }));
        }
        scan.space()?;
    }
}
