//! Authentication-Results (RFC 8601): written for our readers, read where others wrote it, and
//! known where it pretends to be ours.

mod methods;
mod read;

use std::fmt::Write as _;

use crate::Verdict;

pub use read::claims_to_be_of;

/// Columns that a line of the field takes, where its words allow (RFC 5322 §2.1.1).
const COLUMNS: usize = 78;
/// Methods of one field that are read.
const METHODS_MAX: usize = 100;
/// Properties of one method that are read.
const PROPERTIES_MAX: usize = 50;
/// Octets of a value, or of a word of a comment, that are written: with all of them escaped, and
/// what stands around them, they fit into a line (RFC 5322 §2.1.1: 998). An address has 320.
const VALUE_OCTETS_MAX: usize = 400;
/// Octets of a keyword that are written.
const KEYWORD_OCTETS_MAX: usize = 64;
/// Octets of a field that are read.
const FIELD_OCTETS_MAX: usize = 64 * 1024;
/// Comments within one another that are read.
const COMMENT_DEPTH_MAX: usize = 20;

/// An Authentication-Results field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthResults {
    /// Who checked: `authserv-id`.
    pub authserv_id: String,
    /// What was checked; empty: `none`.
    pub methods: Vec<MethodResult>,
}

/// A method and what came of it (RFC 8601 §2.2 `resinfo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodResult {
    /// `spf`, `dkim`, `dmarc`, `arc`, `iprev`, `auth`, or one we do not know.
    pub method: String,
    /// The word; mostly one of [`Verdict`].
    pub result: String,
    /// `reason=`, for people.
    pub reason: Option<String>,
    /// The comment behind the result; not read back.
    pub comment: Option<String>,
    /// What was looked at.
    pub properties: Vec<Property>,
}

/// `ptype.property=value` (RFC 8601 §2.2 `propspec`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// `smtp`, `header`, `body`, `policy`, or one we do not know.
    pub ptype: String,
    /// `mailfrom`, `from`, `d`, ...
    pub property: String,
    /// What it was.
    pub value: String,
}

impl MethodResult {
    /// A result with nothing more.
    #[must_use]
    pub fn new(method: &str, verdict: Verdict) -> Self {
        Self {
            method: method.to_owned(),
            result: verdict.as_str().to_owned(),
            reason: None,
            comment: None,
            properties: Vec::new(),
        }
    }

    /// With a reason in words.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = (!reason.is_empty()).then(|| reason.to_owned());
        self
    }

    /// With a comment behind the result.
    #[must_use]
    pub fn commented(mut self, comment: &str) -> Self {
        self.comment = (!comment.is_empty()).then(|| comment.to_owned());
        self
    }

    /// With `ptype.property=value`.
    #[must_use]
    pub fn with(mut self, ptype: &str, property: &str, value: &str) -> Self {
        let (ptype, property) = (ptype.to_owned(), property.to_owned());
        self.properties.push(Property { ptype, property, value: value.to_owned() });
        self
    }

    /// The word, where it is one that we know.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        Verdict::parse(&self.result)
    }
}

impl AuthResults {
    /// The whole field, folded, with CRLF at its end. No line of it is longer than 998 octets
    /// (RFC 5322 §2.1.1), whatever the values are: what is longer than any address is cut.
    ///
    /// RFC 8601 §2.2:
    /// ```text
    /// authres-payload = [CFWS] authserv-id [ CFWS authres-version ]
    ///                   ( no-result / 1*resinfo ) [CFWS] CRLF
    /// resinfo = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ]
    /// ```
    #[must_use]
    pub fn to_field(&self) -> String {
        let mut folder = Folder::new("Authentication-Results:");
        folder.word(&value(&self.authserv_id));
        if self.methods.is_empty() {
            folder.glue(";");
            folder.word("none");
        }
        for method in &self.methods {
            folder.glue(";");
            folder.line();
            folder.word(&format!("{}={}", keyword(&method.method), keyword(&method.result)));
            for word in method.comment.iter().flat_map(|comment| commented(comment)) {
                folder.word(&word);
            }
            if let Some(reason) = &method.reason {
                // Not folded within: the fold would be part of the value.
                folder.word(&format!("reason={}", quoted(reason)));
            }
            for one in &method.properties {
                let (ptype, property) = (keyword(&one.ptype), keyword(&one.property));
                folder.word(&format!("{ptype}.{property}={}", pvalue(&one.value)));
            }
        }
        folder.end()
    }

