//! What the command line asks, and how it is done: the same whether a running server does it (over
//! the control socket) or the command itself on the open store.

use mail_types::{Address, Domain, MailId, ReceiptId, RecordSeq, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Actor, KnownBy, Query, Refused, Store, StoreError, Traced};

use crate::jobs::Watch;
use crate::queue_command::{Filter, What};
use crate::tongue::Language;
use crate::{queue_perform, view};

/// Stories that one trace tells if not asked for more.
const STORIES_DEFAULT: usize = 20;

pub use crate::failure::Failure;
pub use crate::which::Which;

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// How it goes.
    Status,
    /// The numbers, which only a running server has.
    Metrics,
    /// What only a running server knows of TLS.
    Tls {
        ask: crate::tls::Ask,
    },
    AccountList,
    AccountAdd {
        address: Address,
        password: String,
    },
    AccountRemove {
        address: Address,
    },
    AccountPassword {
        address: Address,
        password: String,
    },
    /// Sets the limits that are given; `Some(None)`, in JSON `null`, is no limit.
    AccountQuota {
        address: Address,
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
        storage_bytes: Option<Option<u64>>,
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
        messages: Option<Option<u64>>,
    },
    Dkim {
        request: DkimRequest,
    },
    DomainList,
    DomainAdd {
        domain: Domain,
    },
    DomainRemove {
        domain: Domain,
    },
    AliasList,
    AliasAdd {
        alias: Address,
        targets: Vec<Address>,
    },
    AliasRemove {
        alias: Address,
    },
    RouteList,
    RouteAdd {
        domain: Option<Domain>,
        host: String,
        port: u16,
        #[serde(default)]
        login: Option<store::RelayLogin>,
    },
    RouteRemove {
        domain: Option<Domain>,
    },
    QueueList {
        filter: Filter,
        count_max: Option<usize>,
    },
    QueueShow {
        filter: Filter,
        count_max: Option<usize>,
    },
    QueueChange {
        what: What,
        filter: Filter,
        reason: Option<String>,
        dry_run: bool,
    },
    QueueUndo {
        change: Option<u64>,
        reason: Option<String>,
    },
    QueuePause {
        destination: Option<String>,
        paused: bool,
        reason: Option<String>,
    },
    /// Go on as a session of a search (`search`).
    Search(crate::search::SearchRequest),
    Trace {
        which: Which,
        since: Option<i64>,
        until: Option<i64>,
        count_max: Option<usize>,
        #[serde(default)]
        keys: TraceKeys,
    },
    /// Where everything accepted in a time went.
    Balance(crate::balance::Ask),
    /// Put a message into a mailbox again.
    BringBack {
        receipt: String,
        to: Address,
        mailbox: String,
    },
    /// What was done that can be taken back, and taking it back.
    Acts {
        ask: crate::history::Ask,
    },
    Mailbox {
        ask: crate::mailbox_command::Ask,
    },
    /// How long mail is kept, and how it goes.
    Archive {
        ask: crate::archive_command::Ask,
    },
    /// What the reports of others say.
    ReportsReceived(crate::reports::Which),
    /// What this server reports to others.
    Reports {
        ask: crate::reporting::command::Ask,
    },
    /// Go on as a session of import or export (`transfer`).
    Transfer {
        account: Address,
    },
    /// Whether all mail is accounted for, as far as the index shows: all of it, now.
    Audit {
        /// What was accepted before this must not be queued any more, in milliseconds.
        too_old: i64,
        /// What had fewer attempts than this came to its first one late,
        tries_least: u32,
        /// and must not be queued any more if it was accepted before this.
        late: i64,
    },
    /// Take a backup into this place.
    Backup {
        to: std::path::PathBuf,
        #[serde(default)]
        encrypt_to: Vec<String>,
    },
    /// How it stands with the backups that the settings want.
    BackupState {},
    /// What can be restored from them.
    BackupPoints {},
    /// Take one now; answers at once.
    BackupStart {},
    /// Compare every byte of it; answers at once.
    BackupCheck {},
    /// Write damaged mail once more from a backup.
    Heal {
        ask: crate::backups::healing::Ask,
    },
    /// The backup of the settings: how it is; having it taken, checked, rehearsed.
    Backups {
        ask: crate::backups::asked::Ask,
    },
    /// Long work, and how far it is.
    Job {
        ask: crate::jobs::Ask,
    },
    /// Put what a search finds back to the accounts that it belonged to.
    RestoreFound(crate::restore_found::Ask),
    /// The latest signed head, and where heads are sent.
    HeadState,
    /// Where the journal ends.
    JournalHead,
    /// That a message's record is in a signed head.
    Proof {
        mail: u64,
        check: Option<u32>,
        hash_only: bool,
    },
    TokenList,
    TokenAdd {
        address: Address,
        label: String,
        text: String,
    },
    TokenRemove {
        token: u64,
    },
    Hook {
        ask: crate::hook_command::Ask,
    },
    /// The operators of the console.
    Operator {
        ask: crate::operator_command::Ask,
    },
    /// What operators did, the latest first, before this record.
    OperatorLog {
        before: Option<u64>,
        who: Option<String>,
        count_max: Option<usize>,
    },
    /// What went by in each of the last minutes, and the balance of today.
    Flow {
        minutes: Option<u32>,
    },
    /// The queue by senders and destinations.
    QueueGroups {},
    /// What of a domain is in the DNS; only a running server can tell.
    DomainCheck {
        domain: Domain,
    },
    /// What a message says.
    Message {
        receipt: String,
        part: crate::message_view::Part,
    },
}

