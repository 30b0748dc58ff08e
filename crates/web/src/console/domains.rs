//! Domains, and what of them is in the DNS.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::{Form, encoded};
use super::phrases::Phrase;
use super::visit::Visit;
use super::words::text;
use super::{Answer, Trouble, accounts, layout};

const PATH: &str = "/admin/domains";

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let domains = visit.ask(json!({ "do": "domain-list" })).await?;
    let may_change = visit.may_change() && !visit.is_domain_admin();
    let main = html! {
        (layout::title(visit.t(Phrase::Domains), ""))
        @if may_change {
            form.card.search method="post" action="/admin/domains/add" {
                (layout::key(visit))
                h2 { (visit.t(Phrase::AddDomain)) }
                label.wide { (visit.t(Phrase::Domain))
                    input name="domain" required autocomplete="off" spellcheck="false"; }
                button.primary type="submit" { (visit.t(Phrase::Add)) }
            }
        }
        div.scroll { table.cards {
            thead { tr {
                th scope="col" { (visit.t(Phrase::Domain)) }
                th scope="col" { span.sr { (visit.t(Phrase::Actions)) } }
            } }
            tbody {
                @for one in domains.as_array().into_iter().flatten() {
                    @let domain = text(&one["domain"]);
                    tr {
                        th.address scope="row" { (domain) }
                        td.act {
                            a.button.small href={ (PATH) "/" (encoded(domain)) } {
                                (visit.t(Phrase::CheckDns)) span.sr { " " (domain) }
                            }
                            @if may_change {
                                form method="post" action="/admin/domains/remove" {
                                    (layout::key(visit))
                                    input type="hidden" name="domain" value=(domain);
                                    button.small.danger type="submit" {
                                        (visit.t(Phrase::Remove)) span.sr { " " (domain) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        } }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Domains).to_owned(), main })
}

pub(super) async fn dns(visit: &Visit<'_>, domain: &str) -> Result<Answer, Trouble> {
    let checked = visit.ask(json!({ "do": "domain-check", "domain": domain })).await?;
    let main = html! {
        p { a href=(PATH) { "← " (visit.t(Phrase::Domains)) } }
        (layout::title(&format!("DNS · {domain}"), visit.t(Phrase::DnsLead)))
        div.scroll { table.cards {
            thead { tr {
                @for phrase in [Phrase::State, Phrase::Record, Phrase::Why] {
                    th scope="col" { (visit.t(phrase)) }
                }
            } }
            tbody {
                @for record in checked["records"].as_array().into_iter().flatten() {
                    (row(visit, record))
                }
            }
        } }
    };
    Ok(Answer::Page { title: format!("DNS · {domain}"), main })
}

fn row(visit: &Visit<'_>, record: &Value) -> Markup {
    let (phrase, sign, class) = match text(&record["state"]) {
        "right" => (Phrase::Right, "✓", "good"),
        "wrong" => (Phrase::Wrong, "✕", "bad"),
        "missing" if record["needed"].as_bool().unwrap_or(false) => (Phrase::Missing, "✕", "bad"),
        "missing" => (Phrase::Missing, "–", "plain"),
        _ => (Phrase::Unknown, "?", "warn"),
    };
    let needed = match record["needed"].as_bool() {
        Some(true) => Phrase::Needed,
        _ => Phrase::Advised,
    };
    html! {
        tr {
            td { span class={ "state " (class) } {
                span aria-hidden="true" { (sign) } " " (visit.t(phrase)) } }
            td.record {
                code { (text(&record["name"])) " " (text(&record["type"])) " " (text(&record["data"])) }
                @for present in record["present"].as_array().into_iter().flatten() {
                    @if text(&record["state"]) != "right" {
                        div.quiet { (visit.t(Phrase::Present)) ": " code { (text(present)) } }
                    }
                }
                @for note in record["notes"].as_array().into_iter().flatten() {
                    div.quiet lang="en" { (text(note)) }
                }
                @if let Some(trouble) = record["trouble"].as_str() {
                    div.quiet { (trouble) }
                }
            }
            td { span { (text(&record["why"])) } div.quiet { (visit.t(needed)) } }
        }
    }
}

pub(super) async fn change(visit: &Visit<'_>, what: &str, form: &Form) -> Result<Answer, Trouble> {
    let domain = form.get("domain");
    match what {
        "add" => visit.do_and_tell(json!({ "do": "domain-add", "domain": domain }), PATH).await,
        "remove" if form.get("sure") == "1" => {
            visit.do_and_tell(json!({ "do": "domain-remove", "domain": domain }), PATH).await
        }
        "remove" => Ok(accounts::sure(
            visit,
            "/admin/domains/remove",
            ("domain", domain),
            (Phrase::RemoveLead, PATH),
        )),
        _ => Err(Trouble::Missing),
    }
}
