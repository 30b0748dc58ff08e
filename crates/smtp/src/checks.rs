//! Finding out who a message is from, while it comes in: look-ups begin as soon as what they need is
//! known, run beside the transfer, and end a while after it at the latest.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use judge::{Facts, Policy};
use mail_types::{Domain, ReversePath, Timestamp};
use net::{Authority, Resolver};
use sender_auth::{
    Authors, DmarcInput, Examined, Identifier, IprevResult, Outcome, Query, SpfResult, SpfScope,
    SpfSession, Step, Verdict, dmarc, iprev, spf_helo, spf_mail_from,
};
use smtp_machine::Sender;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How senders are checked, for all connections.
pub struct Checks {
    /// Shared, with its memory of answers.
    pub resolver: Arc<Resolver>,
    /// How long after the end of the content an answer is waited for.
    pub patience: Duration,
    /// How long a message may take to come in.
    pub message_wait: Duration,
    /// Clients that are not checked.
    pub trusted: net::Trusted,
    /// What the recipients of a domain want done.
    pub policy_of: Box<dyn Fn(&Domain) -> Policy + Send + Sync>,
    /// ARC sealers that are believed.
    pub trusted_sealers: Vec<Domain>,
}

/// What is being found out about one connection and the message on it.
pub struct Inquiry {
    pub checks: Arc<Checks>,
    ip: IpAddr,
    us: Domain,
    /// When look-ups end.
    end: watch::Sender<Instant>,
    iprev: Finding<IprevResult>,
    sender: Option<JoinHandle<(SpfResult, SpfResult)>>,
    author: Option<JoinHandle<Authority>>,
}

/// Something that is asked once and wanted for each message.
enum Finding<T> {
    Asked(JoinHandle<T>),
    Known(T),
}

/// What the header of a message tells to look up.
pub struct Clues {
    /// The keys of its signatures and seals.
    pub keys: Vec<Query>,
    /// Whose it says it is.
    pub authors: Authors,
}

impl Inquiry {
    /// Begins with the connection: the client's name is looked up at once. Must run within tokio.
    pub fn new(checks: Arc<Checks>, ip: IpAddr, us: Domain) -> Self {
        let (end, _) = watch::channel(Instant::now() + checks.message_wait);
        let mut authority = Authority::until(Arc::clone(&checks.resolver), end.subscribe());
        let named =
            tokio::spawn(async move { authority.drive(|answers| iprev(ip, answers)).await });
        Self { checks, ip, us, end, iprev: Finding::Asked(named), sender: None, author: None }
    }

    /// MAIL: both identities of SPF are checked.
    pub fn sender(&mut self, sender: &Sender, now: Timestamp) {
        self.end.send_replace(Instant::now() + self.checks.message_wait);
        self.author = None;
        let mut authority = self.authority();
        let (ip, us) = (self.ip, self.us.to_string());
        let (helo, mail_from) = (sender.helo.clone(), mail_from(&sender.reverse_path));
        let now_secs = now.millis() / 1000;
        self.sender = Some(tokio::spawn(async move {
            let session =
                SpfSession { ip, helo: &helo, mail_from: &mail_from, receiver: &us, now_secs };
            authority
                .drive(|answers| spf_helo(&session, answers).both(spf_mail_from(&session, answers)))
                .await
        }));
    }

    /// The header is complete: keys and the author's policy are looked up.
    pub fn header(&mut self, clues: Clues) {
        let mut authority = self.authority();
        self.author = Some(tokio::spawn(async move {
            let input = DmarcInput { authors: clues.authors, spf: None, dkim: Vec::new() };
            authority
                .drive(|answers| {
                    let lacking = |query: &&Query| answers.get(query).is_none();
                    let keys: Vec<Query> = clues.keys.iter().filter(lacking).cloned().collect();
                    let keys = if keys.is_empty() { Step::Done(()) } else { Step::Ask(keys) };
                    keys.both(dmarc(&input, answers))
                })
                .await;
            authority
        }));
    }

    /// The content is complete: everything that is known by now, or shortly.
    pub async fn facts(&mut self, examined: &Examined, authors: Authors, now: Timestamp) -> Facts {
        self.end.send_replace(Instant::now() + self.checks.patience);
        let iprev = match &mut self.iprev {
            Finding::Known(known) => known.clone(),
            Finding::Asked(asked) => {
                let known =
                    asked.await.unwrap_or_else(|_| IprevResult { outcome: bug(), name: None });
                self.iprev = Finding::Known(known.clone());
                known
            }
        };
        let (spf_helo, spf) = match self.sender.take() {
            Some(asked) => asked.await.unwrap_or_else(|_| unknown_spf()),
            None => unknown_spf(),
        };
        let mut authority = match self.author.take() {
            Some(asked) => asked.await.unwrap_or_else(|_| self.authority()),
            None => self.authority(),
        };
        let (dkim, arc) = authority
            .drive(|answers| examined.dkim(answers, now).both(examined.arc(answers)))
            .await;
        let signers = dkim.iter().filter_map(|one| {
            let domain = one.domain.as_ref()?.to_string();
            Some(Identifier { verdict: one.outcome.verdict, domain })
        });
        let input = DmarcInput {
            authors,
            spf: Some(Identifier { verdict: spf.outcome.verdict, domain: spf.domain.clone() }),
            dkim: signers.collect(),
        };
        let dmarc = authority.drive(|answers| dmarc(&input, answers)).await;
        Facts { iprev, spf_helo, spf, dkim, arc, dmarc }
    }

    fn authority(&self) -> Authority {
        Authority::until(Arc::clone(&self.checks.resolver), self.end.subscribe())
    }
}

/// Without its angle brackets; empty for the null reverse-path.
pub fn mail_from(reverse_path: &ReversePath) -> String {
    reverse_path.address().map(ToString::to_string).unwrap_or_default()
}

/// A check of ours that broke says nothing about the sender.
fn bug() -> Outcome {
    Outcome::new(Verdict::TempError, "the check failed by a fault of this server")
}

fn unknown_spf() -> (SpfResult, SpfResult) {
    let unknown =
        |scope| SpfResult { outcome: bug(), scope, domain: String::new(), explanation: None };
    (unknown(SpfScope::Helo), unknown(SpfScope::MailFrom))
}
