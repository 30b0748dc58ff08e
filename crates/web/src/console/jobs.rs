//! Long work: what is under way, how far it is, what came of it; ending it, and taking it back.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::phrases::Phrase;
use super::visit::Visit;
use super::words::{bytes_of, count, text, time, who};
use super::{Answer, Trouble, layout};

const PATH: &str = "/admin/jobs";

/// Starts a request as a job, and goes to its page.
pub(super) async fn start(visit: &Visit<'_>, request: Value) -> Result<Answer, Trouble> {
    let ask = json!({ "start": { "request": request } });
    let answer = visit.ask(json!({ "do": "job", "ask": ask })).await?;
    Ok(to(&answer))
}

/// To the page of the job that was started.
fn to(answer: &Value) -> Answer {
    Answer::To(format!("{PATH}/{}", answer["job"]))
}

/// All of them.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let jobs = visit.ask(json!({ "do": "job", "ask": "list" })).await?;
    let jobs = jobs.as_array().map(Vec::as_slice).unwrap_or_default();
    let main = html! {
        (layout::title(visit.t(Phrase::Jobs), visit.t(Phrase::JobsLead)))
        div #live data-renew="2" {
            @if jobs.is_empty() { p.empty { (visit.t(Phrase::NoJobs)) } }
            @else {
                div.scroll { table.cards {
                    thead { tr {
                        @for phrase in [Phrase::What, Phrase::Who, Phrase::Began, Phrase::State,
                                        Phrase::Progress] {
                            th scope="col" { (visit.t(phrase)) }
                        }
                    } }
                    tbody { @for job in jobs { (row(visit, job)) } }
                } }
            }
        }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Jobs).to_owned(), main })
}

fn row(visit: &Visit<'_>, job: &Value) -> Markup {
    html! {
        tr {
            th.main.said scope="row" { a href={ (PATH) "/" (job["job"]) } { bdi { (text(&job["what"])) } } }
            td { (who(visit.language, text(&job["by"]))) }
            td { (time(&job["began"])) }
            td { (state(visit, text(&job["state"]))) }
            td { (how_far(visit, job)) }
        }
    }
}

/// A state as a sign and a word.
fn state(visit: &Visit<'_>, word: &str) -> Markup {
    let (phrase, sign, class) = match word {
        "running" => (Phrase::JobRunning, "…", "wait"),
        "cancelling" => (Phrase::JobCancelling, "…", "warn"),
        "done" => (Phrase::JobDone, "✓", "good"),
        "cancelled" => (Phrase::JobCancelled, "‖", "warn"),
        _ => (Phrase::JobFailed, "✕", "bad"),
    };
    html! {
        span class={ "state " (class) } { span aria-hidden="true" { (sign) } " " (visit.t(phrase)) }
    }
}

fn how_far(visit: &Visit<'_>, job: &Value) -> Markup {
    let (done, total) = (job["done"].as_u64().unwrap_or(0), job["total"].as_u64());
    let unit = match text(&job["unit"]) {
        "recipients" => Phrase::UnitRecipients,
        "acts" => Phrase::UnitActs,
        _ => Phrase::UnitMessages,
    };
    let words = match (text(&job["unit"]), total) {
        ("percent", _) => format!("{done} %"),
        ("bytes", Some(total)) => format!("{} / {}", bytes_of(done), bytes_of(total)),
        ("bytes", None) => bytes_of(done),
        (_, Some(total)) => format!("{} / {} {}", count(done), count(total), visit.t(unit)),
        (_, None) => format!("{} {}", count(done), visit.t(unit)),
    };
    html! { span.number { (words) } }
}

