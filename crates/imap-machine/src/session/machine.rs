//! The session as a machine: what comes in, and what it asks for.

use mail_types::{Acceptance, Machine, Step, Timestamp, TlsFacts};

use super::{Ending, Flow, Open, Session, Work};
use crate::ask::{Answer, Event, Question};

impl<R: Acceptance> Machine for Session<R> {
    type Question = Question;
    type Answer = Answer<R>;
    type Event = Event;

    fn input(&mut self, bytes: &[u8], _now: Timestamp) -> usize {
        if self.open != Open::No || self.ending == Ending::Close {
            return 0;
        }
        let taken = self.reader.input(bytes);
        if self.signed_in.is_none() {
            self.octets_in += taken;
            if self.octets_in > self.config.limits.unauthenticated_octets_max {
                self.bye_now("Too much input before sign-in");
            }
        }
        taken
    }

    fn step(&mut self, now: Timestamp) -> Step<Question> {
        self.now = now;
        loop {
            if self.open != Open::No {
                return Step::NeedInput;
            }
            if self.output_is_full() {
                self.open = Open::Flush;
                return Step::Ask(Question::Flush);
            }
            if self.ending == Ending::Close && matches!(self.work, Work::Ready) {
                return Step::Close;
            }
            match self.advance(now) {
                Flow::Again => {}
                Flow::Pause => {
                    self.open = Open::Flush;
                    return Step::Ask(Question::Flush);
                }
                Flow::Ask(question) => {
                    self.open = Open::Question;
                    return Step::Ask(question);
                }
                Flow::NeedInput => return self.need_input(),
                Flow::StartTls => return Step::StartTls,
                Flow::StartCompression => return Step::StartCompression,
            }
        }
    }

    fn answer(&mut self, answer: Answer<R>, now: Timestamp) {
        match std::mem::replace(&mut self.open, Open::No) {
            Open::Question => self.answer = Some(answer),
            Open::Flush | Open::No => {}
        }
        // A long response is no idleness.
        self.touch(now);
    }

    fn event(&mut self, event: Event, _now: Timestamp) {
        match event {
            Event::Changed(mailbox) => self.stirred |= self.selected() == Some(mailbox),
            Event::News => self.heard = true,
            Event::Appended => self.appends.decided(),
            Event::SignedOut => self.bye_now("This account's password has changed, sign in anew"),
        }
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn tls_started(&mut self, tls: TlsFacts, _now: Timestamp) {
        self.tls_stands(tls);
    }

    fn deadline(&self) -> Option<Timestamp> {
        (self.open == Open::No).then_some(self.deadline)
    }

    // RFC 3501 §5.4: autologout.
    fn deadline_passed(&mut self, now: Timestamp) {
        if now < self.deadline || self.open != Open::No {
            return;
        }
        if self.signed_in.is_some() {
            self.bye_now("Signed out for inactivity");
        } else {
            self.bye_now("Too long without signing in");
        }
    }

    fn peer_closed(&mut self, _now: Timestamp) {
        if self.ending != Ending::Close {
            self.ending = Ending::PeerClosed;
        }
    }

    fn shut_down(&mut self, _now: Timestamp) {
        if self.ending == Ending::No {
            self.ending = Ending::ShutDown;
        }
    }
}
