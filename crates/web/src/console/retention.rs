//! How long mail is kept that nobody has any more, what keeps it longer, and what goes next.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::Form;
use super::layout::{self, mail_path};
use super::phrases::Phrase;
use super::session::Notice;
use super::visit::Visit;
use super::words::{bytes, count, moment, text, time};
use super::{Answer, Trouble, jobs};

const PATH: &str = "/admin/retention";
/// Messages that are shown of what goes next.
const NEXT_MAX: usize = 20;

async fn ask(visit: &Visit<'_>, ask: Value) -> Result<Value, Trouble> {
    visit.ask(json!({ "do": "archive", "ask": ask })).await
}

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let rules = ask(visit, json!("retention")).await?;
    let holds = ask(visit, json!({ "holds": { "all": true } })).await?;
    let next = match visit.query.get("next") {
        "1" => {
            Some(ask(visit, json!({ "over": { "dry_run": true, "count_max": NEXT_MAX } })).await?)
        }
        _ => None,
    };
    let main = html! {
        (layout::title(visit.t(Phrase::Retention), visit.t(Phrase::RetentionLead)))
        section.card aria-labelledby="rules" {
            h2 #rules { (visit.t(Phrase::RetentionRules)) }
            (self::rules(visit, &rules))
            @if visit.may_change() { (set(visit)) }
        }
        section.card aria-labelledby="holds" {
            h2 #holds { (visit.t(Phrase::LegalHolds)) }
            p.quiet { (visit.t(Phrase::LegalHoldsLead)) }
            (self::holds(visit, &holds))
            @if visit.may_change() { (add_hold(visit)) }
        }
        section.card aria-labelledby="next" {
            h2 #next { (visit.t(Phrase::GoesNext)) }
            @match &next {
                None => p { a.button href={ (PATH) "?next=1#next" } { (visit.t(Phrase::ShowNext)) } },
                Some(next) => { (self::next(visit, next)) }
            }
        }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Retention).to_owned(), main })
}

fn rules(visit: &Visit<'_>, rules: &Value) -> Markup {
    html! {
        div.scroll { table.cards {
            thead { tr {
                @for phrase in [Phrase::RuleOf, Phrase::KeptFor, Phrase::JunkKeptFor] {
                    th scope="col" { (visit.t(phrase)) }
                }
            } }
            tbody { @for rule in rules.as_array().into_iter().flatten() {
                tr {
                    th.address scope="row" { (text(&rule["of"])) }
                    td data-label=(visit.t(Phrase::KeptFor)) { (text(&rule["keep"])) }
                    td data-label=(visit.t(Phrase::JunkKeptFor)) { (text(&rule["spam"])) }
                }
            } }
        } }
    }
}

fn set(visit: &Visit<'_>) -> Markup {
    html! {
        form.search method="post" action={ (PATH) "/set" } aria-label=(visit.t(Phrase::SetRetention)) {
            (layout::key(visit))
            label { (visit.t(Phrase::DomainOrAccount))
                input name="of" required spellcheck="false" autocapitalize="none"; }
            label { (visit.t(Phrase::KeptFor))
                input name="keep" placeholder="7y" aria-describedby="keep-hint"; }
            label { (visit.t(Phrase::JunkKeptFor))
                input name="spam" placeholder="30d" aria-describedby="keep-hint"; }
            button type="submit" { (visit.t(Phrase::SetPassword)) }
            small #keep-hint { (visit.t(Phrase::KeepHint)) }
        }
    }
}

fn holds(visit: &Visit<'_>, holds: &Value) -> Markup {
    let holds = holds.as_array().map(Vec::as_slice).unwrap_or_default();
    if holds.is_empty() {
        return html! { p.empty { (visit.t(Phrase::NoHolds)) } };
    }
    html! {
        div.scroll { table.cards {
            thead { tr {
                @for phrase in [Phrase::LegalHold, Phrase::Account, Phrase::AcceptedBetween,
                                Phrase::Reason, Phrase::State] {
                    th scope="col" { (visit.t(phrase)) }
                }
                th scope="col" { span.sr { (visit.t(Phrase::Actions)) } }
            } }
            tbody { @for hold in holds { (self::hold(visit, hold)) } }
        } }
    }
}

