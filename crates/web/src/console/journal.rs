//! The journal and its backup: what the auditor and the scrubber say, how old the backup is, and
//! having it taken, checked and rehearsed.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::phrases::Phrase;
use super::visit::Visit;
use super::words::{bytes, bytes_of, count, moment, span, text, time};
use super::{Answer, Trouble, jobs, layout, plot};

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let status = visit.ask(json!({ "do": "status" })).await?;
    let backup = visit.ask(json!({ "do": "backups", "ask": "state" })).await?;
    let flow = visit.ask(json!({ "do": "flow", "minutes": 1 })).await?;
    let main = html! {
        (layout::title(visit.t(Phrase::Journal), visit.t(Phrase::JournalLead)))
        (self::backup_card(visit, &backup))
        div.columns {
            (auditor(visit, &status))
            (scrubber(visit, &status["scrub"]))
            (storage(visit, &flow["storage"]))
        }
        (points(visit, &backup))
    };
    Ok(Answer::Page { title: visit.t(Phrase::Journal).to_owned(), main })
}

fn backup_card(visit: &Visit<'_>, backup: &Value) -> Markup {
    html! {
        section.card aria-labelledby="backup" {
            h2 #backup { (visit.t(Phrase::Backup)) }
            @match backup["to"].as_str() {
                None => p.notice.warn { "⚠ " (visit.t(Phrase::NoBackup)) },
                Some(to) => {
                    (troubles(visit, backup))
                    dl.facts {
                        div.wide { dt { (visit.t(Phrase::BackupTo)) } dd { code { (to) } } }
                        div { dt { (visit.t(Phrase::LastBackup)) }
                            dd { (time(&backup["taken"]))
                                @if let Some(age) = backup["age_secs"].as_u64() {
                                    " (" (span(visit.language, age)) " " (visit.t(Phrase::Ago)) ")" } } }
                        div { dt { (visit.t(Phrase::Every)) }
                            dd { @match backup["every_secs"].as_u64() {
                                None | Some(0) => (visit.t(Phrase::ByHandOnly)),
                                Some(every) => (span(visit.language, every)),
                            } } }
                        div { dt { (visit.t(Phrase::Records)) }
                            dd { @match backup["records"].as_u64() {
                                Some(records) => (count(records)),
                                None => "–",
                            } } }
                        div { dt { (visit.t(Phrase::Size)) } dd { (bytes(&backup["bytes"])) } }
                        div { dt { (visit.t(Phrase::LastCheck)) }
                            dd { (examined(visit, &backup["checked"])) } }
                        div { dt { (visit.t(Phrase::LastRehearsal)) }
                            dd { (examined(visit, &backup["rehearsed"]))
                                @if let Some(ms) = backup["rehearsed"]["restore_ms"].as_u64() {
                                    div.quiet { (visit.t(Phrase::RestoredIn)) " "
                                        (span(visit.language, ms.div_ceil(1000))) } } } }
                    }
                    @if visit.may_change() {
                        div.row {
                            @for (what, phrase) in [("take", Phrase::BackUpNow),
                                    ("check", Phrase::CheckBackup),
                                    ("rehearse", Phrase::Rehearse)] {
                                form method="post" action={ "/admin/journal/backup/" (what) } {
                                    (layout::key(visit))
                                    button.primary[what == "take"] type="submit" { (visit.t(phrase)) }
                                }
                            }
                        }
                        p.quiet { (visit.t(Phrase::RehearseLead)) }
                    }
                }
            }
        }
    }
}

fn troubles(visit: &Visit<'_>, backup: &Value) -> Markup {
    html! {
        @if backup["late"] == true {
            p.notice.bad role="alert" { (visit.t(Phrase::BackupLate)) }
        }
        @for name in ["failed", "unreadable_because"] {
            @if let Some(why) = backup[name].as_str() { p.notice.bad role="alert" { (why) } }
        }
        @for damage in backup["damage"].as_array().into_iter().flatten() {
            p.notice.bad { (visit.t(Phrase::DamagedAtSource)) " " (text(damage)) }
        }
    }
}

