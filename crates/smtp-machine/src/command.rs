//! SMTP commands (RFC 5321 §4.1.1 and the extensions'), one line each, without its CRLF.

use mail_types::{Refusal, ReversePath};

use crate::envelope::{MailParams, Notify, Orcpt};
use crate::params;
use crate::path::{self, ForwardPath, PathError};

/// Octets of a HELO, EHLO or LHLO argument (RFC 5321 §4.5.3.1.2: a domain has at most 255).
const HELO_OCTETS_MAX: usize = 255;
/// How much of what the client sent a reply repeats.
const SHOWN_CHARS_MAX: usize = 40;

/// A command whose grammar is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// RFC 5321 §4.1.1.1
    Helo(&'a str),
    /// RFC 5321 §4.1.1.1
    Ehlo(&'a str),
    /// RFC 2033 §4.1
    Lhlo(&'a str),
    /// RFC 5321 §4.1.1.2
    Mail(Mail),
    /// RFC 5321 §4.1.1.3
    Rcpt(Rcpt),
    /// RFC 5321 §4.1.1.4
    Data,
    /// RFC 3030 §2
    Bdat {
        /// Octets of the chunk that follows.
        octets: u64,
        /// Whether the message ends with it.
        last: bool,
    },
    /// RFC 5321 §4.1.1.5
    Rset,
    /// RFC 5321 §4.1.1.6
    Vrfy,
    /// RFC 5321 §4.1.1.7
    Expn,
    /// RFC 5321 §4.1.1.8
    Help,
    /// RFC 5321 §4.1.1.9
    Noop,
    /// RFC 5321 §4.1.1.10
    Quit,
    /// RFC 3207 §4
    StartTls,
    /// RFC 4954 §4
    Auth {
        /// The mechanism's name as sent.
        mechanism: &'a str,
        /// Base64; `=` for an empty one.
        initial: Option<&'a str>,
    },
}

/// MAIL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// From whom.
    pub reverse_path: ReversePath,
    /// With what.
    pub params: MailParams,
    /// Whether the path as sent holds characters beyond ASCII.
    pub utf8: bool,
    /// Whether there was any parameter: only ESMTP has them.
    pub extended: bool,
}

/// RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rcpt {
    /// To whom.
    pub forward_path: ForwardPath,
    /// RFC 3461 §4.1.
    pub notify: Option<Notify>,
    /// RFC 3461 §4.2.
    pub orcpt: Option<Orcpt>,
    /// Whether the command holds characters beyond ASCII.
    pub utf8: bool,
    /// Whether there was any parameter.
    pub extended: bool,
}

