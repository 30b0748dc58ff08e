//! Searching every message ever accepted.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::{Form, encoded};
use super::layout::{self, mail_path};
use super::phrases::Phrase;
use super::session::Notice;
use super::visit::Visit;
use super::words::{count, moment, path, state, text, time};
use super::{Answer, Trouble, jobs};

const PATH: &str = "/admin/archive";
/// Messages of one page.
const HITS_MAX: usize = 50;

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let wanted = visit.query.some("q");
    let request = json!({ "do": "search", "query": wanted, "count_max": HITS_MAX,
                          "excerpts": true, "bodies": false });
    let (mut found, mut wrong) = (None, None);
    match visit.ask(request).await {
        Ok(answer) => found = Some(answer),
        Err(Trouble::Failed { what, mend }) => {
            wrong = Some(mend.map_or_else(|| what.clone(), |mend| format!("{what}: {mend}")));
        }
        Err(trouble) => return Err(trouble),
    }
    let main = html! {
        (layout::title(visit.t(Phrase::Archive), visit.t(Phrase::ArchiveLead)))
        form.card.search method="get" action=(PATH) role="search" {
            label.wide { (visit.t(Phrase::LookFor))
                input type="search" name="q" value=(wanted.unwrap_or_default()) autofocus
                    spellcheck="false" autocapitalize="none" aria-describedby="archive-hint"; }
            button.primary type="submit" { (visit.t(Phrase::Find)) }
            small #archive-hint { (visit.t(Phrase::ArchiveHint)) }
        }
        p.quiet { (visit.t(Phrase::LookIsRecorded)) }
        @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
        @if let Some(found) = found { (results(visit, &found, wanted)) }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Archive).to_owned(), main })
}

fn results(visit: &Visit<'_>, found: &Value, query: Option<&str>) -> Markup {
    let end = &found["end"];
    let number = |name: &str| count(end[name].as_u64().unwrap_or(0));
    let hits = found["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        p.quiet role="status" {
            @if query.is_some() {
                (number("found")) " " (visit.t(Phrase::FoundIn)) " "
                (format!("{:.0} ms", end["ms"].as_f64().unwrap_or(0.0))) ". "
            }
            (number("searchable")) " " (visit.t(Phrase::Searchable)) " " (number("messages"))
        }
        @if query.is_some() && hits.is_empty() { p.empty { (visit.t(Phrase::NothingFound)) } }
        @match query.filter(|_| visit.may_change() && !visit.is_domain_admin() && !hits.is_empty()) {
            Some(query) => form method="post" action="/admin/archive/restore" {
                (layout::key(visit))
                input type="hidden" name="q" value=(query);
                fieldset.actions {
                    legend.sr { (visit.t(Phrase::Actions)) }
                    label.all-of hidden { input type="checkbox" data-all="receipt" hidden;
                        " " (visit.t(Phrase::SelectAll)) }
                    div.row {
                        button type="submit" name="scope" value="selected" {
                            (visit.t(Phrase::RestoreTicked)) }
                        button type="submit" name="scope" value="all" {
                            (visit.t(Phrase::RestoreAllFound)) }
                    }
                    p.quiet { (visit.t(Phrase::RestoreLead)) }
                }
                @for hit in hits { (self::hit(visit, hit, true)) }
            },
            None => { @for hit in hits { (self::hit(visit, hit, false)) } }
        }
        @if end["more"].as_bool().unwrap_or(false) { p { (visit.t(Phrase::MoreThan)) } }
    }
}

