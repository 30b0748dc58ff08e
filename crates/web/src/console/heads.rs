//! Signed heads: the latest, where they are kept, and the proof that a message was accepted.

use maud::html;
use serde_json::{Value, json};

use super::form::Form;
use super::phrases::Phrase;
use super::session::Notice;
use super::visit::Visit;
use super::words::{count, moment, span, text};
use super::{Answer, Trouble, layout};

const PATH: &str = "/admin/heads";

async fn state(visit: &Visit<'_>) -> Result<Value, Trouble> {
    visit.ask(json!({ "do": "head-state" })).await
}

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let (head, wrong) = match state(visit).await {
        Ok(head) => (head, None),
        Err(Trouble::Failed { what, .. }) => (Value::Null, Some(what)),
        Err(trouble) => return Err(trouble),
    };
    let mail_to: Vec<&str> =
        head["mail_to"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let main = html! {
        (layout::title(visit.t(Phrase::Heads), visit.t(Phrase::HeadsLead)))
        @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
        @if head.is_object() {
            section.card aria-labelledby="latest" {
                h2 #latest { (visit.t(Phrase::LatestHead)) }
                @if head["note"].is_null() { p.empty { (visit.t(Phrase::NoHeadYet)) } }
                @else { dl.facts {
                    div { dt { (visit.t(Phrase::Log)) } dd { code { (text(&head["origin"])) } } }
                    div { dt { (visit.t(Phrase::Records)) }
                        dd { (count(head["records"].as_u64().unwrap_or(0))) } }
                    div.wide { dt { (visit.t(Phrase::Root)) } dd { code { (text(&head["root"])) } } }
                    div.wide { dt { (visit.t(Phrase::HeadKey)) } dd { code { (text(&head["key"])) } } }
                }
                a.button.primary href={ (PATH) "/latest.txt" } { (visit.t(Phrase::DownloadHead)) } }
            }
            section.card aria-labelledby="sent" {
                h2 #sent { (visit.t(Phrase::KeptElsewhere)) }
                @if head["directory"].is_null() && mail_to.is_empty() {
                    p.notice.warn { "⚠ " (visit.t(Phrase::HeadsStayHere)) }
                } @else {
                    dl.facts {
                        @if let Some(directory) = head["directory"].as_str() {
                            div.wide { dt { (visit.t(Phrase::Directory)) } dd { code { (directory) } } }
                        }
                        @if !mail_to.is_empty() {
                            div { dt { (visit.t(Phrase::MailedTo)) } dd { (mail_to.join(", ")) } }
                        }
                        div { dt { (visit.t(Phrase::Every)) }
                            dd { (span(visit.language, head["each_secs"].as_u64().unwrap_or(0))) } }
                        div { dt { (visit.t(Phrase::LastSent)) }
                            dd { @match head["sent"]["at"].as_str() {
                                Some(at) => { (moment(at)) " ("
                                    (count(head["sent"]["records"].as_u64().unwrap_or(0))) ")" },
                                None => (visit.t(Phrase::NeverDone)),
                            } } }
                    }
                }
            }
        }
        form.card.search method="post" action={ (PATH) "/proof" } aria-labelledby="proof" {
            (layout::key(visit))
            h2 #proof { (visit.t(Phrase::ProofOf)) }
            label.wide { (visit.t(Phrase::Receipt))
                input name="receipt" required placeholder="r2k-9f86d081" spellcheck="false"
                    autocapitalize="none" aria-describedby="proof-hint"; }
            label.check { input type="checkbox" name="hash_only" value="1"; " "
                (visit.t(Phrase::HashOnly)) }
            button type="submit" { (visit.t(Phrase::DownloadProof)) }
            small #proof-hint { (visit.t(Phrase::ProofHint)) }
        }
        (kept(visit, &head["kept"]))
    };
    Ok(Answer::Page { title: visit.t(Phrase::Heads).to_owned(), main })
}

fn kept(visit: &Visit<'_>, kept: &Value) -> maud::Markup {
    let kept = kept.as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if !kept.is_empty() {
            h2 { (visit.t(Phrase::KeptHeads)) }
            div.scroll { table.cards {
                thead { tr {
                    th.number scope="col" { (visit.t(Phrase::Records)) }
                    th scope="col" { (visit.t(Phrase::Root)) }
                } }
                tbody { @for head in kept {
                    tr {
                        td.number { (count(head["records"].as_u64().unwrap_or(0))) }
                        td.record { code { (text(&head["root"])) } }
                    }
                } }
            } }
        }
    }
}

/// The latest head as it was signed.
pub(super) async fn download(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let head = state(visit).await?;
    if head["note"].is_null() {
        return Err(Trouble::Missing);
    }
    let name = format!("head-{:012}.txt", head["records"].as_u64().unwrap_or(0));
    Ok(Answer::File { name, bytes: text(&head["note"]).as_bytes().to_vec() })
}

/// The proof of a message's acceptance, as a file.
pub(super) async fn proof(visit: &Visit<'_>, form: &Form) -> Result<Answer, Trouble> {
    let receipt = form.get("receipt");
    let Ok(parsed) = receipt.parse::<mail_types::ReceiptId>() else {
        return Ok(visit.done(PATH, Notice::words(false, visit.t(Phrase::NoReceipt))));
    };
    let request = json!({ "do": "proof", "mail": parsed.mail.0, "check": parsed.check,
                          "hash_only": form.get("hash_only") == "1" });
    let answer = visit.ask(request).await?;
    let bytes = text(&answer["proof"]).as_bytes().to_vec();
    Ok(Answer::File { name: format!("{parsed}.tlog-proof"), bytes })
}
