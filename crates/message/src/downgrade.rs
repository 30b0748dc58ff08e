//! ENVELOPE and BODYSTRUCTURE for programs that know of no UTF-8 in header fields (RFC 6855 §7): what
//! goes over the wire is rewritten in ASCII, in the ways of RFC 6858. Other octets that are not ASCII
//! stay as they are: nobody knows what they mean.

use std::borrow::Cow;

use mail_types::Domain;

use crate::encode::unstructured;

/// Lists in each other; a structure is at most a hundred parts deep, with a few lists for each.
const DEPTH_MAX: usize = 1000;

/// An item of a response.
enum Item<'a> {
    /// NIL or a number.
    Atom(&'a [u8]),
    Text(Cow<'a, [u8]>),
    /// Each with whether a space stands before it.
    List(Vec<(bool, Item<'a>)>),
}

/// ENVELOPE (RFC 3501 §7.4.2) in ASCII.
#[must_use]
pub fn downgraded_envelope(rendered: &[u8]) -> Cow<'_, [u8]> {
    rewritten(rendered, envelope)
}

/// BODY or BODYSTRUCTURE in ASCII.
#[must_use]
pub fn downgraded_body(rendered: &[u8]) -> Cow<'_, [u8]> {
    rewritten(rendered, body)
}

/// What is in ASCII already, or was written by nobody here, stays as it is.
fn rewritten(rendered: &[u8], rewrite: fn(&mut Item<'_>)) -> Cow<'_, [u8]> {
    if rendered.is_ascii() {
        return Cow::Borrowed(rendered);
    }
    let mut rest = rendered;
    match Item::read(&mut rest, 0) {
        Some(mut item) if rest.is_empty() => {
            rewrite(&mut item);
            let mut out = Vec::with_capacity(rendered.len() * 2);
            item.write(&mut out);
            Cow::Owned(out)
        }
        Some(_) | None => Cow::Borrowed(rendered),
    }
}

impl<'a> Item<'a> {
    fn read(rest: &mut &'a [u8], depth: usize) -> Option<Self> {
        match *rest.first()? {
            b'(' if depth == DEPTH_MAX => None,
            b'(' => {
                *rest = &rest[1..];
                let mut list = Vec::new();
                loop {
                    let space = rest.first() == Some(&b' ');
                    *rest = &rest[usize::from(space)..];
                    if rest.first() == Some(&b')') {
                        *rest = &rest[1..];
                        return Some(Self::List(list));
                    }
                    list.push((space, Self::read(rest, depth + 1)?));
                }
            }
            b'"' => {
                let mut text = Vec::new();
                let mut bytes = rest[1..].iter();
                loop {
                    match *bytes.next()? {
                        b'"' => break,
                        b'\\' => text.push(*bytes.next()?),
                        byte => text.push(byte),
                    }
                }
                *rest = bytes.as_slice();
                Some(Self::Text(text.into()))
            }
            b'{' => {
                let end = rest.iter().position(|&byte| byte == b'}')?;
                let count: usize = str::from_utf8(&rest[1..end]).ok()?.parse().ok()?;
                let octets = rest[end + 1..].strip_prefix(b"\r\n")?;
                *rest = octets.get(count..)?;
                Some(Self::Text(octets[..count].into()))
            }
            _ => {
                let end = rest.iter().position(|byte| b" ()".contains(byte)).unwrap_or(rest.len());
                let (atom, behind) = rest.split_at(end);
                *rest = behind;
                (!atom.is_empty()).then_some(Self::Atom(atom))
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Atom(atom) => out.extend_from_slice(atom),
            Self::Text(text) => crate::write_string(out, text),
            Self::List(list) => {
                out.push(b'(');
                for (space, item) in list {
                    if *space {
                        out.push(b' ');
                    }
                    item.write(out);
                }
                out.push(b')');
            }
        }
    }

    fn list(&mut self) -> &mut [(bool, Self)] {
        match self {
            Self::List(list) => list,
            Self::Atom(_) | Self::Text(_) => &mut [],
        }
    }

    /// A text that is UTF-8 and not ASCII.
    fn utf8(&self) -> Option<&str> {
        let Self::Text(text) = self else { return None };
        str::from_utf8(text).ok().filter(|text| !text.is_ascii())
    }

    fn set(&mut self, text: String) {
        *self = Self::Text(text.into_bytes().into());
    }

    /// RFC 6858 §2.3: encoded words.
    fn encode(&mut self) {
        if let Some(text) = self.utf8() {
            self.set(words(text));
        }
    }

    /// RFC 6858 §2.4: what cannot be said in ASCII is left out.
    fn drop(&mut self) {
        if self.utf8().is_some() {
            *self = Self::Atom(b"NIL");
        }
    }
}

/// Encoded words on one line.
fn words(text: &str) -> String {
    unstructured(text).replace("\r\n", "")
}

// RFC 3501 §7.4.2: date, subject, from, sender, reply-to, to, cc, bcc, in-reply-to, message-id
fn envelope(item: &mut Item<'_>) {
    for (at, (_, item)) in item.list().iter_mut().enumerate() {
        match at {
            1 => item.encode(),
            2..8 => item.list().iter_mut().for_each(|(_, one)| address(one)),
            _ => item.drop(),
        }
    }
}

// RFC 6858 §2.1: an address that needs UTF-8 becomes one that nobody has; who it is stands in the
// display name.
fn address(item: &mut Item<'_>) {
    let [(_, name), (_, route), (_, mailbox), (_, host)] = item.list() else { return };
    route.drop();
    if !matches!(host, Item::Text(_)) {
        // The name of a group.
        mailbox.encode();
    } else if mailbox.utf8().is_none()
        && let Some(ascii) = host.utf8().and_then(a_labels)
    {
        host.set(ascii);
    } else if mailbox.utf8().is_some() || host.utf8().is_some() {
        let mut shown = String::new();
        if let Item::Text(name) = name {
            // A display name may be in encoded words already: those are put behind each other.
            shown = format!("{} ", crate::decode_words(name));
        }
        let text = |item: &Item<'_>| match item {
            Item::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Item::Atom(_) | Item::List(_) => String::new(),
        };
        name.set(words(&format!("{shown}<{}@{}>", text(mailbox), text(host))));
        mailbox.set("invalid".to_owned());
        host.set("internationalized-address.invalid".to_owned());
        return;
    }
    name.encode();
}

/// A domain in A-labels (RFC 5890).
fn a_labels(host: &str) -> Option<String> {
    Domain::new(host).ok().map(|domain| domain.as_str().to_owned())
}

// RFC 3501 §9: body = "(" (body-type-1part / body-type-mpart) ")". Recursion is as deep as the lists
// that were read.
fn body(item: &mut Item<'_>) {
    let list = item.list();
    let parts = list.iter().take_while(|(_, item)| matches!(item, Item::List(_))).count();
    let (parts, rest) = list.split_at_mut(parts);
    parts.iter_mut().for_each(|(_, part)| body(part));
    if !parts.is_empty() {
        // Subtype, then body-ext-mpart.
        if let [_, (_, params), extension @ ..] = rest {
            parameters(params);
            disposition_language_location(extension);
        }
        return;
    }
    let [(_, kind), (_, subtype), (_, params), (_, id), (_, description), _, _, rest @ ..] = rest
    else {
        return;
    };
    parameters(params);
    id.drop();
    description.encode();
    let is = |item: &Item<'_>, name: &[u8]| matches!(item, Item::Text(text) if **text == *name);
    let mut rest = rest;
    if is(kind, b"MESSAGE")
        && is(subtype, b"RFC822")
        && let [(_, inside @ Item::List(_)), (_, structure), _, behind @ ..] = rest
    {
        envelope(inside);
        body(structure);
        rest = behind;
    } else if is(kind, b"TEXT") && !rest.is_empty() {
        rest = &mut rest[1..];
    }
    // body-ext-1part: MD5 first.
    if let [_, extension @ ..] = rest {
        disposition_language_location(extension);
    }
}

fn disposition_language_location(extension: &mut [(bool, Item<'_>)]) {
    let Some(((_, disposition), behind)) = extension.split_first_mut() else { return };
    if let [_, (_, params)] = disposition.list() {
        parameters(params);
    }
    behind.iter_mut().for_each(|(_, item)| item.drop());
}

// RFC 6858 §2.2 wants RFC 2231: ("NAME*" "utf-8''Gr%C3%BC%C3%9Fe").
fn parameters(item: &mut Item<'_>) {
    for pair in item.list().chunks_exact_mut(2) {
        let [(_, Item::Text(name)), (_, value)] = pair else { continue };
        let Some(text) = value.utf8() else { continue };
        // A piece of a value (RFC 2231 §3) says its charset elsewhere.
        if name.contains(&b'*') {
            continue;
        }
        let mut encoded = "utf-8''".to_owned();
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
        name.to_mut().push(b'*');
        value.set(encoded);
    }
}
