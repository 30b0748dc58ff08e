use mail_types::Rights;

use super::command::mailbox;
use super::mailbox::MailboxName;
use super::metadata::{GetMetadata, SetMetadata, get_metadata, set_metadata};
use super::scan::{Parsed, Scan, SyntaxError};

/// Octets of an identifier or of the name of a quota root.
const NAME_OCTETS_MAX: usize = 512;

/// A command about who may do what with mailboxes and how much they may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manage {
    /// GETACL (RFC 4314 §3.3)
    GetAcl(MailboxName),
    /// SETACL and DELETEACL (RFC 4314 §3.1, §3.2)
    SetAcl {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// Whose entry, as on the wire.
        identifier: String,
        /// What becomes of it.
        change: RightsChange,
    },
    /// LISTRIGHTS (RFC 4314 §3.4)
    ListRights(MailboxName, String),
    /// MYRIGHTS (RFC 4314 §3.5)
    MyRights(MailboxName),
    /// GETQUOTA (RFC 9208 §4.1.1): the name of the quota root
    GetQuota(String),
    /// GETQUOTAROOT (RFC 9208 §4.1.2)
    GetQuotaRoot(MailboxName),
    /// SETQUOTA (RFC 9208 §4.1.3): the name of the quota root, and limits that are not read on
    SetQuota(String),
    /// GETMETADATA (RFC 5464 §4.2)
    GetMetadata(GetMetadata),
    /// SETMETADATA (RFC 5464 §4.3)
    SetMetadata(SetMetadata),
}

/// What becomes of an entry of an access control list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightsChange {
    /// These rights.
    Replace(Rights),
    /// These too.
    Add(Rights),
    /// Without these.
    Remove(Rights),
    /// No entry.
    Delete,
}

impl Manage {
    /// The arguments of a command of this name; `None` where it is another one.
    pub(super) fn parse(name: &str, scan: &mut Scan<'_>) -> Option<Parsed<Self>> {
        Some(match name {
            "GETACL" => mailbox(scan).map(Self::GetAcl),
            "MYRIGHTS" => mailbox(scan).map(Self::MyRights),
            "LISTRIGHTS" => two(scan).map(|(mailbox, name)| Self::ListRights(mailbox, name)),
            "SETACL" => set_acl(scan),
            "GETQUOTA" => name_of(scan).map(Self::GetQuota),
            "GETQUOTAROOT" => mailbox(scan).map(Self::GetQuotaRoot),
            "SETQUOTA" => set_quota(scan),
            "GETMETADATA" => get_metadata(scan),
            "SETMETADATA" => set_metadata(scan),
            "DELETEACL" => two(scan).map(|(mailbox, identifier)| Self::SetAcl {
                mailbox,
                identifier,
                change: RightsChange::Delete,
            }),
            _ => return None,
        })
        .map(|parsed| {
            let command = parsed?;
            scan.end()?;
            Ok(command)
        })
    }
}

/// SP mailbox SP identifier
fn two(scan: &mut Scan<'_>) -> Parsed<(MailboxName, String)> {
    Ok((mailbox(scan)?, name_of(scan)?))
}

/// SP astring
fn name_of(scan: &mut Scan<'_>) -> Parsed<String> {
    scan.space()?;
    let name = String::from_utf8(scan.astring()?.into_owned());
    match name {
        // RFC 4314 §3: an identifier that is empty is refused with BAD.
        Ok(name) if name.len() <= NAME_OCTETS_MAX && !name.chars().any(char::is_control) => {
            Ok(name)
        }
        _ => Err(SyntaxError("a name is UTF-8, of at most 512 octets")),
    }
}

// RFC 4314 §7: setacl = "SETACL" SP mailbox SP identifier SP mod-rights;
// mod-rights = astring ; +rights to add, -rights to remove, rights to replace
fn set_acl(scan: &mut Scan<'_>) -> Parsed<Manage> {
    let (mailbox, identifier) = two(scan)?;
    if identifier.trim_start_matches('-').is_empty() {
        return Err(SyntaxError("an identifier is empty"));
    }
    let letters = name_of(scan)?;
    // RFC 4314 §3.1: a right that is not known is refused with BAD.
    let parse = |letters: &str| {
        Rights::parse(letters).map_err(|_| SyntaxError("rights are letters of lrswipkxtea"))
    };
    let change = match letters.split_at_checked(1) {
        Some(("+", letters)) => RightsChange::Add(parse(letters)?),
        Some(("-", letters)) => RightsChange::Remove(parse(letters)?),
        _ => RightsChange::Replace(parse(&letters)?),
    };
    Ok(Manage::SetAcl { mailbox, identifier, change })
}

// RFC 9208 §7: setquota = "SETQUOTA" SP quota-root-name SP "(" [quota-set *(SP quota-set)] ")";
// quota-set = resource-name SP resource-limit
fn set_quota(scan: &mut Scan<'_>) -> Parsed<Manage> {
    let root = name_of(scan)?;
    scan.space()?;
    scan.expect(b'(', "limits stand in parentheses")?;
    while !scan.eat(b')') {
        scan.atom()?;
        scan.space()?;
        scan.number64()?;
        if scan.peek() != Some(b')') {
            scan.space()?;
        }
    }
    Ok(Manage::SetQuota(root))
}
