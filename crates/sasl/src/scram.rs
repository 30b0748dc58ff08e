use std::fmt;
use std::num::NonZeroU32;

use mail_types::ChannelBindings;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};

use crate::encoding::{base64_decode, base64_encode};

/// Octets of a SHA-256 value.
const HASH_OCTETS: usize = 32;

/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 §3): enough to check a proof, not
/// enough to make one.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Random, one for each account.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2; RFC 7677 §4 wants at least 4096.
    pub iterations: u32,
    /// H(ClientKey).
    pub stored_key: [u8; HASH_OCTETS],
    /// Proves the server to the client.
    pub server_key: [u8; HASH_OCTETS],
}

impl ScramKeys {
    /// The keys of a password (RFC 5802 §3). `iterations` of 0 counts as 1.
    #[must_use]
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = [0_u8; HASH_OCTETS];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password.as_bytes(), &mut salted);
        Self {
            salt: salt.to_vec(),
            iterations: rounds.get(),
            stored_key: sha256(&hmac_sha256(&salted, b"Client Key")),
            server_key: hmac_sha256(&salted, b"Server Key"),
        }
    }

    /// Whether `proof` proves the password for this conversation (RFC 5802 §3: ClientKey is
    /// ClientProof XOR ClientSignature), compared in constant time. Also what was proved: the
    /// StoredKey of the password that the client has.
    fn proves(
        &self,
        auth_message: &str,
        proof: [u8; HASH_OCTETS],
    ) -> ([u8; HASH_OCTETS], Option<ServerSignature>) {
        let mut client_key = hmac_sha256(&self.stored_key, auth_message.as_bytes());
        for (byte, other) in client_key.iter_mut().zip(proof) {
            *byte ^= other;
        }
        let guess = sha256(&client_key);
        let right = constant_time::verify_slices_are_equal(&guess, &self.stored_key).is_ok();
        let signature = hmac_sha256(&self.server_key, auth_message.as_bytes());
        (guess, right.then_some(ServerSignature(signature)))
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

struct ServerSignature([u8; HASH_OCTETS]);

pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; HASH_OCTETS] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut value = [0; HASH_OCTETS];
    value.copy_from_slice(tag.as_ref());
    value
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; HASH_OCTETS] {
    let mut value = [0; HASH_OCTETS];
    value.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    value
}

/// What went wrong with a SCRAM message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScramError {
    /// It does not follow the grammar of RFC 5802 §7, or asks for what we do not do.
    Malformed,
    /// The proof is not that of the password, or another identity is asked for.
    Refused,
}

/// What may be said of channel binding (RFC 5802 §6).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Binding<'a> {
    /// The connection has nothing to bind to: -PLUS is not offered.
    Impossible,
    /// -PLUS is offered, and the client chose the mechanism without it.
    Declined,
    /// The client chose -PLUS: one of these.
    Wanted(&'a ChannelBindings),
}

/// The client's first message.
#[derive(Clone, Debug)]
pub(crate) struct ClientFirst {
    /// `n,,` with what the client put into it: comes back in the final message, and behind it the
    /// channel's binding.
    channel: Vec<u8>,
    /// Of it, the header's.
    header_octets: usize,
    bare: String,
    nonce: String,
    /// Whom it signs in.
    pub(crate) authcid: String,
}

impl ClientFirst {
    /// RFC 5802 §7: `client-first-message = gs2-header client-first-message-bare`.
    pub(crate) fn parse(message: &[u8], binding: Binding<'_>) -> Result<Self, ScramError> {
        let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let (flag, rest) = text.split_once(',').ok_or(ScramError::Malformed)?;
        let bound_to = bound_to(flag, binding)?;
        let (authzid, bare) = rest.split_once(',').ok_or(ScramError::Malformed)?;
        let gs2_header = &text[..text.len() - bare.len()];
        let mut attributes = bare.split(',');
        // RFC 5802 §5.1: "m=" is a mandatory extension; it must fail where it is not understood,
        // which here it does by not being "n=".
        let authcid = attributes.next().and_then(|part| part.strip_prefix("n="));
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let (Some(authcid), Some(nonce)) = (authcid, nonce) else {
            return Err(ScramError::Malformed);
        };
        let printable = nonce.bytes().all(|byte| byte.is_ascii_graphic());
        if nonce.is_empty() || !printable {
            return Err(ScramError::Malformed);
        }
        let authcid = saslname(authcid)?;
        if !authzid.is_empty() {
            let authzid = authzid.strip_prefix("a=").ok_or(ScramError::Malformed)?;
            // Nobody may act as somebody else here.
            if saslname(authzid)? != authcid {
                return Err(ScramError::Refused);
            }
        }
        Ok(Self {
            header_octets: gs2_header.len(),
            channel: [gs2_header.as_bytes(), bound_to].concat(),
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
            authcid,
        })
    }
}

