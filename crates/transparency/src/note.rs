//! Signed notes (c2sp.org/signed-note): a text, an empty line, and signatures of it, one a line.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of the seed that an Ed25519 key is made from.
pub const SEED_BYTES: usize = 32;
/// Bytes of an Ed25519 public key (RFC 8032 §5.1.5).
const PUBLIC_BYTES: usize = 32;
/// Bytes of a note.
const NOTE_BYTES_MAX: usize = 1 << 20;
/// Signatures of a note.
const SIGNATURES_MAX: usize = 100;
/// Bytes of a key's id.
const ID_BYTES: usize = 4;
/// The kind of key: Ed25519 over the note's text.
const ED25519_KIND: u8 = 1;

/// Why a note is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is none.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A key's name, or what stands for a key, is no such thing.
    #[error("not a key: {0}")]
    Key(&'static str),
    /// The key given has not signed it.
    #[error("{0} has not signed it, or signed another text")]
    Unsigned(String),
}

/// A name that a key may have.
fn check_name(name: &str) -> Result<(), NoteError> {
    // signed-note: "MUST be non-empty ... MUST NOT contain any Unicode spaces or plus".
    if name.is_empty() || name.contains('+') || name.chars().any(char::is_whitespace) {
        return Err(NoteError::Key("a name without spaces and + stands in front"));
    }
    Ok(())
}

/// signed-note, "Signature types": SHA-256 of name, newline, kind and public key, cut.
fn key_id(name: &str, public: &[u8]) -> [u8; ID_BYTES] {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&[b'\n', ED25519_KIND]);
    bytes.extend_from_slice(public);
    let hash = digest(&SHA256, &bytes);
    let mut id = [0; ID_BYTES];
    id.copy_from_slice(&hash.as_ref()[..ID_BYTES]);
    id
}

/// Signs notes under a name.
pub struct Signer {
    name: String,
    key: Ed25519KeyPair,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.name)
    }
}

impl Signer {
    /// From a seed, which is random and secret.
    ///
    /// # Errors
    /// Where the name is none for a key.
    pub fn new(name: &str, seed: &[u8; SEED_BYTES]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| NoteError::Key("the seed gives none"))?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// Who checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        let public = self.key.public_key().as_ref().to_vec();
        Verifier { name: self.name.clone(), id: key_id(&self.name, &public), public }
    }

    /// The note with this text, signed.
    ///
    /// # Errors
    /// Where the text is none for a note.
    pub fn sign(&self, text: &str) -> Result<Note, NoteError> {
        check_text(text)?;
        let mut signature = self.verifier().id.to_vec();
        signature.extend_from_slice(self.key.sign(text.as_bytes()).as_ref());
        Ok(Note { text: text.to_owned(), signatures: vec![(self.name.clone(), signature)] })
    }
}

/// A public key with its name, as [`Verifier::parse`] reads and [`fmt::Display`] writes it:
/// `name+id+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; ID_BYTES],
    public: Vec<u8>,
}

impl Verifier {
    /// Reads `name+id+key`.
    ///
    /// # Errors
    /// Where it is not.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it is written name+id+key"));
        };
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key("the key is no base64"))?;
        let Some((&ED25519_KIND, public)) = key.split_first() else {
            return Err(NoteError::Key("only Ed25519 is known"));
        };
        if public.len() != PUBLIC_BYTES {
            return Err(NoteError::Key("it has another length than an Ed25519 key"));
        }
        let made =
            Self { name: name.to_owned(), id: key_id(name, public), public: public.to_vec() };
        if hex(&made.id) != id {
            return Err(NoteError::Key("its id is that of another key"));
        }
        Ok(made)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks that this key signed the note.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`].
    pub fn verify(&self, note: &Note) -> Result<(), NoteError> {
        let unsigned = || NoteError::Unsigned(self.name.clone());
        let mut found = false;
        for (name, bytes) in &note.signatures {
            let Some((id, signature)) = bytes.split_at_checked(ID_BYTES) else { continue };
            if *name != self.name || id != self.id {
                continue;
            }
            // signed-note: a signature by a known key that does not verify rejects the note.
            UnparsedPublicKey::new(&ED25519, &self.public)
                .verify(note.text.as_bytes(), signature)
                .map_err(|_| unsigned())?;
            found = true;
        }
        if found { Ok(()) } else { Err(unsigned()) }
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_KIND];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, hex(&self.id), STANDARD.encode(key))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text with signatures, checked or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    /// Names, and what they signed with: id and signature.
    signatures: Vec<(String, Vec<u8>)>,
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Malformed("its text does not end with a line"));
    }
    // signed-note: no ASCII control characters other than newline.
    if text.chars().any(|c| c != '\n' && c.is_ascii_control()) {
        return Err(NoteError::Malformed("there is a control character in it"));
    }
    Ok(())
}

impl Note {
    /// Reads a note. Its signatures are not checked: [`Verifier::verify`] does.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Malformed("it is longer than a note may be"));
        }
        // signed-note: the signatures stand behind the last empty line.
        let (text, lines) =
            note.rsplit_once("\n\n").ok_or(NoteError::Malformed("it has no empty line"))?;
        let text = format!("{text}\n");
        check_text(&text)?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Malformed("its last signature does not end with a line"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() >= SIGNATURES_MAX {
                return Err(NoteError::Malformed("it has too many signatures"));
            }
            let wrong = || NoteError::Malformed("a line behind the empty one is no signature");
            let (name, signature) =
                line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
            check_name(name).map_err(|_| wrong())?;
            let signature = STANDARD.decode(signature).map_err(|_| wrong())?;
            if signature.len() <= ID_BYTES {
                return Err(wrong());
            }
            signatures.push((name.to_owned(), signature));
        }
        Ok(Self { text, signatures })
    }

    /// What is signed, with the newline at its end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for (name, signature) in &self.signatures {
            writeln!(f, "— {name} {}", STANDARD.encode(signature))?;
        }
        Ok(())
    }
}
