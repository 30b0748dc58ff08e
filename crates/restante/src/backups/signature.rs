//! AWS Signature Version 4, as S3-compatible stores want it: in the Authorization field.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use mail_types::Timestamp;

/// Whose requests they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub id: String,
    pub secret: String,
    /// Of keys that are given for a while.
    pub token: Option<String>,
}

/// A request, as far as it is signed.
pub struct Signed<'a> {
    pub method: &'a str,
    /// As in the Host field.
    pub host: &'a str,
    /// Encoded, with the first `/`.
    pub path: &'a str,
    /// Names and values, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub region: &'a str,
    pub now: Timestamp,
}

/// Letters, digits and `-._~` as they are, everything else by its octets (RFC 3986 §2.1); `/` too
/// where it is not kept.
pub fn encoded(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || keep_slash && byte == b'/' {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            write!(out, "%{byte:02X}").ok();
        }
    }
    out
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20130524T000000Z`.
fn stamp(now: Timestamp) -> String {
    let text = now.to_string();
    let whole = text.split('.').next().unwrap_or_default();
    format!("{}Z", whole.replace(['-', ':'], ""))
}

/// The query as it is signed and sent: sorted and encoded.
pub fn query(parts: &[(&str, &str)]) -> String {
    let mut parts: Vec<String> = parts
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name, false), encoded(value, false)))
        .collect();
    parts.sort_unstable();
    parts.join("&")
}

/// The fields to add to the request, Authorization among them.
pub fn fields(request: &Signed<'_>, keys: &Keys) -> Vec<(&'static str, String)> {
    let (stamp, hash) = (stamp(request.now), hex(digest(&SHA256, request.body).as_ref()));
    let mut fields =
        vec![("host", request.host.to_owned()), ("x-amz-content-sha256", hash.clone())];
    fields.push(("x-amz-date", stamp.clone()));
    if let Some(token) = &keys.token {
        fields.push(("x-amz-security-token", token.clone()));
    }
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical: String =
        fields.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let (method, path, query) = (request.method, request.path, query(request.query));
    let canonical = format!("{method}\n{path}\n{query}\n{canonical}\n{names}\n{hash}");
    let day = &stamp[..8];
    let scope = format!("{day}/{}/s3/aws4_request", request.region);
    let hashed = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}");
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in [day, request.region, "s3", "aws4_request"] {
        key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let signature = hex(sign(&Key::new(HMAC_SHA256, &key), to_sign.as_bytes()).as_ref());
    let id = &keys.id;
    let told = format!(
        "AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}"
    );
    // The client itself adds Host.
    fields.remove(0);
    fields.push(("authorization", told));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the service's own documentation ("GET Bucket Lifecycle").
    #[test]
    fn the_published_example_is_signed_as_published() {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let request = Signed {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/",
            query: &[("lifecycle", "")],
            body: b"",
            region: "us-east-1",
            now: Timestamp(1_369_353_600_000),
        };
        let told = fields(&request, &keys).pop().unwrap_or_default().1;
        let wanted = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        assert!(told.ends_with(&format!("Signature={wanted}")), "{told}");
    }
}
