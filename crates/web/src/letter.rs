//! `POST /api/v1/send`: what the request asks for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use mail_types::{Address, Priority, ReversePath};
use serde::Deserialize;

use crate::Problem;
use crate::api::Leaves;
use crate::mime::{Attachment, Letter, Mailbox};

/// Fields that the caller may not write: they are made here, or are others' to write.
pub(crate) const OWN_FIELDS: [&str; 17] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "reply-to",
    "date",
    "message-id",
    "mime-version",
    "received",
    "return-path",
    "dkim-signature",
    "authentication-results",
    "arc-seal",
    "arc-message-signature",
    "arc-authentication-results",
    "sender",
];
/// RFC 4865 §4.2: the longest that may be asked.
const HOLD_SECS_MAX: u32 = 999_999_999;
/// RFC 5322 §2.1.1: octets of a line without its end.
const LINE_BYTES_MAX: usize = 998;
/// Fields of its own that a message may have.
const FIELDS_MAX: usize = 100;
/// RFC 6838 §4.2: characters of a type or subtype.
const TYPE_BYTES_MAX: usize = 127;
/// Attachments of one message.
const ATTACHMENTS_MAX: usize = 200;

/// The JSON document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    from: Who,
    #[serde(default)]
    to: Whom,
    #[serde(default)]
    cc: Whom,
    #[serde(default)]
    bcc: Whom,
    #[serde(default)]
    reply_to: Whom,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
    #[serde(default)]
    attachments: Vec<File>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    envelope: Envelope,
    /// RFC 3339.
    release_at: Option<String>,
    hold_seconds: Option<i64>,
    priority: Option<i64>,
}

/// `ann@example.org` or `{"name": "Ann", "email": "ann@example.org"}`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Who {
    Address(String),
    Named { name: Option<String>, email: String },
}

/// None, one or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Whom {
    One(Who),
    Several(Vec<Who>),
}

impl Default for Whom {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    filename: Option<String>,
    content_type: Option<String>,
    /// Base64.
    content: String,
    content_id: Option<String>,
}

/// What differs from the header.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    from: Option<String>,
    to: Option<Vec<String>>,
    id: Option<String>,
}

/// What is to be sent.
#[derive(Debug)]
pub struct Wanted {
    pub reverse_path: ReversePath,
    pub recipients: Vec<Address>,
    pub envelope_id: Option<String>,
    pub leaves: Option<Leaves>,
    pub priority: Option<Priority>,
    /// Line ends CRLF.
    pub content: Vec<u8>,
}

/// Reads the JSON form.
///
/// # Errors
/// 400, with what is wrong.
pub fn from_json(bytes: &[u8], boundary: &str) -> Result<Wanted, Problem> {
    let (letter, wanted) = read_json(bytes)?;
    Ok(Wanted { content: letter.build(boundary), ..wanted })
}

/// The letter that the JSON form describes, and all else that is wanted; no content yet.
pub(crate) fn read_json(bytes: &[u8]) -> Result<(Letter, Wanted), Problem> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("The document is not right: {error}")))?;
    let from = mailbox(document.from)?;
    let (to, cc, bcc) = (list(document.to)?, list(document.cc)?, list(document.bcc)?);
    let envelope = document.envelope;
    let recipients = match envelope.to {
        Some(to) => to.iter().map(|one| address(one)).collect::<Result<_, _>>()?,
        None => [&to, &cc, &bcc].into_iter().flatten().map(|one| one.address.clone()).collect(),
    };
    let reverse_path = match envelope.from.as_deref() {
        Some("") => ReversePath::Null,
        Some(text) => ReversePath::Address(address(text)?),
        None => ReversePath::Address(from.address.clone()),
    };
    if let Some(id) = &envelope.id
        && (id.is_empty() || id.len() > 100 || !id.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(Problem::bad_request("envelope.id has 1 to 100 printable ASCII characters"));
    }
    let leaves = leaves(document.release_at.as_deref(), document.hold_seconds)?;
    let priority = document.priority.map(priority).transpose()?;
    let letter = Letter {
        fields: fields(document.headers)?,
        from: vec![from],
        reply_to: list(document.reply_to)?,
        to,
        cc,
        subject: document.subject,
        text: document.text,
        html: document.html,
        attachments: attachments(document.attachments)?,
    };
    let recipients = once(recipients)?;
    let (envelope_id, content) = (envelope.id, Vec::new());
    Ok((letter, Wanted { reverse_path, recipients, envelope_id, leaves, priority, content }))
}