/// RFC 5802 §6, §7: gs2-cbind-flag = ("p=" cb-name) / "n" / "y". What the sign-in is bound to.
fn bound_to<'a>(flag: &str, binding: Binding<'a>) -> Result<&'a [u8], ScramError> {
    match (flag, binding) {
        ("n", Binding::Impossible | Binding::Declined) | ("y", Binding::Impossible) => Ok(&[]),
        // The client can, and thinks that we cannot: somebody between has taken -PLUS from what
        // we offered. RFC 5802 §6: this MUST fail.
        ("y", Binding::Declined) => Err(ScramError::Refused),
        (_, Binding::Wanted(bindings)) => {
            let name = flag.strip_prefix("p=").ok_or(ScramError::Malformed)?;
            bindings.named(name).ok_or(ScramError::Malformed)
        }
        // RFC 5802 §6: "p=" goes with -PLUS alone.
        (_, Binding::Impossible | Binding::Declined) => Err(ScramError::Malformed),
    }
}

/// RFC 5802 §5.1: in names `,` is `=2C` and `=` is `=3D`; any other `=` fails.
pub(crate) fn saslname(text: &str) -> Result<String, ScramError> {
    let mut name = String::with_capacity(text.len());
    let mut parts = text.split('=');
    name.push_str(parts.next().unwrap_or(""));
    for part in parts {
        let (escaped, rest) = part.split_at_checked(2).ok_or(ScramError::Malformed)?;
        name.push(match escaped {
            "2C" => ',',
            "3D" => '=',
            _ => return Err(ScramError::Malformed),
        });
        name.push_str(rest);
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(ScramError::Malformed);
    }
    Ok(name)
}

/// What a client's final message came to.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// The StoredKey of the password that the client has.
    pub(crate) guess: [u8; HASH_OCTETS],
    /// What to answer; `None` where the proof is wrong.
    pub(crate) server_final: Option<String>,
}

/// A SCRAM conversation after the server's first message.
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    first: ClientFirst,
    nonce: String,
    keys: ScramKeys,
    /// What was sent: `r=…,s=…,i=…`.
    pub(crate) server_first: String,
}

impl Challenge {
    pub(crate) fn new(first: ClientFirst, server_nonce: &str, keys: ScramKeys) -> Self {
        let nonce = format!("{}{server_nonce}", first.nonce);
        let server_first =
            format!("r={nonce},s={},i={}", base64_encode(&keys.salt), keys.iterations);
        Self { first, nonce, keys, server_first }
    }

    /// Checks the client's final message.
    pub(crate) fn finish(&self, message: &[u8]) -> Result<Proof, ScramError> {
        let text = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        // RFC 5802 §7: the proof is the last attribute.
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let proof = base64_decode(proof.as_bytes()).map_err(|_| ScramError::Malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|part| part.strip_prefix("c="));
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        let (Some(binding), Some(nonce)) = (binding, nonce) else {
            return Err(ScramError::Malformed);
        };
        // RFC 5802 §5.1: both nonces and the GS2 header must come back as they were.
        let binding = base64_decode(binding.as_bytes()).map_err(|_| ScramError::Malformed)?;
        if !binding.starts_with(&self.first.channel[..self.first.header_octets])
            || nonce != self.nonce
        {
            return Err(ScramError::Malformed);
        }
        // RFC 5802 §6: another channel than ours. Somebody is between the client and us.
        if binding != self.first.channel {
            return Err(ScramError::Refused);
        }
        let auth_message = format!("{},{},{without_proof}", self.first.bare, self.server_first);
        let proof = proof.try_into().map_err(|_| ScramError::Malformed)?;
        let (guess, signature) = self.keys.proves(&auth_message, proof);
        let server_final = signature.map(|signature| format!("v={}", base64_encode(&signature.0)));
        Ok(Proof { guess, server_final })
    }

    /// Whom it was to sign in.
    pub(crate) fn into_authcid(self) -> String {
        self.first.authcid
    }
}
