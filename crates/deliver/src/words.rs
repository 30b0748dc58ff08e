//! Between the words of the queue and those of the client machine.

use smtp_machine::client::{Lack, Loss, Message, Outcome, Setback as NoSession, Stage as At};
use smtp_machine::{BodyType, MailParams, Notify as NotifyParam, Orcpt, Recipient, Ret};

use mail_types::{Peer, Priority, ReversePath, Timestamp};
use route::{Stage, Then, Trouble};

use crate::courier::End;
use crate::queue::{Item, Notify};
use crate::setback::Setback;

/// The code that says that the server closes the connection (RFC 5321 §3.8).
const CLOSING: u16 = 421;

/// What to send for these recipients of one message.
pub(crate) fn message(items: &[Item], now: Timestamp) -> Message {
    let recipients = items.iter().map(recipient).collect();
    // A job holds at least one; without any there would be nobody to send to, so nothing is sent.
    let Some(mail) = items.first().map(|item| &item.mail) else {
        let params = MailParams::default();
        return Message { reverse_path: ReversePath::Null, params, recipients };
    };
    let params = MailParams {
        size: Some(mail.body_bytes),
        body: if mail.eight_bit { BodyType::EightBitMime } else { BodyType::SevenBit },
        smtputf8: mail.smtp_utf8,
        requiretls: mail.requires_tls,
        ret: mail.return_headers_only.map(|only| if only { Ret::Headers } else { Ret::Full }),
        envid: mail.envelope_id.clone(),
        // It was held here: nothing is left to hold it for.
        hold: None,
        priority: (mail.priority != Priority::NORMAL).then_some(mail.priority),
        // RFC 2852 §4: what the host gets is what is left of the time.
        by: mail.deliver_by.map(|by| by.left(now)),
    };
    Message { reverse_path: mail.reverse_path.clone(), params, recipients }
}

fn recipient(item: &Item) -> Recipient {
    let notify = item.notify.map(|notify| match notify {
        Notify::Never => NotifyParam::Never,
        Notify::On { success, failure, delay } => NotifyParam::On { success, failure, delay },
    });
    let orcpt = item.original_recipient.as_deref().and_then(|original| {
        let (addr_type, address) = original.split_once(';')?;
        Some(Orcpt { addr_type: addr_type.to_owned(), address: address.to_owned() })
    });
    Recipient { address: item.recipient.clone(), notify, orcpt }
}

/// What the ends of a transaction mean, in the order of its recipients. `octets`: of the message.
pub(crate) fn ends(outcomes: Vec<Outcome>, octets: u64, peer: &Peer) -> Vec<End> {
    let mut others_taken = false;
    let read = |outcome| {
        let end = end(outcome, octets, others_taken, peer);
        others_taken |= matches!(end, End::Relayed(_));
        end
    };
    outcomes.into_iter().map(read).collect()
}

fn end(outcome: Outcome, octets: u64, others_taken: bool, peer: &Peer) -> End {
    let early = |stage: At| matches!(stage, At::Between | At::Mail | At::Rcpt);
    let (trouble, is_stale) = match &outcome {
        Outcome::Taken(reply) => return End::Relayed(reply.clone()),
        Outcome::Refused { stage, reply } => {
            let trouble = Trouble::Reply { stage: place(*stage), reply, others_taken };
            (trouble, reply.code == CLOSING && early(*stage))
        }
        Outcome::Lost { stage, loss } => {
            let is_closed = matches!(loss, Loss::Closed);
            return lost(*stage, loss, is_closed && early(*stage), peer);
        }
        Outcome::Uncertain(loss) => return lost(At::Dot, loss, false, peer),
        Outcome::Lacks(Lack::SmtpUtf8) => (Trouble::LacksSmtpUtf8, false),
        Outcome::Lacks(Lack::RequireTls) => (Trouble::LacksRequireTls, false),
        Outcome::Lacks(Lack::DeliverBy) => (Trouble::LacksDeliverBy, false),
        Outcome::Lacks(Lack::Time { secs_min }) => {
            (Trouble::WantsTime { secs_min: *secs_min }, false)
        }
        Outcome::Lacks(Lack::Size { octets_max }) => {
            (Trouble::TooLarge { octets_max: *octets_max, octets }, false)
        }
        Outcome::Unreadable => (Trouble::Ours("the message cannot be read"), false),
        // The next transaction with it is without chunks.
        Outcome::NoChunking(reply) => {
            let text = format!("it offers CHUNKING and does not know BDAT: {reply}");
            let mut setback = Setback::new(Trouble::Ours(&text), Some(peer));
            setback.verdict.then = Then::NextTransaction;
            return End::Failed { setback, is_stale: false };
        }
    };
    End::Failed { setback: Setback::new(trouble, Some(peer)), is_stale }
}

fn lost(stage: At, loss: &Loss, is_stale: bool, peer: &Peer) -> End {
    End::Failed { setback: loss_setback(stage, loss, peer), is_stale }
}

fn loss_setback(stage: At, loss: &Loss, peer: &Peer) -> Setback {
    let stage = place(stage);
    match loss {
        Loss::Closed => Setback::new(Trouble::Closed(stage), Some(peer)),
        Loss::Timeout => Setback::new(Trouble::Timeout(stage), Some(peer)),
        Loss::Garbage(why) => Setback::new(Trouble::Garbage(stage, &why.to_string()), Some(peer)),
        Loss::Unexpected(reply) => {
            Setback::new(Trouble::Reply { stage, reply, others_taken: false }, Some(peer))
        }
    }
}

/// Whether the host has said that it does not know what it offers.
pub(crate) fn lacks_chunking(outcomes: &[Outcome]) -> bool {
    outcomes.iter().any(|outcome| matches!(outcome, Outcome::NoChunking(_)))
}

/// Whether it is for want of TLS.
pub(crate) fn lacks_tls(why: &NoSession) -> bool {
    match why {
        NoSession::NoTls | NoSession::Refused { stage: At::StartTls, .. } => true,
        NoSession::Refused { .. } | NoSession::Lost { .. } | NoSession::NoSignIn(_) => false,
    }
}

/// Why a host wants no mail at all.
pub(crate) fn no_session(why: NoSession, peer: &Peer) -> Setback {
    match why {
        NoSession::Refused { stage, reply } => {
            let stage = place(stage);
            Setback::new(Trouble::Reply { stage, reply: &reply, others_taken: false }, Some(peer))
        }
        NoSession::Lost { stage, loss } => loss_setback(stage, &loss, peer),
        // Ours: somebody has to give us another password, and no mail comes back for that.
        NoSession::NoSignIn(why) => {
            tracing::error!(host = peer.host, why, "ALARM: cannot sign in to the smart host");
            Setback::new(Trouble::Ours(&format!("no sign-in to {}: {why}", peer.host)), Some(peer))
        }
        NoSession::NoTls => Setback::new(Trouble::Tls("it is not offered"), Some(peer)),
    }
}

const fn place(stage: At) -> Stage {
    match stage {
        At::Greeting => Stage::Greeting,
        At::Hello => Stage::Hello,
        At::StartTls => Stage::StartTls,
        At::Mail => Stage::Mail,
        At::Rcpt => Stage::Rcpt,
        At::Data => Stage::Data,
        At::Dot => Stage::Dot,
        At::Between => Stage::Between,
    }
}
