//! Which page answers.

use super::form::Form;
use super::visit::Visit;
use super::{Answer, Trouble};
use super::{
    accounts, aliases, archive, audit, domains, heads, history, jobs, journal, mail, mailboxes,
    overview, queue, retention, sessions_page, trace, you,
};

/// A page to look at.
pub(super) async fn get(visit: &Visit<'_>, path: &[&str]) -> Result<Answer, Trouble> {
    match path {
        [] if visit.is_domain_admin() => Ok(Answer::To("/admin/accounts".to_owned())),
        [] => overview::page(visit).await,
        ["trace"] => trace::page(visit).await,
        ["archive"] => archive::page(visit).await,
        ["jobs"] => jobs::page(visit).await,
        ["jobs", job] => jobs::one(visit, job).await,
        ["journal"] => journal::page(visit).await,
        ["heads"] => heads::page(visit).await,
        ["retention"] => retention::page(visit).await,
        ["history"] => history::page(visit).await,
        ["mail", receipt] => trace::story_page(visit, receipt).await,
        ["mail", receipt, "text"] => mail::text(visit, receipt).await,
        ["mail", receipt, "html"] => Ok(mail::html_page(visit, receipt)),
        ["mail", receipt, "frame"] => mail::frame(visit, receipt).await,
        ["heads", "latest.txt"] => heads::download(visit).await,
        ["queue"] => queue::page(visit, queue::Of::Queue).await,
        ["held"] => queue::page(visit, queue::Of::Held).await,
        ["accounts"] => accounts::page(visit).await,
        ["accounts", account] => mailboxes::page(visit, account).await,
        ["aliases"] => aliases::page(visit).await,
        ["domains"] => domains::page(visit).await,
        ["domains", domain] => domains::dns(visit, domain).await,
        ["audit"] => audit::page(visit).await,
        ["sessions"] => sessions_page::page(visit).await,
        ["you"] => Ok(you::page(visit)),
        ["you", "authenticator"] => you::authenticator(visit, None),
        _ => Err(Trouble::Missing),
    }
}

/// A form that was sent.
pub(super) async fn post(visit: &Visit<'_>, path: &[&str], form: &Form) -> Result<Answer, Trouble> {
    match path {
        ["sign-out"] => sessions_page::sign_out(visit).await,
        ["mail", receipt, "download"] => mail::download(visit, receipt).await,
        ["history", "undo"] => history::undo(visit, form).await,
        ["archive", "restore"] => archive::restore(visit, form).await,
        ["jobs", job, "cancel"] => jobs::cancel(visit, job).await,
        ["jobs", job, "undo"] => jobs::undo(visit, job).await,
        ["journal", "backup", what] => journal::backup(visit, what).await,
        ["heads", "proof"] => heads::proof(visit, form).await,
        ["retention", what] => retention::change(visit, what, form).await,
        ["queue", "undo"] => queue::undo(visit, form).await,
        ["queue", "pause"] => queue::pause(visit, form, true).await,
        ["queue", "resume"] => queue::pause(visit, form, false).await,
        ["queue", "change"] => queue::change(visit, form).await,
        ["accounts", what] => accounts::change(visit, what, form).await,
        ["accounts", account, "restore"] => mailboxes::restore(visit, account, form).await,
        ["aliases", what] => aliases::change(visit, what, form).await,
        ["domains", what] => domains::change(visit, what, form).await,
        ["sessions", "end"] => sessions_page::end(visit, form).await,
        ["you", "password"] => you::password(visit, form).await,
        ["you", "authenticator"] => you::turn_on(visit, form).await,
        ["you", "authenticator", "off"] => you::turn_off(visit).await,
        _ => Err(Trouble::Missing),
    }
}
