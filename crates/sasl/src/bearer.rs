use crate::secret::Secret;

/// Between the parts of a message.
const KVSEP: char = '\x01';

/// A token, and whom the client says it is for.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) authzid: Option<String>,
    /// Empty where the client asks what it needs (RFC 7628 §4.3).
    pub(crate) token: Secret,
}

impl Bearer {
    /// RFC 7628 §3.1: `client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep`. `kvsep` alone only
    /// ends an exchange that failed, and begins none.
    pub(crate) fn oauthbearer(message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (header, pairs) = text.split_once(KVSEP)?;
        // RFC 5801 §4: `gs2-header = gs2-cb-flag "," [gs2-authzid] ","`. Nothing is bound here,
        // and who says "p" wants it to be.
        let (flag, authzid) = header.strip_suffix(',')?.split_once(',')?;
        if !matches!(flag, "n" | "y") || authzid.contains(',') {
            return None;
        }
        let authzid = match authzid {
            "" => None,
            given => Some(crate::scram::saslname(given.strip_prefix("a=")?).ok()?),
        };
        Some(Self { authzid, token: token(pairs)? })
    }

    /// XOAUTH2, of which there is no RFC: `"user=" user kvsep "auth=Bearer " token kvsep kvsep`.
    pub(crate) fn xoauth2(message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (user, pairs) = text.strip_prefix("user=")?.split_once(KVSEP)?;
        if user.chars().any(char::is_control) {
            return None;
        }
        let authzid = (!user.is_empty()).then(|| user.to_owned());
        Some(Self { authzid, token: token(pairs)? })
    }
}

/// The token of `*kvpair kvsep`.
fn token(pairs: &str) -> Option<Secret> {
    // RFC 7628 §3.1: `kvpair = key "=" value kvsep`.
    let pairs = pairs.strip_suffix(KVSEP)?;
    if !pairs.is_empty() && !pairs.ends_with(KVSEP) {
        return None;
    }
    let mut found = None;
    for pair in pairs.split_terminator(KVSEP) {
        let (key, value) = pair.split_once('=')?;
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_value =
            value.bytes().all(|byte| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~'));
        if !is_key || !is_value {
            return None;
        }
        // RFC 7628 §3.1: keys that are not known are passed over.
        if key == "auth" && found.replace(value).is_some() {
            return None;
        }
    }
    // RFC 7628 §3.1: "auth" is required. §4.3: an empty one asks what is needed.
    match found? {
        "" => Some(Secret::new(String::new())),
        credentials => {
            // RFC 6750 §2.1: `credentials = "Bearer" 1*SP b64token`; schemes know no case.
            let (scheme, token) = credentials.split_once(' ')?;
            let token = token.trim_matches(' ');
            let is_token = scheme.eq_ignore_ascii_case("Bearer") && is_b64token(token);
            is_token.then(|| Secret::new(token.to_owned()))
        }
    }
}

/// RFC 6750 §2.1: `b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_b64token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(is_one)
}
