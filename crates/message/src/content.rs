use crate::header::{Field, unfold};
use crate::params::{Param, param_text, parse_params, skip_cfws};
use crate::{Bytes, Limits};

/// Content-Transfer-Encoding (RFC 2045 §6.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `7bit`, also where nothing is said.
    #[default]
    SevenBit,
    /// `8bit`
    EightBit,
    /// `binary`
    Binary,
    /// `base64`
    Base64,
    /// `quoted-printable`
    QuotedPrintable,
    /// Anything else, as written; its body is not decoded.
    Other(Bytes),
}

impl Encoding {
    fn parse(value: &[u8], limits: &Limits) -> Self {
        let value = skip_cfws(value);
        let end = value
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || b";(".contains(byte))
            .unwrap_or(value.len());
        // Quirk: some put it in quotes.
        let token = value[..end].trim_ascii();
        let token = token.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(token);
        match () {
            () if token.is_empty() || token.eq_ignore_ascii_case(b"7bit") => Self::SevenBit,
            () if token.eq_ignore_ascii_case(b"8bit") => Self::EightBit,
            () if token.eq_ignore_ascii_case(b"binary") => Self::Binary,
            () if token.eq_ignore_ascii_case(b"base64") => Self::Base64,
            () if token.eq_ignore_ascii_case(b"quoted-printable") => Self::QuotedPrintable,
            () => Self::Other(unfold(token, limits.value_bytes_max)),
        }
    }

    /// The name, in upper case where it is a known one.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match self {
            Self::SevenBit => b"7BIT",
            Self::EightBit => b"8BIT",
            Self::Binary => b"BINARY",
            Self::Base64 => b"BASE64",
            Self::QuotedPrintable => b"QUOTED-PRINTABLE",
            Self::Other(name) => name,
        }
    }

    /// Whether the body stands there as it is meant (RFC 2045 §6.4 identity encodings).
    #[must_use]
    pub const fn is_identity(&self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// `inline`, `attachment` or another token, in lower case.
    pub kind: Box<str>,
    /// `filename` and others.
    pub params: Vec<Param>,
}

/// What the Content-* fields of an entity say (RFC 2045, 1864, 2183, 3282, 2557).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// `text`, in lower case.
    pub media_type: Box<str>,
    /// `plain`, in lower case.
    pub subtype: Box<str>,
    /// `charset`, `boundary`, `name` and others.
    pub params: Vec<Param>,
    /// Content-ID as written.
    pub id: Option<Bytes>,
    /// Content-Description as written.
    pub description: Option<Bytes>,
    /// Content-Transfer-Encoding.
    pub encoding: Encoding,
    /// Content-MD5 as written.
    pub md5: Option<Bytes>,
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// Content-Language, its tags as written.
    pub language: Vec<Bytes>,
    /// Content-Location, without white space (RFC 2557 §4.4.2).
    pub location: Option<Bytes>,
}

impl Content {
    /// RFC 2045 §5.2, RFC 2046 §5.1.5: what holds where nothing is said.
    pub(crate) fn implied(in_digest: bool) -> Self {
        let (media_type, subtype) =
            if in_digest { ("message", "rfc822") } else { ("text", "plain") };
        Self {
            media_type: media_type.into(),
            subtype: subtype.into(),
            params: Vec::new(),
            id: None,
            description: None,
            encoding: Encoding::SevenBit,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
        }
    }

