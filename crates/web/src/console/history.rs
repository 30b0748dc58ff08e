//! What people did with mail, and taking it back: one act, all of a session, all that came from one
//! address.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::{Form, encoded};
use super::layout;
use super::phrases::Phrase;
use super::session::Notice;
use super::visit::Visit;
use super::words::{count, text, time};
use super::{Answer, Trouble, jobs};

const PATH: &str = "/admin/history";
/// Sessions or acts of one page.
const LISTED_MAX: usize = 200;
/// Acts that are taken back while the page waits; more are a job.
const AT_ONCE_MAX: usize = 500;
/// Acts that are shown before they are taken back.
const SHOWN_MAX: usize = 50;
/// What the search asks for.
const SEARCH: [(&str, Phrase); 5] = [
    ("account", Phrase::Account),
    ("by", Phrase::Who),
    ("ip", Phrase::FromAddress),
    ("since", Phrase::Since),
    ("until", Phrase::Until),
];

/// Everything given must hold.
fn filter(form: &Form) -> Result<Value, Trouble> {
    let mut filter = json!({});
    for (name, _) in SEARCH {
        if let Some(value) = form.some(name) {
            filter[name] = value.into();
        }
    }
    if let Some(session) = form.some("session") {
        let number = u64::from_str_radix(session, 36);
        let number = number.map_err(|_| Trouble::Invalid(format!("“{session}” is no session")))?;
        filter["session"] = number.into();
    }
    Ok(filter)
}

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let by_acts = visit.query.get("acts") == "1";
    let list = json!({ "filter": filter(&visit.query)?, "count_max": LISTED_MAX });
    let ask = if by_acts { json!({ "history": list }) } else { json!({ "sessions": list }) };
    let (mut found, mut wrong) = (Value::Null, None);
    match visit.ask(json!({ "do": "acts", "ask": ask })).await {
        Ok(answer) => found = answer,
        Err(Trouble::Failed { what, .. } | Trouble::Invalid(what)) => wrong = Some(what),
        Err(trouble) => return Err(trouble),
    }
    let rows = found.as_array().map(Vec::as_slice).unwrap_or_default();
    let main = html! {
        (layout::title(visit.t(Phrase::History), visit.t(Phrase::HistoryLead)))
        form.card.search method="get" action=(PATH) role="search" {
            @for (name, phrase) in SEARCH {
                label { (visit.t(phrase))
                    input name=(name) value=(visit.query.get(name)) spellcheck="false"
                        placeholder=[(name == "since").then_some("2h")]; }
            }
            label { (visit.t(Phrase::Acts))
                select name="acts" {
                    option value="0" selected[!by_acts] { (visit.t(Phrase::BySession)) }
                    option value="1" selected[by_acts] { (visit.t(Phrase::ShowActs)) }
                }
            }
            @if let Some(session) = visit.query.some("session") {
                label { (visit.t(Phrase::Session)) input name="session" value=(session); }
            }
            button.primary type="submit" { (visit.t(Phrase::Find)) }
        }
        @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
        @else if rows.is_empty() { p.empty role="status" { (visit.t(Phrase::NothingFound)) } }
        @else if by_acts { (acts(visit, rows)) }
        @else { (sessions(visit, rows)) }
    };
    Ok(Answer::Page { title: visit.t(Phrase::History).to_owned(), main })
}

fn sessions(visit: &Visit<'_>, rows: &[Value]) -> Markup {
    html! {
        div.scroll { table.cards {
            thead { tr {
                @for phrase in [Phrase::Who, Phrase::FromAddress, Phrase::Time, Phrase::Changed] {
                    th scope="col" { (visit.t(phrase)) }
                }
                th scope="col" { span.sr { (visit.t(Phrase::Actions)) } }
            } }
            tbody { @for row in rows { (session(visit, row)) } }
        } }
    }
}

fn session(visit: &Visit<'_>, row: &Value) -> Markup {
    let session = row["session"].as_str().filter(|session| *session != "0");
    let (acts, undone) = (row["acts"].as_u64().unwrap_or(0), row["undone"].as_u64().unwrap_or(0));
    html! {
        tr {
            th.address scope="row" { (text(&row["by"]))
                div.quiet { (text(&row["via"])) " "
                    @if let Some(session) = session { code { (session) } } } }
            td { @if let Some(ip) = row["from"].as_str() {
                a href={ (PATH) "?ip=" (encoded(ip)) } { (ip) } } @else { "–" } }
            td { (time(&row["first"])) " – " (time(&row["last"])) }
            td { (text(&row["changed"]))
                @if undone > 0 { div.quiet { (count(undone)) " / " (count(acts)) " "
                    (visit.t(Phrase::Undone)) } } }
            td.act {
                @if let Some(session) = session {
                    a.button.small href={ (PATH) "?acts=1&session=" (session) } {
                        (visit.t(Phrase::ShowActs)) }
                    @if visit.may_change() && undone < acts {
                        form method="post" action="/admin/history/undo" {
                            (layout::key(visit))
                            input type="hidden" name="session" value=(session);
                            button.small type="submit" { (visit.t(Phrase::TakeBack)) }
                        }
                    }
                }
            }
        }
    }
}

