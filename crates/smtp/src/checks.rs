//! Finding out who a message is from, while it comes in: look-ups begin as soon as what they need is
//! known, run beside the transfer, and end a while after it at the latest, or with the connection,
//! the transaction or the message that wanted them.
//!
//! What different people decide about is looked up apart: the client's name, HELO, the reverse-path,
//! the signatures' keys, the seals' keys, each author. A name that never answers then says nothing
//! about any but itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use judge::{Facts, Policy};
use mail_types::{Domain, Refusal, ReversePath, Timestamp};
use net::{Authority, Resolver, Turn, Turnstile};
use sender_auth::{
    Answers, Authors, DmarcInput, Examined, Identifier, IprevResult, Outcome, Query, SpfResult,
    SpfScope, SpfSession, Verdict, dmarc, iprev, spf_helo, spf_mail_from,
};
use smtp_machine::Sender;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Keys of ARC seals that are looked up at a time for one message: a chain may name a hundred, and
/// without them it is only not believed.
const SEAL_LOOKUPS_MAX: usize = 8;

/// How senders are checked, for all connections.
pub struct Checks {
    /// Shared, with its memory of answers; one [for strangers](Resolver::for_strangers).
    pub resolver: Arc<Resolver>,
    /// Bounds what senders make us look up.
    pub turnstile: Turnstile,
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
    turn: Turn,
    ip: IpAddr,
    us: Domain,
    /// When look-ups end.
    end: watch::Sender<Instant>,
    iprev: Finding<IprevResult>,
    sender: Option<OfSender>,
    header: Option<OfHeader>,
}

/// Something that is asked once and wanted for each message.
enum Finding<T> {
    Asked(Asking<T>),
    Known(T),
}

/// What is asked at MAIL.
struct OfSender {
    helo: Asking<SpfResult>,
    /// And its authority, which may have been starved.
    mail_from: Asking<(SpfResult, Authority)>,
}

/// What is asked at the end of the header.
struct OfHeader {
    keys: Asking<Authority>,
    seals: Asking<Authority>,
    /// One for each author.
    policies: Vec<Asking<Authority>>,
}

/// Look-ups that end with whoever wants them: a task let go would go on for as long as its names
/// do not answer.
struct Asking<T>(JoinHandle<T>);

