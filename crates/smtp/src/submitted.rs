//! A message that comes whole, from an account that has signed in by other means than AUTH: what the
//! HTTP API takes. It goes the way of the submission port, with the same checks.

use std::net::IpAddr;
use std::sync::Arc;

use mail_types::{AccountId, Address, Priority, Refusal, ReversePath, TlsFacts};
use sasl::{Mechanism, SignedIn};
use sign_in::Standing;
use smtp_machine::data::ChunkReader;
use smtp_machine::{BodyType, Envelope, HoldFor, MailParams, Recipient, Sender};
use store::{Receipt, Refused, SendKey};

use crate::Shared;
use crate::session::Session;

/// Octets of the content that are handed on at a time.
const PIECE_OCTETS: usize = 64 << 10;

/// What is submitted.
pub struct Submitted<'a> {
    /// Who has signed in.
    pub account: AccountId,
    /// Its address.
    pub name: String,
    /// What the sign-in stands on.
    pub standing: Standing,
    /// Where it came from.
    pub peer: IpAddr,
    /// Over what.
    pub tls: Option<TlsFacts>,
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RFC 3461 §4.4.
    pub envelope_id: Option<String>,
    /// When it is to leave, where that is not at once (RFC 4865).
    pub hold: Option<HoldFor>,
    /// How urgent it is (RFC 6710); what is more than an account gets is lowered.
    pub priority: Option<Priority>,
    /// RCPT TO, at least one.
    pub recipients: Vec<Address>,
    /// The message, line ends CRLF.
    pub content: &'a [u8],
    /// What keeps it from being done twice.
    pub key: Option<SendKey>,
}

/// Why it was not taken.
#[derive(Clone, Debug)]
pub enum NotTaken {
    /// The sender, or the message.
    Refused(Refusal),
    /// These recipients; nobody gets it.
    Recipients(Vec<(Address, Refusal)>),
    /// A message of the same key was taken since the caller looked.
    Repeated,
}

/// Takes a message, or says why not. `shared` is that of a submission port.
///
/// # Errors
/// See [`NotTaken`]. Our own trouble is 4yz.
pub async fn submit(shared: &Arc<Shared>, submitted: Submitted<'_>) -> Result<Receipt, NotTaken> {
    // RFC 5321 §2.3.8, §4.1.1.4: as on the port, where the protocol looks. A bare CR would leave as
    // a line end: a field, or a message, that nobody here has seen.
    let mut reader = ChunkReader::default();
    reader.read(submitted.content);
    reader.end();
    if let Some(fault) = reader.fault() {
        return Err(NotTaken::Refused(fault.refusal()));
    }
    match (submitted.hold, shared.hold_max) {
        (Some(hold), Some(max)) => hold.judge(max, net::now()).map_err(NotTaken::Refused)?,
        (Some(_), None) => {
            let text = "This server holds no mail for later";
            return Err(NotTaken::Refused(Refusal::permanent(555, 5, 4, text)));
        }
        (None, _) => {}
    }
    let mut session = Session::new(Arc::clone(shared), submitted.peer);
    session.signed_in_elsewhere(submitted.standing, submitted.key);
    let utf8 = submitted.recipients.iter().any(|one| !one.to_string().is_ascii())
        || matches!(&submitted.reverse_path, ReversePath::Address(one) if !one.to_string().is_ascii());
    let eight_bit = !submitted.content.is_ascii();
    let sender = Sender {
        reverse_path: submitted.reverse_path,
        params: MailParams {
            size: Some(submitted.content.len() as u64),
            body: if eight_bit { BodyType::EightBitMime } else { BodyType::SevenBit },
            smtputf8: utf8,
            requiretls: false,
            ret: None,
            envid: submitted.envelope_id,
            hold: submitted.hold,
            priority: submitted.priority.map(|asked| asked.min(shared.priority_max)),
            by: None,
        },
        // RFC 5321 §4.1.4: who has no name gives its address.
        helo: match submitted.peer {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        },
        peer: submitted.peer,
        signed_in: Some(SignedIn {
            account: submitted.account,
            name: submitted.name,
            mechanism: Mechanism::Plain,
        }),
        tls: submitted.tls,
    };
    session.sender(&sender).map_err(NotTaken::Refused)?;
    let refuse = |address: &Address| {
        session.recipient(address).err().map(|refusal| (address.clone(), refusal))
    };
    let refused: Vec<_> = submitted.recipients.iter().filter_map(refuse).collect();
    if !refused.is_empty() {
        return Err(NotTaken::Recipients(refused));
    }
    let recipients = submitted.recipients.into_iter().map(Recipient::new).collect();
    session.begin(Envelope { sender, recipients, protocol: "HTTP" });
    for piece in submitted.content.chunks(PIECE_OCTETS) {
        session.bytes(piece).map_err(NotTaken::Refused)?;
    }
    match session.end_keyed().await {
        Ok(Ok(receipt)) => Ok(receipt),
        Ok(Err(Refused::Exists(_))) => Err(NotTaken::Repeated),
        Ok(Err(refused)) => Err(NotTaken::Refused(crate::session::refused(refused))),
        Err(refusal) => Err(NotTaken::Refused(refusal)),
    }
}
