//! What a message says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::layout::{self, mail_path};
use super::phrases::Phrase;
use super::visit::Visit;
use super::words::{bytes, text as text_of};
use super::{Answer, Trouble, html_mail};

/// Its text.
pub(super) async fn text(visit: &Visit<'_>, receipt: &str) -> Result<Answer, Trouble> {
    let mail = ask(visit, receipt, "text").await?;
    let body = text_of(&mail["body"]);
    let main = html! {
        (back(visit, receipt))
        h1 { @match mail["subject"].as_str().filter(|subject| !subject.is_empty()) {
            Some(subject) => bdi { (subject) },
            None => em { (visit.t(Phrase::NoSubject)) },
        } }
        dl.facts {
            @for (name, phrase) in [("from", Phrase::From), ("to", Phrase::To), ("cc", Phrase::Cc),
                                    ("date", Phrase::Date)] {
                @if let Some(value) = mail[name].as_str() {
                    div.wide { dt { (visit.t(phrase)) } dd { bdi { (value) } } }
                }
            }
        }
        @if mail["has_html"].as_bool().unwrap_or(false) {
            p { a.button href={ (mail_path(receipt)) "/html" } { (visit.t(Phrase::ShowHtml)) } }
        }
        @if body.trim().is_empty() { p.empty { (visit.t(Phrase::EmptyBody)) } }
        @else { pre.mail tabindex="0" { (body) } }
        (attachments(visit, &mail["attachments"]))
        details {
            summary { (visit.t(Phrase::HeaderFields)) }
            dl.header {
                @for field in mail["fields"].as_array().into_iter().flatten() {
                    dt { (text_of(&field[0])) } dd { bdi { (text_of(&field[1])) } }
                }
            }
        }
    };
    Ok(Answer::Page { title: format!("{} · {receipt}", visit.t(Phrase::Message)), main })
}

fn attachments(visit: &Visit<'_>, all: &Value) -> Markup {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if !all.is_empty() {
            section aria-labelledby="attachments" {
                h2 #attachments { (visit.t(Phrase::Attachments)) }
                ul.plain {
                    @for one in all {
                        li { "▤ " bdi { (one["name"].as_str().unwrap_or("–")) } " "
                            span.quiet { (text_of(&one["type"])) ", " (bytes(&one["bytes"])) } }
                    }
                }
            }
        }
    }
}

fn back(visit: &Visit<'_>, receipt: &str) -> Markup {
    html! { p { a href=(mail_path(receipt)) { "← " (visit.t(Phrase::BackToStory)) } } }
}

/// The page around its HTML.
pub(super) fn html_page(visit: &Visit<'_>, receipt: &str) -> Answer {
    let remote = visit.query.get("remote") == "1";
    let path = mail_path(receipt);
    let frame = if remote { format!("{path}/frame?remote=1") } else { format!("{path}/frame") };
    let main = html! {
        (back(visit, receipt))
        (layout::title(visit.t(Phrase::HtmlTitle), visit.t(Phrase::HtmlLead)))
        @if remote {
            p.notice.warn { (visit.t(Phrase::RemoteOn)) " "
                a href={ (path) "/html" } { (visit.t(Phrase::NoRemote)) } }
        } @else {
            p.notice { (visit.t(Phrase::RemoteOff)) " "
                a href={ (path) "/html?remote=1" } { (visit.t(Phrase::LoadRemote)) } }
        }
        iframe.mail sandbox="" src=(frame) title=(visit.t(Phrase::HtmlTitle))
            referrerpolicy="no-referrer" {}
        p { a href={ (path) "/text" } { (visit.t(Phrase::ShowText)) } }
    };
    Answer::Page { title: format!("{} · {receipt}", visit.t(Phrase::Message)), main }
}

/// What is in the frame.
pub(super) async fn frame(visit: &Visit<'_>, receipt: &str) -> Result<Answer, Trouble> {
    let remote = visit.query.get("remote") == "1";
    let mail = ask(visit, receipt, "html").await?;
    let body = match mail["has_html"].as_bool() {
        Some(true) => html_mail::cleaned(text_of(&mail["body"]), &mail["pictures"], remote),
        _ => html! { p { (visit.t(Phrase::EmptyBody)) } }.into_string(),
    };
    Ok(Answer::Mail { html: body, remote })
}

/// All of it.
pub(super) async fn download(visit: &Visit<'_>, receipt: &str) -> Result<Answer, Trouble> {
    let mail = ask(visit, receipt, "whole").await?;
    let bytes = STANDARD
        .decode(text_of(&mail["base64"]))
        .map_err(|error| Trouble::Failed { what: error.to_string(), mend: None })?;
    Ok(Answer::File { name: format!("{}.eml", text_of(&mail["receipt"])), bytes })
}

async fn ask(visit: &Visit<'_>, receipt: &str, part: &str) -> Result<Value, Trouble> {
    visit.ask(json!({ "do": "message", "receipt": receipt, "part": part })).await
}
