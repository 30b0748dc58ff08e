//! What waits and what is held, and what is done with it.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::Form;
use super::layout::{self, mail_path};
use super::phrases::Phrase;
use super::session::Notice;
use super::visit::Visit;
use super::words::{bytes, count, moment, path, state, text, time};
use super::{Answer, Trouble, jobs};

/// Recipients that one page lists.
const LISTED_MAX: usize = 200;
/// Senders or destinations that are shown of each kind.
const GROUPS_MAX: usize = 10;
/// Recipients that are changed while the page waits; more are a job.
const AT_ONCE_MAX: u64 = 500;
/// How long a purge can be undone.
const PURGE_AFTER_SECS: u64 = 7 * 24 * 3600;

/// Which of the two pages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Queue,
    Held,
}

impl Of {
    const fn path(self) -> &'static str {
        match self {
            Self::Queue => "/admin/queue",
            Self::Held => "/admin/held",
        }
    }

    fn from_path(path: &str) -> Self {
        if path.starts_with(Self::Held.path()) { Self::Held } else { Self::Queue }
    }
}

/// The fields of the search, which the form of a change carries on.
const SEARCH: [&str; 5] = ["from", "to", "subject", "older_than", "last_reply"];

fn filter(of: Of, form: &Form) -> Value {
    let mut filter = json!({ "held": of == Of::Held, "queued": of == Of::Queue });
    for name in SEARCH {
        if let Some(value) = form.some(name) {
            filter[name] = value.into();
        }
    }
    filter
}

pub(super) async fn page(visit: &Visit<'_>, of: Of) -> Result<Answer, Trouble> {
    let request = json!({ "do": "queue-list", "filter": filter(of, &visit.query),
                          "count_max": LISTED_MAX });
    let (mut items, mut wrong) = (Value::Null, None);
    match visit.ask(request).await {
        Ok(found) => items = found,
        Err(Trouble::Failed { what, .. }) => wrong = Some(what),
        Err(trouble) => return Err(trouble),
    }
    let groups = match of {
        Of::Queue => Some(visit.ask(json!({ "do": "queue-groups" })).await?),
        Of::Held => None,
    };
    let paused = visit.ask(json!({ "do": "status" })).await?["paused"].take();
    let (title, lead) = match of {
        Of::Queue => (Phrase::Queue, Phrase::QueueLead),
        Of::Held => (Phrase::HeldMail, Phrase::HeldLead),
    };
    let main = html! {
        (layout::title(visit.t(title), visit.t(lead)))
        @for pause in paused.as_array().into_iter().flatten() {
            (self::paused(visit, pause))
        }
        @if let Some(groups) = &groups {
            div.columns {
                (self::groups(visit, &groups["senders"], Phrase::BySender))
                (self::groups(visit, &groups["destinations"], Phrase::ByDestination))
            }
        }
        (search(visit, of))
        @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
        (list(visit, of, &items))
    };
    Ok(Answer::Page { title: visit.t(title).to_owned(), main })
}

fn paused(visit: &Visit<'_>, pause: &Value) -> Markup {
    html! {
        div.notice.warn {
            p { "‖ " (visit.t(Phrase::Paused)) ": " strong { (text(&pause["destination"])) } " "
                (time(&pause["since"])) " " (text(&pause["reason"])) }
            @if visit.may_change() {
                form method="post" action="/admin/queue/resume" {
                    (layout::key(visit))
                    input type="hidden" name="destination" value=(text(&pause["destination"]));
                    button type="submit" { (visit.t(Phrase::ResumeDestination)) }
                }
            }
        }
    }
}

fn groups(visit: &Visit<'_>, groups: &Value, phrase: Phrase) -> Markup {
    let groups = groups.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_sender = phrase == Phrase::BySender;
    let name_of = if is_sender { Phrase::Sender } else { Phrase::Destination };
    html! {
        section.card {
            h2 { (visit.t(phrase)) }
            @if groups.is_empty() { p.quiet { (visit.t(Phrase::NothingWaits)) } }
            @else {
                div.scroll { table {
                    thead { tr {
                        th scope="col" { (visit.t(name_of)) }
                        th.number scope="col" { (visit.t(Phrase::Waiting)) }
                        th.number scope="col" { (visit.t(Phrase::Held)) }
                        @if !is_sender { th scope="col" { span.sr { (visit.t(Phrase::Actions)) } } }
                    } }
                    tbody {
                        @for group in groups.iter().take(GROUPS_MAX) {
                            (self::group(visit, group, is_sender))
                        }
                    }
                } }
            }
        }
    }
}

