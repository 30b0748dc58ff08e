//! What operators did and looked at.

use maud::html;
use serde_json::{Value, json};

use super::form::encoded;
use super::phrases::Phrase;
use super::visit::Visit;
use super::words::{text, time};
use super::{Answer, Trouble, layout, words};

/// Lines of one page.
const LINES_MAX: usize = 100;

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let before: Option<u64> = visit.query.get("before").parse().ok();
    let who = visit.query.some("who");
    let request =
        json!({ "do": "operator-log", "before": before, "who": who, "count_max": LINES_MAX });
    let lines = visit.ask(request).await?;
    let lines = lines.as_array().map(Vec::as_slice).unwrap_or_default();
    let older = lines.last().filter(|_| lines.len() >= LINES_MAX).map(|line| {
        let of = who.map(|who| format!("&who={}", encoded(who))).unwrap_or_default();
        format!("/admin/audit?before={}{of}", line["seq"])
    });
    let main = html! {
        (layout::title(visit.t(Phrase::AuditLog), visit.t(Phrase::AuditLead)))
        @if let Some(who) = who {
            p { strong { (who) } " · " a href="/admin/audit" { (visit.t(Phrase::AuditLog)) } }
        }
        @if lines.is_empty() { p.empty { (visit.t(Phrase::NothingFound)) } }
        @else {
            div.scroll { table.cards {
                thead { tr {
                    @for phrase in [Phrase::Time, Phrase::Who, Phrase::What] {
                        th scope="col" { (visit.t(phrase)) }
                    }
                } }
                tbody { @for line in lines { (row(visit, line)) } }
            } }
        }
        @if let Some(older) = older { p { a.button href=(older) { (visit.t(Phrase::Older)) } } }
    };
    Ok(Answer::Page { title: visit.t(Phrase::AuditLog).to_owned(), main })
}

fn row(visit: &Visit<'_>, line: &Value) -> maud::Markup {
    let who = text(&line["who"]);
    let (phrase, sign, class) = match line["look"].as_bool() {
        Some(true) => (Phrase::Look, "◎", "plain"),
        _ => (Phrase::Change, "✎", "warn"),
    };
    html! {
        tr {
            td { (time(&line["at"])) }
            td { a href={ "/admin/audit?who=" (encoded(who)) } { (words::who(visit.language, who)) }
                @if let Some(ip) = line["ip"].as_str() { div.quiet { (ip) } } }
            td { span class={ "state " (class) } {
                    span aria-hidden="true" { (sign) } " " (visit.t(phrase)) }
                " " span { (text(&line["what"])) } }
        }
    }
}