/// A value that is there, be it `null`: that is another thing than none.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// What is asked of the keys that mail is signed with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DkimRequest {
    /// The keys of a domain, or of all.
    List { domain: Option<Domain> },
    /// New keys, which do not sign yet.
    Prepare { domain: Domain },
    /// Sign with the new keys.
    Activate { domain: Domain },
    /// A new key for the reverse-paths of what is forwarded.
    RotateSrs,
    /// Take the last step back.
    Undo { domain: Domain },
    /// End a key.
    Remove { domain: Domain, selector: String, force: bool },
}

/// What else must hold of traced messages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TraceKeys {
    /// From this address.
    pub sender: Option<Address>,
    /// To this address.
    pub recipient: Option<Address>,
    /// With this Message-ID.
    pub message_id: Option<String>,
    /// Brought by this host or offered to it, by name or address.
    pub host: Option<String>,
    /// These alone, by number, in this order: what a search found.
    pub mails: Option<Vec<u64>>,
}

impl TraceKeys {
    /// Adds what must hold to a query.
    pub fn add_to(&self, query: &mut Query) {
        query.sender.clone_from(&self.sender);
        query.recipient.clone_from(&self.recipient);
        query.host.clone_from(&self.host);
        if self.message_id.is_some() {
            query.message_id.clone_from(&self.message_id);
        }
    }

    /// The stories that a query finds, among the messages named here where some are.
    pub fn stories(&self, store: &Store, query: &Query) -> Result<Traced, StoreError> {
        let Some(mails) = &self.mails else { return store.trace_all(query) };
        let mails: Vec<MailId> = mails.iter().copied().map(MailId).collect();
        let by: Vec<KnownBy<'_>> = query.host.iter().map(|host| KnownBy::Host(host)).collect();
        let known = store.are_known_by(&mails, &by)?;
        let known = mails.into_iter().zip(known).filter_map(|(mail, so)| so.then_some(mail));
        let mut traced = store.stories_all(&known.collect::<Vec<_>>(), query)?;
        traced.stories.truncate(query.count_max);
        Ok(traced)
    }
}

fn only_running() -> Failure {
    let mend = Some("start it with: restante serve".to_owned());
    Failure { what: "only a running server can tell".to_owned(), mend }
}

