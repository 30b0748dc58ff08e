use mail_types::{Acceptance, ReceiptId, Refusal, Timestamp};

use super::commands::too_large;
use super::{Answer, Asked, BODY_OCTETS_MAX, Progress, Question, Server, State, our_trouble};
use crate::data::{ChunkReader, DotReader};

/// The content under way.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// Octets of content so far, stuffed dots not counted.
    octets: u64,
    /// Content not yet given to the service.
    chunk: Vec<u8>,
    /// DATA: the final dot was read. BDAT: the last chunk is complete.
    ended: bool,
    /// Replies that the end of the content is answered with: in LMTP one a recipient.
    replies: usize,
    sink: Sink,
}

#[derive(Debug)]
enum Framing {
    Dots(DotReader),
    Chunks(ChunkReader),
}

/// Where the content goes.
#[derive(Debug)]
enum Sink {
    Service,
    /// Nowhere: the message will be refused with this once it is read.
    Dropped(Refusal),
}

impl Body {
    pub(super) fn dots(replies: usize) -> Self {
        Self::new(Framing::Dots(DotReader::default()), replies)
    }

    pub(super) fn chunks() -> Self {
        Self::new(Framing::Chunks(ChunkReader::default()), 1)
    }

    fn new(framing: Framing, replies: usize) -> Self {
        let (chunk, sink) = (Vec::new(), Sink::Service);
        Self { framing, octets: 0, chunk, ended: false, replies, sink }
    }

    pub(super) const fn octets(&self) -> u64 {
        self.octets
    }

    /// Whether the service waits for more of it.
    pub(super) const fn at_service(&self) -> bool {
        matches!(self.sink, Sink::Service)
    }

    /// Reads from `input`, at most as much as one question holds; octets done with.
    fn read(&mut self, input: &[u8]) -> usize {
        // One octet less: a reader may put out a CR that it had held back.
        let room = (BODY_OCTETS_MAX - 1).saturating_sub(self.chunk.len());
        let input = &input[..input.len().min(room)];
        let before = self.chunk.len();
        let taken = match &mut self.framing {
            Framing::Dots(reader) => {
                let scanned = reader.read(input, &mut self.chunk);
                self.ended |= scanned.ended;
                scanned.taken
            }
            Framing::Chunks(reader) => {
                reader.read(input);
                self.chunk.extend_from_slice(input);
                input.len()
            }
        };
        self.octets += (self.chunk.len() - before) as u64;
        if !self.at_service() {
            self.chunk.clear();
        }
        taken
    }

    /// What is wrong with the content so far.
    fn wrong(&self, octets_max: u64) -> Option<Refusal> {
        let fault = match &self.framing {
            Framing::Dots(reader) => reader.fault(),
            Framing::Chunks(reader) => reader.fault(),
        };
        match fault {
            Some(fault) => Some(fault.refusal()),
            None if self.octets > octets_max => Some(too_large(octets_max)),
            None => None,
        }
    }

    const fn is_full(&self) -> bool {
        self.chunk.len() >= BODY_OCTETS_MAX - 1
    }
}

/// Proof that the service keeps the message: made from an [`Acceptance`] only, and the only way to
/// the `250` that ends a message.
struct Kept(ReceiptId);

impl<R: Acceptance> Server<R> {
    pub(super) fn body_begun(&mut self, answer: Answer<R>, now: Timestamp) {
        let refusal = match answer {
            Answer::Ok => {
                self.message_until = Some(now.after(self.config.limits.message_wait));
                if matches!(self.state, State::Data) {
                    self.say("354 Go on; end with <CRLF>.<CRLF>");
                }
                return;
            }
            Answer::Refused(refusal) => refusal,
            Answer::Accepted(_) | Answer::SignIn(_) => our_trouble(),
        };
        // The service has refused it: there is nothing to abort.
        self.body = None;
        self.transaction = None;
        if let State::Chunk { left, .. } = self.state {
            self.state = State::DropChunk { left, refusal };
        } else {
            self.state = State::Command;
            self.refuse(&refusal);
        }
    }

    pub(super) fn body_bytes_answered(&mut self, answer: Answer<R>) {
        let refusal = match answer {
            Answer::Ok => return,
            Answer::Refused(refusal) => refusal,
            Answer::Accepted(_) | Answer::SignIn(_) => {
                self.abort_due = true;
                our_trouble()
            }
        };
        if let Some(body) = &mut self.body {
            body.sink = Sink::Dropped(refusal);
        }
    }