/// One of them. While it is under way the page renews itself.
pub(super) async fn one(visit: &Visit<'_>, number: &str) -> Result<Answer, Trouble> {
    let job =
        visit.ask(json!({ "do": "job", "ask": { "show": { "job": parsed(number)? } } })).await?;
    let is_over = !job["ended"].is_null();
    let title = visit.t(Phrase::Job);
    let main = html! {
        p { a href=(PATH) { "← " (visit.t(Phrase::Jobs)) } }
        h1.said { (text(&job["what"])) }
        div #live data-renew=[(!is_over).then_some("0.5")] {
            section.card aria-labelledby="how-far" {
                h2 #how-far { (visit.t(Phrase::Progress)) }
                div role="status" {
                    p { (state(visit, text(&job["state"]))) " " (how_far(visit, &job)) }
                    @if is_over { (came(visit, &job)) }
                }
                @if !is_over || !job["total"].is_null() { (bar(visit, &job)) }
                p.quiet { (visit.t(Phrase::Began)) " " (time(&job["began"]))
                    @if is_over { " · " (visit.t(Phrase::Ended)) " " (time(&job["ended"])) }
                    " · " (who(visit.language, text(&job["by"]))) }
            }
        }
        @if !is_over {
            @if visit.may_change() && job["can_cancel"] == true {
                form method="post" action={ (PATH) "/" (number) "/cancel" } {
                    (layout::key(visit))
                    button.danger type="submit" { (visit.t(Phrase::CancelJob)) }
                    " " span.quiet { (visit.t(Phrase::CancelJobLead)) }
                }
            }
            noscript { p { a.button href={ (PATH) "/" (number) } { (visit.t(Phrase::LookAgain)) } } }
        }
        @if job["can_undo"] == true && visit.may_change() {
            form method="post" action={ (PATH) "/" (number) "/undo" } {
                (layout::key(visit))
                button type="submit" { (visit.t(Phrase::Undo)) }
            }
        }
        @if let Some(by) = job["undone_by"].as_u64() {
            p { (visit.t(Phrase::TakenBackBy)) " " a href={ (PATH) "/" (by) } { "№ " (by) } }
        }
    };
    Ok(Answer::Page { title: format!("{title} {number}"), main })
}

/// What came of it.
fn came(visit: &Visit<'_>, job: &Value) -> Markup {
    let (result, trouble) = (&job["result"], &job["trouble"]);
    html! {
        @if let Some(did) = result["did"].as_str() {
            @for part in did.split(['；']).flat_map(|part| part.split("; ")) { p { (part) } }
        }
        @for list in ["damage", "violations"] {
            @for one in result[list].as_array().into_iter().flatten() {
                p.notice.bad { (text(one)) }
            }
        }
        @if let Some(what) = trouble["what"].as_str() {
            p.notice.bad role="alert" { (what) }
            @if let Some(mend) = trouble["mend"].as_str() {
                p { strong { (visit.t(Phrase::WhatToDo)) ": " } (mend) }
            }
        }
    }
}

fn bar(visit: &Visit<'_>, job: &Value) -> Markup {
    let total = match text(&job["unit"]) {
        "percent" => Some(100),
        _ => job["total"].as_u64(),
    };
    let label = visit.t(Phrase::Progress);
    html! {
        @match total {
            Some(total) => progress max=(total) value=(job["done"]) aria-label=(label) {},
            // How much there is is not known yet.
            None => progress aria-label=(label) {},
        }
    }
}

fn parsed(number: &str) -> Result<u64, Trouble> {
    number.parse().map_err(|_| Trouble::Missing)
}

/// Ends it early.
pub(super) async fn cancel(visit: &Visit<'_>, number: &str) -> Result<Answer, Trouble> {
    let ask = json!({ "cancel": { "job": parsed(number)? } });
    visit.do_and_tell(json!({ "do": "job", "ask": ask }), &format!("{PATH}/{number}")).await
}

/// Takes back what it did, as a job of its own.
pub(super) async fn undo(visit: &Visit<'_>, number: &str) -> Result<Answer, Trouble> {
    let ask = json!({ "undo": { "job": parsed(number)? } });
    let answer = visit.ask(json!({ "do": "job", "ask": ask })).await?;
    Ok(to(&answer))
}
