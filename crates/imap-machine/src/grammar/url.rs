use mail_types::{Timestamp, Uid, UidValidity};
use message::SectionSpec;

use super::date::parse_internet_date_time;
use super::mailbox::{MailboxName, SEPARATOR};
use super::scan::{Parsed, Scan, SyntaxError};
use super::section;

/// Octets of a URL.
pub const URL_OCTETS_MAX: usize = 16 * 1024;
/// Octets of a token (RFC 5092 §11: enc-urlauth has 32 at least).
pub const URL_TOKEN_OCTETS: std::ops::RangeInclusive<usize> = 32..=256;

/// An IMAP URL (RFC 5092) that names a message or part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImapUrl {
    /// Where the mailbox is; none where that is said by what the URL is relative to.
    pub server: Option<UrlServer>,
    /// The mailbox; none for the selected one.
    pub mailbox: Option<MailboxName>,
    /// The mailbox must have this UIDVALIDITY.
    pub uid_validity: Option<UidValidity>,
    /// The message.
    pub uid: Uid,
    /// Which part of it.
    pub section: SectionSpec,
    /// Only these octets of that: the first, and how many.
    pub partial: Option<(u32, Option<u32>)>,
    /// Who may fetch it without being allowed to read the mailbox (RFC 4467).
    pub auth: Option<UrlAuth>,
}

/// RFC 5092 §3: iserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlServer {
    /// Whose mailboxes.
    pub user: Option<String>,
    /// Name or address, in lower case.
    pub host: String,
    /// TCP port.
    pub port: Option<u16>,
}

/// RFC 4467 §3: the authorization at the end of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlAuth {
    /// Not after this.
    pub expire: Option<Timestamp>,
    /// Who.
    pub access: UrlAccess,
    /// What proves it; none in what a client wants to be proved.
    pub verifier: Option<UrlVerifier>,
    /// Octets of the URL that are proved.
    pub rump_octets: usize,
}

/// RFC 4467 §3: access identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlAccess {
    /// A submission server, for this user.
    Submit(String),
    /// This user.
    User(String),
    /// Whoever has signed in.
    AuthUser,
    /// Anybody.
    Anonymous,
}

/// RFC 4467 §3: mechanism and token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlVerifier {
    /// In upper case.
    pub mechanism: String,
    /// Hexadecimal digits.
    pub token: String,
}

impl ImapUrl {
    // RFC 5092 §11: imapurl = "imap://" iserver ipath-query; relative ones: inetwork-path = "//"
    // iserver ipath-query, iabsolute-path = "/" icommand, irelative-path (one without a mailbox is in
    // the selected one).
    //
    /// Reads the URL of a message or part.
    ///
    /// # Errors
    /// Where it is none: a URL of a server, a mailbox, a search is none either.
    pub fn parse(url: &[u8]) -> Parsed<Self> {
        Self::parse_in(url, None)
    }

