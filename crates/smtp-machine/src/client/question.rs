use std::sync::Arc;

use mail_types::{Reply, ReversePath, TlsFacts};

use super::said::Said;
use crate::envelope::{MailParams, Recipient};
use crate::reply::ReplyError;

/// What the client asks its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The session stands and is idle: what now? Answer `Send` or `Quit`, at once or when there is
    /// something to send. Asked again after each message.
    Next(Arc<Peer>),
    /// The next octets of the content, please: answer `Bytes` (pieces of some 64 KiB are good),
    /// `End`, or `Unreadable`.
    Body,
    /// The server has taken these recipients (places in [`Message::recipients`]) and has all of the
    /// content but the final dot. From the dot on it may have the message whatever is heard
    /// of it, so record the attempt, then answer `Go`; or `Unreadable` to give it up.
    FinalDot {
        /// At least one, in ascending order.
        taken: Vec<usize>,
    },
    /// The message is done with. Answer `Noted`; then comes `Next`, or the connection ends.
    Done(Report),
    /// There is no session, or no longer one: nothing can be sent on this connection. Answer
    /// `Noted`; then the connection ends. Asked only before the first `Next`.
    NoSession(Setback),
}

/// The service's answer. One that does not fit its question gives the connection up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `Next`: send this.
    Send(Box<Message>),
    /// To `Next`: say goodbye.
    Quit,
    /// To `Body`: octets of the content as the mail has them, with CRLF line ends.
    Bytes(Vec<u8>),
    /// To `Body`: that was all.
    End,
    /// To `Body` or `FinalDot`: the content cannot be had. The connection is closed before the
    /// final dot, so that the server does not take part of a message for the whole.
    Unreadable,
    /// To `FinalDot`: the attempt is recorded.
    Go,
    /// To `Done` and `NoSession`.
    Noted,
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// From whom.
    pub reverse_path: ReversePath,
    /// How. `size` is announced; `body` says whether content has octets beyond ASCII; `smtputf8`
    /// that headers or addresses need it. What the server does not offer is left out.
    pub params: MailParams,
    /// To whom.
    pub recipients: Vec<Recipient>,
}

/// How a message went, recipient by recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One for each of [`Message::recipients`], in their order.
    pub outcomes: Vec<Outcome>,
    /// Whether the server took over the duty to report (RFC 3461 §5.2.1). If not, and success was
    /// to be reported, the relaying MTA reports "relayed" itself (§5.2.2).
    pub dsn: bool,
    /// Whether it took over to deliver in time, or to say that it did not (RFC 2852 §4).
    pub deliver_by: bool,
    /// Every phase since the last report, with the server's words; with the first message of a
    /// session, those of its beginning too.
    pub said: Vec<Said>,
}

/// How it went for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has taken the message for it; its words.
    Taken(Reply),
    /// It has not; its words (4yz or 5yz).
    Refused {
        /// To what.
        stage: Stage,
        /// Verbatim.
        reply: Reply,
    },
    /// It has not: the connection was lost before the final dot.
    Lost {
        /// At what.
        stage: Stage,
        /// How.
        loss: Loss,
    },
    /// The final dot was sent, and no reply came: perhaps it has taken the message, perhaps not
    /// (RFC 1047).
    Uncertain(Loss),
    /// Nothing was tried: this server cannot take such a message.
    Lacks(Lack),
    /// Our own trouble: the content could not be read.
    Unreadable,
    /// It has not: the server offers CHUNKING (RFC 3030) and does not know BDAT. On another
    /// connection, without chunks, it may.
    NoChunking(Reply),
}

/// What there was to reply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The connection itself.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS or its handshake.
    StartTls,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, or its content.
    Data,
    /// The final dot.
    Dot,
    /// RSET, before MAIL.
    Between,
}

/// How a connection was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The server closed it.
    Closed,
    /// No reply in time.
    Timeout,
    /// A line that is no SMTP reply.
    Garbage(ReplyError),
    /// A reply with a code that does not answer the command.
    Unexpected(Reply),
}

