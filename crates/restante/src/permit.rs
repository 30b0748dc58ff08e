//! Who may do what: the one place where roles and scopes meet requests. The command line of this
//! machine may do everything and does not ask here.

use mail_types::{Address, Domain};
use store::OperatorRole;

use crate::operator_command;
use crate::queue_command::What;
use crate::request::{DkimRequest, Failure, Request};
use crate::{
    archive_command, backups, history, hook_command, jobs, mailbox_command, reporting, tls,
};

/// How much a request weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Changes nothing.
    Look,
    /// Changes something that can be changed back.
    Change,
    /// Takes away for good, or carries mail out of the house: wants the password again.
    Grave,
}

/// The areas of scopes, and what is in them.
pub const AREAS: [(&str, &str); 11] = [
    ("status", "how the server is, how much mail goes by"),
    ("trace", "stories of messages"),
    ("mail", "what messages say"),
    ("history", "what people did with their mail, and taking it back"),
    ("archive", "how long mail is kept, legal holds, purging"),
    ("queue", "what waits and what is held"),
    ("accounts", "accounts, aliases, tokens of accounts"),
    ("domains", "domains, routes, keys, certificates, hooks"),
    ("reports", "reports of others, and ours to others"),
    ("audit", "what operators did, operators, sessions"),
    ("backup", "backups, healing from them"),
];

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// One of [`AREAS`].
    pub area: &'static str,
    /// How much it weighs.
    pub weight: Weight,
}

/// Why a request is not for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It is for others, and why.
    Never(String),
    /// The password is wanted again first.
    Confirm,
}

/// Who asks.
pub struct Asker<'a> {
    pub role: &'a OperatorRole,
    /// Those of a token; none: everything the role may do.
    pub scopes: Option<&'a [String]>,
    /// The password was given a moment ago.
    pub is_confirmed: bool,
}

/// What a request needs, each by its name: a new one does not compile before somebody has decided.
pub fn need(request: &Request) -> Need {
    use Weight::{Change, Grave, Look};
    let (area, weight) = match request {
        Request::Status
        | Request::Metrics
        | Request::Flow { .. }
        | Request::Audit { .. }
        | Request::JournalHead
        | Request::HeadState => ("status", Look),
        Request::Backups { ask } => match ask {
            backups::asked::Ask::State => ("status", Look),
            // It stays where the settings say, and is removed nowhere.
            backups::asked::Ask::Take
            | backups::asked::Ask::Check
            | backups::asked::Ask::Rehearse => ("status", Change),
        },
        Request::Job { ask } => match ask {
            jobs::Ask::List | jobs::Ask::Show { .. } => ("status", Look),
            jobs::Ask::Cancel { .. } => ("status", Change),
            jobs::Ask::Undo { .. } => ("history", Change),
            // As what is started: [`may`] looks at that instead.
            jobs::Ask::Start { request } => return need(request),
        },
        Request::RestoreFound(ask) if ask.dry_run => ("mail", Look),
        Request::RestoreFound(_) => ("history", Change),
        Request::Tls { ask } => match ask {
            tls::Ask::Policy { .. } => ("domains", Look),
            tls::Ask::Renew => ("domains", Change),
        },
        Request::AccountList | Request::AliasList | Request::TokenList => ("accounts", Look),
        // With a new password somebody else reads the mail; an alias may lead out of the house.
        Request::AccountPassword { .. } | Request::AliasAdd { .. } => ("accounts", Grave),
        Request::AccountAdd { .. }
        | Request::AliasRemove { .. }
        | Request::TokenAdd { .. }
        | Request::TokenRemove { .. } => ("accounts", Change),
        Request::AccountQuota { storage_bytes: None, messages: None, .. } => ("accounts", Look),
        // The mail of a removed account stays, and so that weighs no more.
        Request::AccountQuota { .. } | Request::AccountRemove { .. } => ("accounts", Change),
        Request::Dkim { request: DkimRequest::List { .. } } => ("domains", Look),
        Request::Dkim { .. } => ("domains", Change),
        Request::DomainList | Request::DomainCheck { .. } | Request::RouteList => ("domains", Look),
        // All that leaves goes there.
        Request::RouteAdd { .. } => ("domains", Grave),
        Request::DomainAdd { .. } | Request::DomainRemove { .. } | Request::RouteRemove { .. } => {
            ("domains", Change)
        }
        Request::Hook { ask } => ("domains", of_hooks(ask)),
        Request::QueueList { .. } | Request::QueueShow { .. } | Request::QueueGroups { .. } => {
            ("queue", Look)
        }
        Request::QueueChange { dry_run: true, .. } => ("queue", Look),
        Request::QueueChange {
            what: What::Purge { .. } | What::Reroute { .. } | What::EditRecipient { .. },
            ..
        } => ("queue", Grave),
        Request::QueueChange { .. } | Request::QueueUndo { .. } | Request::QueuePause { .. } => {
            ("queue", Change)
        }
        Request::Trace { .. } | Request::Proof { .. } => ("trace", Look),
        // Each with its bytes is an export.
        Request::Search(search) if search.bodies => ("mail", Grave),
        Request::Search(_) => ("mail", Look),
        Request::Acts { ask } => match ask {
            history::Ask::History { .. }
            | history::Ask::Sessions { .. }
            | history::Ask::Undo { dry_run: true, .. } => ("history", Look),
            history::Ask::Undo { dry_run: false, .. } => ("history", Change),
        },
        Request::Mailbox { ask } => match ask {
            mailbox_command::Ask::List { .. } | mailbox_command::Ask::Show { .. } => ("mail", Look),
            mailbox_command::Ask::Restore { .. } => ("history", Change),
        },
        Request::Archive { ask } => ("archive", of_archive(ask)),
        Request::Message { part, .. } => match part {
            crate::message_view::Part::Whole => ("mail", Grave),
            crate::message_view::Part::Text | crate::message_view::Part::Html => ("mail", Look),
        },
        Request::BringBack { .. } => ("history", Change),
        Request::Balance(_) | Request::ReportsReceived(_) => ("reports", Look),
        Request::Reports { ask } => match ask {
            reporting::command::Ask::Send => ("reports", Change),
            _ => ("reports", Look),
        },
        Request::BackupState {} | Request::BackupPoints {} => ("backup", Look),
        Request::BackupStart {} | Request::BackupCheck {} => ("backup", Change),
        // They take the whole connection, which only the socket of this machine has.
        Request::Heal { .. } => ("backup", Grave),
        Request::Transfer { .. } | Request::Backup { .. } => ("mail", Grave),
        Request::OperatorLog { .. } => ("audit", Look),
        Request::Operator { ask } => ("audit", of_operators(ask)),
    };
    Need { area, weight }
}

