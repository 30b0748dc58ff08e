use mail_types::{Flags, Keyword, SystemFlag};

use super::scan::{Parsed, Scan, SyntaxError};
use super::sequence::SequenceSet;

/// Flags in one list.
pub const FLAGS_MAX: usize = 256;

/// What STORE does with its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreMode {
    /// FLAGS: these and no others.
    Replace,
    /// +FLAGS
    Add,
    /// -FLAGS
    Remove,
}

impl StoreMode {
    /// The flags after this was done to `before`.
    #[must_use]
    pub fn apply(self, before: &Flags, flags: &Flags) -> Flags {
        let mut after = before.clone();
        match self {
            Self::Replace => after = flags.clone(),
            Self::Add => after.add_all(flags),
            Self::Remove => after.remove_all(flags),
        }
        after
    }
}

/// STORE or UID STORE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The set holds UIDs.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// RFC 7162 §3.1.3: leave messages alone that changed after this.
    pub unchanged_since: Option<u64>,
    /// What to do.
    pub mode: StoreMode,
    /// .SILENT: do not tell the new flags.
    pub silent: bool,
    /// The flags.
    pub flags: Flags,
}

impl Store {
    // RFC 3501 §9, RFC 7162 §7: store = "STORE" SP sequence-set
    // [SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"] SP store-att-flags;
    // store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
    pub(crate) fn parse(scan: &mut Scan<'_>, uid: bool) -> Parsed<Self> {
        scan.space()?;
        let set = SequenceSet::parse(scan)?;
        scan.space()?;
        let unchanged_since = if scan.eat(b'(') {
            if !scan.eat_text("UNCHANGEDSINCE ") {
                return Err(SyntaxError("the only modifier of STORE is UNCHANGEDSINCE"));
            }
            let since = scan.number64()?;
            scan.expect(b')', "a modifier list has no )")?;
            scan.space()?;
            Some(since)
        } else {
            None
        };
        let mode = if scan.eat(b'+') {
            StoreMode::Add
        } else if scan.eat(b'-') {
            StoreMode::Remove
        } else {
            StoreMode::Replace
        };
        let silent = match scan.word()?.as_str() {
            "FLAGS" => false,
            "FLAGS.SILENT" => true,
            _ => return Err(SyntaxError("STORE takes FLAGS, +FLAGS or -FLAGS, or those .SILENT")),
        };
        scan.space()?;
        let flags =
            if scan.peek() == Some(b'(') { parse_flag_list(scan)? } else { parse_flags(scan)? };
        scan.end()?;
        Ok(Self { uid, set, unchanged_since, mode, silent, flags })
    }
}

// RFC 3501 §9: flag-list = "(" [flag *(SP flag)] ")"
pub(crate) fn parse_flag_list(scan: &mut Scan<'_>) -> Parsed<Flags> {
    scan.expect(b'(', "flags stand in parentheses")?;
    if scan.eat(b')') {
        return Ok(Flags::default());
    }
    let flags = parse_flags(scan)?;
    scan.expect(b')', "a flag list has no )")?;
    Ok(flags)
}

/// `flag *(SP flag)`
fn parse_flags(scan: &mut Scan<'_>) -> Parsed<Flags> {
    let mut flags = Flags::default();
    for _ in 0..FLAGS_MAX {
        parse_flag(scan, &mut flags)?;
        if !scan.eat(b' ') {
            return Ok(flags);
        }
    }
    Err(SyntaxError("too many flags"))
}

// RFC 3501 §9: flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword /
// flag-extension. \Recent is dropped: the client cannot change it (§2.3.2), and programs that copy
// flags send it back.
fn parse_flag(scan: &mut Scan<'_>, flags: &mut Flags) -> Parsed<()> {
    if scan.eat(b'\\') {
        let name = format!("\\{}", scan.atom()?);
        match SystemFlag::from_name(&name) {
            Some(flag) => flags.insert(flag),
            None if name.eq_ignore_ascii_case("\\Recent") => {}
            None => return Err(SyntaxError("unknown system flag")),
        }
        return Ok(());
    }
    let keyword = Keyword::new(scan.atom()?);
    flags.insert_keyword(keyword.map_err(|_| SyntaxError("a keyword has at most 64 octets"))?);
    Ok(())
}