fn elsewhere() -> Failure {
    Failure { what: "this is done elsewhere (a bug)".to_owned(), mend: None }
}

fn token_remove(store: &Store, actor: Actor, token: u64) -> Result<Value, Failure> {
    store.remove_token(actor, token).wait()?;
    Ok(did(format!("token {token} is worth nothing any more")))
}

fn route_remove(store: &Store, actor: Actor, domain: Option<Domain>) -> Result<Value, Failure> {
    store.remove_route(actor, domain.clone()).wait()?;
    let of = domain.map_or_else(|| "every other domain".to_owned(), |domain| domain.to_string());
    Ok(did(format!("mail for {of} goes where its MX records say")))
}

fn alias_add(
    store: &Store,
    actor: Actor,
    alias: &Address,
    targets: Vec<Address>,
) -> Result<Value, Failure> {
    let to: Vec<_> = targets.iter().map(ToString::to_string).collect();
    store.set_alias(actor, alias.clone(), targets).wait()?;
    Ok(did(format!("mail for {alias} goes to {}", to.join(", "))))
}

/// Does it. Blocks until it is durable.
pub fn perform(store: &Store, request: Request, actor: &Actor) -> Result<Value, Failure> {
    let actor = actor.clone();
    match request {
        Request::Status => Ok(crate::overview::status(store)),
        Request::Metrics
        | Request::Tls { .. }
        | Request::DomainCheck { .. }
        | Request::Backups { .. }
        | Request::BackupState {}
        | Request::BackupPoints {}
        | Request::BackupStart {}
        | Request::BackupCheck {}
        | Request::HeadState
        | Request::Job { .. } => Err(only_running()),
        Request::RestoreFound(ask) => {
            crate::restore_found::perform(store, None, &ask, &actor, &Watch::default())
        }
        Request::AccountList => Ok(view::accounts(store)?),
        Request::AccountAdd { address, password } => {
            let credentials = credentials(&password)?;
            store.add_account(actor, address.clone(), credentials).wait()?;
            Ok(did(format!("account {address} added")))
        }
        Request::AccountRemove { address } => {
            store.remove_account(actor, address.clone()).wait()?;
            Ok(did(format!("account {address} removed; its mail stays in the archive")))
        }
        Request::AccountPassword { address, password } => {
            account_password(store, actor, address, &password)
        }
        Request::AccountQuota { address, storage_bytes, messages } => {
            account_quota(store, actor, address, storage_bytes, messages)
        }
        Request::Hook { ask } => crate::hook_command::perform(store, ask, actor),
        Request::Dkim { request } => crate::dkim::perform(store, request, &actor),
        Request::TokenList => Ok(view::tokens(&store.directory())),
        Request::TokenAdd { address, label, text } => {
            token_add(store, actor, &address, label, &text)
        }
        Request::TokenRemove { token } => token_remove(store, actor, token),
        Request::Audit { too_old, tries_least, late } => {
            crate::auditing::whole(store, (too_old, late), tries_least)
        }
        Request::JournalHead => Ok(crate::scrubbing::head(store)),
        // Whoever takes the request does these before.
        Request::Proof { .. }
        | Request::Backup { .. }
        | Request::Heal { .. }
        | Request::Transfer { .. }
        | Request::Search(_) => Err(elsewhere()),
        Request::DomainList => Ok(view::domains(&store.directory())),
        Request::DomainAdd { domain } => add_domain(store, &actor, &domain),
        Request::DomainRemove { domain } => {
            store.remove_domain(actor, domain.clone()).wait()?;
            Ok(did(format!("mail for {domain} is no longer local")))
        }
        Request::AliasList => Ok(view::aliases(&store.directory())),
        Request::AliasAdd { alias, targets } => alias_add(store, actor, &alias, targets),
        Request::AliasRemove { alias } => {
            store.remove_alias(actor, alias.clone()).wait()?;
            Ok(did(format!("{alias} is no alias any more")))
        }
        Request::RouteList => Ok(view::routes(&store.directory())),
        Request::RouteAdd { domain, host, port, login } => {
            route_add(store, &actor, domain, &host, port, login)
        }
        Request::RouteRemove { domain } => route_remove(store, actor, domain),
        Request::QueueList { filter, count_max } => queue_perform::list(store, &filter, count_max),
        Request::QueueShow { filter, count_max } => queue_perform::show(store, &filter, count_max),
        Request::QueueChange { what, filter, reason, dry_run } => {
            queue_perform::change(store, &actor, &what, &filter, reason.as_deref(), dry_run)
        }
        Request::QueueUndo { change, reason } => {
            queue_perform::undo(store, &actor, change, reason.as_deref())
        }
        Request::QueuePause { destination, paused, reason } => {
            queue_perform::pause(store, &actor, destination, paused, reason)
        }
        Request::Acts { ask } => crate::history::perform(store, &actor, ask),
        Request::Mailbox { ask } => crate::mailbox_command::perform(store, &actor, ask),
        Request::Archive { ask } => crate::archive_command::perform(store, &actor, ask),
        Request::Operator { ask } => crate::operator_command::perform(store, ask, actor),
        Request::OperatorLog { before, who, count_max } => {
            operator_log(store, before, who, count_max, Language::English)
        }
        Request::Flow { minutes } => crate::overview::flow(store, minutes),
        Request::QueueGroups {} => crate::overview::groups(store),
        Request::Message { receipt, part } => message(store, &receipt, part),
        Request::ReportsReceived(which) => crate::reports::summarised(store, &which),
        Request::Reports { ask } => crate::reporting::command::perform(store, &ask),
        Request::Balance(ask) => crate::balance::balance(store, &ask),
        Request::BringBack { receipt, to, mailbox } => {
            crate::bring_back::bring_back(store, actor, &receipt, (&to, &mailbox), None)
        }
        Request::Trace { which, since, until, count_max, keys } => {
            traced(store, which, (since, until), count_max, &keys)
        }
    }
}