fn hold(visit: &Visit<'_>, hold: &Value) -> Markup {
    let (name, account) = (text(&hold["hold"]), text(&hold["account"]));
    let ended = hold["ended"].as_str();
    html! {
        tr {
            th scope="row" { bdi { (name) } }
            td.address { (account) }
            td {
                @match (hold["from"].as_str(), hold["to"].as_str()) {
                    (None, None) => (visit.t(Phrase::AnyTime)),
                    (from, to) => {
                        @if let Some(from) = from { (moment(from)) } " – "
                        @if let Some(to) = to { (moment(to)) }
                    },
                }
            }
            td.reply { bdi { (text(&hold["reason"])) } }
            td {
                @match ended {
                    None => { span.state.warn { "‖ " (visit.t(Phrase::InForce)) }
                        div.quiet { (visit.t(Phrase::Since)) " " (time(&hold["since"])) } },
                    Some(ended) => { span.state.plain { (visit.t(Phrase::HoldOver)) }
                        @let (at, why) = ended.split_once(": ").unwrap_or((ended, ""));
                        div.quiet { (moment(at)) " " bdi { (why) } } },
                }
            }
            td.act {
                @if ended.is_none() && visit.may_change() {
                    form method="post" action={ (PATH) "/end-hold" } {
                        (layout::key(visit))
                        input type="hidden" name="name" value=(name);
                        input type="hidden" name="account" value=(account);
                        input.short name="reason" required placeholder=(visit.t(Phrase::WhyEnd))
                            aria-label={ (visit.t(Phrase::Reason)) ": " (name) };
                        " " button.small.danger type="submit" { (visit.t(Phrase::EndHold)) }
                    }
                }
            }
        }
    }
}

fn add_hold(visit: &Visit<'_>) -> Markup {
    html! {
        form.search method="post" action={ (PATH) "/add-hold" } aria-label=(visit.t(Phrase::AddHold)) {
            (layout::key(visit))
            label { (visit.t(Phrase::HoldName)) input name="name" required placeholder="case-17"; }
            label.wide { (visit.t(Phrase::HoldAccounts))
                input name="accounts" required spellcheck="false" autocapitalize="none"
                    placeholder="ann@example.org, bob@example.org"; }
            label { (visit.t(Phrase::AcceptedSince))
                input name="from" placeholder="2025-01-01" spellcheck="false"; }
            label { (visit.t(Phrase::AcceptedBefore))
                input name="until" placeholder="2026-01-01" spellcheck="false"; }
            label.wide { (visit.t(Phrase::Reason)) input name="reason" required maxlength="200"; }
            button type="submit" { (visit.t(Phrase::AddHold)) }
        }
    }
}

fn next(visit: &Visit<'_>, next: &Value) -> Markup {
    let number = |name: &str| count(next[name].as_u64().unwrap_or(0));
    let first = next["first"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        dl.figures {
            div { dt { (visit.t(Phrase::Messages)) } dd { (number("due")) } }
            div { dt { (visit.t(Phrase::Size)) } dd { (bytes(&next["bytes"])) } }
            div { dt { (visit.t(Phrase::KeptByHolds)) } dd { (number("on_hold")) } }
        }
        @for rule in next["by_rule"].as_array().into_iter().flatten() {
            p { (count(rule["messages"].as_u64().unwrap_or(0))) " (" (bytes(&rule["bytes"])) "): "
                (text(&rule["rule"])) }
        }
        @if first.is_empty() { p.quiet role="status" { (visit.t(Phrase::NothingGoes)) } }
        @else {
            div.scroll { table.cards {
                thead { tr {
                    @for phrase in [Phrase::Receipt, Phrase::Taken, Phrase::NobodyHasItSince,
                                    Phrase::Size] {
                        th scope="col" { (visit.t(phrase)) }
                    }
                } }
                tbody { @for one in first {
                    tr {
                        td { a href=(mail_path(text(&one["receipt"]))) { code { (text(&one["receipt"])) } } }
                        td { (time(&one["accepted"])) }
                        td { (time(&one["nobody_has_it_since"])) }
                        td { (bytes(&one["bytes"])) }
                    }
                } }
            } }
            @if visit.may_change() {
                form method="post" action={ (PATH) "/purge" } {
                    (layout::key(visit))
                    button.danger type="submit" { (visit.t(Phrase::PurgeNow)) }
                    " " span.quiet { (visit.t(Phrase::PurgeNowLead)) }
                }
            }
        }
    }
}

/// Sets a rule, adds or ends a hold, purges.
pub(super) async fn change(visit: &Visit<'_>, what: &str, form: &Form) -> Result<Answer, Trouble> {
    let some = |name: &str| form.some(name);
    let ask = match what {
        "set" => json!({ "set-retention": {
            "of": form.get("of"), "keep": some("keep"), "spam": some("spam") } }),
        "add-hold" => {
            let accounts: Vec<&str> = form
                .get("accounts")
                .split([',', ' ', ';'])
                .filter(|address| !address.is_empty())
                .collect();
            json!({ "add-hold": { "name": form.get("name"), "accounts": accounts,
                    "from": some("from"), "until": some("until"), "reason": form.get("reason") } })
        }
        "end-hold" => json!({ "remove-hold": { "name": form.get("name"),
            "account": some("account"), "reason": form.get("reason") } }),
        "purge" => {
            let over = json!({ "over": { "dry_run": false, "count_max": null } });
            return jobs::start(visit, json!({ "do": "archive", "ask": over })).await;
        }
        _ => return Err(Trouble::Missing),
    };
    if what != "set" && form.get("reason").is_empty() {
        return Ok(visit.done(PATH, Notice::words(false, visit.t(Phrase::ReasonWanted))));
    }
    visit.do_and_tell(json!({ "do": "archive", "ask": ask }), PATH).await
}
