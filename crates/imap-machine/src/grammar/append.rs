use mail_types::{Flags, Timestamp};

use super::command::Tag;
use super::date::parse_date_time;
use super::mailbox::{MailboxName, Names};
use super::scan::{LiteralHeader, Parsed, Scan, SyntaxError};
use super::sequence::SeqNumber;
use super::store::parse_flag_list;

/// URLs of a CATENATE between two of its texts: bounds how often they are read anew while their
/// literals come in.
pub const CATENATE_URLS_MAX: usize = 64;

/// APPEND or REPLACE up to the first octets of a message, which are not collected: they pass through
/// as a stream, and what stands between them is read piece by piece ([`AppendItem`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendHead {
    /// The tag.
    pub tag: Tag,
    /// Where to.
    pub mailbox: MailboxName,
    /// REPLACE (RFC 8508): the message that this one takes the place of.
    pub replaces: Option<Replaced>,
    /// What was read so far; the last is [`AppendItem::Octets`] or [`AppendItem::End`].
    pub items: Vec<AppendItem>,
    /// Where in the command that leaves us.
    pub(crate) within: AppendWithin,
}

/// The message that a REPLACE names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The number is a UID.
    pub uid: bool,
    /// Which one.
    pub number: SeqNumber,
}

/// What APPEND is made of behind the mailbox name, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendItem {
    /// A message begins (several: MULTIAPPEND, RFC 3502).
    Message {
        /// Flags for it.
        flags: Flags,
        /// Its internal date, if given.
        internal_date: Option<Timestamp>,
        /// It is put together from parts (CATENATE, RFC 4469).
        catenate: bool,
    },
    /// Octets that are kept elsewhere are the next part of the message.
    Url(Vec<u8>),
    /// Octets of the message, which now follow.
    Octets {
        /// How many.
        count: u32,
        /// The client waits for a continuation before it sends them.
        waits: bool,
    },
    /// The command ends.
    End,
}

/// Between which parts of APPEND a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendWithin {
    /// Behind the mailbox name.
    Mailbox,
    /// Behind a message.
    Message,
    /// Behind the literal of `UTF8 (`.
    Utf8,
    /// Behind a part of `CATENATE (`.
    Part,
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A mailbox name or URL is a literal that is not there yet.
    Unfinished,
    /// This is no APPEND.
    Wrong(SyntaxError),
}

impl From<SyntaxError> for Stop {
    fn from(error: SyntaxError) -> Self {
        Self::Wrong(error)
    }
}

impl AppendHead {
    // RFC 3501 §9, RFC 3502 §6.1: append = "APPEND" SP mailbox 1*append-message
    // RFC 8508 §5: replace = "REPLACE" SP seq-number SP mailbox append-message;
    // uid =/ "UID" SP replace
    //
    /// Reads a command from its begin, up to and including the header of a literal or to its end.
    /// `None` where it is another command.
    pub(crate) fn parse(bytes: &[u8], names: Names) -> Option<Result<Self, Stop>> {
        let space = bytes.iter().position(|&byte| byte == b' ')?;
        let mut scan = Scan::with_names(&bytes[space..], names);
        let replaces = if scan.eat_text(" APPEND ") {
            None
        } else if scan.eat_text(" REPLACE ") {
            Some(false)
        } else if scan.eat_text(" UID REPLACE ") {
            Some(true)
        } else {
            return None;
        };
        let tag = Tag::of_line(&bytes[..space])?;
        Some(Self::behind_name(tag, replaces, &mut scan))
    }

    fn behind_name(tag: Tag, by_uid: Option<bool>, scan: &mut Scan<'_>) -> Result<Self, Stop> {
        let mut replaces = None;
        if let Some(uid) = by_uid {
            replaces = Some(Replaced { uid, number: SeqNumber::parse(scan)? });
            scan.space()?;
        }
        wait_for_string(scan)?;
        let mailbox = MailboxName::parse(scan)?;
        let (items, within) = read_items(scan, AppendWithin::Mailbox)?;
        Ok(Self { tag, mailbox, replaces, items, within })
    }
}

/// Reads on behind octets of a message.
pub(crate) fn parse_behind_octets(
    bytes: &[u8],
    within: AppendWithin,
) -> Result<(Vec<AppendItem>, AppendWithin), Stop> {
    read_items(&mut Scan::new(bytes), within)
}

