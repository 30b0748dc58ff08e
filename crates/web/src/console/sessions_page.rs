//! Who is signed in, and the end of it.

use maud::html;
use serde_json::json;
use store::OperatorAct;

use super::form::Form;
use super::phrases::Phrase;
use super::visit::Visit;
use super::words::{text, time};
use super::{Answer, Trouble, layout, signing_in};

const PATH: &str = "/admin/sessions";

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let all = visit.ask(json!({ "do": "operator", "ask": "sessions" })).await?;
    let main = html! {
        (layout::title(visit.t(Phrase::Sessions), visit.t(Phrase::SessionsLead)))
        div.scroll { table.cards {
            thead { tr {
                @for phrase in [Phrase::Who, Phrase::Browser, Phrase::Began, Phrase::LastUsed,
                                Phrase::Ends] {
                    th scope="col" { (visit.t(phrase)) }
                }
                th scope="col" { span.sr { (visit.t(Phrase::Actions)) } }
            } }
            tbody {
                @for one in all.as_array().into_iter().flatten() {
                    @let is_this = one["session"].as_u64() == Some(visit.seen.number);
                    tr {
                        th scope="row" { (text(&one["operator"])) div.quiet { (text(&one["ip"])) } }
                        td.agent { (text(&one["agent"])) }
                        td data-label=(visit.t(Phrase::Began)) { (time(&one["began"])) }
                        td data-label=(visit.t(Phrase::LastUsed)) { (time(&one["used"])) }
                        td data-label=(visit.t(Phrase::Ends)) { (time(&one["ends"])) }
                        td.act {
                            @if is_this { span.badge { (visit.t(Phrase::ThisSession)) } }
                            @else if visit.may_change() {
                                form method="post" action="/admin/sessions/end" {
                                    (layout::key(visit))
                                    input type="hidden" name="session" value=(one["session"]);
                                    button.small.danger type="submit" {
                                        (visit.t(Phrase::EndSession))
                                        span.sr { " " (text(&one["operator"])) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        } }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Sessions).to_owned(), main })
}

pub(super) async fn end(visit: &Visit<'_>, form: &Form) -> Result<Answer, Trouble> {
    let session: u64 = form.get("session").parse().map_err(|_| Trouble::Missing)?;
    let ask = json!({ "end-session": { "session": session } });
    visit.do_and_tell(json!({ "do": "operator", "ask": ask }), PATH).await
}

/// Ends one's own. It ends, whether that can be written down or not.
pub(super) async fn sign_out(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let ended = visit.console.sessions.end(visit.seen.number);
    if ended.is_some()
        && let Err(trouble) = visit.note(OperatorAct::SignedOut { ip: visit.ip }).await
    {
        tracing::warn!(?trouble, "a sign-out could not be written down");
    }
    Ok(Answer::To(signing_in::PATH.to_owned()))
}
