//! Signatures of events: Standard Webhooks 1.0, symmetric (`v1`).

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What stands before a secret in text.
const SECRET_PREFIX: &str = "whsec_";

/// A secret as its receiver wants it.
#[must_use]
pub fn secret_text(secret: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(secret))
}

/// The value of `webhook-signature`: HMAC-SHA256 over id, time and body.
#[must_use]
pub fn signature(secret: &[u8], id: &str, secs: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{secs}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
}
