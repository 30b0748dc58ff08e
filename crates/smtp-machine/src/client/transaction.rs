use std::collections::VecDeque;

use mail_types::{ByMode, Reply, ReversePath};

use super::question::{Lack, Loss, Message, Outcome, Peer, Report, Size, Stage};
use super::said::{Phase, Said};
use crate::data::DotWriter;
use crate::envelope::{BodyType, Notify, Orcpt, Recipient, Ret};
use crate::xtext;

/// Commands sent and not yet answered, with PIPELINING. Their replies must fit the buffers on the
/// way (RFC 2920 §3.1), or both sides would wait for each other.
const UNANSWERED_MAX: usize = 100;

/// One message on its way, from MAIL to the reply to the final dot.
#[derive(Debug)]
pub(super) struct Transaction {
    message: Message,
    /// `None` while nothing is decided.
    outcomes: Vec<Option<Outcome>>,
    /// Recipients whose RCPT was answered with 2yz.
    taken: Vec<usize>,
    /// Commands that wait for replies, in order.
    awaited: VecDeque<Awaited>,
    next: Next,
    begins: bool,
    mail_refused: bool,
    pub(super) content: Content,
    writer: DotWriter,
    /// The content goes in chunks (RFC 3030), not behind DATA.
    chunked: bool,
    /// The last piece of it: sent once it is known whether it is the last.
    piece: Vec<u8>,
    dsn: bool,
    deliver_by: bool,
    window: usize,
}

/// A command that waits for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    /// BDAT without LAST.
    Chunk,
    /// The final dot, or BDAT with LAST.
    Dot,
}

/// The next command to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    Nothing,
}

/// The state of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// DATA is not answered yet.
    NotYet,
    /// Going out piece by piece.
    Open,
    /// All but the dot is out.
    DotDue,
    /// The dot is out.
    Sent,
    /// The dot is out, on a message without recipients: RFC 2920 §3.1.
    Void,
}

/// What a reply leads to.
pub(super) enum After {
    /// Nothing new.
    On,
    /// All outcomes are known, and the connection is in step.
    Done,
    /// All outcomes are known; the connection is of no more use.
    DoneClose,
}

impl Transaction {
    /// `reset`: whether the server still knows of another message. `may_chunk`: whether BDAT is used
    /// where it is offered.
    pub(super) fn new(message: Message, peer: &Peer, reset: bool, may_chunk: bool) -> Self {
        let lack = lack_of_all(&message, peer);
        let outcomes = message
            .recipients
            .iter()
            .map(|recipient| lack.or_else(|| lack_of_one(recipient, peer)).map(Outcome::Lacks));
        let outcomes: Vec<_> = outcomes.collect();
        let nothing = outcomes.iter().all(Option::is_some);
        let next = match (nothing, reset) {
            (true, _) => Next::Nothing,
            (false, true) => Next::Rset,
            (false, false) => Next::Mail,
        };
        Self {
            message,
            outcomes,
            taken: Vec::new(),
            awaited: VecDeque::new(),
            next,
            begins: !nothing,
            mail_refused: false,
            content: Content::NotYet,
            writer: DotWriter::default(),
            chunked: may_chunk && peer.chunking,
            piece: Vec::new(),
            dsn: peer.dsn,
            deliver_by: peer.deliver_by.is_some(),
            window: if peer.pipelining { UNANSWERED_MAX } else { 1 },
        }
    }

    /// Whether anything is to be sent: not every recipient's outcome is known from the start.
    pub(super) const fn begins(&self) -> bool {
        self.begins
    }

    pub(super) fn taken(&self) -> &[usize] {
        &self.taken
    }

    /// Where the connection stands, for reports.
    pub(super) fn stage(&self) -> Stage {
        match (self.content, self.awaited.front()) {
            (Content::Open | Content::DotDue | Content::Void, _) => Stage::Data,
            (Content::Sent, _) | (_, Some(Awaited::Dot)) => Stage::Dot,
            (_, Some(Awaited::Rset)) => Stage::Between,
            (_, Some(Awaited::Rcpt(_))) => Stage::Rcpt,
            (_, Some(Awaited::Data | Awaited::Chunk)) => Stage::Data,
            (_, Some(Awaited::Mail) | None) => Stage::Mail,
        }
    }

    /// What the next reply belongs to.
    pub(super) fn phase(&self) -> Phase {
        match (self.content, self.awaited.front()) {
            (Content::Open | Content::DotDue, _) => Phase::Content,
            (Content::Sent | Content::Void, _) | (_, Some(Awaited::Dot)) => Phase::Dot,
            (_, Some(Awaited::Rset)) => Phase::Rset,
            (_, Some(Awaited::Rcpt(_))) => Phase::Rcpt,
            (_, Some(Awaited::Data)) => Phase::Data,
            (_, Some(Awaited::Chunk)) => Phase::Content,
            (_, Some(Awaited::Mail) | None) => Phase::Mail,
        }
    }

