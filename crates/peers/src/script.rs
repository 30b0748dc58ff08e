use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::Certified;

/// The moment of an SMTP session at which something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The connection stands; the greeting is due.
    Connect,
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// STARTTLS.
    StartTls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO, each.
    Rcpt,
    /// DATA, or the first BDAT.
    Data,
    /// The bytes of the message are coming in; only [`Act::CloseAfter`] and `Close` work here.
    Body,
    /// The final dot (or `BDAT … LAST`) is read; its reply is due.
    Dot,
    /// RSET.
    Rset,
    /// NOOP, VRFY and all else.
    Other,
    /// QUIT.
    Quit,
}

/// What is done at a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// What a server does that accepts everything.
    Normal,
    /// This reply. `\n` separates its lines and may be left out at the end. At [`Stage::Dot`] the
    /// message is kept if the reply is 2yz.
    Reply(String),
    /// This reply, then the connection is closed.
    ReplyThenClose(String),
    /// At `Dot`: keeps the message and yet says this.
    StoreThenReply(String),
    /// At `Dot`: keeps the message and closes without a word.
    StoreThenClose,
    /// At `Dot`: keeps the message and never says anything again.
    StoreThenSilent,
    /// Closes without a word.
    Close,
    /// At `Body`: closes once this many octets of the message have come.
    CloseAfter(usize),
    /// Never says anything again, and leaves the connection open.
    Silent,
    /// Waits until [`crate::Sink::release`], then `Normal`.
    Hold,
    /// Waits so long, then `Normal`.
    Delay(Duration),
    /// Says it an octet at a time, so long after each other, as a tarpit does; then as `Reply`.
    Drip(Duration, String),
    /// These bytes and nothing else, whatever they are.
    Raw(Vec<u8>),
    /// At `StartTls`: says 220, then answers the handshake with something that is no TLS.
    BreakTls,
}

/// A rule: which stage, which text in the command line, which of the matching times, what then.
#[derive(Clone, Debug)]
struct Rule {
    stage: Stage,
    needle: Option<String>,
    skip: u64,
    times: u64,
    matched: u64,
    act: Act,
}

/// How a [`crate::Sink`] behaves. Made by adding to [`Script::accept`].
#[derive(Clone, Debug)]
pub struct Script {
    rules: Vec<Rule>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) count_only: bool,
    pub(crate) size_max: Option<usize>,
    greylist: Option<Greylist>,
    pub(crate) host: String,
    pub(crate) certified: Option<Certified>,
}

impl Default for Script {
    fn default() -> Self {
        Self::accept()
    }
}

impl Script {
    /// Accepts and keeps everything; offers PIPELINING, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES and
    /// SIZE without a limit.
    #[must_use]
    pub fn accept() -> Self {
        let offered = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE 0"];
        Self {
            rules: Vec::new(),
            capabilities: offered.map(str::to_owned).to_vec(),
            count_only: false,
            size_max: None,
            greylist: None,
            host: "sink.test".to_owned(),
            certified: None,
        }
    }

    /// Counts messages, but keeps neither them nor the commands: for measuring.
    #[must_use]
    pub const fn count_only(mut self) -> Self {
        self.count_only = true;
        self
    }

    /// Adds a rule; where several match, the first added acts.
    #[must_use]
    pub fn on(mut self, stage: Stage, act: Act) -> Self {
        let (skip, times) = (0, u64::MAX);
        self.rules.push(Rule { stage, needle: None, skip, times, matched: 0, act });
        self
    }

    /// As `on` with a reply.
    #[must_use]
    pub fn reply(self, stage: Stage, reply: &str) -> Self {
        self.on(stage, Act::Reply(reply.to_owned()))
    }

    /// Limits the rule added last to command lines (at `Dot`: messages) that hold this text.
    #[must_use]
    pub fn when(mut self, needle: &str) -> Self {
        self.last_rule().needle = Some(needle.to_owned());
        self
    }

