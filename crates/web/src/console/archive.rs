//! Searching every message ever accepted.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::encoded;
use super::layout::{self, mail_path};
use super::phrases::Phrase;
use super::visit::Visit;
use super::words::{count, moment, path, state, text, time};
use super::{Answer, Trouble};

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
        form.card.search method="get" action="/admin/archive" role="search" {
            label.wide { (visit.t(Phrase::LookFor))
                input type="search" name="q" value=(wanted.unwrap_or_default()) autofocus
                    spellcheck="false" autocapitalize="none" aria-describedby="archive-hint"; }
            button.primary type="submit" { (visit.t(Phrase::Find)) }
            small #archive-hint { (visit.t(Phrase::ArchiveHint)) }
        }
        p.quiet { (visit.t(Phrase::LookIsRecorded)) }
        @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
        @if let Some(found) = found { (results(visit, &found, wanted.is_some())) }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Archive).to_owned(), main })
}

fn results(visit: &Visit<'_>, found: &Value, is_asked: bool) -> Markup {
    let end = &found["end"];
    let number = |name: &str| count(end[name].as_u64().unwrap_or(0));
    let hits = found["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        p.quiet role="status" {
            @if is_asked {
                (number("found")) " " (visit.t(Phrase::FoundIn)) " "
                (format!("{:.0} ms", end["ms"].as_f64().unwrap_or(0.0))) ". "
            }
            (number("searchable")) " " (visit.t(Phrase::Searchable)) " " (number("messages"))
        }
        @if is_asked && hits.is_empty() { p.empty { (visit.t(Phrase::NothingFound)) } }
        @for hit in hits { (self::hit(visit, hit)) }
        @if end["more"].as_bool().unwrap_or(false) { p { (visit.t(Phrase::MoreThan)) } }
    }
}

fn hit(visit: &Visit<'_>, hit: &Value) -> Markup {
    let recipients = hit["recipients"].as_array().map(Vec::as_slice).unwrap_or_default();
    let subject = text(&hit["subject"]);
    html! {
        article.card.hit {
            h2 { a href=(mail_path(text(&hit["receipt"]))) {
                @if subject.is_empty() { em { (visit.t(Phrase::NoSubject)) } }
                @else { bdi { (subject) } }
            } }
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
                div.quiet lang="en" { (text(&gone["by"])) }
            } @else {
                "✓ " bdi { (account) } ": " (visit.t(Phrase::LiesIn)) " " bdi { (mailbox) }
            }
        }
    }
}