    /// Sends what may be sent now: with PIPELINING a group that ends with DATA, else one command.
    pub(super) fn send(&mut self, peer: &Peer, out: &mut Vec<u8>) {
        while self.awaited.len() < self.window {
            match self.next {
                Next::Nothing => return,
                Next::Rset => {
                    out.extend_from_slice(b"RSET\r\n");
                    self.awaited.push_back(Awaited::Rset);
                    self.next = Next::Mail;
                }
                Next::Mail => {
                    write_mail(&self.message, peer, out);
                    self.awaited.push_back(Awaited::Mail);
                    self.next = Next::Rcpt(0);
                }
                Next::Rcpt(place) => match self.message.recipients.get(place) {
                    None => self.next = Next::Data,
                    Some(recipient) => {
                        self.next = Next::Rcpt(place + 1);
                        if self.outcomes[place].is_none() {
                            write_rcpt(recipient, peer, out);
                            self.awaited.push_back(Awaited::Rcpt(place));
                        }
                    }
                },
                // RFC 3030 §4.2: the octets follow BDAT at once, so it waits for a recipient.
                Next::Data if self.chunked && !self.awaited.is_empty() => return,
                Next::Data if self.chunked => {
                    self.next = Next::Nothing;
                    if !self.taken.is_empty() && !self.mail_refused {
                        self.content = Content::Open;
                    }
                }
                Next::Data => {
                    self.next = Next::Nothing;
                    let hope = !self.awaited.is_empty() || !self.taken.is_empty();
                    if hope && !self.mail_refused {
                        out.extend_from_slice(b"DATA\r\n");
                        self.awaited.push_back(Awaited::Data);
                    }
                }
            }
        }
    }

    /// Takes the reply to the oldest command.
    pub(super) fn reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> After {
        let stage = self.stage();
        let Some(awaited) = self.awaited.pop_front() else {
            return self.early(reply);
        };
        // RFC 5321 §3.8: 421 answers any command, and the server closes.
        if reply.code == 421 {
            self.decide_rest(&Outcome::Refused { stage, reply });
            return After::DoneClose;
        }
        match (awaited, reply.code / 100) {
            (Awaited::Rset | Awaited::Mail, 2) => {}
            (Awaited::Rset | Awaited::Mail, 4 | 5) => {
                self.mail_refused = true;
                self.next = Next::Nothing;
                self.decide_rest(&Outcome::Refused { stage, reply });
            }
            (Awaited::Rcpt(place), 2) if !self.mail_refused => self.taken.push(place),
            (Awaited::Rcpt(place), 4 | 5) if !self.mail_refused => {
                self.outcomes[place] = Some(Outcome::Refused { stage, reply });
            }
            // Commands that were sent before MAIL was refused.
            (Awaited::Rcpt(_), 2 | 4 | 5) => {}
            (Awaited::Data, 3) if self.taken.is_empty() || self.mail_refused => {
                // RFC 2920 §3.1: DATA was taken though no recipient was: an empty message ends it.
                out.extend_from_slice(b".\r\n");
                self.content = Content::Void;
                self.awaited.push_back(Awaited::Dot);
            }
            (Awaited::Data, 3) => self.content = Content::Open,
            (Awaited::Data, 4 | 5) => self.decide_rest(&Outcome::Refused { stage, reply }),
            (Awaited::Chunk, 2) => {}
            // It offers CHUNKING and does not know BDAT. Nothing of the message counts, since none
            // of it was marked as the last; it may go behind DATA.
            (Awaited::Chunk | Awaited::Dot, 5)
                if self.chunked && matches!(reply.code, 500 | 502 | 504) =>
            {
                self.decide_rest(&Outcome::NoChunking(reply));
                return After::DoneClose;
            }
            (Awaited::Chunk, 4 | 5) => {
                self.decide_rest(&Outcome::Refused { stage: Stage::Data, reply });
                return After::DoneClose;
            }
            (Awaited::Dot, 2 | 4 | 5) if self.content == Content::Void => {}
            (Awaited::Dot, 2) => self.decide_rest(&Outcome::Taken(reply)),
            (Awaited::Dot, 4 | 5) => self.decide_rest(&Outcome::Refused { stage, reply }),
            (_, _) => {
                self.lose(&Loss::Unexpected(reply));
                return After::DoneClose;
            }
        }
        self.after()
    }