    pub(super) fn body_ended(&mut self, answer: Answer<R>) {
        // RFC 2033 §4.2: one reply for each RCPT that was answered with 250, in their order. All
        // recipients are in one commit, so that they have one reply's text, too.
        let replies = self.body.take().map_or(1, |body| body.replies);
        self.transaction = None;
        self.message_until = None;
        self.input.release();
        self.state = State::Command;
        match answer {
            Answer::Accepted(receipt) => self.say_kept(&Kept(receipt.receipt_id()), replies),
            Answer::Refused(refusal) => self.say_replies(&refusal, replies),
            // A message without its proof is not kept, whatever the service meant.
            Answer::Ok | Answer::SignIn(_) => self.say_replies(&our_trouble(), replies),
        }
    }

    fn say_kept(&mut self, Kept(receipt): &Kept, replies: usize) {
        let reply = format!("250 2.0.0 {receipt} kept");
        for _ in 0..replies {
            self.say(&reply);
        }
    }

    fn say_replies(&mut self, refusal: &Refusal, replies: usize) {
        for _ in 0..replies {
            self.say_reply(refusal.reply());
        }
    }

    /// The whole message is read, and refused.
    fn refuse_message(&mut self) {
        self.state = State::Command;
        self.transaction = None;
        self.message_until = None;
        self.input.release();
        if let Some(Body { sink: Sink::Dropped(refusal), replies, .. }) = self.body.take() {
            self.say_replies(&refusal, replies);
        }
    }

    /// Content of DATA.
    pub(super) fn read_data(&mut self, _now: Timestamp) -> Progress {
        let Some(body) = &mut self.body else {
            self.state = State::Command;
            return Progress::On;
        };
        if body.ended {
            self.finish_message();
            return Progress::On;
        }
        if body.is_full() {
            self.ask_body_bytes();
            return Progress::On;
        }
        if self.input.is_empty() {
            return Progress::Starved;
        }
        let taken = body.read(self.input.rest());
        self.input.skip(taken);
        self.drop_if_wrong();
        Progress::On
    }

    /// Content of a BDAT chunk.
    pub(super) fn read_chunk(&mut self, now: Timestamp) -> Progress {
        let (State::Chunk { left, last }, Some(body)) = (&mut self.state, &mut self.body) else {
            self.state = State::Command;
            return Progress::On;
        };
        if body.is_full() {
            self.ask_body_bytes();
            return Progress::On;
        }
        if *left == 0 {
            let last = *last;
            self.chunk_complete(last, now);
            return Progress::On;
        }
        if self.input.is_empty() {
            return Progress::Starved;
        }
        let rest = self.input.rest();
        let taken =
            body.read(&rest[..rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX))]);
        *left -= taken as u64;
        self.input.skip(taken);
        self.drop_if_wrong();
        Progress::On
    }

    /// RFC 3030 §2: each chunk is answered.
    fn chunk_complete(&mut self, last: bool, now: Timestamp) {
        let Some(body) = &mut self.body else { return };
        if last && !body.ended {
            body.ended = true;
            if let Framing::Chunks(reader) = &mut body.framing {
                reader.end();
            }
            self.drop_if_wrong();
            return;
        }
        if last || !body.at_service() {
            self.finish_message();
            return;
        }
        let reply = format!("250 2.0.0 {} octets so far", body.octets);
        self.say(&reply);
        self.state = State::Command;
        self.message_until = Some(now.after(self.config.limits.message_wait));
    }

    /// The message is read: gives the service what it does not have yet, then the end.
    fn finish_message(&mut self) {
        let Some(body) = &self.body else { return };
        if !body.at_service() {
            self.refuse_message();
        } else if body.chunk.is_empty() {
            self.ask(Asked::BodyEnd, Question::BodyEnd);
        } else {
            self.ask_body_bytes();
        }
    }

    fn ask_body_bytes(&mut self) {
        if let Some(body) = &mut self.body {
            let bytes = std::mem::take(&mut body.chunk);
            self.ask(Asked::BodyBytes, Question::BodyBytes(bytes));
        }
    }

    /// Content that will be refused is read to its end (or the connection would lose its place) and
    /// the service told at once.
    fn drop_if_wrong(&mut self) {
        let Some(body) = &mut self.body else { return };
        if !body.at_service() {
            return;
        }
        if let Some(refusal) = body.wrong(self.config.limits.message_octets_max) {
            body.sink = Sink::Dropped(refusal);
            body.chunk = Vec::new();
            self.abort_due = true;
        }
    }

    /// Content of a BDAT chunk that is refused.
    pub(super) fn drop_chunk(&mut self, now: Timestamp) -> Progress {
        let State::DropChunk { left, refusal } = &mut self.state else { return Progress::On };
        if *left > 0 {
            if self.input.is_empty() {
                self.message_until.get_or_insert(now.after(self.config.limits.message_wait));
                return Progress::Starved;
            }
            let here = self.input.rest().len();
            let taken = here.min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= taken as u64;
            self.input.skip(taken);
            return Progress::On;
        }
        let refusal = refusal.clone();
        self.message_until = None;
        self.state = State::Command;
        self.refuse(&refusal);
        Progress::On
    }
}
