use super::mailbox::MailboxName;
use super::scan::{Parsed, Scan, SyntaxError};

/// URLs in one command.
pub const URLS_MAX: usize = 64;

/// Commands about authorized URLs (RFC 4467 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlCommand {
    /// GENURLAUTH: each URL, without a verifier yet, with the mechanism in upper case.
    Generate(Vec<(Vec<u8>, String)>),
    /// RESETKEY
    ResetKey {
        /// Of this mailbox, of all where none is named.
        mailbox: Option<MailboxName>,
        /// Mechanisms in upper case; all where none is named.
        mechanisms: Vec<String>,
    },
    /// URLFETCH
    Fetch(Vec<Vec<u8>>),
}

impl UrlCommand {
    /// Behind the name; `None` where it is none of these.
    pub(crate) fn parse(name: &str, scan: &mut Scan<'_>) -> Option<Parsed<Self>> {
        match name {
            "GENURLAUTH" => Some(generate(scan)),
            "RESETKEY" => Some(reset_key(scan)),
            "URLFETCH" => Some(fetch(scan)),
            _ => None,
        }
    }
}

// RFC 4467 §8: genurlauth = "GENURLAUTH" 1*(SP url-rump SP mechanism); url-rump = string. An atom is
// taken too.
fn generate(scan: &mut Scan<'_>) -> Parsed<UrlCommand> {
    let urls = list(scan, |scan| {
        let url = scan.astring()?.into_owned();
        scan.space()?;
        Ok((url, scan.word()?))
    })?;
    Ok(UrlCommand::Generate(urls))
}

// RFC 4467 §8: resetkey = "RESETKEY" [SP mailbox *(SP mechanism)]
fn reset_key(scan: &mut Scan<'_>) -> Parsed<UrlCommand> {
    let (mut mailbox, mut mechanisms) = (None, Vec::new());
    if scan.eat(b' ') {
        mailbox = Some(MailboxName::parse(scan)?);
        if !scan.at_end() {
            mechanisms = list(scan, Scan::word)?;
            return Ok(UrlCommand::ResetKey { mailbox, mechanisms });
        }
    }
    scan.end()?;
    Ok(UrlCommand::ResetKey { mailbox, mechanisms })
}

// RFC 4467 §8: urlfetch = "URLFETCH" 1*(SP url-full); url-full = astring
fn fetch(scan: &mut Scan<'_>) -> Parsed<UrlCommand> {
    let urls = list(scan, |scan| Ok(scan.astring()?.into_owned()))?;
    Ok(UrlCommand::Fetch(urls))
}

/// `1*(SP item)` up to the end.
fn list<'a, T>(scan: &mut Scan<'a>, item: impl Fn(&mut Scan<'a>) -> Parsed<T>) -> Parsed<Vec<T>> {
    let mut items = Vec::new();
    loop {
        if items.len() == URLS_MAX {
            return Err(SyntaxError("too many URLs for one command"));
        }
        scan.space()?;
        items.push(item(scan)?);
        if scan.at_end() {
            scan.end()?;
            return Ok(items);
        }
    }
}