    // RFC 5092 §7, RFC 4469 §3: a relative path is relative to the selected mailbox.
    //
    /// Reads the URL of a message or part, which may be relative to this mailbox.
    ///
    /// # Errors
    /// As [`ImapUrl::parse`].
    pub fn parse_in(url: &[u8], selected: Option<&MailboxName>) -> Parsed<Self> {
        if url.len() > URL_OCTETS_MAX || !url.iter().all(u8::is_ascii_graphic) {
            return Err(SyntaxError("a URL has up to 16384 printable octets"));
        }
        let mut scan = Scan::new(url);
        let mut server = None;
        if scan.eat_text("imap://") || scan.eat_text("//") {
            server = Some(UrlServer::parse(&mut scan)?);
        }
        let (mut mailbox, mut uid_validity) = (None, None);
        if scan.eat(b'/') {
            let name = scan.take_while(|byte| byte != b';');
            let name = decoded(name.strip_suffix(b"/").unwrap_or(name))?;
            mailbox = Some(MailboxName::new(&name)?);
            if scan.eat_text(";UIDVALIDITY=") {
                uid_validity = Some(UidValidity(scan.nz_number()?));
                scan.expect(b'/', "a slash was expected behind UIDVALIDITY")?;
            } else if !url[..url.len() - scan.rest().len()].ends_with(b"/") {
                return Err(SyntaxError("a slash was expected behind the mailbox"));
            }
        } else if server.is_some() {
            return Err(SyntaxError("a mailbox was expected in the URL"));
        } else if scan.peek() != Some(b';') {
            let base = selected.ok_or(SyntaxError("the URL is relative to no mailbox"))?;
            let path = scan.take_while(|byte| byte != b';');
            let path = path.strip_suffix(b"/").ok_or(SyntaxError("a slash was expected"))?;
            mailbox = Some(joined(base, path)?);
        }
        if !scan.eat_text(";UID=") {
            return Err(SyntaxError("a UID was expected in the URL"));
        }
        let uid = Uid(scan.nz_number()?);
        let section = url_section(&mut scan)?;
        let partial = url_partial(&mut scan)?;
        let auth = UrlAuth::parse(&mut scan, url.len())?;
        if !scan.rest().is_empty() {
            return Err(SyntaxError("a URL goes on where its end was expected"));
        }
        Ok(Self { server, mailbox, uid_validity, uid, section, partial, auth })
    }
}

impl UrlServer {
    // RFC 5092 §11: iserver = [iuserinfo "@"] host [":" port]; iuserinfo = enc-user [iauth] /
    // [enc-user] iauth; iauth = ";AUTH=" ("*" / enc-auth-type)
    fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        let authority = scan.take_while(|byte| byte != b'/');
        let at = authority.iter().rposition(|&byte| byte == b'@');
        let (user, host) = match at {
            Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
            None => (None, authority),
        };
        let user = match user {
            Some(user) => {
                let end = user.iter().position(|&byte| byte == b';').unwrap_or(user.len());
                let name = decoded(&user[..end])?;
                (!name.is_empty()).then_some(name)
            }
            None => None,
        };
        // An IPv6 address stands in brackets.
        let bracket = host.iter().rposition(|&byte| byte == b']').unwrap_or(0);
        let colon = host[bracket..].iter().position(|&byte| byte == b':');
        let (host, port) = match colon {
            Some(colon) => (&host[..bracket + colon], Some(&host[bracket + colon + 1..])),
            None => (host, None),
        };
        let port = match port.map(std::str::from_utf8) {
            Some(Ok("")) | None => None,
            Some(Ok(port)) => Some(port.parse().map_err(|_| SyntaxError("there is no such port"))?),
            Some(Err(_)) => return Err(SyntaxError("there is no such port")),
        };
        let host = decoded(host)?.to_ascii_lowercase();
        if host.is_empty() {
            return Err(SyntaxError("a host was expected in the URL"));
        }
        Ok(Self { user, host, port })
    }
}

// RFC 5092 §11: isection = "/;SECTION=" enc-section
fn url_section(scan: &mut Scan<'_>) -> Parsed<SectionSpec> {
    if !scan.eat_text("/;SECTION=") {
        return Ok(SectionSpec::default());
    }
    let mut ahead = *scan;
    let encoded = ahead.take_while(|byte| byte != b';');
    // The slash before ";PARTIAL=" is not part of it.
    let encoded = match ahead.peek() {
        Some(_) => encoded.strip_suffix(b"/").unwrap_or(encoded),
        None => encoded,
    };
    scan.take(encoded.len());
    let text = decoded(encoded)?;
    let mut inner = Scan::new(text.as_bytes());
    let spec = section::parse(&mut inner)?;
    if text.is_empty() || !inner.rest().is_empty() {
        return Err(SyntaxError("there is no such section"));
    }
    Ok(spec)
}