const fn of_operators(ask: &operator_command::Ask) -> Weight {
    match ask {
        operator_command::Ask::List | operator_command::Ask::Sessions => Weight::Look,
        operator_command::Ask::EndSession { .. } | operator_command::Ask::EndSessionsOf { .. } => {
            Weight::Change
        }
        operator_command::Ask::Add { .. }
        | operator_command::Ask::Password { .. }
        | operator_command::Ask::Role { .. }
        | operator_command::Ask::Totp { .. }
        | operator_command::Ask::Remove { .. }
        | operator_command::Ask::TokenAdd { .. }
        | operator_command::Ask::TokenRemove { .. } => Weight::Grave,
    }
}

const fn of_hooks(ask: &hook_command::Ask) -> Weight {
    match ask {
        hook_command::Ask::List
        | hook_command::Ask::Log { .. }
        | hook_command::Ask::Show { .. } => Weight::Look,
        // A hook carries what happens to mail out of the house, for as long as it stands.
        hook_command::Ask::Add { .. } => Weight::Grave,
        hook_command::Ask::Remove { .. }
        | hook_command::Ask::Test { .. }
        | hook_command::Ask::Retry => Weight::Change,
    }
}

const fn of_archive(ask: &archive_command::Ask) -> Weight {
    match ask {
        archive_command::Ask::Retention
        | archive_command::Ask::Holds { .. }
        | archive_command::Ask::Over { dry_run: true, .. } => Weight::Look,
        archive_command::Ask::AddHold { .. } => Weight::Change,
        // Mail may go for good by each of these, at once or with the next purge.
        archive_command::Ask::SetRetention { .. }
        | archive_command::Ask::RemoveHold { .. }
        | archive_command::Ask::Over { dry_run: false, .. }
        | archive_command::Ask::Purge { .. } => Weight::Grave,
    }
}

