//! Aliases.

use maud::html;
use serde_json::json;

use super::form::Form;
use super::phrases::Phrase;
use super::visit::Visit;
use super::words::text;
use super::{Answer, Trouble, accounts, layout};

const PATH: &str = "/admin/aliases";

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let aliases = visit.ask(json!({ "do": "alias-list" })).await?;
    let main = html! {
        (layout::title(visit.t(Phrase::Aliases), ""))
        @if visit.may_change() {
            form.card.search method="post" action="/admin/aliases/add" {
                (layout::key(visit))
                h2 { (visit.t(Phrase::AddAlias)) }
                label { (visit.t(Phrase::Address))
                    input type="email" name="alias" required autocomplete="off"; }
                label.wide { (visit.t(Phrase::Targets))
                    input name="targets" required autocomplete="off" aria-describedby="targets-hint"; }
                button.primary type="submit" { (visit.t(Phrase::Add)) }
                small #targets-hint { (visit.t(Phrase::TargetsHint)) }
            }
        }
        div.scroll { table.cards {
            thead { tr {
                th scope="col" { (visit.t(Phrase::Address)) }
                th scope="col" { (visit.t(Phrase::Targets)) }
                @if visit.may_change() { th scope="col" { span.sr { (visit.t(Phrase::Actions)) } } }
            } }
            tbody {
                @for one in aliases.as_array().into_iter().flatten() {
                    @let alias = text(&one["alias"]);
                    tr {
                        th.address scope="row" { (alias) }
                        td.address {
                            @for target in one["targets"].as_array().into_iter().flatten() {
                                div { (text(target)) }
                            }
                        }
                        @if visit.may_change() {
                            td.act {
                                form method="post" action="/admin/aliases/remove" {
                                    (layout::key(visit))
                                    input type="hidden" name="alias" value=(alias);
                                    button.small.danger type="submit" {
                                        (visit.t(Phrase::Remove)) span.sr { " " (alias) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        } }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Aliases).to_owned(), main })
}

pub(super) async fn change(visit: &Visit<'_>, what: &str, form: &Form) -> Result<Answer, Trouble> {
    let alias = form.get("alias");
    match what {
        "add" => {
            let targets: Vec<&str> = form
                .get("targets")
                .split([' ', ',', ';', '\n', '\t'])
                .filter(|target| !target.is_empty())
                .collect();
            let request = json!({ "do": "alias-add", "alias": alias, "targets": targets });
            visit.do_and_tell(request, PATH).await
        }
        "remove" if form.get("sure") == "1" => {
            visit.do_and_tell(json!({ "do": "alias-remove", "alias": alias }), PATH).await
        }
        "remove" => Ok(accounts::sure(
            visit,
            "/admin/aliases/remove",
            ("alias", alias),
            (Phrase::RemoveLead, PATH),
        )),
        _ => Err(Trouble::Missing),
    }
}
