//! A message made from its parts, as RFC 5322 and MIME write it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_types::Address;

/// RFC 2045 §6.8: characters of a base64 line.
const BASE64_LINE_MAX: usize = 76;
/// RFC 5322 §2.1.1.
const LINE_MAX: usize = 78;
/// Characters of a word that no line is folded in: RFC 5322 §2.1.1 has 998 for the line.
const WORD_MAX: usize = 900;
/// Characters of a file name on a line of its own, so that the line is below [`LINE_MAX`].
const FILE_NAME_MAX: usize = 60;

/// Somebody, with a name or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    pub name: Option<String>,
    pub address: Address,
}

/// A file that goes along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub file_name: Option<String>,
    /// Checked: `type/subtype`.
    pub media_type: String,
    /// RFC 2392; then it is shown within the text, not beside it.
    pub content_id: Option<String>,
    pub bytes: Vec<u8>,
}

/// What a message is made of.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// Names are checked field names, values are free text.
    pub fields: Vec<(String, String)>,
    pub from: Vec<Mailbox>,
    pub reply_to: Vec<Mailbox>,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub subject: Option<String>,
    pub text: Option<String>,
    pub html: Option<String>,
    pub attachments: Vec<Attachment>,
}

impl Letter {
    /// The message; `boundary` stands in no part of it. Date and Message-ID are added by whoever
    /// takes it (RFC 6409 §8), Bcc is none of its fields.
    #[must_use]
    pub fn build(&self, boundary: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, mailboxes) in
            [("From", &self.from), ("Reply-To", &self.reply_to), ("To", &self.to), ("Cc", &self.cc)]
        {
            if !mailboxes.is_empty() {
                let list: Vec<String> = mailboxes.iter().map(Mailbox::field).collect();
                put(&mut out, &format!("{name}: {}\r\n", list.join(",\r\n ")));
            }
        }
        if let Some(subject) = &self.subject {
            put(&mut out, &format!("Subject: {}\r\n", message::unstructured(subject)));
        }
        for (name, value) in &self.fields {
            put(&mut out, &format!("{name}: {}\r\n", field_value(name, value)));
        }
        put(&mut out, "MIME-Version: 1.0\r\n");
        self.body(boundary, &mut out);
        out
    }

    /// RFC 2046 §5.1: multipart/mixed around multipart/alternative, each only where it is needed.
    fn body(&self, boundary: &str, out: &mut Vec<u8>) {
        if self.attachments.is_empty() {
            return self.texts(boundary, out);
        }
        let inline = self.attachments.iter().all(|one| one.content_id.is_some());
        let kind = if inline { "related" } else { "mixed" };
        let outer = format!("{boundary}-m");
        put(out, &format!("Content-Type: multipart/{kind}; boundary=\"{outer}\"\r\n\r\n"));
        put(out, &format!("--{outer}\r\n"));
        self.texts(boundary, out);
        for attachment in &self.attachments {
            put(out, &format!("--{outer}\r\n"));
            attachment.part(out);
        }
        put(out, &format!("--{outer}--\r\n"));
    }

    fn texts(&self, boundary: &str, out: &mut Vec<u8>) {
        let text = self.text.as_deref();
        match (text, self.html.as_deref()) {
            (text, None) => part("plain", text.unwrap_or_default(), out),
            (None, Some(html)) => part("html", html, out),
            (Some(text), Some(html)) => {
                let inner = format!("{boundary}-a");
                put(
                    out,
                    &format!("Content-Type: multipart/alternative; boundary=\"{inner}\"\r\n\r\n"),
                );
                for (kind, text) in [("plain", text), ("html", html)] {
                    put(out, &format!("--{inner}\r\n"));
                    part(kind, text, out);
                }
                put(out, &format!("--{inner}--\r\n"));
            }
        }
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// What stands behind the name of a field. Words of ASCII stay words, for the field may be one that
/// programs read (References, List-Unsubscribe); long ones are folded between them.
fn field_value(name: &str, value: &str) -> String {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let plain = |word: &&str| word.bytes().all(|b| b.is_ascii_graphic()) && word.len() < WORD_MAX;
    if !words.iter().all(plain) || value.contains("=?") {
        return message::unstructured(value);
    }
    let mut out = String::new();
    let mut len = name.len() + 1;
    for word in words {
        if len + 1 + word.len() > LINE_MAX && !out.is_empty() {
            out.push_str("\r\n ");
            len = 0;
        } else if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        len += 1 + word.len();
    }
    out
}

impl Mailbox {
    /// RFC 5322 §3.4: `display-name <addr-spec>`.
    fn field(&self) -> String {
        let Some(name) = self.name.as_deref().filter(|name| !name.trim().is_empty()) else {
            return self.address.to_string();
        };
        let plain = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        // Anything else in words that no reader takes for an address.
        let name = if plain && name.len() < LINE_MAX {
            format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            message::encoded_words(name)
        };
        format!("{name} <{}>", self.address)
    }
}

impl Attachment {
    fn part(&self, out: &mut Vec<u8>) {
        // RFC 2046 §5.2.1: a message is in none but an identity encoding.
        let is_message = self.media_type.to_ascii_lowercase().starts_with("message/");
        let encoding = match () {
            () if !is_message => "base64",
            () if self.bytes.is_ascii() => "7bit",
            () => "8bit",
        };
        put(
            out,
            &format!(
                "Content-Type: {}\r\nContent-Transfer-Encoding: {encoding}\r\n",
                self.media_type
            ),
        );
        let how = if self.content_id.is_some() { "inline" } else { "attachment" };
        put(out, &format!("Content-Disposition: {how}"));
        if let Some(name) = &self.file_name {
            put(out, &file_name(name));
        }
        put(out, "\r\n");
        if let Some(id) = &self.content_id {
            put(out, &format!("Content-ID: <{id}>\r\n"));
        }
        put(out, "\r\n");
        if is_message {
            // RFC 2046 §5.1.1: the line end before the boundary is the boundary's.
            out.extend_from_slice(&self.bytes);
            put(out, "\r\n");
        } else {
            base64_lines(&self.bytes, out);
        }
    }
}

/// The parameter of RFC 2183 §2.3, folds included; RFC 2231 §3 and §4 where it is not short plain
/// ASCII.
fn file_name(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    // Quirk: readers of RFC 2047 words look for them in quotes, too.
    if plain && name.len() <= FILE_NAME_MAX && !name.contains("=?") {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        return format!(";\r\n filename=\"{quoted}\"");
    }
    let attr = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut pieces = vec![String::new()];
    for byte in name.bytes() {
        if pieces.last().is_some_and(|piece| piece.len() + 3 > FILE_NAME_MAX) {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            if attr(byte) {
                piece.push(char::from(byte));
            } else {
                piece.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    if let [whole] = pieces.as_slice() {
        return format!(";\r\n filename*=utf-8''{whole}");
    }
    let mut out = String::new();
    for (number, piece) in pieces.iter().enumerate() {
        let charset = if number == 0 { "utf-8''" } else { "" };
        out.push_str(&format!(";\r\n filename*{number}*={charset}{piece}"));
    }
    out
}

/// A text part: as it is where it is short lines of ASCII, else in base64.
fn part(kind: &str, text: &str, out: &mut Vec<u8>) {
    let plain = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\n');
    // RFC 2046 §4.1.1: a CR is no part of text but before an LF.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let crlf = interchange::crlf(text.as_bytes());
    if text.bytes().all(plain)
        && text.lines().all(|line| line.len() <= LINE_MAX)
        && !text.contains("--")
    {
        put(out, &format!("Content-Type: text/{kind}; charset=us-ascii\r\n\r\n"));
        out.extend_from_slice(&crlf);
        if !crlf.is_empty() && !crlf.ends_with(b"\n") {
            put(out, "\r\n");
        }
        return;
    }
    put(
        out,
        &format!(
            "Content-Type: text/{kind}; charset=utf-8\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n"
        ),
    );
    base64_lines(&crlf, out);
}

fn base64_lines(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(BASE64_LINE_MAX / 4 * 3) {
        put(out, &STANDARD.encode(chunk));
        put(out, "\r\n");
    }
}