    /// The payload alone, unfolded: what ARC-Authentication-Results holds behind its instance
    /// (RFC 8617 §4.1.1).
    #[must_use]
    pub fn to_payload(&self) -> String {
        let field = self.to_field();
        let payload = field.split_once(": ").map_or("", |(_, payload)| payload);
        payload.replace("\r\n", "").replace('\t', " ")
    }

    /// Reads the value of a field, folds and comments in it; `None` where it is none (then nothing
    /// in it is to be believed) or its version is not 1.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        read::parse(value)
    }

    /// The results of one method.
    pub fn of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a MethodResult> {
        self.methods.iter().filter(move |one| one.method.eq_ignore_ascii_case(method))
    }
}

/// Puts words into lines.
struct Folder {
    field: String,
    column: usize,
    /// The line holds nothing but white space yet.
    fresh: bool,
}

impl Folder {
    fn new(name: &str) -> Self {
        Self { field: name.to_owned(), column: name.len(), fresh: false }
    }

    /// A word with a space before it, on a new line where it would not fit.
    fn word(&mut self, word: &str) {
        if !self.fresh {
            if self.column + 1 + word.len() > COLUMNS {
                self.line();
            } else {
                self.glue(" ");
            }
        }
        self.glue(word);
        self.fresh = false;
    }

    fn glue(&mut self, text: &str) {
        self.field.push_str(text);
        self.column += text.len();
    }

    fn line(&mut self) {
        self.field.push_str("\r\n\t");
        // A tab counts as it looks.
        self.column = 8;
        self.fresh = true;
    }

    fn end(mut self) -> String {
        self.field.push_str("\r\n");
        self.field
    }
}

/// RFC 5321 §4.1.2 `Keyword`: letters, digits and hyphens; what is none of them is a hyphen.
fn keyword(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let word: String = text.chars().map(plain).take(KEYWORD_OCTETS_MAX).collect();
    let word = word.trim_matches('-');
    if word.is_empty() { "x".to_owned() } else { word.to_owned() }
}

/// RFC 2045 §5.1 `value`: a token, or a quoted-string.
fn value(text: &str) -> String {
    let text = cut(text);
    let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_token) { text.to_owned() } else { quoted(text) }
}

/// RFC 8601 §2.2 `pvalue`: a value, or `[ [ local-part ] "@" ] domain-name`.
#[must_use]
pub fn pvalue(text: &str) -> String {
    let is_name = |name: &str| {
        name.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
    };
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let is_dot_atom =
        |text: &str| text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom));
    let text = cut(text);
    match text.rsplit_once('@') {
        Some((local, domain)) if is_name(domain) && (local.is_empty() || is_dot_atom(local)) => {
            text.to_owned()
        }
        _ => value(text),
    }
}

/// The beginning of a text that is too long to be written.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_OCTETS_MAX)]
}

/// RFC 5322 §3.2.4, RFC 6531 for what is not ASCII. Controls become `?`.
fn quoted(text: &str) -> String {
    let text = cut(text);
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => quoted.push('?'),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// RFC 5322 §3.2.2: a comment, word by word so that it can be folded.
fn commented(text: &str) -> Vec<String> {
    let escaped = |word: &str| {
        let mut escaped = String::with_capacity(word.len());
        for c in word.chars() {
            match c {
                '(' | ')' | '\\' => write!(escaped, "\\{c}").unwrap_or_default(),
                c if c.is_control() => escaped.push('?'),
                c => escaped.push(c),
            }
        }
        escaped
    };
    let mut words: Vec<String> = text.split_whitespace().map(cut).map(escaped).collect();
    if let Some(first) = words.first_mut() {
        first.insert(0, '(');
    }
    if let Some(last) = words.last_mut() {
        last.push(')');
    }
    words
}