/// An extension that a message needs and the server does not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// RFC 6531 §3.5: permanent, 5.6.7.
    SmtpUtf8,
    /// RFC 8689 §4.2.1: it does not offer REQUIRETLS, or TLS with it is not verified: permanent,
    /// 5.7.30.
    RequireTls,
    /// RFC 2852 §4: the message is to go back where it is not delivered in time, and the server
    /// does not promise to do that: permanent, 5.3.3.
    DeliverBy,
    /// The same; it asks for more time than is left: permanent, 5.4.7.
    Time {
        /// What it asks for, in seconds.
        secs_min: u32,
    },
    /// RFC 1870 §6: the message is larger than it takes: permanent, 5.3.4.
    Size {
        /// What it takes, in octets.
        octets_max: u64,
    },
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setback {
    /// The server refused; its words.
    Refused {
        /// What.
        stage: Stage,
        /// Verbatim.
        reply: Reply,
    },
    /// The connection was lost.
    Lost {
        /// At what.
        stage: Stage,
        /// How.
        loss: Loss,
    },
    /// TLS is required, and not offered.
    NoTls,
    /// We are to sign in, and cannot or may not: why, in words.
    NoSignIn(String),
}

/// What a server has told of itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Peer {
    /// The first word of its greeting: its name.
    pub name: String,
    /// The TLS session, if there is one.
    pub tls: Option<TlsFacts>,
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 8689.
    pub requiretls: bool,
    /// RFC 6710.
    pub mt_priority: bool,
    /// RFC 2852: offered, with the least by-time in seconds for mail that may have to go back; 0
    /// where it names none.
    pub deliver_by: Option<u32>,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 4954: the mechanisms, separated by spaces.
    pub auth: String,
    /// That it is the host that mail is to go to is proven ([`super::Config::is_proven`]).
    pub is_proven: bool,
    /// RFC 1870.
    pub size: Size,
}

/// RFC 1870 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Size {
    /// Not offered.
    #[default]
    NotOffered,
    /// Offered without a limit.
    Unlimited,
    /// Offered with a limit in octets.
    AtMost(u64),
}

impl Peer {
    /// Reads the keywords of an EHLO reply (RFC 5321 §4.1.1.1); unknown ones are passed over.
    pub(super) fn read_hello(&mut self, reply: &Reply) {
        (self.pipelining, self.eight_bit_mime, self.smtputf8) = (false, false, false);
        (self.dsn, self.starttls, self.size) = (false, false, Size::NotOffered);
        (self.requiretls, self.mt_priority, self.chunking) = (false, false, false);
        self.deliver_by = None;
        self.auth.clear();
        for line in reply.lines.iter().skip(1) {
            let (keyword, params) = line.split_once(' ').unwrap_or((line, ""));
            match keyword.to_ascii_uppercase().as_str() {
                "PIPELINING" => self.pipelining = true,
                "8BITMIME" => self.eight_bit_mime = true,
                "SMTPUTF8" => self.smtputf8 = true,
                "DSN" => self.dsn = true,
                "STARTTLS" => self.starttls = true,
                "REQUIRETLS" => self.requiretls = true,
                "MT-PRIORITY" => self.mt_priority = true,
                "CHUNKING" => self.chunking = true,
                // RFC 2852 §2: `[1*9DIGIT] *("," extension-token)`.
                "DELIVERBY" => {
                    let min = params.split(',').next().unwrap_or_default().trim();
                    self.deliver_by = Some(min.parse().unwrap_or(0));
                }
                "AUTH" => params.clone_into(&mut self.auth),
                // RFC 1870 §4: 0 or none means no fixed limit.
                "SIZE" => {
                    self.size = match params.trim().parse() {
                        Ok(0) | Err(_) => Size::Unlimited,
                        Ok(octets) => Size::AtMost(octets),
                    };
                }
                _ => {}
            }
        }
    }
}