    /// A reply while content goes out: the server has seen enough, and cannot be waited for.
    fn early(&mut self, reply: Reply) -> After {
        let outcome = match reply.code / 100 {
            4 | 5 => Outcome::Refused { stage: Stage::Data, reply },
            _ => Outcome::Lost { stage: Stage::Data, loss: Loss::Unexpected(reply) },
        };
        self.decide_rest(&outcome);
        After::DoneClose
    }

    fn after(&self) -> After {
        let waiting = !self.awaited.is_empty() || self.next != Next::Nothing;
        match self.content {
            Content::Open | Content::DotDue => After::On,
            Content::NotYet | Content::Sent | Content::Void if waiting => After::On,
            Content::NotYet | Content::Sent | Content::Void => After::Done,
        }
    }

    /// Whether there is nothing to send or to wait for (any more).
    pub(super) fn is_over(&self) -> bool {
        matches!(self.after(), After::Done)
    }

    /// Whether more of the content may go out: without PIPELINING a chunk waits for the reply to the
    /// one before.
    pub(super) fn may_write(&self) -> bool {
        self.awaited.len() < self.window
    }

    /// Whether the next reply is to a chunk that is not the last.
    pub(super) fn awaits_chunk(&self) -> bool {
        self.awaited.front() == Some(&Awaited::Chunk)
    }

    /// The next octets of the content.
    pub(super) fn write(&mut self, bytes: Vec<u8>, out: &mut Vec<u8>) {
        if !self.chunked {
            return self.writer.write(&bytes, out);
        }
        let piece = std::mem::replace(&mut self.piece, bytes);
        if !piece.is_empty() {
            out.extend_from_slice(format!("BDAT {}\r\n", piece.len()).as_bytes());
            out.extend_from_slice(&piece);
            self.awaited.push_back(Awaited::Chunk);
        }
    }

    /// That was all of the content.
    pub(super) fn end_content(&mut self, out: &mut Vec<u8>) {
        if !self.chunked {
            self.writer.end_line(out);
        }
        self.content = Content::DotDue;
    }

    /// Sends the final dot, or the last chunk: from here on a lost connection leaves the outcome
    /// uncertain.
    pub(super) fn final_dot(&mut self, out: &mut Vec<u8>) {
        if self.chunked {
            let piece = std::mem::take(&mut self.piece);
            out.extend_from_slice(format!("BDAT {} LAST\r\n", piece.len()).as_bytes());
            out.extend_from_slice(&piece);
        } else {
            out.extend_from_slice(b".\r\n");
        }
        self.content = Content::Sent;
        self.awaited.push_back(Awaited::Dot);
    }

    /// The connection is lost.
    pub(super) fn lose(&mut self, loss: &Loss) {
        let outcome = match self.content {
            Content::Sent => Outcome::Uncertain(loss.clone()),
            Content::NotYet | Content::Open | Content::DotDue | Content::Void => {
                Outcome::Lost { stage: self.stage(), loss: loss.clone() }
            }
        };
        self.decide_rest(&outcome);
    }

    /// Gives all that is undecided this outcome.
    pub(super) fn decide_rest(&mut self, outcome: &Outcome) {
        for undecided in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *undecided = Some(outcome.clone());
        }
    }

    /// Whether the server still knows of this message: the next needs RSET.
    pub(super) const fn needs_reset(&self) -> bool {
        self.begins && !matches!(self.content, Content::Sent | Content::Void)
    }

    pub(super) fn report(self, said: Vec<Said>) -> Report {
        // Nothing is undecided here; if something were, "not known" is the truth about it.
        let unknown = || Outcome::Uncertain(Loss::Closed);
        let outcomes = self.outcomes.into_iter().map(|o| o.unwrap_or_else(unknown)).collect();
        Report { outcomes, dsn: self.dsn, deliver_by: self.deliver_by, said }
    }
}

/// What makes the message as a whole impossible here.
fn lack_of_all(message: &Message, peer: &Peer) -> Option<Lack> {
    // RFC 6531 §3.5: such a message MUST NOT be sent to a server without SMTPUTF8.
    let from = message.reverse_path.address();
    let utf8 = message.params.smtputf8 || from.is_some_and(|from| from.needs_smtputf8());
    if utf8 && !peer.smtputf8 {
        return Some(Lack::SmtpUtf8);
    }
    // RFC 8689 §4.2.1: all of it must hold, or the message must not go there. §5: a report is not
    // lost for it, which comes from <> and goes on without the parameter.
    let must_hold = message.params.requiretls && message.reverse_path != ReversePath::Null;
    if must_hold && !keeps_up_tls(peer) {
        return Some(Lack::RequireTls);
    }
    // RFC 2852 §4: what is to go back when it is late must not go where nobody sees to that, nor
    // where it would be refused for the time that is left.
    match (message.params.by, peer.deliver_by) {
        (Some(by), None) if by.mode == ByMode::Return => return Some(Lack::DeliverBy),
        (Some(by), Some(secs_min))
            if by.mode == ByMode::Return && i64::from(by.secs) < i64::from(secs_min) =>
        {
            return Some(Lack::Time { secs_min });
        }
        (Some(_) | None, _) => {}
    }
    match (peer.size, message.params.size) {
        // RFC 1870 §5: the client may give up without trying.
        (Size::AtMost(octets_max), Some(size)) if size > octets_max => {
            Some(Lack::Size { octets_max })
        }
        _ => None,
    }
}