/// What is wrong with a command; [`CommandError::refusal`] is its reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// RFC 5321 §2.3.8: CR and LF only as CRLF; no NUL.
    #[error("a command line holds a bare CR, a bare LF or a NUL; lines end with CRLF")]
    Control,
    /// Neither ASCII nor UTF-8.
    #[error("a command line is neither ASCII nor UTF-8")]
    NotUtf8,
    /// Longer than its verb may be.
    #[error("the line is longer than {0} octets")]
    TooLong(usize),
    /// Nothing on the line.
    #[error("the command line is empty")]
    Empty,
    /// No such verb.
    #[error("unknown command {0}")]
    Unknown(String),
    /// A verb of some RFC that nobody should use.
    #[error("{0} is not implemented here")]
    NotImplemented(&'static str),
    /// Wrong or missing arguments; how it should look.
    #[error("usage: {0}")]
    Usage(&'static str),
    /// HELO, EHLO: the name has characters that none has.
    #[error("the argument must be your host name or address literal")]
    HeloName,
    /// MAIL FROM.
    #[error("bad sender address: {0}")]
    ReversePath(PathError),
    /// RCPT TO.
    #[error("bad recipient address: {0}")]
    ForwardPath(PathError),
    /// A parameter that was not offered.
    #[error("unknown parameter {0}")]
    ParamUnknown(String),
    /// A parameter given twice.
    #[error("parameter {0} is given twice")]
    ParamTwice(&'static str),
    /// A value that the parameter does not take.
    #[error("parameter {0} has a bad value or lacks one")]
    ParamValue(&'static str),
    /// BDAT: without its size nobody knows where commands go on.
    #[error("usage: BDAT octets [LAST]")]
    ChunkSize,
}

impl CommandError {
    pub(crate) fn unknown_param(keyword: &str) -> Self {
        Self::ParamUnknown(shown(keyword))
    }

    /// RFC 5321 §4.2.2 and RFC 3463 §3.6.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let (code, subject, detail) = match self {
            Self::Control | Self::NotUtf8 | Self::Empty | Self::TooLong(_) => (500, 5, 2),
            Self::Unknown(_) => (500, 5, 1),
            Self::NotImplemented(_) => (502, 5, 1),
            Self::Usage(_) | Self::HeloName | Self::ChunkSize => (501, 5, 4),
            Self::ParamTwice(_) | Self::ParamValue(_) => (501, 5, 4),
            Self::ReversePath(_) => (501, 1, 7),
            Self::ForwardPath(_) => (501, 1, 3),
            Self::ParamUnknown(_) => (555, 5, 4),
        };
        let text = self.to_string();
        let mut chars = text.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        Refusal::permanent(
            code,
            subject,
            detail,
            first.into_iter().chain(chars).collect::<String>(),
        )
    }
}

/// Text of the client in a reply: short, and only what cannot hurt a terminal or a log.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .take(SHOWN_CHARS_MAX)
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect()
}

/// Reads one line without its CRLF.
///
/// # Errors
/// [`CommandError`], whose reply names what is wrong.
pub fn parse(line: &[u8]) -> Result<Command<'_>, CommandError> {
    if memchr::memchr3(b'\r', b'\n', 0, line).is_some() {
        return Err(CommandError::Control);
    }
    let line = std::str::from_utf8(line).map_err(|_| CommandError::NotUtf8)?;
    // RFC 5321 §4.1.1: white space at the end SHOULD be tolerated.
    let line = line.trim_end_matches([' ', '\t']);
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let is = |known: &str| verb.eq_ignore_ascii_case(known);
    // The most frequent first.
    if is("RCPT") {
        return rcpt(rest).map(Command::Rcpt);
    }
    if is("MAIL") {
        return mail(rest).map(Command::Mail);
    }
    if is("DATA") {
        return bare(rest, Command::Data, "DATA");
    }
    if is("BDAT") {
        return bdat(rest);
    }
    if is("EHLO") {
        return helo_name(rest, "EHLO name").map(Command::Ehlo);
    }
    if is("HELO") {
        return helo_name(rest, "HELO name").map(Command::Helo);
    }
    match () {
        () if is("RSET") => bare(rest, Command::Rset, "RSET"),
        () if is("QUIT") => bare(rest, Command::Quit, "QUIT"),
        () if is("STARTTLS") => bare(rest, Command::StartTls, "STARTTLS"),
        () if is("LHLO") => helo_name(rest, "LHLO name").map(Command::Lhlo),
        // RFC 5321 §4.1.1.9: the argument SHOULD be ignored.
        () if is("NOOP") => Ok(Command::Noop),
        () if is("HELP") => Ok(Command::Help),
        () if is("AUTH") => auth(rest),
        () if is("VRFY") && rest.is_empty() => Err(CommandError::Usage("VRFY address")),
        () if is("VRFY") => Ok(Command::Vrfy),
        () if is("EXPN") => Ok(Command::Expn),
        // RFC 5321 §F.1 and F.6, RFC 1985, RFC 2645.
        () => match ["TURN", "ATRN", "ETRN", "SEND", "SOML", "SAML"].into_iter().find(|v| is(v)) {
            Some(old) => Err(CommandError::NotImplemented(old)),
            None if verb.is_empty() => Err(CommandError::Empty),
            None => Err(CommandError::Unknown(shown(verb))),
        },
    }
}

