//! How the server is, at a glance.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::phrases::Phrase;
use super::visit::Visit;
use super::words::{bytes_of, count, moment, text};
use super::{Answer, Trouble, layout, plot};

/// Destinations that are shown.
const DESTINATIONS_MAX: usize = 8;
/// States of the balance, as they are named.
const STATES: [(&str, Phrase); 7] = [
    ("delivered", Phrase::StateDelivered),
    ("relayed", Phrase::StateRelayed),
    ("queued", Phrase::StateQueued),
    ("held", Phrase::StateHeld),
    ("returned", Phrase::StateReturned),
    ("expanded", Phrase::StateExpanded),
    ("purged", Phrase::StatePurged),
];

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let status = visit.ask(json!({ "do": "status" })).await?;
    let flow = visit.ask(json!({ "do": "flow", "minutes": 60 })).await?;
    let main = html! {
        (layout::title(visit.t(Phrase::Overview), ""))
        div #live data-renew="10" {
            (accepting(visit, &status))
            (alarms(visit, &status["alarms"]))
            section.card aria-labelledby="flow" {
                h2 #flow { (visit.t(Phrase::Flow)) }
                (plot::flow(visit, &flow))
            }
            (balance(visit, &flow))
            div.columns {
                (queue(visit, &status))
                (accounted(visit, &status))
                (storage(visit, &flow["storage"]))
            }
        }
        p.quiet { (visit.t(Phrase::UpdatedEvery)) }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Overview).to_owned(), main })
}

fn accepting(visit: &Visit<'_>, status: &Value) -> Markup {
    html! {
        @match status["stopped_because"].as_str() {
            Some(why) => p.notice.bad role="alert" {
                strong { (visit.t(Phrase::NotAccepting)) } ": " (why)
            },
            None => p.notice.good { span aria-hidden="true" { "✓ " } (visit.t(Phrase::Accepting)) },
        }
        @if let Some(why) = status["unreadable_because"].as_str() {
            p.notice.bad role="alert" { (why) }
        }
    }
}

fn alarms(visit: &Visit<'_>, alarms: &Value) -> Markup {
    let alarms = alarms.as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if alarms.is_empty() {
            p.quiet { (visit.t(Phrase::NoAlarms)) }
        } @else {
            section.card.alarm aria-labelledby="alarms" {
                h2 #alarms { (visit.t(Phrase::Alarms)) }
                ul.plain {
                    @for alarm in alarms {
                        li {
                            strong { "⚠ " (text(&alarm["what"])) } " "
                            span.quiet { (alarm["times"]) " " (visit.t(Phrase::Times)) ", "
                                (moment(text(&alarm["last"]))) }
                            @if !text(&alarm["detail"]).is_empty() {
                                div.detail { (text(&alarm["detail"])) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn balance(visit: &Visit<'_>, flow: &Value) -> Markup {
    let today = &flow["today"];
    let of = |word: &str| today[word].as_u64().unwrap_or(0);
    html! {
        section.card aria-labelledby="today" {
            h2 #today { (visit.t(Phrase::Today)) }
            p.quiet { (visit.t(Phrase::BalanceLead)) }
            dl.figures {
                div.sum { dt { (visit.t(Phrase::Came)) } dd { (count(of("all"))) } }
                @for (word, phrase) in STATES {
                    div.zero[of(word) == 0] { dt { (visit.t(phrase)) } dd { (count(of(word))) } }
                }
            }
        }
    }
}

fn queue(visit: &Visit<'_>, status: &Value) -> Markup {
    let by = status["queued_by_destination"].as_object();
    let mut rows: Vec<(&String, u64)> = by
        .into_iter()
        .flatten()
        .map(|(name, waiting)| (name, waiting.as_u64().unwrap_or(0)))
        .collect();
    rows.sort_by_key(|(name, waiting)| (std::cmp::Reverse(*waiting), *name));
    let held = status["held"].as_u64().unwrap_or(0);
    html! {
        section.card aria-labelledby="queue" {
            h2 #queue { a href="/admin/queue" { (visit.t(Phrase::Queue)) } }
            dl.figures {
                div { dt { (visit.t(Phrase::Waiting)) }
                    dd { (count(status["queued"].as_u64().unwrap_or(0))) } }
                div { dt { a href="/admin/held" { (visit.t(Phrase::Held)) } } dd { (count(held)) } }
            }
            @for pause in status["paused"].as_array().into_iter().flatten() {
                p.notice.warn { "‖ " (visit.t(Phrase::Paused)) ": " (text(&pause["destination"])) }
            }
            @if !rows.is_empty() {
                ul.bars {
                    @for (name, waiting) in rows.into_iter().take(DESTINATIONS_MAX) {
                        li { span { (name) } span.number { (count(waiting)) } }
                    }
                }
            }
        }
    }
}

/// What the auditor and the scrubber of the running server say.
fn accounted(visit: &Visit<'_>, status: &Value) -> Markup {
    let (lost, scrub) = (status["unaccounted"].as_u64(), &status["scrub"]);
    html! {
        section.card aria-labelledby="accounted" {
            h2 #accounted { (visit.t(Phrase::Accounted)) }
            @match lost {
                Some(0) => p { span.state.good { "✓" } " " (visit.t(Phrase::AllAccounted)) },
                Some(lost) => p.notice.bad role="alert" {
                    (count(lost)) " " (visit.t(Phrase::Unaccounted)) },
                None => p.quiet { "–" },
            }
            @if let Some(at) = status["audit"]["at"].as_str() {
                p.quiet { (visit.t(Phrase::AuditedAt)) " " (moment(at)) }
            }
            @if scrub.is_object() {
                p.quiet { (visit.t(Phrase::Scrub)) ": " (scrub["percent"]) " %, "
                    (scrub["damaged"]) " " (visit.t(Phrase::Damaged)) }
            }
        }
    }
}

fn storage(visit: &Visit<'_>, storage: &Value) -> Markup {
    let (free, whole) = (storage["free_bytes"].as_u64(), storage["bytes"].as_u64());
    html! {
        section.card aria-labelledby="storage" {
            h2 #storage { (visit.t(Phrase::Storage)) }
            @if let (Some(free), Some(whole)) = (free, whole) {
                p { strong { (bytes_of(free)) } " " (visit.t(Phrase::DiskFree)) " " (bytes_of(whole)) }
                (plot::bar(whole.saturating_sub(free), whole, visit.t(Phrase::Storage)))
            } @else { p { "–" } }
        }
    }
}