fn acts(visit: &Visit<'_>, rows: &[Value]) -> Markup {
    html! {
        form method="post" action="/admin/history/undo" {
            (layout::key(visit))
            @if visit.may_change() {
                fieldset.actions {
                    legend.sr { (visit.t(Phrase::Actions)) }
                    button type="submit" { (visit.t(Phrase::TakeBack)) ": " (visit.t(Phrase::Selected)) }
                }
            }
            div.scroll { table.cards {
                thead { tr {
                    @if visit.may_change() {
                        th scope="col" {
                            input type="checkbox" data-all="act" hidden
                                aria-label=(visit.t(Phrase::SelectAll));
                            span.sr { (visit.t(Phrase::Select)) }
                        }
                    }
                    @for phrase in [Phrase::Time, Phrase::Account, Phrase::What, Phrase::Who] {
                        th scope="col" { (visit.t(phrase)) }
                    }
                } }
                tbody { @for row in rows { (act(visit, row)) } }
            } }
        }
    }
}

fn act(visit: &Visit<'_>, row: &Value) -> Markup {
    let is_undone = row["undone"].as_bool().unwrap_or(false);
    html! {
        tr {
            @if visit.may_change() {
                td.pick { @if !is_undone {
                    input type="checkbox" name="act" value=(row["act"])
                        aria-label={ (visit.t(Phrase::Select)) ": " (row["act"]) };
                } }
            }
            td { (time(&row["at"])) div.quiet { "№ " (row["act"]) } }
            td.address { (text(&row["account"])) }
            td { (what(row))
                @if is_undone { span.badge { "↩ " (visit.t(Phrase::Undone)) } } }
            td.address { (text(&row["by"]))
                div.quiet { (text(&row["via"])) " " (text(&row["from"])) } }
        }
    }
}

fn what(row: &Value) -> Markup {
    let messages = row["messages"].as_u64().unwrap_or(0);
    html! {
        span { (text(&row["what"])) " " bdi { (text(&row["where"])) }
            @if messages > 0 { " (" (count(messages)) ")" } }
    }
}

/// Takes back: shown first, then done.
pub(super) async fn undo(visit: &Visit<'_>, form: &Form) -> Result<Answer, Trouble> {
    let acts: Vec<u64> = form.all("act").filter_map(|number| number.parse().ok()).collect();
    // As an undo told it: FIRST-LAST, with commas between several.
    let runs = form.some("redo").into_iter().flat_map(|text| text.split(','));
    let redo: Vec<(u64, u64)> = runs
        .filter_map(|run| {
            let (first, last) = run.split_once('-')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect();
    let mut filter = self::filter(form)?;
    if !redo.is_empty() {
        filter["redo"] = json!(redo);
    }
    let nothing = filter.as_object().is_none_or(serde_json::Map::is_empty);
    if acts.is_empty() && nothing {
        return Ok(visit.done(PATH, Notice::words(false, visit.t(Phrase::NothingSelected))));
    }
    let filter = if acts.is_empty() { filter } else { Value::Null };
    let request = |dry_run: bool| {
        let undo = json!({ "acts": acts, "filter": filter, "dry_run": dry_run });
        json!({ "do": "acts", "ask": { "undo": undo } })
    };
    if form.get("sure") != "1" {
        let found = visit.ask(request(true)).await?;
        return Ok(sure(visit, form, &found));
    }
    if form.get("many") == "1" {
        return jobs::start(visit, request(false)).await;
    }
    visit.do_and_tell(request(false), PATH).await
}

fn sure(visit: &Visit<'_>, form: &Form, found: &Value) -> Answer {
    let title = visit.t(Phrase::AreYouSure);
    let rows = found.as_array().map(Vec::as_slice).unwrap_or_default();
    let main = html! {
        (layout::title(title, ""))
        p.lead { strong { (visit.t(Phrase::TakeBack)) } ": " (count(rows.len() as u64)) " "
            (visit.t(Phrase::ActsWouldBeTakenBack)) }
        form.card method="post" action="/admin/history/undo" {
            @for (name, value) in form.pairs() { input type="hidden" name=(name) value=(value); }
            input type="hidden" name="sure" value="1";
            @if rows.len() > AT_ONCE_MAX { input type="hidden" name="many" value="1"; }
            div.row {
                button.primary type="submit" { (visit.t(Phrase::DoIt)) }
                a.button href=(PATH) { (visit.t(Phrase::Cancel)) }
            }
        }
        ul.plain {
            @for row in rows.iter().take(SHOWN_MAX) {
                li { (time(&row["at"])) " " (text(&row["account"])) ": " (what(row)) }
            }
            @if rows.len() > SHOWN_MAX { li { "…" } }
        }
    };
    Answer::Page { title: title.to_owned(), main }
}