/// Reads the raw form: the message is the body, its envelope in the query (`from`, `to` as often as
/// needed), else in From, To, Cc and Bcc. The query also has `release_at`, `hold_seconds`, `priority`.
///
/// # Errors
/// 400, or 422 where SMTP could not carry it, with what is wrong.
pub fn from_raw(bytes: &[u8], query: &str) -> Result<Wanted, Problem> {
    let content = interchange::crlf(bytes);
    // RFC 5321 §2.3.8: as over SMTP, what two readers would take for two messages is nobody's.
    if content.contains(&0) || has_bare_cr(&content) {
        let detail = "The message holds a NUL octet or a bare CR (lines end with CRLF or LF)";
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        return Err(Problem { enhanced_status: Some("5.6.0".to_owned()), ..problem });
    }
    let (mut from, mut to) = (None, Vec::new());
    let (mut release_at, mut hold_secs, mut urgency) = (None, None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decoded(value)?;
        match name {
            "from" if value.is_empty() => from = Some(ReversePath::Null),
            "from" => from = Some(ReversePath::Address(address(&value)?)),
            "to" => to.push(address(&value)?),
            "release_at" => release_at = Some(value),
            "hold_seconds" => hold_secs = Some(number(name, &value)?),
            "priority" => urgency = Some(priority(number(name, &value)?)?),
            _ => return Err(Problem::bad_request(format!("“{name}” is no parameter here"))),
        }
    }
    let envelope = message::envelope(&content);
    let addresses = |list: &[message::EnvelopeAddress]| -> Vec<Address> {
        list.iter().filter_map(message::EnvelopeAddress::address).collect()
    };
    let reverse_path = match from {
        Some(from) => from,
        None => {
            let first = addresses(&envelope.from).into_iter().next();
            ReversePath::Address(first.ok_or_else(|| {
                Problem::bad_request("The message has no From; name the sender with ?from=")
            })?)
        }
    };
    if to.is_empty() {
        to = [&envelope.to, &envelope.cc, &envelope.bcc]
            .into_iter()
            .flat_map(|l| addresses(l))
            .collect();
    }
    let leaves = leaves(release_at.as_deref(), hold_secs)?;
    let (recipients, envelope_id, priority) = (once(to)?, None, urgency);
    Ok(Wanted { reverse_path, recipients, envelope_id, leaves, priority, content })
}

/// RFC 4865 §4: one of both, and HOLDFOR of 1 to 999,999,999.
fn leaves(release_at: Option<&str>, hold_secs: Option<i64>) -> Result<Option<Leaves>, Problem> {
    match (release_at, hold_secs) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Problem::bad_request("Give release_at or hold_seconds, not both"))
        }
        (Some(text), None) => match text.parse() {
            Ok(at) => Ok(Some(Leaves::At(at))),
            Err(error) => Err(Problem::bad_request(format!("release_at: “{text}” is {error}"))),
        },
        (None, Some(secs)) => match u32::try_from(secs) {
            Ok(secs @ 1..=HOLD_SECS_MAX) => Ok(Some(Leaves::AfterSecs(secs))),
            _ => Err(Problem::bad_request(format!("hold_seconds is 1 to {HOLD_SECS_MAX}"))),
        },
    }
}

fn priority(number: i64) -> Result<Priority, Problem> {
    Priority::new(number).ok_or_else(|| Problem::bad_request("priority is -9 to 9"))
}

fn number(name: &str, text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::bad_request(format!("{name}: “{text}” is no number")))
}

fn once(all: Vec<Address>) -> Result<Vec<Address>, Problem> {
    let mut seen = std::collections::HashSet::new();
    let kept: Vec<Address> = all.into_iter().filter(|one| seen.insert(one.folded())).collect();
    if kept.is_empty() {
        return Err(Problem::bad_request("There is nobody to send to: name to, cc or bcc"));
    }
    Ok(kept)
}

fn address(text: &str) -> Result<Address, Problem> {
    Address::parse(text.trim())
        .map_err(|error| Problem::bad_request(format!("“{text}” is no address: {error}")))
}