fn hit(visit: &Visit<'_>, hit: &Value, is_ticked: bool) -> Markup {
    let recipients = hit["recipients"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (receipt, subject) = (text(&hit["receipt"]), text(&hit["subject"]));
    html! {
        article.card.hit {
            h2 {
                @if is_ticked {
                    input type="checkbox" name="receipt" value=(receipt)
                        aria-label={ (visit.t(Phrase::Select)) ": " (subject) };
                    " "
                }
                a href=(mail_path(receipt)) {
                    @if subject.is_empty() { em { (visit.t(Phrase::NoSubject)) } }
                    @else { bdi { (subject) } }
                }
            }
            p.quiet {
                (moment(text(&hit["accepted"]))) " · " bdi { (path(&hit["from"])) } " → "
                @for (at, one) in recipients.iter().enumerate() {
                    @if at > 0 { ", " }
                    bdi { (text(&one["recipient"])) } " " (state(visit.language, text(&one["state"])))
                }
            }
            @if let Some(why) = hit["lost"].as_str() { p { (visit.t(Phrase::CannotBeRead)) " " (why) } }
            @if hit["excerpt"].is_object() {
                @let excerpt = &hit["excerpt"];
                p { @if let Some(name) = excerpt["attachment"].as_str() { "▤ " bdi { (name) } ": " }
                    "…" (text(&excerpt["before"])) mark { (text(&excerpt["hit"])) }
                    (text(&excerpt["after"])) "…" }
            }
            @for place in hit["places"].as_array().into_iter().flatten() { (self::place(visit, place)) }
        }
    }
}

/// Back to the accounts that had it: shown first, then done as a job.
pub(super) async fn restore(visit: &Visit<'_>, form: &Form) -> Result<Answer, Trouble> {
    let query = form.get("q");
    let back = format!("{PATH}?q={}", encoded(query));
    let receipts: Vec<&str> = form.all("receipt").collect();
    let is_all = form.get("scope") == "all";
    if !is_all && receipts.is_empty() {
        let notice = Notice::words(false, visit.t(Phrase::NothingSelected));
        return Ok(visit.done(back, notice));
    }
    let mut request = match is_all {
        true => json!({ "do": "restore-found", "query": query }),
        false => json!({ "do": "restore-found", "receipts": receipts }),
    };
    if form.get("sure") == "1" {
        return jobs::start(visit, request).await;
    }
    request["dry_run"] = true.into();
    let found = visit.ask(request).await?;
    Ok(sure(visit, form, &found, &back))
}

fn sure(visit: &Visit<'_>, form: &Form, found: &Value, back: &str) -> Answer {
    let title = visit.t(Phrase::AreYouSure);
    let number = found["would_restore"].as_u64().unwrap_or(0);
    let first = found["first"].as_array().map(Vec::as_slice).unwrap_or_default();
    let main = html! {
        (layout::title(title, ""))
        p.lead { strong { (count(number)) } " " (visit.t(Phrase::WouldComeBack))
            @if found["more"] == true { " " (visit.t(Phrase::LookedAtFirst)) } }
        form.card method="post" action="/admin/archive/restore" {
            @for (name, value) in form.pairs() { input type="hidden" name=(name) value=(value); }
            input type="hidden" name="sure" value="1";
            dl.facts {
                @for (account, messages) in found["accounts"].as_object().into_iter().flatten() {
                    div { dt { (account) } dd { (count(messages.as_u64().unwrap_or(0))) } }
                }
            }
            @for (why, messages) in found["skipped"].as_object().into_iter().flatten() {
                p.quiet { (count(messages.as_u64().unwrap_or(0))) " "
                    (visit.t(Phrase::StayAsTheyAre)) ": " (why) }
            }
            div.row {
                @if number > 0 || found["more"] == true {
                    button.primary type="submit" { (visit.t(Phrase::DoIt)) }
                }
                a.button href=(back) { (visit.t(Phrase::Cancel)) }
            }
        }
        @if !first.is_empty() {
            div.scroll { table.cards {
                thead { tr {
                    @for phrase in [Phrase::Subject, Phrase::Account, Phrase::WasIn, Phrase::BackTo,
                                    Phrase::DeletedBy] {
                        th scope="col" { (visit.t(phrase)) }
                    }
                } }
                tbody { @for one in first {
                    tr {
                        td.main { a href=(mail_path(text(&one["receipt"]))) {
                            @if text(&one["subject"]).is_empty() { em { (visit.t(Phrase::NoSubject)) } }
                            @else { bdi { (text(&one["subject"])) } } } }
                        td.address { (text(&one["account"])) }
                        td data-label=(visit.t(Phrase::WasIn)) { bdi { (text(&one["was_in"])) } }
                        td data-label=(visit.t(Phrase::BackTo)) { bdi { (text(&one["to"])) } }
                        td.reply { (time(&one["gone"])) div.quiet { (text(&one["by"])) } }
                    }
                } }
            } }
            @if number > first.len() as u64 { p { "…" } }
        }
    };
    Answer::Page { title: title.to_owned(), main }
}

fn place(visit: &Visit<'_>, place: &Value) -> Markup {
    let (account, mailbox) = (text(&place["account"]), text(&place["mailbox"]));
    let gone = &place["gone"];
    html! {
        div.place {
            @if gone.is_object() {
                "↩ " bdi { (account) } ": " (visit.t(Phrase::TakenOut)) " " bdi { (mailbox) } " "
                (time(&gone["at"])) " "
                a href={ "/admin/history?account=" (encoded(account)) "&acts=1&since="
                    (encoded(text(&gone["at"]))) } { (visit.t(Phrase::RestoreIt)) }
                div.quiet { (text(&gone["by"])) }
            } @else {
                "✓ " bdi { (account) } ": " (visit.t(Phrase::LiesIn)) " " bdi { (mailbox) }
            }
        }
    }
}
