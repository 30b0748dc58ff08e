use super::command::{Command, mailbox};
use super::mailbox::Names;
use super::metadata::{EntryName, entries};
use super::scan::{Parsed, Scan, SyntaxError, is_atom_char};

/// Patterns of one LIST.
pub const LIST_PATTERNS_MAX: usize = 32;
/// Options of each kind in one LIST; there are fewer than that.
const OPTIONS_MAX: usize = 16;

/// LIST or LSUB (RFC 3501 §6.3.8, §6.3.9; RFC 5258; RFC 9051 §6.3.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// LSUB.
    pub lsub: bool,
    /// It has something that only RFC 5258 knows.
    pub extended: bool,
    /// What it selects by; all must hold.
    pub select: Vec<ListSelect>,
    /// How the names below stand on the wire.
    pub names: Names,
    /// The reference name, as on the wire.
    pub reference: Vec<u8>,
    /// Names with wildcards, as on the wire; at least one.
    pub patterns: Vec<Vec<u8>>,
    /// What it wants told of each.
    pub returns: Vec<ListReturn>,
}

/// Which mailboxes LIST tells of (RFC 5258 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListSelect {
    /// SUBSCRIBED
    Subscribed,
    /// REMOTE: there are none, so it changes nothing.
    Remote,
    /// RECURSIVEMATCH: those above one that is selected too.
    RecursiveMatch,
    /// SPECIAL-USE (RFC 6154 §2)
    SpecialUse,
}

/// What LIST tells of each mailbox (RFC 5258 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListReturn {
    /// SUBSCRIBED
    Subscribed,
    /// CHILDREN: always told.
    Children,
    /// SPECIAL-USE: always told.
    SpecialUse,
    /// STATUS (RFC 5819)
    Status(Vec<StatusItem>),
    /// MYRIGHTS (RFC 8440)
    MyRights,
    /// METADATA (RFC 9590): the values of these entries.
    Metadata(Vec<EntryName>),
}

/// What STATUS tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusItem {
    /// MESSAGES
    Messages,
    /// RECENT
    Recent,
    /// UIDNEXT
    UidNext,
    /// UIDVALIDITY
    UidValidity,
    /// UNSEEN
    Unseen,
    /// HIGHESTMODSEQ (RFC 7162)
    HighestModSeq,
    /// SIZE (RFC 8438)
    Size,
    /// DELETED (RFC 9051)
    Deleted,
    /// DELETED-STORAGE (RFC 9208)
    DeletedStorage,
    /// APPENDLIMIT (RFC 7889)
    AppendLimit,
    /// MAILBOXID (RFC 8474)
    MailboxId,
}

impl StatusItem {
    const ALL: [Self; 11] = [
        Self::Messages,
        Self::Recent,
        Self::UidNext,
        Self::UidValidity,
        Self::Unseen,
        Self::HighestModSeq,
        Self::Size,
        Self::Deleted,
        Self::DeletedStorage,
        Self::AppendLimit,
        Self::MailboxId,
    ];

    /// As on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::HighestModSeq => "HIGHESTMODSEQ",
            Self::Size => "SIZE",
            Self::Deleted => "DELETED",
            Self::DeletedStorage => "DELETED-STORAGE",
            Self::AppendLimit => "APPENDLIMIT",
            Self::MailboxId => "MAILBOXID",
        }
    }
}

// RFC 5258 §6: list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
pub(super) fn list(scan: &mut Scan<'_>, lsub: bool) -> Parsed<Command> {
    scan.space()?;
    let mut select = Vec::new();
    let mut extended = false;
    if !lsub && scan.peek() == Some(b'(') {
        extended = true;
        options(scan, &mut |scan| {
            select.push(select_option(&scan.word()?)?);
            Ok(())
        })?;
        let base = [ListSelect::Subscribed, ListSelect::SpecialUse];
        let recursive = select.contains(&ListSelect::RecursiveMatch);
        // RFC 5258 §3.1: RECURSIVEMATCH needs something to match.
        if recursive && !select.iter().any(|option| base.contains(option)) {
            return Err(SyntaxError("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE"));
        }
        scan.space()?;
    }
    let reference = scan.astring()?.into_owned();
    scan.space()?;
    let mut patterns = Vec::new();
    // mbox-or-pat = list-mailbox / patterns; patterns = "(" list-mailbox *(SP list-mailbox) ")"
    if !lsub && scan.eat(b'(') {
        extended = true;
        loop {
            if patterns.len() == LIST_PATTERNS_MAX {
                return Err(SyntaxError("LIST takes at most 32 patterns"));
            }
            patterns.push(pattern(scan)?);
            if scan.eat(b')') {
                break;
            }
            scan.space()?;
        }
    } else {
        patterns.push(pattern(scan)?);
    }
    let mut returns = Vec::new();
    if !lsub && scan.eat(b' ') {
        extended = true;
        if !scan.eat_text("RETURN ") {
            return Err(SyntaxError("behind its patterns, LIST takes RETURN alone"));
        }
        options(scan, &mut |scan| {
            returns.push(return_option(scan)?);
            Ok(())
        })?;
    }
    scan.end()?;
    let list = List { lsub, extended, select, names: scan.names, reference, patterns, returns };
    Ok(Command::List(Box::new(list)))
}

