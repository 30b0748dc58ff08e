use super::mailbox::MailboxName;
use super::scan::{Parsed, Scan, SyntaxError};

/// URLs in one command.
pub const URLS_MAX: usize = 64;

/// A URL in URLFETCH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedUrl {
    /// As it was written.
    pub url: Vec<u8>,
    /// What is wanted of it.
    pub wanted: UrlWanted,
    /// It came with parameters (RFC 5524), and so is the answer.
    pub extended: bool,
}

/// What is wanted of what a URL names (RFC 5524 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlWanted {
    /// BODYPARTSTRUCTURE
    pub structure: bool,
    /// Its octets.
    pub octets: UrlForm,
}

/// In which form the octets are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlForm {
    /// Not at all.
    None,
    /// BODY: as they are kept.
    Body,
    /// BINARY: without their transfer encoding.
    Binary,
}

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
    Fetch(Vec<FetchedUrl>),
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

// RFC 5524 §5: urlfetch = "URLFETCH" 1*(SP url-fetch-arg); url-fetch-arg = url-fetch-simple /
// url-fetch-ext; url-fetch-simple = url-full; url-fetch-ext = "(" url-full *(SP url-fetch-param) ")"
fn fetch(scan: &mut Scan<'_>) -> Parsed<UrlCommand> {
    let urls = list(scan, |scan| {
        let is_list = scan.eat(b'(');
        let url = scan.astring()?.into_owned();
        let params = if is_list { url_params(scan)? } else { None };
        let plain = UrlWanted { structure: false, octets: UrlForm::Body };
        Ok(FetchedUrl { url, extended: params.is_some(), wanted: params.unwrap_or(plain) })
    })?;
    Ok(UrlCommand::Fetch(urls))
}

/// Up to the `)`. RFC 5524 §3: without parameters it is as without parentheses.
fn url_params(scan: &mut Scan<'_>) -> Parsed<Option<UrlWanted>> {
    let mut wanted = UrlWanted { structure: false, octets: UrlForm::None };
    let mut any = false;
    while !scan.eat(b')') {
        any = true;
        scan.space()?;
        let octets = match scan.word()?.as_str() {
            // RFC 5524 §3.1: "MUST NOT appear more than once per URL".
            "BODYPARTSTRUCTURE" if !wanted.structure => {
                wanted.structure = true;
                continue;
            }
            "BODY" => UrlForm::Body,
            "BINARY" => UrlForm::Binary,
            _ => return Err(SyntaxError("URLFETCH takes BODYPARTSTRUCTURE, BODY or BINARY, once")),
        };
        // "clients MUST NOT request both BINARY and BODY".
        if wanted.octets != UrlForm::None {
            return Err(SyntaxError("URLFETCH takes one of BODY and BINARY"));
        }
        wanted.octets = octets;
    }
    Ok(any.then_some(wanted))
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
