//! A message made from its parts, as RFC 5322 and MIME write it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_types::Address;

/// RFC 2045 §6.8: characters of a base64 line.
const BASE64_LINE_MAX: usize = 76;
/// RFC 5322 §2.1.1.
const LINE_MAX: usize = 78;

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
        let mut out = String::new();
        for (name, mailboxes) in
            [("From", &self.from), ("Reply-To", &self.reply_to), ("To", &self.to), ("Cc", &self.cc)]
        {
            if !mailboxes.is_empty() {
                let list: Vec<String> = mailboxes.iter().map(Mailbox::field).collect();
                out.push_str(&format!("{name}: {}\r\n", list.join(",\r\n ")));
            }
        }
        if let Some(subject) = &self.subject {
            out.push_str(&format!("Subject: {}\r\n", message::unstructured(subject)));
        }
        for (name, value) in &self.fields {
            out.push_str(&format!("{name}: {}\r\n", message::unstructured(value)));
        }
        out.push_str("MIME-Version: 1.0\r\n");
        self.body(boundary, &mut out);
        out.into_bytes()
    }

    /// RFC 2046 §5.1: multipart/mixed around multipart/alternative, each only where it is needed.
    fn body(&self, boundary: &str, out: &mut String) {
        if self.attachments.is_empty() {
            return self.texts(boundary, out);
        }
        let inline = self.attachments.iter().all(|one| one.content_id.is_some());
        let kind = if inline { "related" } else { "mixed" };
        let outer = format!("{boundary}-m");
        out.push_str(&format!("Content-Type: multipart/{kind}; boundary=\"{outer}\"\r\n\r\n"));
        out.push_str(&format!("--{outer}\r\n"));
        self.texts(boundary, out);
        for attachment in &self.attachments {
            out.push_str(&format!("--{outer}\r\n"));
            attachment.part(out);
        }
        out.push_str(&format!("--{outer}--\r\n"));
    }

    fn texts(&self, boundary: &str, out: &mut String) {
        let text = self.text.as_deref();
        match (text, self.html.as_deref()) {
            (text, None) => part("plain", text.unwrap_or_default(), out),
            (None, Some(html)) => part("html", html, out),
            (Some(text), Some(html)) => {
                let inner = format!("{boundary}-a");
                out.push_str(&format!(
                    "Content-Type: multipart/alternative; boundary=\"{inner}\"\r\n\r\n"
                ));
                for (kind, text) in [("plain", text), ("html", html)] {
                    out.push_str(&format!("--{inner}\r\n"));
                    part(kind, text, out);
                }
                out.push_str(&format!("--{inner}--\r\n"));
            }
        }
    }
}

impl Mailbox {
    /// RFC 5322 §3.4: `display-name <addr-spec>`.
    fn field(&self) -> String {
        let Some(name) = self.name.as_deref().filter(|name| !name.trim().is_empty()) else {
            return self.address.to_string();
        };
        let plain = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let name = if plain && name.len() < LINE_MAX {
            format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            message::unstructured(name)
        };
        format!("{name} <{}>", self.address)
    }
}

impl Attachment {
    fn part(&self, out: &mut String) {
        out.push_str(&format!(
            "Content-Type: {}\r\nContent-Transfer-Encoding: base64\r\n",
            self.media_type
        ));
        let how = if self.content_id.is_some() { "inline" } else { "attachment" };
        match &self.file_name {
            Some(name) => {
                out.push_str(&format!("Content-Disposition: {how};\r\n {}\r\n", file_name(name)))
            }
            None => out.push_str(&format!("Content-Disposition: {how}\r\n")),
        }
        if let Some(id) = &self.content_id {
            out.push_str(&format!("Content-ID: <{id}>\r\n"));
        }
        out.push_str("\r\n");
        base64_lines(&self.bytes, out);
    }
}

/// RFC 2183 §2.3; RFC 2231 §4 where it is not plain ASCII.
fn file_name(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if plain && name.len() <= LINE_MAX {
        return format!("filename=\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let attr = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encoded: String = name
        .bytes()
        .map(|byte| if attr(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("filename*=utf-8''{encoded}")
}

/// A text part: as it is where it is short lines of ASCII, else in base64.
fn part(kind: &str, text: &str, out: &mut String) {
    // A CR alone was once a line end; none may leave as it is.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let plain = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\n');
    let crlf = interchange::crlf(text.as_bytes());
    if text.bytes().all(plain)
        && text.lines().all(|line| line.len() <= LINE_MAX)
        && !text.contains("--")
    {
        out.push_str(&format!("Content-Type: text/{kind}; charset=us-ascii\r\n\r\n"));
        out.push_str(&String::from_utf8_lossy(&crlf));
        if !crlf.is_empty() && !crlf.ends_with(b"\n") {
            out.push_str("\r\n");
        }
        return;
    }
    out.push_str(&format!(
        "Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ));
    base64_lines(&crlf, out);
}

fn base64_lines(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(BASE64_LINE_MAX / 4 * 3) {
        STANDARD.encode_string(chunk, out);
        out.push_str("\r\n");
    }
}