/// What operators did, in sentences.
pub fn operator_log(
    store: &Store,
    before: Option<u64>,
    who: Option<String>,
    count_max: Option<usize>,
    language: Language,
) -> Result<Value, Failure> {
    /// Lines if not asked for more, and at most.
    const LINES_DEFAULT: usize = 100;
    const LINES_MAX: usize = 1000;
    let max = count_max.unwrap_or(LINES_DEFAULT).min(LINES_MAX);
    let directory = store.directory();
    let events = store.operator_log(before.map(RecordSeq), who.as_deref(), max)?;
    Ok(events
        .iter()
        .map(|event| crate::audit_view::view(event, store, &directory, language))
        .collect())
}

fn message(
    store: &Store,
    receipt: &str,
    part: crate::message_view::Part,
) -> Result<Value, Failure> {
    let which = Which::parse(receipt).map_err(|what| Failure { what, mend: None })?;
    let mut query = query_of(which)?;
    query.count_max = 1;
    match store.trace(&query)?.first() {
        Some(story) => Ok(crate::message_view::view(store, story, part)?),
        None => Err(Failure { what: "there is no such message".to_owned(), mend: None }),
    }
}

fn route_add(
    store: &Store,
    actor: &Actor,
    domain: Option<Domain>,
    host: &str,
    port: u16,
    login: Option<store::RelayLogin>,
) -> Result<Value, Failure> {
    if let Some(login) = login {
        store.set_relay_login(actor.clone(), host, port, login).wait()?;
    }
    store.set_route(actor.clone(), domain.clone(), host.to_owned(), port).wait()?;
    let of = domain.map_or_else(|| "every other domain".to_owned(), |d| d.to_string());
    Ok(did(format!("mail for {of} goes to {host}, port {port}")))
}