impl<T: Send + 'static> Asking<T> {
    fn begin(asking: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(asking))
    }

    /// `None` where it broke.
    async fn end(&mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for Asking<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the header of a message tells to look up.
pub struct Clues {
    /// The keys of its signatures.
    pub keys: Vec<Query>,
    /// The keys of its seals.
    pub seals: Vec<Query>,
    /// Whose it says it is.
    pub authors: Authors,
}

impl Inquiry {
    /// Begins with the connection: the client's name is looked up at once. Must run within tokio.
    pub fn new(checks: Arc<Checks>, ip: IpAddr, us: Domain) -> Self {
        let (end, _) = watch::channel(Instant::now() + checks.message_wait);
        let turn = checks.turnstile.of(ip);
        let mut authority =
            Authority::until(Arc::clone(&checks.resolver), end.subscribe()).in_turn(turn.clone());
        let named =
            Asking::begin(async move { authority.drive(|answers| iprev(ip, answers)).await });
        let iprev = Finding::Asked(named);
        Self { checks, turn, ip, us, end, iprev, sender: None, header: None }
    }

    /// MAIL: both identities of SPF are checked; whatever was asked for a message before ends.
    pub fn sender(&mut self, sender: &Sender, now: Timestamp) {
        self.forget_message();
        self.end.send_replace(Instant::now() + self.checks.message_wait);
        let client = Arc::new(Client {
            ip: self.ip,
            helo: sender.helo.clone(),
            mail_from: mail_from(&sender.reverse_path),
            receiver: self.us.to_string(),
            now_secs: now.millis() / 1000,
        });
        let (mut authority, of) = (self.authority(), Arc::clone(&client));
        let helo = Asking::begin(async move {
            authority.drive(|answers| spf_helo(&of.session(), answers)).await
        });
        let mut authority = self.authority();
        let mail_from = Asking::begin(async move {
            let check = |answers: &Answers| spf_mail_from(&client.session(), answers);
            (authority.drive(check).await, authority)
        });
        self.sender = Some(OfSender { helo, mail_from });
    }

    /// The header is complete: keys and each author's policy are looked up.
    pub fn header(&mut self, clues: Clues) {
        let looked_up = |mut authority: Authority, queries: Vec<Query>| {
            Asking::begin(async move {
                authority.answer(queries).await;
                authority
            })
        };
        let policies = clues.authors.domains().iter().map(|author| {
            let authors = Authors::Domains(vec![author.clone()]);
            let input = DmarcInput { authors, spf: None, dkim: Vec::new() };
            let mut authority = self.authority();
            Asking::begin(async move {
                authority.drive(|answers| dmarc(&input, answers)).await;
                authority
            })
        });
        let policies = policies.collect();
        let few = self.turn.at_most(SEAL_LOOKUPS_MAX);
        self.header = Some(OfHeader {
            keys: looked_up(self.authority(), clues.keys),
            seals: looked_up(self.authority().in_turn(few), clues.seals),
            policies,
        });
    }

    /// There will be no message of this header: nothing of it is wanted any more.
    pub fn forget_header(&mut self) {
        self.header = None;
    }

    /// Nothing is wanted any more of who the message would have been from.
    pub fn forget_message(&mut self) {
        self.header = None;
        self.sender = None;
    }

    /// The content is complete: everything that is known by now, or shortly.
    ///
    /// # Errors
    /// Where too many look-ups were under way for the author to be known: trouble of ours, not of
    /// the DNS, and nothing to let a message pass for.
    pub async fn facts(
        &mut self,
        examined: &Examined,
        authors: Authors,
        now: Timestamp,
    ) -> Result<Facts, Refusal> {
        self.end.send_replace(Instant::now() + self.checks.patience);
        let mut sender = self.sender.take();
        let (spf, of_spf) = match &mut sender {
            Some(asked) => match asked.mail_from.end().await {
                Some((spf, authority)) => (spf, Some(authority)),
                None => (unknown_spf(SpfScope::MailFrom), None),
            },
            None => (unknown_spf(SpfScope::MailFrom), None),
        };
        let (mut keys, mut seals, mut policies) = (self.authority(), self.authority(), Vec::new());
        if let Some(mut asked) = self.header.take() {
            keys = asked.keys.end().await.unwrap_or(keys);
            seals = asked.seals.end().await.unwrap_or(seals);
            for policy in &mut asked.policies {
                policies.extend(policy.end().await);
            }
        }
        let dkim = keys.drive(|answers| examined.dkim(answers, now)).await;
        let arc = seals.drive(|answers| examined.arc(answers)).await;
        let signers = dkim.iter().filter_map(|one| {
            let domain = one.domain.as_ref()?.to_string();
            Some(Identifier { verdict: one.outcome.verdict, domain })
        });
        let input = DmarcInput {
            authors,
            spf: Some(Identifier { verdict: spf.outcome.verdict, domain: spf.domain.clone() }),
            dkim: signers.collect(),
        };
        let mut authority = self.authority().knowing(&policies);
        let dmarc = authority.drive(|answers| dmarc(&input, answers)).await;
        let is_starved = [Some(&keys), of_spf.as_ref(), Some(&authority)];
        let is_starved = is_starved.into_iter().flatten().any(Authority::is_starved);
        if is_starved && dmarc.outcome.verdict == Verdict::TempError {
            return Err(starved(self.ip));
        }
        let spf_helo = match &mut sender {
            Some(asked) => asked.helo.end().await,
            None => None,
        };
        let spf_helo = spf_helo.unwrap_or_else(|| unknown_spf(SpfScope::Helo));
        let iprev = match &mut self.iprev {
            Finding::Known(known) => known.clone(),
            Finding::Asked(asked) => {
                let unknown = || IprevResult { outcome: bug(), name: None };
                let known = asked.end().await.unwrap_or_else(unknown);
                self.iprev = Finding::Known(known.clone());
                known
            }
        };
        Ok(Facts { iprev, spf_helo, spf, dkim, arc, dmarc })
    }

    fn authority(&self) -> Authority {
        Authority::until(Arc::clone(&self.checks.resolver), self.end.subscribe())
            .in_turn(self.turn.clone())
    }
}

/// Who sends, for SPF.
struct Client {
    ip: IpAddr,
    helo: String,
    mail_from: String,
    receiver: String,
    now_secs: i64,
}

impl Client {
    fn session(&self) -> SpfSession<'_> {
        let Self { ip, helo, mail_from, receiver, now_secs } = self;
        SpfSession { ip: *ip, helo, mail_from, receiver, now_secs: *now_secs }
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

fn unknown_spf(scope: SpfScope) -> SpfResult {
    SpfResult { outcome: bug(), scope, domain: String::new(), explanation: None }
}

fn starved(peer: IpAddr) -> Refusal {
    tracing::warn!(%peer, "a message is put off: too many DNS look-ups are under way");
    Refusal::transient(451, 4, 3, "The sender cannot be checked now: too many look-ups; try later")
}
