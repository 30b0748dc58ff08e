use mail_types::{EnhancedStatus, Reply, Severity};

use crate::{Class, Failure};

/// What a remote server's reply, or its silence, was the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The connection itself: its greeting.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS.
    StartTls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, or a chunk that is not the last.
    Data,
    /// The final dot, or the last chunk: the message is out of our hands.
    Dot,
    /// RSET, QUIT, NOOP.
    Between,
}

impl Stage {
    /// How a sentence calls it.
    const fn words(self) -> &'static str {
        match self {
            Self::Greeting => "the connection",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::Dot => "the message",
            Self::Between => "a command between messages",
        }
    }
}

/// How an attempt ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble<'a> {
    /// Nobody listens there.
    Refused,
    /// No way there, in the system's words.
    Unreachable(&'a str),
    /// The connection did not stand in time.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls(&'a str),
    /// A policy of the destination forbids to use the host.
    Policy(&'a str),
    /// A reply that is no success.
    Reply {
        /// To what.
        stage: Stage,
        /// The reply.
        reply: &'a Reply,
        /// RCPT only: an earlier recipient of this transaction was taken.
        others_taken: bool,
    },
    /// The connection ended.
    Closed(Stage),
    /// No reply in time.
    Timeout(Stage),
    /// Something that is no SMTP reply.
    Garbage(Stage, &'a str),
    /// The message needs SMTPUTF8, which the server does not offer (RFC 6531 §3.5).
    LacksSmtpUtf8,
    /// The message requires TLS, which the server does not promise to keep up, or it is not proven to
    /// be the right one (RFC 8689 §4.2.1).
    LacksRequireTls,
    /// The message is to go back where it is not delivered in time, and the server does not promise
    /// that (RFC 2852 §4).
    LacksDeliverBy,
    /// The same; the server takes on no such promise for less than this.
    WantsTime {
        /// In seconds.
        secs_min: u32,
    },
    /// The message is larger than the server takes, in octets (RFC 1870 §6.3).
    TooLarge {
        /// What it takes.
        octets_max: u64,
        /// What it is.
        octets: u64,
    },
    /// Our own trouble: the store, the disk, no file handles left.
    Ours(&'a str),
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// The answer stands for every host of the destination.
    Stop,
    /// Another host of the destination may answer better.
    NextHost,
    /// The same host takes this recipient in a transaction of its own, now.
    NextTransaction,
    /// The server may have taken the message: no other host now, a later attempt may make a
    /// duplicate (RFC 1047).
    Uncertain,
}

/// What the end of an attempt means for the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to keep where no later host does better.
    pub failure: Failure,
    /// What to do now.
    pub then: Then,
}

impl Verdict {
    /// The verdict on a destination of which `self` is the one on an earlier host and `later` on a
    /// later: permanent only if every host says so for good.
    #[must_use]
    pub fn over_hosts(self, later: Self) -> Self {
        match (self.failure.class, later.failure.class) {
            (Class::Temporary | Class::Ours, Class::Permanent) if later.then == Then::NextHost => {
                self
            }
            _ => later,
        }
    }
}

/// Reads the end of an attempt.
///
/// RFC 5321 §5.1 asks to try the other hosts of a destination after a temporary failure, so every
/// 4yz leads on. A 5yz is final at once when it is about the mail (MAIL, RCPT, DATA, the message);
/// at the greeting and EHLO it is about that host (a block list, a host out of service), so the
/// others are asked before the mail is given back, which is also what Postfix does.
#[must_use]
pub fn classify(trouble: Trouble<'_>) -> Verdict {
    let temporary = |subject, detail, text: String, then| Verdict {
        failure: Failure::temporary(subject, detail, text),
        then,
    };
    match trouble {
        Trouble::Refused => temporary(4, 1, "connection refused".into(), Then::NextHost),
        Trouble::Unreachable(why) => temporary(4, 1, why.to_owned(), Then::NextHost),
        Trouble::ConnectTimeout => temporary(4, 1, "no connection in time".into(), Then::NextHost),
        Trouble::Tls(why) => {
            temporary(7, 5, format!("the TLS handshake failed: {why}"), Then::NextHost)
        }
        // RFC 8461 §4.2, RFC 7672 §2.1: the other hosts may do; the policy may be mended.
        Trouble::Policy(why) => temporary(7, 0, why.to_owned(), Then::NextHost),
        Trouble::Closed(stage) => {
            let text = format!("the server closed the connection at {}", stage.words());
            temporary(4, 2, text, after_silence(stage))
        }
        Trouble::Timeout(stage) => {
            let text = format!("the server did not reply to {} in time", stage.words());
            temporary(4, 2, text, after_silence(stage))
        }
        Trouble::Garbage(stage, what) => {
            let text = format!("no SMTP reply to {}: {what}", stage.words());
            temporary(5, 0, text, after_silence(stage))
        }
        Trouble::LacksSmtpUtf8 => Verdict {
            failure: Failure::permanent(
                6,
                7,
                "the server takes no international addresses (SMTPUTF8)",
            ),
            then: Then::NextHost,
        },
        Trouble::LacksRequireTls => Verdict {
            failure: Failure::permanent(
                7,
                30,
                "the sender requires TLS all the way, and the server does not offer that \
                 (REQUIRETLS) or is not proven to be the right one",
            ),
            then: Then::NextHost,
        },
        // RFC 3463 §3.4: X.3.3, system not capable of selected features.
        Trouble::LacksDeliverBy => Verdict {
            failure: Failure::permanent(
                3,
                3,
                "its sender wants it back where it is not delivered in time, and the server does \
                 not promise that (DELIVERBY)",
            ),
            then: Then::NextHost,
        },
        Trouble::WantsTime { secs_min } => Verdict {
            failure: Failure::permanent(
                4,
                7,
                format!(
                    "less is left of the time to deliver it by than the {secs_min} seconds that \
                     the server asks for (DELIVERBY)"
                ),
            ),
            then: Then::NextHost,
        },
        Trouble::TooLarge { octets_max, octets } => Verdict {
            failure: Failure::permanent(
                3,
                4,
                format!(
                    "the server takes messages of at most {octets_max} octets ({}), and this one \
                     has {octets} ({})",
                    size_words(octets_max),
                    size_words(octets)
                ),
            ),
            then: Then::NextHost,
        },
        Trouble::Ours(why) => Verdict { failure: Failure::ours(3, 0, why), then: Then::Stop },
        Trouble::Reply { stage, reply, others_taken } => read_reply(stage, reply, others_taken),
    }
}

/// A size as people say it: `9.5 MiB`.
fn size_words(octets: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    let tenths = |unit: u64| octets.saturating_mul(10) / unit;
    let (tenths, name) = if octets < MIB { (tenths(KIB), "KiB") } else { (tenths(MIB), "MiB") };
    match tenths % 10 {
        0 => format!("{} {name}", tenths / 10),
        tenth => format!("{}.{tenth} {name}", tenths / 10),
    }
}

/// RFC 5321 §4.5.4.1, RFC 1047: once the dot is sent, silence says nothing about the message.
const fn after_silence(stage: Stage) -> Then {
    match stage {
        Stage::Dot => Then::Uncertain,
        Stage::Greeting
        | Stage::Hello
        | Stage::StartTls
        | Stage::Mail
        | Stage::Rcpt
        | Stage::Data
        | Stage::Between => Then::NextHost,
    }
}

fn read_reply(stage: Stage, reply: &Reply, others_taken: bool) -> Verdict {
    let text = reply.to_string();
    let class = match reply.severity() {
        Some(Severity::Permanent) => Class::Permanent,
        Some(Severity::Transient) => Class::Temporary,
        // A success where none belongs, such as 250 to DATA.
        Some(Severity::Success | Severity::Intermediate) | None => {
            return classify(Trouble::Garbage(stage, &text));
        }
    };
    // RFC 5321 §4.5.3.1.10: 452 (and an old 552) to a further RCPT: too many at once; the others
    // go on, this one follows in the next transaction.
    if stage == Stage::Rcpt && others_taken && is_too_many(reply) {
        let failure = Failure { class: Class::Temporary, status: status(reply, 4), text };
        return Verdict { failure, then: Then::NextTransaction };
    }
    let (digit, then) = match (class, stage) {
        (Class::Permanent, Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Dot) => (5, Then::Stop),
        (Class::Permanent, Stage::Greeting | Stage::Hello) => (5, Then::NextHost),
        // Refused TLS, RSET or NOOP says nothing about the mail.
        (Class::Permanent, Stage::StartTls | Stage::Between) => {
            let failure = Failure { class: Class::Temporary, status: status(reply, 4), text };
            return Verdict { failure, then: Then::NextHost };
        }
        (Class::Temporary | Class::Ours, _) => (4, Then::NextHost),
    };
    Verdict { failure: Failure { class, status: status(reply, digit), text }, then }
}

fn is_too_many(reply: &Reply) -> bool {
    let says_so = reply.status.is_none_or(|status| (status.subject, status.detail) == (5, 3));
    matches!(reply.code, 452 | 552) && says_so
}

/// The status that the reply carries, its class made to agree with the code; x.0.0 without one.
fn status(reply: &Reply, class: u8) -> EnhancedStatus {
    let given = reply.status.unwrap_or(EnhancedStatus::new(class, 0, 0));
    EnhancedStatus::new(class, given.subject, given.detail)
}