fn read_items(
    scan: &mut Scan<'_>,
    mut within: AppendWithin,
) -> Result<(Vec<AppendItem>, AppendWithin), Stop> {
    let mut items = Vec::new();
    let mut urls = 0;
    loop {
        match within {
            AppendWithin::Message if scan.at_end() => {
                scan.end()?;
                items.push(AppendItem::End);
                return Ok((items, within));
            }
            AppendWithin::Mailbox | AppendWithin::Message => {
                // Quirk: IMAPClient's multiappend puts a second space before the second message.
                if within == AppendWithin::Message && scan.rest().starts_with(b"  ") {
                    scan.space()?;
                }
                within = message(scan, &mut items)?;
            }
            AppendWithin::Utf8 => {
                scan.expect(b')', "UTF8 takes one literal in parentheses")?;
                within = AppendWithin::Message;
            }
            AppendWithin::Part if scan.eat(b')') => within = AppendWithin::Message,
            AppendWithin::Part => {
                scan.space()?;
                part(scan, &mut items)?;
            }
        }
        match items.last() {
            Some(AppendItem::Octets { .. }) if scan.rest().is_empty() => {
                return Ok((items, within));
            }
            Some(AppendItem::Octets { .. }) => {
                return Err(SyntaxError("a message is no part of a line").into());
            }
            Some(AppendItem::Url(_)) if urls == CATENATE_URLS_MAX => {
                return Err(SyntaxError("too many URLs side by side in a CATENATE").into());
            }
            Some(AppendItem::Url(_)) => urls += 1,
            Some(AppendItem::Message { .. } | AppendItem::End) | None => {}
        }
    }
}

// RFC 3501 §9, RFC 4466 §6: append-message = append-opts SP append-data;
// append-opts = [SP flag-list] [SP date-time]; append-data = literal / literal8 / append-data-ext
// RFC 4469 §5: append-data =/ "CATENATE" SP "(" cat-part *(SP cat-part) ")"
// RFC 6855 §8: append-data =/ "UTF8" SP "(" literal8 ")"
fn message(scan: &mut Scan<'_>, items: &mut Vec<AppendItem>) -> Result<AppendWithin, Stop> {
    let mut flags = Flags::default();
    scan.space()?;
    if scan.peek() == Some(b'(') {
        flags = parse_flag_list(scan)?;
        scan.space()?;
    }
    let mut internal_date = None;
    if scan.peek() == Some(b'"') {
        internal_date = Some(parse_date_time(scan)?);
        scan.space()?;
    }
    let catenate = scan.eat_text("CATENATE (");
    items.push(AppendItem::Message { flags, internal_date, catenate });
    if catenate {
        part(scan, items)?;
        return Ok(AppendWithin::Part);
    }
    if scan.eat_text("UTF8 (") {
        if scan.peek() != Some(b'~') {
            return Err(SyntaxError("UTF8 takes a literal8").into());
        }
        items.push(octets(scan)?);
        return Ok(AppendWithin::Utf8);
    }
    items.push(octets(scan)?);
    Ok(AppendWithin::Message)
}

// RFC 4469 §5: cat-part = text-literal / url; text-literal = "TEXT" SP literal; url = "URL" SP
// astring. RFC 4466 §6 lets a literal8 stand for the literal.
fn part(scan: &mut Scan<'_>, items: &mut Vec<AppendItem>) -> Result<(), Stop> {
    if scan.eat_text("TEXT ") {
        items.push(octets(scan)?);
        return Ok(());
    }
    if scan.eat_text("URL ") {
        wait_for_string(scan)?;
        items.push(AppendItem::Url(scan.astring()?.into_owned()));
        return Ok(());
    }
    Err(SyntaxError("a part of CATENATE is TEXT with a literal, or URL").into())
}

// RFC 3516 §4.4: literal8 = "~{" number "}" CRLF *OCTET; RFC 7888 §8 and RFC 4466 §6 allow a plus.
fn octets(scan: &mut Scan<'_>) -> Parsed<AppendItem> {
    scan.eat(b'~');
    if scan.peek() != Some(b'{') {
        return Err(SyntaxError("APPEND takes mailbox, flags, date-time and messages as literals"));
    }
    let LiteralHeader { octets, waits } = scan.literal_header()?;
    Ok(AppendItem::Octets { count: octets, waits })
}

/// Whether a string that comes next is there.
fn wait_for_string(scan: &Scan<'_>) -> Result<(), Stop> {
    let mut ahead = *scan;
    if ahead.peek() != Some(b'{') {
        return Ok(());
    }
    let LiteralHeader { octets, .. } = ahead.literal_header()?;
    if ahead.rest().len() < octets as usize { Err(Stop::Unfinished) } else { Ok(()) }
}