fn mailbox(who: Who) -> Result<Mailbox, Problem> {
    match who {
        Who::Named { name, email } => Ok(Mailbox { name, address: address(&email)? }),
        // `Ann <ann@example.org>`, as people write it.
        Who::Address(text) => {
            match text.trim().strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
                Some((name, email)) => {
                    let name = name.trim().trim_matches('"').to_owned();
                    Ok(Mailbox { name: Some(name), address: address(email)? })
                }
                None => Ok(Mailbox { name: None, address: address(&text)? }),
            }
        }
    }
}

fn list(whom: Whom) -> Result<Vec<Mailbox>, Problem> {
    match whom {
        Whom::One(who) => Ok(vec![mailbox(who)?]),
        Whom::Several(all) => all.into_iter().map(mailbox).collect(),
    }
}

fn fields(
    given: std::collections::BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, Problem> {
    if given.len() > FIELDS_MAX {
        return Err(Problem::bad_request(format!(
            "A message has at most {FIELDS_MAX} own headers"
        )));
    }
    for (name, value) in &given {
        let lower = name.to_ascii_lowercase();
        // RFC 5322 §2.2: printable ASCII without the colon.
        let is_name = !name.is_empty()
            && name.len() <= 76
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !is_name || value.contains(['\r', '\n']) {
            let detail = format!("“{name}” is no header: one name, and a value of one line");
            return Err(Problem::bad_request(detail));
        }
        if OWN_FIELDS.contains(&lower.as_str()) || lower.starts_with("content-") {
            let detail = format!("The header {name} is made from the other members, or not yours");
            return Err(Problem::bad_request(detail));
        }
    }
    Ok(given.into_iter().collect())
}

fn attachments(files: Vec<File>) -> Result<Vec<Attachment>, Problem> {
    if files.len() > ATTACHMENTS_MAX {
        let detail = format!("A message has at most {ATTACHMENTS_MAX} attachments");
        return Err(Problem::bad_request(detail));
    }
    let read = |(number, file): (usize, File)| {
        let named = |text: &str| format!("attachment {}: {text}", number + 1);
        let token = |text: &str| {
            (1..=TYPE_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let media_type = file.content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        if !media_type.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub)) {
            return Err(Problem::bad_request(named("content_type is no media type")));
        }
        // RFC 2046 §5.1: its parts would have to be made here, too.
        if starts_with_type(&media_type, "multipart") {
            return Err(Problem::bad_request(named("a file is no multipart")));
        }
        let is_id = |id: &str| {
            !id.is_empty()
                && id.len() < 200
                && id.bytes().all(|b| b.is_ascii_graphic() && !b"<>()\\\"".contains(&b))
        };
        if file.content_id.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(Problem::bad_request(named("content_id is none")));
        }
        let encoded: String = file.content.split_ascii_whitespace().collect();
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|error| Problem::bad_request(named(&format!("no base64: {error}"))))?;
        // RFC 2046 §5.2.1: a message is never encoded, so it must be able to go as it is.
        let is_message = starts_with_type(&media_type, "message");
        let bytes = if is_message { interchange::crlf(&bytes) } else { bytes };
        if is_message && !goes_as_it_is(&bytes) {
            let why = "a message has lines of at most 998 octets, and no NUL";
            return Err(Problem::bad_request(named(why)));
        }
        let (file_name, content_id) = (file.filename, file.content_id);
        Ok(Attachment { file_name, media_type, content_id, bytes })
    };
    files.into_iter().enumerate().map(read).collect()
}

fn starts_with_type(media_type: &str, kind: &str) -> bool {
    media_type.split('/').next().is_some_and(|is| is.eq_ignore_ascii_case(kind))
}

fn has_bare_cr(content: &[u8]) -> bool {
    content.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n') || content.ends_with(b"\r")
}

/// RFC 2045 §2.8: what is neither long lines nor binary.
fn goes_as_it_is(bytes: &[u8]) -> bool {
    bytes.split(|&byte| byte == b'\n').all(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.len() <= LINE_BYTES_MAX && !line.contains(&b'\r') && !line.contains(&0)
    })
}

/// RFC 3986 §2.1; `+` is a space, as forms write it, where an address has none.
pub fn percent_decoded(text: &str) -> Result<String, Problem> {
    let wrong = || Problem::bad_request(format!("“{text}” is not percent-encoded"));
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().ok_or_else(wrong)?, bytes.next().ok_or_else(wrong)?];
            let digits = std::str::from_utf8(&digits).map_err(|_| wrong())?;
            out.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).map_err(|_| wrong())
}
