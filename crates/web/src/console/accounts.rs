//! Accounts.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::{Form, encoded};
use super::phrases::Phrase;
use super::session::Notice;
use super::visit::Visit;
use super::words::{bytes, count, text};
use super::{Answer, Trouble, layout, plot};

const PATH: &str = "/admin/accounts";
/// What a password is made of: nothing that is mistaken for something else.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    let accounts = visit.ask(json!({ "do": "account-list" })).await?;
    let main = html! {
        (layout::title(visit.t(Phrase::Accounts), ""))
        @if visit.may_change() {
            form.card.search method="post" action="/admin/accounts/add" {
                (layout::key(visit))
                h2 { (visit.t(Phrase::AddAccount)) }
                label.wide { (visit.t(Phrase::Address))
                    input type="email" name="address" required autocomplete="off"; }
                button.primary type="submit" { (visit.t(Phrase::Add)) }
                small { (visit.t(Phrase::GeneratedLead)) }
            }
        }
        div.scroll { table.cards {
            thead { tr {
                th scope="col" { (visit.t(Phrase::Address)) }
                th.number scope="col" { (visit.t(Phrase::Messages)) }
                th scope="col" { (visit.t(Phrase::Storage)) }
                @if visit.may_change() { th scope="col" { span.sr { (visit.t(Phrase::Actions)) } } }
            } }
            tbody {
                @for account in accounts.as_array().into_iter().flatten() { (row(visit, account)) }
            }
        } }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Accounts).to_owned(), main })
}

fn row(visit: &Visit<'_>, account: &Value) -> Markup {
    let address = text(&account["address"]);
    let used = account["storage_bytes"].as_u64().unwrap_or(0);
    html! {
        tr {
            th.address scope="row" {
                @if visit.is_domain_admin() { (address) }
                @else { a href={ (PATH) "/" (encoded(address)) } { (address) } }
            }
            td.number data-label=(visit.t(Phrase::Messages)) { (count(account["messages"].as_u64().unwrap_or(0))) }
            td {
                (bytes(&account["storage_bytes"]))
                @match account["storage_bytes_max"].as_u64() {
                    Some(most) => {
                        " / " (bytes(&account["storage_bytes_max"]))
                        (plot::bar(used, most, visit.t(Phrase::Storage)))
                    },
                    None => span.quiet { ", " (visit.t(Phrase::NoLimit)) },
                }
            }
            @if visit.may_change() {
                td.act {
                    form.inline method="post" action="/admin/accounts/quota" {
                        (layout::key(visit))
                        input type="hidden" name="address" value=(address);
                        label.sr for={ "limit-" (address) } { (visit.t(Phrase::Limit)) " " (address) }
                        input.short id={ "limit-" (address) } name="storage"
                            placeholder=(visit.t(Phrase::Limit));
                        button.small type="submit" { (visit.t(Phrase::SetPassword)) }
                    }
                    form method="post" action="/admin/accounts/password" {
                        (layout::key(visit))
                        input type="hidden" name="address" value=(address);
                        button.small type="submit" {
                            (visit.t(Phrase::NewPassword)) span.sr { " " (address) }
                        }
                    }
                    form method="post" action="/admin/accounts/remove" {
                        (layout::key(visit))
                        input type="hidden" name="address" value=(address);
                        button.small.danger type="submit" {
                            (visit.t(Phrase::Remove)) span.sr { " " (address) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) async fn change(visit: &Visit<'_>, what: &str, form: &Form) -> Result<Answer, Trouble> {
    let address = form.get("address");
    match what {
        "add" | "password" => {
            let password = password()?;
            let act = if what == "add" { "account-add" } else { "account-password" };
            let request = json!({ "do": act, "address": address, "password": password });
            let answer = visit.ask(request).await?;
            let notice = Notice { secret: Some(password), ..Notice::of(&answer) };
            Ok(visit.done(PATH, notice))
        }
        "quota" => {
            let storage = match form.some("storage") {
                None | Some("none") => Value::Null,
                Some(size) => storage_bytes(size)?.into(),
            };
            let request = json!({ "do": "account-quota", "address": address,
                                  "storage_bytes": storage });
            visit.ask(request).await?;
            Ok(visit.done(PATH, Notice::words(true, address)))
        }
        "remove" if form.get("sure") == "1" => {
            visit.do_and_tell(json!({ "do": "account-remove", "address": address }), PATH).await
        }
        "remove" => Ok(sure(
            visit,
            "/admin/accounts/remove",
            ("address", address),
            (Phrase::RemoveAccountLead, PATH),
        )),
        _ => Err(Trouble::Missing),
    }
}

/// Asks once more before something is removed.
pub(super) fn sure(
    visit: &Visit<'_>,
    action: &str,
    (name, value): (&str, &str),
    (lead, back): (Phrase, &str),
) -> Answer {
    let title = format!("{}: {value}", visit.t(Phrase::Remove));
    let main = html! {
        div.narrow {
            (layout::title(&title, visit.t(lead)))
            form.card method="post" action=(action) {
                (layout::key(visit))
                input type="hidden" name=(name) value=(value);
                input type="hidden" name="sure" value="1";
                div.row {
                    button.danger type="submit" { (visit.t(Phrase::Remove)) }
                    a.button href=(back) { (visit.t(Phrase::Cancel)) }
                }
            }
        }
    };
    Answer::Page { title, main }
}

/// `5GiB`, `500 MiB`, `5G`.
fn storage_bytes(text: &str) -> Result<u64, Trouble> {
    const UNITS: [(&str, u32); 4] = [("K", 10), ("M", 20), ("G", 30), ("T", 40)];
    let wrong = || Trouble::Invalid(format!("“{text}” is no size: write 5GiB or 500MiB"));
    let upper = text.trim().to_ascii_uppercase();
    let digits = upper.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit = upper[digits.len()..].trim().trim_end_matches("IB").trim_end_matches('B');
    let shift = match unit {
        "" => 0,
        unit => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1,
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

/// Four groups of five letters and digits: 100 bits.
fn password() -> Result<String, Trouble> {
    let random: [u8; 20] = net::random_bytes()
        .map_err(|error| Trouble::Failed { what: error.to_string(), mend: None })?;
    let group = |group: &[u8]| -> String {
        group.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
    };
    Ok(random.chunks(5).map(group).collect::<Vec<_>>().join("-"))
}