/// Whether somebody may ask this.
///
/// # Errors
/// Why not.
pub fn may(asker: &Asker<'_>, request: &Request) -> Result<(), Denied> {
    let never = |why: &str| Err(Denied::Never(why.to_owned()));
    // What is narrowed to domains is so as it is asked, not within a job.
    if let (OperatorRole::DomainAdmin { .. }, Request::Job { .. }) = (asker.role, request) {
        return never("jobs are for those who look after the whole server");
    }
    // A job weighs what is done in it.
    let request = match request {
        Request::Job { ask: jobs::Ask::Start { request } } => request.as_ref(),
        other => other,
    };
    let need = need(request);
    if makes_operators(request) {
        // Whoever has stolen a session must not make himself a door that stays open.
        return never("operators are looked after on the machine itself: restante operator");
    }
    if matches!(request, Request::Transfer { .. }) {
        return never("mail is moved on the machine itself: restante import, restante export");
    }
    if let Some(scopes) = asker.scopes {
        let wanted =
            |word: &str| scopes.iter().any(|scope| *scope == format!("{}:{word}", need.area));
        let given = match need.weight {
            Weight::Look => wanted("read") || wanted("write"),
            Weight::Change => wanted("write"),
            Weight::Grave => wanted("write") && wanted("grave"),
        };
        if !scopes.is_empty() && !given {
            let word = match need.weight {
                Weight::Look => "read",
                Weight::Change => "write",
                Weight::Grave => "write and grave",
            };
            return never(&format!("the token has no scope {}:{word}", need.area));
        }
        // A token without scopes is its operator, but has no password to give again.
        if scopes.is_empty() && need.weight == Weight::Grave {
            return never(&format!("this needs a token with the scope {}:grave", need.area));
        }
    }
    match asker.role {
        OperatorRole::Operator => {}
        OperatorRole::Auditor if need.weight == Weight::Look => {}
        OperatorRole::Auditor => return never("an auditor sees everything and changes nothing"),
        OperatorRole::DomainAdmin { domains } => may_in_domains(domains, request)?,
    }
    if need.weight == Weight::Grave && asker.scopes.is_none() && !asker.is_confirmed {
        return Err(Denied::Confirm);
    }
    Ok(())
}

fn makes_operators(request: &Request) -> bool {
    match request {
        Request::Operator { ask } => !matches!(
            ask,
            operator_command::Ask::List
                | operator_command::Ask::Sessions
                | operator_command::Ask::EndSession { .. }
                | operator_command::Ask::EndSessionsOf { .. }
        ),
        _ => false,
    }
}

/// What a domain-admin may ask; what lists answer is narrowed to the domains besides
/// ([`crate::narrow`]).
fn may_in_domains(domains: &[Domain], request: &Request) -> Result<(), Denied> {
    let own = |address: &Address| address.domain().is_some_and(|domain| domains.contains(domain));
    let fits = match request {
        Request::AccountList
        | Request::AliasList
        | Request::DomainList
        | Request::Trace { .. }
        | Request::Message { .. }
        | Request::Search(_)
        | Request::Archive { ask: archive_command::Ask::Retention } => true,
        Request::BringBack { to, .. } => own(to),
        // Acts that are named by their numbers are looked at one by one before they are taken back.
        Request::Acts { ask } => ask.about().is_none_or(|account| account.is_some_and(&own)),
        Request::AccountAdd { address, .. }
        | Request::AccountRemove { address }
        | Request::AccountPassword { address, .. }
        | Request::AccountQuota { address, .. } => own(address),
        // An alias that leads out of the domains carries mail away: its owner's to decide.
        Request::AliasAdd { alias, .. } | Request::AliasRemove { alias } => own(alias),
        Request::DomainCheck { domain } => domains.contains(domain),
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => {
            let names: Vec<_> = domains.iter().map(Domain::as_str).collect();
            Err(Denied::Never(format!("your domains are: {}", names.join(", "))))
        }
    }
}

/// Whether a scope is one.
///
/// # Errors
/// Which there are.
pub fn check_scope(scope: &str) -> Result<(), Failure> {
    let known = scope.split_once(':').is_some_and(|(area, word)| {
        AREAS.iter().any(|(known, _)| *known == area) && matches!(word, "read" | "write" | "grave")
    });
    if known {
        return Ok(());
    }
    let areas: Vec<_> = AREAS.iter().map(|(area, _)| *area).collect();
    Err(Failure {
        what: format!("“{scope}” is no scope"),
        mend: Some(format!(
            "write AREA:read, AREA:write or AREA:grave (purge and the like); areas are {}",
            areas.join(", ")
        )),
    })
}