/// Whether it is proven that this is the host, by TLS, and it promises to ask as much of others.
fn keeps_up_tls(peer: &Peer) -> bool {
    let is_verified = peer.tls.as_ref().is_some_and(|tls| tls.server_name.is_some());
    peer.requiretls && is_verified && peer.is_proven
}

fn lack_of_one(recipient: &Recipient, peer: &Peer) -> Option<Lack> {
    (recipient.address.needs_smtputf8() && !peer.smtputf8).then_some(Lack::SmtpUtf8)
}

/// Whether the SMTPUTF8 parameter goes with MAIL.
fn with_smtputf8(message: &Message, peer: &Peer) -> bool {
    let from = message.reverse_path.address();
    peer.smtputf8
        && (message.params.smtputf8
            || from.is_some_and(|from| from.needs_smtputf8())
            || message.recipients.iter().any(|recipient| recipient.address.needs_smtputf8()))
}

fn write_mail(message: &Message, peer: &Peer, out: &mut Vec<u8>) {
    let mut line = format!("MAIL FROM:{}", message.reverse_path);
    let params = &message.params;
    if let (Some(size), Size::Unlimited | Size::AtMost(_)) = (params.size, peer.size) {
        line.push_str(&format!(" SIZE={size}"));
    }
    // Quirk `eight-bit-anyway`: RFC 6152 §3 wants 8-bit content converted or returned where the
    // server does not offer 8BITMIME. Conversion breaks signatures, hardly any server without the
    // extension minds, and returning the mail helps nobody: it is sent as it is, unannounced.
    if params.body == BodyType::EightBitMime && peer.eight_bit_mime {
        line.push_str(" BODY=8BITMIME");
    }
    if with_smtputf8(message, peer) {
        line.push_str(" SMTPUTF8");
    }
    if params.requiretls && keeps_up_tls(peer) {
        line.push_str(" REQUIRETLS");
    }
    // RFC 6710 §4.1: passed on where it is understood.
    if let Some(priority) = params.priority.filter(|_| peer.mt_priority) {
        line.push_str(&format!(" MT-PRIORITY={priority}"));
    }
    // RFC 2852 §4: what is left of it.
    if let Some(by) = params.by.filter(|_| peer.deliver_by.is_some()) {
        line.push_str(&format!(" BY={by}"));
    }
    if peer.dsn {
        match params.ret {
            Some(Ret::Full) => line.push_str(" RET=FULL"),
            Some(Ret::Headers) => line.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = &params.envid {
            line.push_str(&format!(" ENVID={}", xtext::encode(envid)));
        }
    }
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn write_rcpt(recipient: &Recipient, peer: &Peer, out: &mut Vec<u8>) {
    let mut line = format!("RCPT TO:<{}>", recipient.address);
    if peer.dsn {
        match recipient.notify {
            None => {}
            Some(Notify::Never) => line.push_str(" NOTIFY=NEVER"),
            Some(Notify::On { success, failure, delay }) => {
                let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let wanted = words.into_iter().filter(|(wanted, _)| *wanted).map(|(_, word)| word);
                line.push_str(&format!(" NOTIFY={}", wanted.collect::<Vec<_>>().join(",")));
            }
        }
        if let Some(orcpt) = recipient.orcpt.as_ref().and_then(|o| orcpt_value(o, peer)) {
            line.push_str(&format!(" ORCPT={orcpt}"));
        }
    }
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// RFC 3461 §4.2; RFC 6533 §3 for addresses beyond ASCII: as they are with SMTPUTF8, else of the
/// type `utf-8` with `\x{…}`; of another type they cannot be written.
fn orcpt_value(orcpt: &Orcpt, peer: &Peer) -> Option<String> {
    let encoded = xtext::encode(&orcpt.address);
    if encoded.is_ascii() || peer.smtputf8 {
        return Some(format!("{};{encoded}", orcpt.addr_type));
    }
    if orcpt.addr_type != "utf-8" {
        return None;
    }
    let mut value = "utf-8;".to_owned();
    for c in encoded.chars() {
        match c.is_ascii() {
            true => value.push(c),
            false => value.push_str(&format!("\\x{{{:X}}}", u32::from(c))),
        }
    }
    Some(value)
}
