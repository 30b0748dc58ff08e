//! Codes of an authenticator: six digits that change every half minute (RFC 6238, RFC 4226).

use aws_lc_rs::hmac;
use mail_types::Timestamp;

/// RFC 6238 §4.1: seconds of one step.
const STEP_SECS: i64 = 30;
/// RFC 6238 §5.2: steps that a clock may be behind or ahead.
const STEPS_OFF: i64 = 1;
/// RFC 4226 §5.3.
const CODE_MODULUS: u32 = 1_000_000;
/// RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step whose code this is, of those around now; none where it is none's. Whoever asks takes no
/// step twice, nor one before it (RFC 6238 §5.2: a code is good once).
#[must_use]
pub fn totp_step(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let step = now.0.div_euclid(1000).div_euclid(STEP_SECS);
    // All are looked at, so that the time it takes tells nothing.
    let mut found = None;
    for step in step - STEPS_OFF..=step + STEPS_OFF {
        let same = same(totp_code(secret, step).as_bytes(), code.as_bytes());
        found = if same { Some(step) } else { found };
    }
    found
}

/// The code of a step.
#[must_use]
pub fn totp_code(secret: &[u8], step: i64) -> String {
    // RFC 6238 §1.2: HMAC-SHA-1, which all authenticators know; its weakness does not matter here.
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // RFC 4226 §5.3: the low four bits of the last octet say where the number begins.
    let at = usize::from(tag.last().copied().unwrap_or(0) & 0xf);
    let number =
        tag.iter().skip(at).take(4).fold(0_u32, |number, octet| (number << 8) | u32::from(*octet));
    format!("{:06}", (number & 0x7fff_ffff) % CODE_MODULUS)
}

/// The secret as authenticators take it by hand (RFC 4648 §6, without padding).
#[must_use]
pub fn totp_text(secret: &[u8]) -> String {
    let (mut text, mut bits, mut have) = (String::new(), 0_u32, 0);
    for octet in secret {
        bits = (bits << 8) | u32::from(*octet);
        have += 8;
        while have >= 5 {
            have -= 5;
            text.push(char::from(BASE32[(bits >> have) as usize & 31]));
        }
    }
    if have > 0 {
        text.push(char::from(BASE32[(bits << (5 - have)) as usize & 31]));
    }
    text
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |off, (a, b)| off | (a ^ b)) == 0
}