fn group(visit: &Visit<'_>, group: &Value, is_sender: bool) -> Markup {
    let name = text(&group["name"]);
    let wanted = if is_sender { "from" } else { "to" };
    let unusual = group["unusual"].as_str().map(|_| match is_sender {
        true => Phrase::ManyMore,
        false => Phrase::NothingThrough,
    });
    let bare = name.trim_matches(['<', '>']);
    let shown = if bare.is_empty() { name } else { bare };
    html! {
        tr.unusual[unusual.is_some()] {
            th.address scope="row" {
                @if bare.is_empty() { (shown) }
                @else {
                    a href={ "/admin/queue?" (wanted) "=" (super::form::encoded(bare)) } { (shown) }
                }
                @if let Some(unusual) = unusual {
                    span.badge { "⚠ " (visit.t(Phrase::Unusual)) ": " (visit.t(unusual)) }
                }
            }
            td.number { (count(group["waiting"].as_u64().unwrap_or(0))) }
            td.number { (count(group["held"].as_u64().unwrap_or(0))) }
            @if !is_sender {
                td.act {
                    @if visit.may_change() {
                        form method="post" action="/admin/queue/pause" {
                            (layout::key(visit))
                            input type="hidden" name="destination" value=(name);
                            button.small type="submit" {
                                (visit.t(Phrase::PauseDestination)) span.sr { " " (name) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn search(visit: &Visit<'_>, of: Of) -> Markup {
    let fields = [
        ("from", Phrase::From),
        ("to", Phrase::To),
        ("subject", Phrase::Subject),
        ("older_than", Phrase::OlderThan),
        ("last_reply", Phrase::LastReply),
    ];
    html! {
        form.card.search method="get" action=(of.path()) role="search" {
            @for (name, phrase) in fields {
                label { (visit.t(phrase))
                    input name=(name) value=(visit.query.get(name)) spellcheck="false"
                        placeholder=[(name == "older_than").then_some("2h")]; }
            }
            button.primary type="submit" { (visit.t(Phrase::Find)) }
        }
    }
}

fn list(visit: &Visit<'_>, of: Of, items: &Value) -> Markup {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        let nothing = match of {
            Of::Queue => Phrase::NothingWaits,
            Of::Held => Phrase::NothingHeld,
        };
        return html! { p.empty role="status" { (visit.t(nothing)) } };
    }
    html! {
        form method="post" action="/admin/queue/change" {
            (layout::key(visit))
            input type="hidden" name="page" value=(of.path());
            @for name in SEARCH {
                @if let Some(value) = visit.query.some(name) {
                    input type="hidden" name=(name) value=(value);
                }
            }
            @if visit.may_change() { (actions(visit, of)) }
            div.scroll { table.cards {
                thead { tr {
                    @if visit.may_change() {
                        th scope="col" {
                            input.all type="checkbox" data-all="custody" hidden
                                aria-label=(visit.t(Phrase::SelectAll));
                            span.sr { (visit.t(Phrase::Select)) }
                        }
                    }
                    @for phrase in [Phrase::Subject, Phrase::From, Phrase::To, Phrase::State,
                                    Phrase::LastReply] {
                        th scope="col" { (visit.t(phrase)) }
                    }
                } }
                tbody { @for item in items { (row(visit, item)) } }
            } }
        }
    }
}

fn row(visit: &Visit<'_>, item: &Value) -> Markup {
    let receipt = text(&item["receipt"]);
    let subject = text(&item["subject"]);
    let to = text(&item["to"]);
    html! {
        tr {
            @if visit.may_change() {
                td.pick {
                    input type="checkbox" name="custody" value=(item["custody"])
                        aria-label={ (visit.t(Phrase::Select)) ": " (to) };
                }
            }
            td.main {
                a href=(mail_path(receipt)) {
                    @if subject.is_empty() { em { (visit.t(Phrase::NoSubject)) } }
                    @else { bdi { (subject) } }
                }
                div.quiet { (bytes(&item["bytes"])) ", " (time(&item["accepted"])) }
            }
            td.address { (path(&item["from"])) }
            td.address { (to) }
            td {
                (state(visit.language, text(&item["state"])))
                @if !item["next_try"].is_null() {
                    div.quiet { (visit.t(Phrase::NextTry)) ": " (time(&item["next_try"])) }
                }
                @if let Some(why) = item["held_because"].as_str() {
                    div.quiet { (why) }
                }
                @if let Some(what) = item["waits_for"].as_str() {
                    div.quiet { (what) }
                }
                @if let Some(at) = item["purge_at"].as_str() {
                    div.quiet { (visit.t(Phrase::PurgedAt)) " " (moment(at)) }
                }
            }
            td.reply { (text(&item["last_reply"]))
                @if let Some(host) = item["last_host"].as_str() { div.quiet { (host) } }
            }
        }
    }
}

fn actions(visit: &Visit<'_>, of: Of) -> Markup {
    let acts: &[(&str, Phrase)] = match of {
        Of::Queue => &[
            ("retry", Phrase::Retry),
            ("hold", Phrase::Hold),
            ("return", Phrase::Return),
            ("purge", Phrase::Purge),
        ],
        Of::Held => {
            &[("release", Phrase::Release), ("return", Phrase::Return), ("purge", Phrase::Purge)]
        }
    };
    html! {
        fieldset.actions {
            legend.sr { (visit.t(Phrase::Actions)) }
            label { (visit.t(Phrase::WithWhat))
                select name="scope" {
                    option value="selected" { (visit.t(Phrase::Selected)) }
                    option value="all" { (visit.t(Phrase::AllMatching)) }
                }
            }
            label { (visit.t(Phrase::Reason)) input name="reason" maxlength="200"; }
            div.row {
                @for (act, phrase) in acts {
                    button.danger[matches!(*act, "purge" | "return")] type="submit" name="act"
                        value=(act) { (visit.t(*phrase)) }
                }
            }
        }
    }
}

/// Holds, releases, tries again, gives back, purges. What is many, or ends mail, is shown once more
/// first.
pub(super) async fn change(visit: &Visit<'_>, form: &Form) -> Result<Answer, Trouble> {
    let of = Of::from_path(form.get("page"));
    let what = match form.get("act") {
        act @ ("hold" | "release" | "retry" | "return") => json!(act),
        "purge" => json!({ "purge": { "after_secs": PURGE_AFTER_SECS } }),
        _ => return Err(Trouble::Missing),
    };
    let mut filter = self::filter(of, form);
    let is_all = form.get("scope") == "all";
    if !is_all {
        let custodies: Vec<u64> =
            form.all("custody").filter_map(|number| number.parse().ok()).collect();
        if custodies.is_empty() {
            let notice = Notice::words(false, visit.t(Phrase::NothingSelected));
            return Ok(visit.done(back(of, form), notice));
        }
        filter["custody"] = json!(custodies);
    }
    let mut request = json!({ "do": "queue-change", "what": what, "filter": filter,
                              "reason": form.some("reason"), "dry_run": false });
    let weighs = is_all || matches!(form.get("act"), "purge" | "return");
    if weighs && form.get("sure") != "1" {
        request["dry_run"] = true.into();
        let found = visit.ask(request).await?;
        return Ok(sure(visit, of, form, &found));
    }
    if form.get("many") == "1" {
        return jobs::start(visit, request).await;
    }
    let answer = visit.ask(request).await?;
    Ok(visit.done(back(of, form), Notice::of(&answer)))
}

/// The page that the form came from, with its search.
fn back(of: Of, form: &Form) -> String {
    let mut path = of.path().to_owned();
    for (at, (name, value)) in
        SEARCH.iter().filter_map(|name| Some((name, form.some(name)?))).enumerate()
    {
        path.push(if at == 0 { '?' } else { '&' });
        path.push_str(&format!("{name}={}", super::form::encoded(value)));
    }
    path
}

fn sure(visit: &Visit<'_>, of: Of, form: &Form, found: &Value) -> Answer {
    let title = visit.t(Phrase::AreYouSure);
    let act = match form.get("act") {
        "hold" => Phrase::Hold,
        "release" => Phrase::Release,
        "retry" => Phrase::Retry,
        "return" => Phrase::Return,
        _ => Phrase::Purge,
    };
    let number = found["would_change"].as_u64().unwrap_or(0);
    let main = html! {
        (layout::title(title, ""))
        p.lead { strong { (visit.t(act)) } ": " (count(number)) " " (visit.t(Phrase::WouldChange)) }
        form.card method="post" action="/admin/queue/change" {
            @for (name, value) in form.pairs() { input type="hidden" name=(name) value=(value); }
            input type="hidden" name="sure" value="1";
            @if number > AT_ONCE_MAX { input type="hidden" name="many" value="1"; }
            div.row {
                button.danger type="submit" { (visit.t(Phrase::DoIt)) }
                a.button href=(back(of, form)) { (visit.t(Phrase::Cancel)) }
            }
        }
        ul.plain {
            @for item in found["first"].as_array().into_iter().flatten() {
                li { bdi { (text(&item["subject"])) } " "
                    span.quiet { (path(&item["from"])) " → " (text(&item["to"])) } }
            }
            @if number > found["first"].as_array().map_or(0, Vec::len) as u64 { li { "…" } }
        }
    };
    Answer::Page { title: title.to_owned(), main }
}

pub(super) async fn undo(visit: &Visit<'_>, form: &Form) -> Result<Answer, Trouble> {
    let change: Option<u64> = form.get("change").parse().ok();
    let change = change.ok_or(Trouble::Missing)?;
    let to = Of::from_path(form.get("back")).path();
    visit.do_and_tell(json!({ "do": "queue-undo", "change": change, "reason": null }), to).await
}

pub(super) async fn pause(visit: &Visit<'_>, form: &Form, paused: bool) -> Result<Answer, Trouble> {
    let destination = form.some("destination").filter(|to| !matches!(*to, "all" | "*"));
    let request = json!({ "do": "queue-pause", "destination": destination, "paused": paused,
                          "reason": null });
    visit.do_and_tell(request, Of::Queue.path()).await
}
