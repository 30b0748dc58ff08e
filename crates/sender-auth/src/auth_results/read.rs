//! Reading. Every octet is looked at once; what does not fit the grammar makes the whole field
//! unreadable, never half believed.

use super::{
    AuthResults, COMMENT_DEPTH_MAX, FIELD_OCTETS_MAX, METHODS_MAX, MethodResult, PROPERTIES_MAX,
    Property,
};

/// Whether a field's value claims to be of this authserv-id, or might be taken for it.
///
/// RFC 8601 §5: a border "MUST" remove fields that bear its own authserv-id and come from outside.
/// Readers differ in how they read a broken field; so one that cannot be read is of whatever its
/// first word may be, and of us where that is not clear.
#[must_use]
pub fn claims_to_be_of(value: &[u8], authserv_id: &str) -> bool {
    let mut reader = Reader::new(value);
    match reader.cfws().and_then(|()| reader.value()) {
        Some(id) => is_same_id(&id, authserv_id),
        None => true,
    }
}

/// Without regard to case, and to a dot at the end: they are host names mostly.
fn is_same_id(one: &str, other: &str) -> bool {
    let bare = |id: &str| id.trim().trim_end_matches('.').to_ascii_lowercase();
    bare(one) == bare(other)
}

pub(super) fn parse(value: &[u8]) -> Option<AuthResults> {
    let mut reader = Reader::new(value);
    reader.cfws()?;
    let authserv_id = reader.value()?;
    reader.cfws()?;
    // RFC 8601 §2.2: `authres-version = 1*DIGIT`; without it, and here, it is 1.
    let version = reader.take(|byte| byte.is_ascii_digit());
    if !version.is_empty() && version != b"1" {
        return None;
    }
    reader.cfws()?;
    let mut results = AuthResults { authserv_id, methods: Vec::new() };
    let mut is_none = false;
    while reader.eat(b';') {
        reader.cfws()?;
        if reader.is_at_end() && (is_none || !results.methods.is_empty()) {
            // A semicolon behind the last one: a quirk that is often seen.
            break;
        }
        let name = reader.keyword()?;
        reader.cfws()?;
        if name.eq_ignore_ascii_case("none") && reader.is_at_end() && results.methods.is_empty() {
            is_none = true;
            continue;
        }
        if is_none || results.methods.len() == METHODS_MAX {
            return None;
        }
        results.methods.push(method(&mut reader, name)?);
    }
    (reader.is_at_end() && (is_none || !results.methods.is_empty())).then_some(results)
}

/// Behind the method's name: `[ "/" version ] "=" result [ reason ] *propspec`
fn method(reader: &mut Reader<'_>, name: String) -> Option<MethodResult> {
    if reader.eat(b'/') {
        reader.cfws()?;
        if reader.take(|byte| byte.is_ascii_digit()).is_empty() {
            return None;
        }
        reader.cfws()?;
    }
    if !reader.eat(b'=') {
        return None;
    }
    reader.cfws()?;
    let result = reader.keyword()?;
    let (reason, comment) = (None, None);
    let mut method = MethodResult { method: name, result, reason, comment, properties: Vec::new() };
    loop {
        reader.cfws()?;
        if reader.is_at_end() || reader.peek() == Some(b';') {
            return Some(method);
        }
        let word = reader.keyword()?;
        reader.cfws()?;
        if reader.eat(b'=') {
            reader.cfws()?;
            // RFC 8601 §2.2: one reason, before the properties; a later one is tolerated.
            let value = reader.value()?;
            if word.eq_ignore_ascii_case("reason") && method.reason.is_none() {
                method.reason = Some(value);
            }
            continue;
        }
        if !reader.eat(b'.') || method.properties.len() == PROPERTIES_MAX {
            return None;
        }
        reader.cfws()?;
        let property = reader.keyword()?;
        reader.cfws()?;
        if !reader.eat(b'=') {
            return None;
        }
        reader.cfws()?;
        let value = reader.pvalue()?;
        method.properties.push(Property { ptype: word, property, value });
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(value: &'a [u8]) -> Self {
        Self { rest: &value[..value.len().min(FIELD_OCTETS_MAX)] }
    }

    const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn take(&mut self, fits: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !fits(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// RFC 5322 §3.2.2: white space and comments, folds too. `None`: an unclosed comment.
    fn cfws(&mut self) -> Option<()> {
        loop {
            self.take(|byte| byte.is_ascii_whitespace());
            if !self.eat(b'(') {
                return Some(());
            }
            let mut depth = 1_usize;
            while depth > 0 {
                let (&byte, rest) = self.rest.split_first()?;
                self.rest = rest;
                match byte {
                    b'(' if depth == COMMENT_DEPTH_MAX => return None,
                    b'(' => depth += 1,
                    b')' => depth -= 1,
                    b'\\' => self.rest = self.rest.get(1..)?,
                    _ => {}
                }
            }
        }
    }

    /// Letters, digits, hyphens, and (a quirk of many) underscores.
    fn keyword(&mut self) -> Option<String> {
        let word = self.take(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        (!word.is_empty()).then(|| String::from_utf8_lossy(word).into_owned())
    }

    /// A token or a quoted-string.
    fn value(&mut self) -> Option<String> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let is_token = |byte: u8| {
            (byte.is_ascii_graphic() || !byte.is_ascii()) && !b"()<>@,;:\\\"/[]?=".contains(&byte)
        };
        let token = self.take(is_token);
        (!token.is_empty()).then(|| String::from_utf8_lossy(token).into_owned())
    }

    /// A value or an address. What stands up to white space or a semicolon: base64, `@` and
    /// slashes are often not quoted (a quirk, harmless here).
    fn pvalue(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.peek() {
                Some(b'"') => text.push_str(&self.quoted()?),
                Some(byte) if !byte.is_ascii_whitespace() && !b";()".contains(&byte) => {
                    let fits = |byte: u8| !byte.is_ascii_whitespace() && !b";()\"".contains(&byte);
                    text.push_str(&String::from_utf8_lossy(self.take(fits)));
                }
                _ => break,
            }
        }
        Some(text)
    }

    fn quoted(&mut self) -> Option<String> {
        let mut text = Vec::new();
        self.eat(b'"');
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return Some(String::from_utf8_lossy(&text).into_owned()),
                b'\\' => {
                    let (&escaped, rest) = self.rest.split_first()?;
                    self.rest = rest;
                    text.push(escaped);
                }
                // RFC 5322 §3.2.4: folds within do not count.
                b'\r' | b'\n' => {}
                byte => text.push(byte),
            }
        }
    }
}
