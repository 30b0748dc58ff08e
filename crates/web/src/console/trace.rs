//! Finding a message, and its story.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::layout::{self, mail_path};
use super::phrases::{Language, Phrase};
use super::visit::Visit;
use super::words::{bytes, moment, path, state, text, time};
use super::{Answer, Trouble};

/// Stories that one search lists.
const STORIES_MAX: usize = 50;

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let wanted = visit.query.get("q");
    let (since, until) = (visit.query.get("since"), visit.query.get("until"));
    let is_asked = visit.query.pairs().any(|(name, _)| name == "q");
    let (mut found, mut wrong) = (None, None);
    if is_asked {
        let request = json!({ "do": "trace", "text": wanted, "since": since, "until": until,
                              "count_max": STORIES_MAX });
        match visit.ask(request).await {
            Ok(stories) => found = Some(stories),
            Err(Trouble::Invalid(what)) => wrong = Some(what),
            Err(trouble) => return Err(trouble),
        }
    }
    let main = html! {
        (layout::title(visit.t(Phrase::Trace), visit.t(Phrase::TraceLead)))
        form.card.search method="get" action="/admin/trace" role="search" {
            label.wide { (visit.t(Phrase::LookFor))
                input type="search" name="q" value=(wanted) autofocus spellcheck="false"
                    autocapitalize="none"; }
            label { (visit.t(Phrase::Since))
                input name="since" value=(since) aria-describedby="time-hint"; }
            label { (visit.t(Phrase::Until))
                input name="until" value=(until) aria-describedby="time-hint"; }
            button.primary type="submit" { (visit.t(Phrase::Find)) }
            small #time-hint { (visit.t(Phrase::TimeHint)) }
        }
        p.quiet { (visit.t(Phrase::LookIsRecorded)) }
        @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
        @if let Some(found) = found { (results(visit, &found)) }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Trace).to_owned(), main })
}

fn results(visit: &Visit<'_>, found: &Value) -> Markup {
    let stories = found.as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @match stories {
            [] => p.empty role="status" { (visit.t(Phrase::NothingFound)) },
            [story] => (self::story(visit, story, 2)),
            stories => (list(visit, stories)),
        }
    }
}

fn list(visit: &Visit<'_>, stories: &[Value]) -> Markup {
    html! {
        div.scroll { table.cards {
            thead { tr {
                @for phrase in [Phrase::Taken, Phrase::Subject, Phrase::From, Phrase::To, Phrase::State] {
                    th scope="col" { (visit.t(phrase)) }
                }
            } }
            tbody {
                @for story in stories {
                    tr {
                        td { (moment(text(&story["accepted"]))) }
                        td.main {
                            a href=(mail_path(text(&story["receipt"]))) {
                                (subject(visit.language, &story["subject"]))
                            }
                        }
                        td.address { (path(&story["from"])) }
                        td.address { (recipients(story)) }
                        td { (states(visit.language, story)) }
                    }
                }
            }
        } }
    }
}

/// The first recipient, and how many more.
fn recipients(story: &Value) -> Markup {
    let all = story["recipients"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if let Some(first) = all.first() {
            (text(&first["recipient"]))
            @if all.len() > 1 { span.quiet { " +" (all.len() - 1) } }
        }
    }
}

fn states(language: Language, story: &Value) -> Markup {
    let mut words: Vec<&str> = story["recipients"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| text(&one["state"]))
        .collect();
    words.sort_unstable();
    words.dedup();
    html! { @for word in words { (state(language, word)) " " } }
}

fn subject(language: Language, subject: &Value) -> Markup {
    html! {
        @match subject.as_str().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => bdi { (text) },
            None => em { (Phrase::NoSubject.text(language)) },
        }
    }
}

/// A message's own page.
pub(super) async fn story_page(visit: &Visit<'_>, receipt: &str) -> Result<Answer, Trouble> {
    let found = visit.ask(json!({ "do": "trace", "text": receipt, "count_max": 1 })).await?;
    let story = found.get(0).ok_or(Trouble::Missing)?;
    let main = self::story(visit, story, 1);
    Ok(Answer::Page { title: format!("{} · {receipt}", visit.t(Phrase::Message)), main })
}

fn story(visit: &Visit<'_>, story: &Value, level: u8) -> Markup {
    let receipt = text(&story["receipt"]);
    let language = visit.language;
    html! {
        article.story {
            @if level == 1 { h1 { (subject(language, &story["subject"])) } }
            @else { h2 { a href=(mail_path(receipt)) { (subject(language, &story["subject"])) } } }
            dl.facts {
                div { dt { (visit.t(Phrase::Receipt)) } dd { code { (receipt) } } }
                div { dt { (visit.t(Phrase::From)) } dd { bdi { (path(&story["from"])) } } }
                div { dt { (visit.t(Phrase::Taken)) } dd { (time(&story["accepted"])) } }
                div { dt { (visit.t(Phrase::Size)) } dd { (bytes(&story["bytes"])) } }
                @if let Some(id) = story["message_id"].as_str() {
                    div.wide { dt { "Message-ID" } dd { code { (id) } } }
                }
            }
            div.row {
                a.button href={ (mail_path(receipt)) "/text" } { (visit.t(Phrase::ShowText)) }
                a.button href={ (mail_path(receipt)) "/html" } { (visit.t(Phrase::ShowHtml)) }
                @if visit.may_change() {
                    form method="post" action={ (mail_path(receipt)) "/download" } {
                        (layout::key(visit))
                        button type="submit" { (visit.t(Phrase::Download)) }
                    }
                }
            }
            section aria-label=(visit.t(Phrase::WhereNow)) {
                h2 { (visit.t(Phrase::WhereNow)) }
                (places(visit, story))
            }
            section aria-label=(visit.t(Phrase::Story)) {
                h2 { (visit.t(Phrase::Story)) }
                ol.timeline {
                    @for line in story["story"].as_array().into_iter().flatten() {
                        li { (time(&line["at"])) p { (text(&line["what"])) } }
                    }
                }
            }
        }
    }
}

fn places(visit: &Visit<'_>, story: &Value) -> Markup {
    let now = story["now"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        ul.places {
            @for (at, one) in story["recipients"].as_array().into_iter().flatten().enumerate() {
                @let recipient = text(&one["recipient"]);
                li {
                    div.head { bdi { (recipient) } (state(visit.language, text(&one["state"]))) }
                    @if let Some(sentence) = now.get(at).and_then(Value::as_str) {
                        @let bare = sentence.strip_prefix(recipient).unwrap_or(sentence);
                        p { (bare.trim_start_matches([':', '：', ' '])) }
                    }
                    @if !one["next_try"].is_null() {
                        p { (visit.t(Phrase::NextTry)) ": " (time(&one["next_try"])) }
                    }
                }
            }
        }
    }
}
