//! What a connection answers its protocol machine: which message is next, and its octets.

use std::net::SocketAddr;
use std::sync::Arc;

use net::Service;
use smtp_machine::client::{Answer, Client, Question};

use crate::courier::Courier;
use crate::queue::{Leaving, Mail, Queue};
use crate::setback::Setback;
use crate::settle::Offers;
use crate::words;

/// Octets of a message that are read and sent at once.
const PIECE_OCTETS: usize = 64 << 10;

/// Answers the questions of the client machine.
pub(crate) struct Exchange<Q: Queue> {
    pub(crate) courier: Courier<Q>,
    /// Octets of the current message that were read.
    body_offset: u64,
    /// All of it was.
    body_ended: bool,
    /// How many there are.
    octets: u64,
    /// Why there was no session.
    pub(crate) no_session: Option<Setback>,
    /// It was for want of TLS.
    pub(crate) lacks_tls: bool,
}

impl<Q: Queue> Service for Exchange<Q> {
    type Machine = Client;

    async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Next(peer) => {
                self.courier.begin(peer.tls.as_ref());
                (self.body_offset, self.body_ended) = (0, false);
                let clock = Arc::clone(&self.courier.runner.clock);
                match self.courier.next().await {
                    Some(job) => {
                        let now = clock.now();
                        let mut message = words::message(&job.items, now);
                        if let Some(item) = job.items.first() {
                            let mail = Arc::clone(&item.mail);
                            let leaving = self.leaving(&mail).await;
                            self.octets = leaving.octets;
                            message.reverse_path = leaving.reverse_path;
                            // RFC 1870 §6.1: what is announced is what is sent, fields of ours in
                            // front included; the host may refuse by it, and rely on it.
                            message.params.size = Some(leaving.octets);
                        }
                        Answer::Send(Box::new(message))
                    }
                    None => Answer::Quit,
                }
            }
            Question::Body => self.body().await,
            Question::FinalDot { .. } => {
                self.courier.dot_follows();
                Answer::Go
            }
            Question::Done(report) => {
                if words::lacks_chunking(&report.outcomes) {
                    let (ip, port) = (self.courier.peer.ip, self.courier.peer.port);
                    self.courier.runner.desk.without_chunking(SocketAddr::new(ip, port));
                }
                let ends = words::ends(report.outcomes, self.octets, &self.courier.peer);
                let offers = Offers { dsn: report.dsn, deliver_by: report.deliver_by };
                self.courier.over(ends, offers, report.said).await;
                Answer::Noted
            }
            Question::NoSession(setback) => {
                self.lacks_tls = words::lacks_tls(&setback);
                self.no_session = Some(words::no_session(setback, &self.courier.peer));
                Answer::Noted
            }
        }
    }
}

impl<Q: Queue> Exchange<Q> {
    pub(crate) const fn new(courier: Courier<Q>) -> Self {
        Self {
            courier,
            body_offset: 0,
            body_ended: false,
            octets: 0,
            no_session: None,
            lacks_tls: false,
        }
    }

    /// What is sent of a message. Where it cannot be read now it is begun as it was kept, and reading
    /// its content then fails, before the dot.
    async fn leaving(&self, mail: &Mail) -> Leaving {
        self.courier.runner.queue.leaving(mail).await.unwrap_or_else(|error| {
            tracing::error!(mail = %mail.id, %error, "the message cannot be read");
            Leaving::as_kept(mail)
        })
    }

    /// The next piece of the current message. One that is shorter than the queue has said, or
    /// cannot be read, is never ended by a dot.
    async fn body(&mut self) -> Answer {
        let Some(mail) = self.courier.current().and_then(|job| job.items.first()) else {
            return Answer::Unreadable;
        };
        let mail = Arc::clone(&mail.mail);
        if self.body_ended {
            return Answer::End;
        }
        let read = self.courier.runner.queue.read_body(mail.id, self.body_offset, PIECE_OCTETS);
        match read.await {
            // Fewer than were asked for are the last.
            Ok(bytes) => {
                self.body_offset += bytes.len() as u64;
                self.body_ended = bytes.len() < PIECE_OCTETS;
                if self.body_offset < self.octets && self.body_ended {
                    tracing::error!(mail = %mail.id, "the message ends before its size");
                    return Answer::Unreadable;
                }
                if bytes.is_empty() { Answer::End } else { Answer::Bytes(bytes) }
            }
            Err(error) => {
                tracing::error!(mail = %mail.id, %error, "the message cannot be read");
                Answer::Unreadable
            }
        }
    }
}
