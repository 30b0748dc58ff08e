//! The mailboxes of an account, as they are or as they were.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::{Form, encoded};
use super::layout::{self, mail_path};
use super::phrases::Phrase;
use super::visit::Visit;
use super::words::{bytes, count, path, text, time};
use super::{Answer, Trouble};

/// Messages of one page, the latest.
const SHOWN_MAX: usize = 200;

/// Where the mailboxes of an account are.
fn own_path(account: &str) -> String {
    format!("/admin/accounts/{}", encoded(account))
}

pub(super) async fn page(visit: &Visit<'_>, account: &str) -> Result<Answer, Trouble> {
    let (at, wanted) = (visit.query.get("at"), visit.query.some("mailbox"));
    let ask = json!({ "list": { "account": account, "at": at } });
    let all = visit.ask(json!({ "do": "mailbox", "ask": ask })).await?;
    let shown = match wanted {
        Some(mailbox) => {
            let show = json!({ "account": account, "mailbox": mailbox, "at": at,
                               "count_max": SHOWN_MAX });
            Some(visit.ask(json!({ "do": "mailbox", "ask": { "show": show } })).await?)
        }
        None => None,
    };
    let main = html! {
        p { a href="/admin/accounts" { "← " (visit.t(Phrase::Accounts)) } }
        (layout::title(account, visit.t(Phrase::MailboxesLead)))
        form.card.search method="get" action=(own_path(account)) {
            @if let Some(mailbox) = wanted { input type="hidden" name="mailbox" value=(mailbox); }
            label.wide { (visit.t(Phrase::AsOf))
                input name="at" value=(at) aria-describedby="time-hint" spellcheck="false"; }
            button.primary type="submit" { (visit.t(Phrase::Find)) }
            small #time-hint { (visit.t(Phrase::TimeHint)) }
        }
        div.columns.aside {
            (list(visit, account, at, wanted, &all))
            @if let (Some(shown), Some(mailbox)) = (&shown, wanted) {
                (messages(visit, account, at, mailbox, shown))
            }
        }
    };
    Ok(Answer::Page { title: account.to_owned(), main })
}

fn list(visit: &Visit<'_>, account: &str, at: &str, wanted: Option<&str>, all: &Value) -> Markup {
    html! {
        nav.card aria-label=(visit.t(Phrase::Mailboxes)) {
            h2 { (visit.t(Phrase::Mailboxes)) }
            ul.bars {
                @for one in all.as_array().into_iter().flatten() {
                    @let name = text(&one["mailbox"]);
                    li {
                        a href={ (own_path(account)) "?mailbox=" (encoded(name)) "&at=" (encoded(at)) }
                            aria-current=[(wanted == Some(name)).then_some("page")] { bdi { (name) } }
                        span.number {
                            (count(one["messages"].as_u64().unwrap_or(0)))
                            @if let Some(gone) = one["gone_since"].as_u64().filter(|gone| *gone > 0) {
                                span.quiet { " (" (count(gone)) " ↩)" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn messages(visit: &Visit<'_>, account: &str, at: &str, mailbox: &str, shown: &Value) -> Markup {
    let rows = shown.as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        section.card {
            h2 { bdi { (mailbox) } }
            @if !at.is_empty() && visit.may_change() {
                form method="post" action={ (own_path(account)) "/restore" } {
                    (layout::key(visit))
                    input type="hidden" name="mailbox" value=(mailbox);
                    input type="hidden" name="at" value=(at);
                    p { button type="submit" { (visit.t(Phrase::RestoreAsOf)) ": " (at) } }
                }
            }
            @if rows.is_empty() { p.quiet { (visit.t(Phrase::NothingFound)) } }
            ul.plain {
                @for row in rows.iter().rev() {
                    li {
                        a href=(mail_path(text(&row["receipt"]))) {
                            @match row["subject"].as_str().filter(|subject| !subject.is_empty()) {
                                Some(subject) => bdi { (subject) },
                                None => em { (visit.t(Phrase::NoSubject)) },
                            }
                        }
                        @if !row["gone"].is_null() {
                            span.badge { "↩ " (visit.t(Phrase::GoneSince)) " " (time(&row["gone"])) }
                        }
                        div.quiet { (time(&row["date"])) " · " bdi { (path(&row["from"])) } " · "
                            (bytes(&row["bytes"])) }
                    }
                }
            }
        }
    }
}

/// Makes a mailbox again what it was: what was taken out comes back, what came since stays.
pub(super) async fn restore(
    visit: &Visit<'_>,
    account: &str,
    form: &Form,
) -> Result<Answer, Trouble> {
    let (mailbox, at) = (form.get("mailbox"), form.get("at"));
    let back = format!("{}?mailbox={}", own_path(account), encoded(mailbox));
    let restore = json!({ "account": account, "mailbox": mailbox, "at": at });
    visit.do_and_tell(json!({ "do": "mailbox", "ask": { "restore": restore } }), &back).await
}
