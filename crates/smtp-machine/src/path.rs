//! Paths of MAIL and RCPT (RFC 5321 §4.1.2).

use mail_types::{Address, AddressError, Domain, ReversePath};

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No `<` at the begin, or no `>` outside quotes.
    #[error("the address must stand in angle brackets: <ann@example.org>")]
    Brackets,
    /// The source route in front of the address breaks its grammar.
    #[error("bad source route: it looks like @a.example,@b.example:")]
    SourceRoute,
    /// What stands in the brackets is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// The path of RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardPath {
    /// `<ann@example.org>`
    Address(Address),
    /// `<postmaster>`, the one that needs no domain (RFC 5321 §4.1.1.3).
    Postmaster,
}

/// Cuts the path off the front: what is between the brackets, and what follows them.
///
/// # Errors
/// [`PathError::Brackets`].
pub fn split(text: &str) -> Result<(&str, &str), PathError> {
    let inside = text.strip_prefix('<').ok_or(PathError::Brackets)?;
    let mut quoted = false;
    let mut escaped = false;
    for (index, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Ok((&inside[..index], &inside[index + 1..])),
            _ => {}
        }
    }
    Err(PathError::Brackets)
}

/// Reads what stands between the brackets of MAIL FROM.
///
/// # Errors
/// [`PathError::SourceRoute`] or [`PathError::Address`].
pub fn reverse(inside: &str) -> Result<ReversePath, PathError> {
    // RFC 5321 §4.5.5: the null reverse-path.
    if inside.is_empty() {
        return Ok(ReversePath::Null);
    }
    Ok(ReversePath::Address(Address::parse(without_source_route(inside)?)?))
}

/// Reads what stands between the brackets of RCPT TO.
///
/// # Errors
/// [`PathError::SourceRoute`] or [`PathError::Address`].
pub fn forward(inside: &str) -> Result<ForwardPath, PathError> {
    // RFC 5321 §4.1.1.3: "postmaster" without a domain, in any case, MUST be taken.
    if inside.eq_ignore_ascii_case("postmaster") {
        return Ok(ForwardPath::Postmaster);
    }
    Ok(ForwardPath::Address(Address::parse(without_source_route(inside)?)?))
}

/// RFC 5321 appendix C and F.2: a source route MUST be accepted and SHOULD be ignored.
/// `A-d-l = At-domain *( "," At-domain )`, then a colon.
fn without_source_route(inside: &str) -> Result<&str, PathError> {
    if !inside.starts_with('@') {
        return Ok(inside);
    }
    let (route, mailbox) = inside.split_once(':').ok_or(PathError::SourceRoute)?;
    for hop in route.split(',') {
        let domain = hop.strip_prefix('@').ok_or(PathError::SourceRoute)?;
        Domain::new(domain).map_err(|_| PathError::SourceRoute)?;
    }
    Ok(mailbox)
}