    /// Reads the fields of a header; of two of the same name the first counts.
    pub(crate) fn read<'a>(
        fields: impl Iterator<Item = Field<'a>>,
        in_digest: bool,
        limits: &Limits,
    ) -> Self {
        let mut content = Self::implied(in_digest);
        let mut seen_type = false;
        let mut seen_encoding = false;
        for field in fields {
            if !field.name.get(..8).is_some_and(|stem| stem.eq_ignore_ascii_case(b"content-")) {
                continue;
            }
            let text = || Some(unfold(field.value, limits.value_bytes_max));
            match &*field.name[8..].to_ascii_lowercase() {
                b"type" if !seen_type => {
                    seen_type = true;
                    content.read_type(field.value, limits);
                }
                b"transfer-encoding" if !seen_encoding => {
                    seen_encoding = true;
                    content.encoding = Encoding::parse(field.value, limits);
                }
                b"id" if content.id.is_none() => content.id = text(),
                b"description" if content.description.is_none() => content.description = text(),
                b"md5" if content.md5.is_none() => content.md5 = text(),
                b"location" if content.location.is_none() => {
                    let mut location = unfold(field.value, limits.value_bytes_max).into_vec();
                    location.retain(|byte| !byte.is_ascii_whitespace());
                    content.location = Some(location.into());
                }
                b"language" if content.language.is_empty() => {
                    content.language = read_language(field.value, limits);
                }
                b"disposition" if content.disposition.is_none() => {
                    content.disposition = read_disposition(field.value, limits);
                }
                _ => {}
            }
        }
        content
    }

    /// RFC 2045 §5.1; a value that is no type leaves what is implied (§5.2).
    fn read_type(&mut self, value: &[u8], limits: &Limits) {
        let (main, rest) = token(skip_cfws(value));
        let [b'/', rest @ ..] = skip_cfws(rest) else { return };
        let (sub, rest) = token(skip_cfws(rest));
        let (main, sub) = (lower(main), lower(sub));
        if main.is_empty() || sub.is_empty() {
            return;
        }
        self.media_type = main;
        self.subtype = sub;
        self.params = parse_params(rest, limits);
    }

    /// Whether this is that type (both in lower case).
    #[must_use]
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        &*self.media_type == media_type && &*self.subtype == subtype
    }

    /// The parameter of that name (in lower case), in whichever form.
    pub(crate) fn param_named(&self, name: &str) -> Option<&Param> {
        let stem =
            |param: &Param| &*param.name == name || param.name.strip_suffix('*') == Some(name);
        self.params.iter().find(|param| stem(param))
    }

    /// The parameter of that name (in lower case), decoded.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<String> {
        param_text(&self.params, name)
    }

    /// The name for saving: `filename` of the disposition, else `name` of the type.
    #[must_use]
    pub fn filename(&self) -> Option<String> {
        let of_disposition =
            self.disposition.as_ref().and_then(|found| param_text(&found.params, "filename"));
        let name = of_disposition.or_else(|| self.param("name"));
        name.filter(|name| !name.is_empty())
    }

    /// RFC 2046 §5.1.1: the boundary; white space at its end cannot be part of it.
    pub(crate) fn boundary(&self) -> Option<Bytes> {
        let plain = self.params.iter().find(|param| &*param.name == "boundary");
        let value: Bytes = match plain {
            Some(param) => param.value.clone(),
            None => self.param("boundary")?.into_bytes().into(),
        };
        let value = value.trim_ascii_end();
        (!value.is_empty()).then(|| value.into())
    }
}

fn read_language(value: &[u8], limits: &Limits) -> Vec<Bytes> {
    value
        .split(|&byte| byte == b',')
        .map(|tag| {
            let (tag, _) = token(skip_cfws(tag));
            unfold(tag, limits.value_bytes_max)
        })
        .filter(|tag| !tag.is_empty())
        .take(limits.params_max)
        .collect()
}

fn read_disposition(value: &[u8], limits: &Limits) -> Option<Disposition> {
    let (kind, rest) = token(skip_cfws(value));
    let params = parse_params(rest, limits);
    match (kind.is_empty(), params.is_empty()) {
        (true, true) => None,
        // RFC 2183 §2.8: what is not understood is treated as attachment.
        (true, false) => Some(Disposition { kind: "attachment".into(), params }),
        (false, _) => Some(Disposition { kind: lower(kind), params }),
    }
}

/// The octets up to white space or a special that ends a token here.
fn token(rest: &[u8]) -> (&[u8], &[u8]) {
    let end = rest
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || b"/;(),=\"".contains(byte))
        .unwrap_or(rest.len());
    rest.split_at(end)
}

/// A token in lower case, at most 255 octets of it.
fn lower(token: &[u8]) -> Box<str> {
    let token = String::from_utf8_lossy(&token[..token.len().min(255)]);
    token.chars().filter(|c| !c.is_control()).map(|c| c.to_ascii_lowercase()).collect()
}
