//! The header of an age file: the file's key, wrapped for each recipient.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::keys::{Identity, KeyError, Recipient};
use super::stream::OpenError;

const VERSION: &str = "age-encryption.org/v1";
const STANZA_INFO: &[u8] = b"age-encryption.org/v1/X25519";
pub const FILE_KEY_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// Stanzas of one header, and bytes of it, at most.
const STANZAS_MAX: usize = 100;
pub const HEADER_BYTES_MAX: usize = 16 << 10;

pub type FileKey = Zeroizing<[u8; FILE_KEY_BYTES]>;

/// Bytes of a key derived from another (RFC 5869, SHA-256).
pub fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let mut out = Zeroizing::new([0; 32]);
    key.expand(&[info], hkdf::HKDF_SHA256).and_then(|made| made.fill(&mut *out)).ok()?;
    Some(out)
}

/// The key a stanza's body is wrapped with.
fn wrapping(secret: &[u8; 32], peer: &[u8], share: &[u8], recipient: &[u8]) -> Option<LessSafeKey> {
    let private = PrivateKey::from_private_key(&X25519, secret).ok()?;
    let salt = [share, recipient].concat();
    // An all-zero shared secret is an error of the library's.
    let key = agree(&private, UnparsedPublicKey::new(&X25519, peer), (), |shared| {
        derive(shared, &salt, STANZA_INFO).ok_or(())
    });
    let key = UnboundKey::new(&CHACHA20_POLY1305, &*key.ok()?).ok()?;
    Some(LessSafeKey::new(key))
}

fn no_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn mac(key: &FileKey, header: &[u8]) -> Option<hmac::Tag> {
    let key = derive(&**key, b"", b"header")?;
    Some(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key), header))
}

/// A header for these recipients.
pub fn write(key: &FileKey, recipients: &[Recipient]) -> Result<Vec<u8>, KeyError> {
    let mut header = format!("{VERSION}\n");
    for recipient in recipients {
        let once = Identity::generate()?;
        let wrap = wrapping(&once.secret, &recipient.0, &once.public, &recipient.0);
        let mut body = key.to_vec();
        wrap.ok_or(KeyError::Random)?
            .seal_in_place_append_tag(no_nonce(), Aad::empty(), &mut body)
            .map_err(|_| KeyError::Random)?;
        let (share, body) = (STANDARD_NO_PAD.encode(once.public), STANDARD_NO_PAD.encode(body));
        header.push_str(&format!("-> X25519 {share}\n{body}\n"));
    }
    header.push_str("---");
    let tag = mac(key, header.as_bytes()).ok_or(KeyError::Random)?;
    header.push_str(&format!(" {}\n", STANDARD_NO_PAD.encode(tag)));
    Ok(header.into_bytes())
}

/// The file's key, and the bytes of the header.
pub fn read(bytes: &[u8], identity: &Identity) -> Result<(FileKey, usize), OpenError> {
    let head = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
    let end = head.windows(5).position(|part| part == b"\n--- ").ok_or(OpenError::NotAge)?;
    let line_end = head[end + 1..].iter().position(|&byte| byte == b'\n');
    let line_end = end + 1 + line_end.ok_or(OpenError::NotAge)?;
    let text = std::str::from_utf8(&head[..line_end]).map_err(|_| OpenError::NotAge)?;
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return Err(OpenError::NotAge);
    }
    let mut key = None;
    for _ in 0..STANZAS_MAX {
        let Some(line) = lines.next() else { break };
        if line.starts_with("---") {
            break;
        }
        let Some(share) = line.strip_prefix("-> X25519 ") else { continue };
        let body = lines.next().ok_or(OpenError::NotAge)?;
        key = key.or(unwrap(share, body, identity)?);
    }
    let key = key.ok_or(OpenError::WrongIdentity)?;
    // `--- ` and the code, which covers everything before the space.
    let told = &text.as_bytes()[end + 5..];
    let told = STANDARD_NO_PAD.decode(told).map_err(|_| OpenError::Damaged)?;
    let mac_key = derive(&*key, b"", b"header").ok_or(OpenError::Damaged)?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &*mac_key), &bytes[..end + 4], &told)
        .map_err(|_| OpenError::Damaged)?;
    Ok((key, line_end + 1))
}

/// The file's key out of a stanza; `None` where it is another's.
fn unwrap(share: &str, body: &str, identity: &Identity) -> Result<Option<FileKey>, OpenError> {
    let share = STANDARD_NO_PAD.decode(share).map_err(|_| OpenError::Damaged)?;
    let mut body = STANDARD_NO_PAD.decode(body).map_err(|_| OpenError::Damaged)?;
    if share.len() != 32 || body.len() != FILE_KEY_BYTES + TAG_BYTES {
        return Err(OpenError::Damaged);
    }
    let Some(wrap) = wrapping(&identity.secret, &share, &share, &identity.public) else {
        return Err(OpenError::Damaged);
    };
    let Ok(opened) = wrap.open_in_place(no_nonce(), Aad::empty(), &mut body) else {
        return Ok(None);
    };
    let key = <[u8; FILE_KEY_BYTES]>::try_from(&*opened).map_err(|_| OpenError::Damaged)?;
    Ok(Some(Zeroizing::new(key)))
}