/// What a check or a rehearsal came to.
fn examined(visit: &Visit<'_>, found: &Value) -> Markup {
    html! {
        @match found["clean"].as_bool() {
            None => (visit.t(Phrase::NeverDone)),
            Some(true) => { span.state.good { "✓ " (visit.t(Phrase::Whole)) } " "
                (moment(text(&found["at"]))) },
            Some(false) => { span.state.bad { "✕ " (found["wrong"]) " " (visit.t(Phrase::Damaged)) } " "
                (moment(text(&found["at"]))) },
        }
    }
}

fn auditor(visit: &Visit<'_>, status: &Value) -> Markup {
    let audit = &status["audit"];
    let number = |value: &Value| value.as_u64().map_or_else(|| "–".to_owned(), count);
    html! {
        section.card aria-labelledby="auditor" {
            h2 #auditor { (visit.t(Phrase::Accounted)) }
            @match status["unaccounted"].as_u64() {
                Some(0) => p { span.state.good { "✓" } " " (visit.t(Phrase::AllAccounted)) },
                Some(lost) => p.notice.bad role="alert" {
                    (count(lost)) " " (visit.t(Phrase::Unaccounted)) },
                None => p.quiet { (visit.t(Phrase::NotYetLooked)) },
            }
            dl.facts {
                div { dt { (visit.t(Phrase::RecipientsLookedAt)) }
                    dd { (number(&audit["custodies_looked_at"])) " / " (number(&audit["custodies"])) } }
                div { dt { (visit.t(Phrase::Rounds)) } dd { (number(&audit["rounds"])) } }
                div { dt { (visit.t(Phrase::Overdue)) } dd { (number(&status["overdue"])) } }
            }
            @for finding in audit["findings"].as_array().into_iter().flatten() {
                p.notice.bad { (text(finding)) }
            }
            @if let Some(at) = audit["at"].as_str() {
                p.quiet { (visit.t(Phrase::AuditedAt)) " " (moment(at)) }
            }
        }
    }
}

fn scrubber(visit: &Visit<'_>, scrub: &Value) -> Markup {
    let percent = scrub["percent"].as_u64().unwrap_or(0);
    html! {
        section.card aria-labelledby="scrubber" {
            h2 #scrubber { (visit.t(Phrase::Scrub)) }
            @if scrub.is_null() { p.quiet { (visit.t(Phrase::ScrubOff)) } }
            @else {
                @match scrub["damaged"].as_u64() {
                    Some(0) => p { span.state.good { "✓" } " " (visit.t(Phrase::NothingDamaged)) },
                    damaged => p.notice.bad role="alert" { (count(damaged.unwrap_or(0))) " "
                        (visit.t(Phrase::Damaged)) },
                }
                p { (percent) " % · " (bytes(&scrub["bytes"])) }
                (plot::bar(percent, 100, visit.t(Phrase::Scrub)))
                @for damage in scrub["damage"].as_array().into_iter().flatten() {
                    p.notice.bad { (text(damage)) }
                }
                p.quiet { (visit.t(Phrase::Began)) " " (time(&scrub["began"]))
                    " · " (visit.t(Phrase::LastWholeRound)) " " (time(&scrub["finished"])) }
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

fn points(visit: &Visit<'_>, backup: &Value) -> Markup {
    let points = backup["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if !points.is_empty() {
            h2 { (visit.t(Phrase::PointsToRestore)) }
            div.scroll { table.cards {
                thead { tr {
                    th scope="col" { (visit.t(Phrase::Time)) }
                    th.number scope="col" { (visit.t(Phrase::Records)) }
                    th scope="col" { (visit.t(Phrase::SignedHead)) }
                } }
                tbody { @for point in points {
                    tr {
                        td { (time(&point["taken"])) }
                        td.number data-label=(visit.t(Phrase::Records)) {
                            (count(point["records"].as_u64().unwrap_or(0))) }
                        td data-label=(visit.t(Phrase::SignedHead)) {
                            @if point["signed"] == true { "✓" } @else { "–" } }
                    }
                } }
            } }
        }
    }
}

/// Has the backup taken, checked or rehearsed: a job.
pub(super) async fn backup(visit: &Visit<'_>, what: &str) -> Result<Answer, Trouble> {
    match what {
        "take" | "check" | "rehearse" => {
            jobs::start(visit, json!({ "do": "backups", "ask": what })).await
        }
        _ => Err(Trouble::Missing),
    }
}