/// "(" [option *(SP option)] ")"
fn options<'a>(
    scan: &mut Scan<'a>,
    option: &mut dyn FnMut(&mut Scan<'a>) -> Parsed<()>,
) -> Parsed<()> {
    scan.expect(b'(', "options stand in parentheses")?;
    if scan.eat(b')') {
        return Ok(());
    }
    for _ in 0..OPTIONS_MAX {
        option(scan)?;
        if scan.eat(b')') {
            return Ok(());
        }
        scan.space()?;
    }
    Err(SyntaxError("too many options"))
}

fn select_option(word: &str) -> Parsed<ListSelect> {
    Ok(match word {
        "SUBSCRIBED" => ListSelect::Subscribed,
        "REMOTE" => ListSelect::Remote,
        "RECURSIVEMATCH" => ListSelect::RecursiveMatch,
        "SPECIAL-USE" => ListSelect::SpecialUse,
        _ => return Err(SyntaxError("LIST selects by SUBSCRIBED, REMOTE, SPECIAL-USE")),
    })
}

fn return_option(scan: &mut Scan<'_>) -> Parsed<ListReturn> {
    Ok(match scan.word()?.as_str() {
        "SUBSCRIBED" => ListReturn::Subscribed,
        "CHILDREN" => ListReturn::Children,
        "SPECIAL-USE" => ListReturn::SpecialUse,
        "MYRIGHTS" => ListReturn::MyRights,
        // RFC 9590 §5: return-option =/ "METADATA" SP entries
        "METADATA" => {
            scan.space()?;
            ListReturn::Metadata(entries(scan)?)
        }
        "STATUS" => {
            scan.space()?;
            ListReturn::Status(status_items(scan)?)
        }
        _ => return Err(SyntaxError("LIST cannot return this")),
    })
}

// RFC 3501 §9: list-mailbox = 1*list-char / string; list-char = ATOM-CHAR / list-wildcards /
// resp-specials
fn pattern(scan: &mut Scan<'_>) -> Parsed<Vec<u8>> {
    if matches!(scan.peek(), Some(b'"' | b'{')) {
        return Ok(scan.string()?.into_owned());
    }
    // Octets above 127: a name in UTF-8 (RFC 9051 §9) may stand without quotes here.
    let list_char = |byte| is_atom_char(byte) || matches!(byte, b'%' | b'*' | b']' | 0x80..=0xff);
    let pattern = scan.take_while(list_char);
    if pattern.is_empty() {
        return Err(SyntaxError("LIST takes a reference and a pattern"));
    }
    Ok(pattern.to_vec())
}

// RFC 3501 §9: status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
pub(super) fn status(scan: &mut Scan<'_>) -> Parsed<Command> {
    let mailbox = mailbox(scan)?;
    scan.space()?;
    let items = status_items(scan)?;
    scan.end()?;
    Ok(Command::Status(mailbox, items))
}

/// "(" status-att *(SP status-att) ")"
pub(super) fn status_items(scan: &mut Scan<'_>) -> Parsed<Vec<StatusItem>> {
    scan.expect(b'(', "STATUS items stand in parentheses")?;
    let mut items = Vec::new();
    loop {
        let word = scan.word()?;
        let item = StatusItem::ALL.into_iter().find(|item| item.name() == word);
        let item = item.ok_or(SyntaxError("unknown STATUS item"))?;
        if !items.contains(&item) {
            items.push(item);
        }
        if scan.eat(b')') {
            return Ok(items);
        }
        scan.space()?;
    }
}

// RFC 6154 §3: create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]
pub(super) fn create(scan: &mut Scan<'_>) -> Parsed<Command> {
    let mailbox = mailbox(scan)?;
    let mut uses = Vec::new();
    if scan.eat(b' ') {
        if !scan.eat_text("(USE ") {
            return Err(SyntaxError("the only parameter of CREATE is USE"));
        }
        options(scan, &mut |scan| {
            scan.expect(b'\\', "a use begins with a backslash")?;
            uses.push(format!("\\{}", scan.atom()?));
            Ok(())
        })?;
        scan.expect(b')', "a parenthesis is not closed")?;
    }
    scan.end()?;
    Ok(Command::Create { mailbox, uses })
}