fn token_add(
    store: &Store,
    actor: Actor,
    address: &Address,
    label: String,
    text: &str,
) -> Result<Value, Failure> {
    let token = store.add_token(actor, address, label, text).wait()?;
    Ok(did(format!("token {token} signs in as {address} at the HTTP API")))
}

fn account_password(
    store: &Store,
    actor: Actor,
    address: Address,
    password: &str,
) -> Result<Value, Failure> {
    let credentials = credentials(password)?;
    store.set_credentials(actor, address.clone(), credentials).wait()?;
    Ok(did(format!("account {address} has a new password")))
}

fn add_domain(store: &Store, actor: &Actor, domain: &Domain) -> Result<Value, Failure> {
    store.add_domain(actor.clone(), domain.clone()).wait()?;
    crate::dkim::ensure(store, actor, domain)?;
    Ok(did(format!(
        "mail for {domain} is local from now on; restante domain dns {domain} prints what to publish"
    )))
}

fn traced(
    store: &Store,
    which: Which,
    (since, until): (Option<i64>, Option<i64>),
    count_max: Option<usize>,
    keys: &TraceKeys,
) -> Result<Value, Failure> {
    let mut query = query_of(which)?;
    query.since = since.map(Timestamp);
    query.until = until.map(Timestamp);
    query.count_max = count_max.unwrap_or(STORIES_DEFAULT);
    keys.add_to(&mut query);
    let directory = store.directory();
    let traced = keys.stories(store, &query)?;
    let rules = store.retention_rules()?;
    let mut told = Vec::with_capacity(traced.stories.len() + traced.untold.len());
    for story in &traced.stories {
        let mut view = view::story(story, &directory);
        let kept = match store.kept(story.facts.receipt.mail, &rules) {
            // Its story names what is damaged.
            Err(error) if error.is_of_one_message() => None,
            kept => kept?,
        };
        if let (Some(now), Some(kept)) = (view["now"].as_array_mut(), kept) {
            now.extend(crate::archive_command::kept_words(&kept).map(Value::String));
        }
        told.push(view);
    }
    told.extend(traced.untold.iter().map(view::untold));
    Ok(told.into())
}

/// Changes the limits that are named, and shows them.
fn account_quota(
    store: &Store,
    actor: Actor,
    address: Address,
    storage_bytes: Option<Option<u64>>,
    messages: Option<Option<u64>>,
) -> Result<Value, Failure> {
    let directory = store.directory();
    let account = directory.sign_in_name(&address.to_string()).map(|account| account.id);
    let account = account.ok_or_else(|| Refused::Missing(format!("account {address}")))?;
    let (_, mut quota) = store.usage(account)?;
    if storage_bytes.is_some() || messages.is_some() {
        quota.storage_bytes = storage_bytes.unwrap_or(quota.storage_bytes);
        quota.messages = messages.unwrap_or(quota.messages);
        store.set_quota(actor, address, quota).wait()?;
    }
    Ok(Value::Array(vec![view::account(store, account)?]))
}

fn credentials(password: &str) -> Result<store::Credentials, Failure> {
    let salt =
        net::random_bytes().map_err(|error| Failure { what: error.to_string(), mend: None })?;
    Ok(sign_in::credentials(password, &salt)?)
}

pub fn did(what: String) -> Value {
    serde_json::json!({ "did": what })
}

pub fn query_of(which: Which) -> Result<Query, Failure> {
    let mut query = Query::default();
    match which {
        Which::All => {}
        Which::Mail { number, check: Some(check) } => {
            query.receipt = Some(ReceiptId { mail: MailId(number), check });
        }
        Which::Mail { number, check: None } => query.mail = Some(MailId(number)),
        Which::MessageId(id) => query.message_id = Some(id),
        Which::Address(address) => query.address = Some(address),
        Which::Destination(domain) => {
            return Err(Failure {
                what: format!("a trace needs more than the domain {domain}"),
                mend: Some("give a receipt, a Message-ID or an address".to_owned()),
            });
        }
    }
    Ok(query)
}