    /// The rule added last lets so many matching moments pass first.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.last_rule().skip = count;
        self
    }

    /// The rule added last acts so many times, and no more.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.last_rule().times = count;
        self
    }

    fn last_rule(&mut self) -> &mut Rule {
        self.rules.last_mut().expect("when, skip and times follow a rule")
    }

    /// Offers one more extension, as a line of the EHLO reply.
    #[must_use]
    pub fn with(mut self, capability: &str) -> Self {
        self.capabilities.push(capability.to_owned());
        self
    }

    /// Does not offer this extension, and notes its use as a violation.
    #[must_use]
    pub fn without(mut self, keyword: &str) -> Self {
        self.capabilities.retain(|offered| !has_keyword(offered, keyword));
        self
    }

    /// Offers STARTTLS with a certificate that signs itself.
    #[must_use]
    pub fn starttls(self) -> Self {
        self.with("STARTTLS")
    }

    /// Offers STARTTLS with this certificate.
    #[must_use]
    pub fn starttls_with(mut self, certified: &Certified) -> Self {
        self.certified = Some(certified.clone());
        self.starttls()
    }

    /// Knows no EHLO.
    #[must_use]
    pub fn helo_only(self) -> Self {
        self.reply(Stage::Ehlo, "502 command not implemented")
    }

    /// Announces and enforces a limit in octets.
    #[must_use]
    pub fn size(mut self, octets_max: usize) -> Self {
        self.size_max = Some(octets_max);
        self.without("SIZE").with(&format!("SIZE {octets_max}"))
    }

    /// Waits so long before each reply: a tarpit.
    #[must_use]
    pub fn tarpit(self, wait: Duration) -> Self {
        use Stage::{Connect, Data, Dot, Ehlo, Mail, Rcpt};
        [Connect, Ehlo, Mail, Rcpt, Data, Dot]
            .into_iter()
            .fold(self, |script, stage| script.on(stage, Act::Delay(wait)))
    }

    /// Cuts the connection once so many octets of a message have come.
    #[must_use]
    pub fn cut_in_data(self, octets: usize) -> Self {
        self.on(Stage::Body, Act::CloseAfter(octets))
    }

    /// Keeps the message, and cuts the connection instead of answering the final dot.
    #[must_use]
    pub fn cut_after_dot(self) -> Self {
        self.on(Stage::Dot, Act::StoreThenClose)
    }

    /// Says 451 to each client address, reverse-path and recipient the first so many times.
    #[must_use]
    pub fn greylist(mut self, tries: u32) -> Self {
        self.greylist = Some(Greylist { patience: Patience::Tries(tries), ..Greylist::default() });
        self
    }

    /// Says 451 to each client address, reverse-path and recipient until so much time has passed
    /// since it first came, on the clock that [`crate::Sink::pass`] moves.
    #[must_use]
    pub fn greylist_for(mut self, wait: Duration) -> Self {
        self.greylist = Some(Greylist { patience: Patience::Wait(wait), ..Greylist::default() });
        self
    }

    /// Its name in greeting and EHLO reply.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    pub(crate) fn offers(&self, keyword: &str) -> bool {
        self.capabilities.iter().any(|offered| has_keyword(offered, keyword))
    }

    /// What to do now; counts the moment for the rules that match.
    pub(crate) fn act(&mut self, stage: Stage, text: &[u8]) -> Act {
        for rule in &mut self.rules {
            let holds = |needle: &String| contains(text, needle.as_bytes());
            if rule.stage != stage || !rule.needle.as_ref().is_none_or(holds) {
                continue;
            }
            rule.matched += 1;
            if rule.matched > rule.skip && rule.matched - rule.skip <= rule.times {
                return rule.act.clone();
            }
        }
        Act::Normal
    }

    /// Moves the clock of the greylist.
    pub(crate) fn pass(&mut self, time: Duration) {
        if let Some(greylist) = &mut self.greylist {
            greylist.now += time;
        }
    }

    /// Whether greylisting refuses this now.
    pub(crate) fn is_greylisted(&mut self, client: IpAddr, from: &str, to: &str) -> bool {
        let Some(greylist) = &mut self.greylist else { return false };
        let triplet = (client, from.to_owned(), to.to_owned());
        let (first, tries) = greylist.known.entry(triplet).or_insert((greylist.now, 0));
        *tries += 1;
        match greylist.patience {
            Patience::Tries(refused) => *tries <= refused,
            Patience::Wait(wait) => greylist.now - *first < wait,
        }
    }
}

/// Whom a sink has seen, and since when.
#[derive(Clone, Debug, Default)]
struct Greylist {
    patience: Patience,
    /// Client, reverse-path, recipient: when they first came, how often since.
    known: HashMap<(IpAddr, String, String), (Duration, u32)>,
    now: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Patience {
    Tries(u32),
    Wait(Duration),
}

impl Default for Patience {
    fn default() -> Self {
        Self::Tries(1)
    }
}

fn has_keyword(line: &str, keyword: &str) -> bool {
    line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(keyword))
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || text.windows(needle.len()).any(|window| window == needle)
}