fn bare<'a>(
    rest: &str,
    command: Command<'a>,
    usage: &'static str,
) -> Result<Command<'a>, CommandError> {
    if rest.is_empty() { Ok(command) } else { Err(CommandError::Usage(usage)) }
}

/// RFC 5321 §4.1.1.1: a domain or an address literal. Quirk `helo-any-name`: many programs send a
/// bare or odd host name, and §4.1.4 forbids to refuse mail for it; but nothing passes that could
/// bend a Received header.
fn helo_name<'a>(rest: &'a str, usage: &'static str) -> Result<&'a str, CommandError> {
    if rest.is_empty() {
        return Err(CommandError::Usage(usage));
    }
    let harmless = |byte: u8| byte.is_ascii_graphic() && !b"()<>,;@\"\\".contains(&byte);
    if rest.len() > HELO_OCTETS_MAX || !rest.bytes().all(harmless) {
        return Err(CommandError::HeloName);
    }
    Ok(rest)
}

/// Behind `FROM:` or `TO:`. Quirk `space-after-colon`: RFC 5321 §4.1.1.2 allows no space there, but
/// printers, scanners and scripts send one.
fn after_keyword<'a>(rest: &'a str, keyword: &str) -> Option<&'a str> {
    let (front, path) = rest.split_at_checked(keyword.len())?;
    front.eq_ignore_ascii_case(keyword).then(|| path.trim_start_matches(' '))
}

/// `MAIL FROM:` Reverse-path [SP Mail-parameters]
fn mail(rest: &str) -> Result<Mail, CommandError> {
    const USAGE: CommandError = CommandError::Usage("MAIL FROM:<address> [parameters]");
    let rest = after_keyword(rest, "FROM:").ok_or(USAGE)?;
    let (inside, params) = path::split(rest).map_err(CommandError::ReversePath)?;
    if !params.is_empty() && !params.starts_with(' ') {
        return Err(USAGE);
    }
    Ok(Mail {
        reverse_path: path::reverse(inside).map_err(CommandError::ReversePath)?,
        params: params::mail(params)?,
        utf8: !inside.is_ascii(),
        extended: !params.is_empty(),
    })
}

/// `RCPT TO:` Forward-path [SP Rcpt-parameters]
fn rcpt(rest: &str) -> Result<Rcpt, CommandError> {
    const USAGE: CommandError = CommandError::Usage("RCPT TO:<address> [parameters]");
    let text = after_keyword(rest, "TO:").ok_or(USAGE)?;
    let (inside, params) = path::split(text).map_err(CommandError::ForwardPath)?;
    if !params.is_empty() && !params.starts_with(' ') {
        return Err(USAGE);
    }
    let forward_path = path::forward(inside).map_err(CommandError::ForwardPath)?;
    let (notify, orcpt) = params::rcpt(params)?;
    let (utf8, extended) = (!rest.is_ascii(), !params.is_empty());
    Ok(Rcpt { forward_path, notify, orcpt, utf8, extended })
}

/// RFC 3030 §2: `bdat-cmd ::= "BDAT" SP chunk-size [ SP end-marker ] CR LF`
fn bdat(rest: &str) -> Result<Command<'static>, CommandError> {
    let (digits, marker) = rest.split_once(' ').unwrap_or((rest, ""));
    let last = marker.eq_ignore_ascii_case("LAST");
    let plain = (1..=19).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain || !(last || marker.is_empty()) {
        return Err(CommandError::ChunkSize);
    }
    let octets = digits.parse().map_err(|_| CommandError::ChunkSize)?;
    Ok(Command::Bdat { octets, last })
}

/// RFC 4954 §4: `"AUTH" SP sasl-mech [SP initial-response]`
fn auth(rest: &str) -> Result<Command<'_>, CommandError> {
    let (mechanism, initial) = match rest.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (rest, None),
    };
    if mechanism.is_empty() || initial.is_some_and(|text| text.is_empty() || text.contains(' ')) {
        return Err(CommandError::Usage("AUTH mechanism [initial-response]"));
    }
    Ok(Command::Auth { mechanism, initial })
}