// RFC 5092 §11: ipartial = "/;PARTIAL=" number ["." nz-number]
fn url_partial(scan: &mut Scan<'_>) -> Parsed<Option<(u32, Option<u32>)>> {
    if !scan.eat_text("/;PARTIAL=") {
        return Ok(None);
    }
    let first = scan.number()?;
    let count = if scan.eat(b'.') { Some(scan.nz_number()?.get()) } else { None };
    Ok(Some((first, count)))
}

impl UrlAuth {
    // RFC 5092 §11: iurlauth = iurlauth-rump iua-verifier; iurlauth-rump = [expire] ";URLAUTH="
    // access; expire = ";EXPIRE=" date-time; iua-verifier = ":" uauth-mechanism ":" enc-urlauth
    fn parse(scan: &mut Scan<'_>, octets: usize) -> Parsed<Option<Self>> {
        let mut expire = None;
        if scan.eat_text(";EXPIRE=") {
            expire = Some(parse_internet_date_time(scan)?);
        }
        if !scan.eat_text(";URLAUTH=") {
            let alone = expire.is_some();
            return if alone { Err(SyntaxError("EXPIRE without URLAUTH")) } else { Ok(None) };
        }
        let identifier = scan.take_while(|byte| byte != b':');
        let access = UrlAccess::parse(identifier)?;
        let rump_octets = octets - scan.rest().len();
        let mut verifier = None;
        if scan.eat(b':') {
            let mechanism = scan.word()?;
            scan.expect(b':', "a token was expected")?;
            let token = scan.take_while(|byte| byte.is_ascii_hexdigit());
            if !URL_TOKEN_OCTETS.contains(&token.len()) {
                return Err(SyntaxError("a token has 32 hexadecimal digits or more"));
            }
            let token = String::from_utf8_lossy(token).into_owned();
            verifier = Some(UrlVerifier { mechanism, token });
        }
        Ok(Some(Self { expire, access, verifier, rump_octets }))
    }
}

impl UrlAccess {
    // RFC 4467 §7: access = ("submit+" enc-user) / ("user+" enc-user) / "authuser" / "anonymous"
    fn parse(text: &[u8]) -> Parsed<Self> {
        const UNKNOWN: SyntaxError = SyntaxError("unknown access identifier");
        let mut scan = Scan::new(text);
        let make = if scan.eat_text("submit+") {
            Self::Submit
        } else if scan.eat_text("user+") {
            Self::User
        } else {
            return match text.to_ascii_lowercase().as_slice() {
                b"authuser" => Ok(Self::AuthUser),
                b"anonymous" => Ok(Self::Anonymous),
                _ => Err(UNKNOWN),
            };
        };
        let user = decoded(scan.rest())?;
        if user.is_empty() { Err(UNKNOWN) } else { Ok(make(user)) }
    }
}

/// RFC 3986 §5.2: a relative path behind that of a mailbox.
fn joined(base: &MailboxName, path: &[u8]) -> Parsed<MailboxName> {
    let mut levels: Vec<String> = base.as_str().split(SEPARATOR).map(str::to_owned).collect();
    for level in path.split(|&byte| byte == b'/') {
        match level {
            b"." => {}
            b".." => {
                levels.pop();
            }
            level => levels.push(decoded(level)?),
        }
    }
    MailboxName::new(&levels.join(&SEPARATOR.to_string()))
}

/// RFC 3986 §2.1: percent-encoded octets, which are UTF-8 together (RFC 5092 §2).
fn decoded(text: &[u8]) -> Parsed<String> {
    const WRONG: SyntaxError = SyntaxError("a percent sign stands before two hexadecimal digits");
    let digit = |byte: Option<&u8>| {
        let digit = byte.and_then(|&byte| char::from(byte).to_digit(16)).ok_or(WRONG)?;
        u8::try_from(digit).map_err(|_| WRONG)
    };
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        octets.push(match byte {
            b'%' => digit(rest.next())? * 16 + digit(rest.next())?,
            byte => byte,
        });
    }
    String::from_utf8(octets).map_err(|_| SyntaxError("a URL is UTF-8"))
}
