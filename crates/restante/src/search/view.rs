//! What was found, for programs and for people.

use std::time::Duration;

use archive_search::{Ended, Found, Lost, Progress, Search, SearchError, Where};
use serde_json::{Value, json};
use store::{Directory, Left, Lies, Store, Story};

use crate::search::text;
use crate::tongue::Language;
use crate::{show, story};

/// A message that was found.
pub fn hit(found: &Found, directory: &Directory) -> Value {
    let Story { facts, accepted, custodies, .. } = &found.story;
    let recipients: Vec<Value> = custodies
        .iter()
        .map(|one| json!({ "recipient": one.recipient, "state": one.state.word() }))
        .collect();
    let attachments: Vec<Value> = found
        .attachments
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "type": one.media_type,
                "bytes": one.bytes,
                "unread_because": one.unread,
            })
        })
        .collect();
    let places: Vec<Value> =
        found.places.iter().map(|lies| place(&found.story, lies, directory)).collect();
    let excerpt = found.excerpt.as_ref().map(|(place, excerpt)| {
        json!({
            "attachment": match place {
                Where::Body => None,
                Where::Attachment(name) => Some(name),
            },
            "before": excerpt.before,
            "hit": excerpt.hit,
            "after": excerpt.after,
        })
    });
    json!({
        "receipt": facts.receipt.to_string(),
        "accepted": facts.accepted.to_string(),
        "from": accepted.reverse_path.to_string(),
        "subject": accepted.subject,
        "message_id": accepted.message_id,
        "bytes": accepted.body_bytes,
        "body_hash": accepted.body_hash.to_string(),
        "internal_date": accepted.internal_date.to_string(),
        "direction": found.direction.word(),
        "verdict": found.verdict.word(),
        "recipients": recipients,
        "attachments": attachments,
        "places": places,
        "excerpt": excerpt,
    })
}

/// A message that was found, of which no more can be read.
pub fn lost(lost: &Lost) -> Value {
    json!({
        "receipt": lost.facts.receipt.to_string(),
        "accepted": lost.facts.accepted.to_string(),
        "bytes": lost.facts.body_bytes,
        "recipients": [],
        "attachments": [],
        "places": [],
        "lost": lost.why,
    })
}

fn place(story: &Story, lies: &Lies, directory: &Directory) -> Value {
    let owner = story.mailbox_owners.get(&lies.mailbox);
    let account =
        owner.and_then(|id| directory.account(*id)).map(|found| found.address.to_string());
    let gone = lies.gone.as_ref().map(|gone| {
        json!({
            "at": gone.at.to_string(),
            "by": story::who(&gone.by, directory, Language::English),
            "how": match gone.how {
                Left::Moved => "moved",
                Left::Expunged => "expunged",
                Left::WithMailbox => "mailbox deleted",
            },
        })
    });
    json!({
        "account": account,
        "mailbox": story.mailbox_names.get(&lies.mailbox),
        "uid": lies.uid.get(),
        "gone": gone,
    })
}

/// How many messages can be found.
pub fn progress(progress: &Progress) -> Value {
    json!({ "searchable": progress.searchable, "messages": progress.messages })
}

/// The same, with the attachments that are not found by what is written in them.
pub fn overview(search: &Search, store: &Store) -> Result<Value, SearchError> {
    let mut overview = progress(&search.progress(store)?);
    let unread = match search.unread() {
        Err(SearchError::NotThere) => Vec::new(),
        unread => unread?,
    };
    overview["unread"] = unread
        .into_iter()
        .map(|one| {
            json!({
                "because": one.why,
                "attachments": one.attachments,
                "tried_again": one.tried_again,
            })
        })
        .collect();
    Ok(overview)
}

/// How a search ended.
pub fn end(ended: &Ended, first: Option<Duration>, all: Duration) -> Value {
    let millis = |time: Duration| time.as_micros() as f64 / 1000.0;
    json!({
        "found": ended.found,
        "more": ended.more,
        "gave_up": ended.gave_up,
        "common": ended.cut,
        "parts_full": ended.parts_full,
        "searchable": ended.progress.searchable,
        "messages": ended.progress.messages,
        "first_ms": first.map(millis),
        "ms": millis(all),
    })
}

/// How many messages all have together is nothing for somebody who does not see them.
pub fn without_counts(end: &mut Value) {
    let complete = end["searchable"] == end["messages"];
    if let Value::Object(end) = end {
        end.remove("searchable");
        end.remove("messages");
        end.insert("complete".to_owned(), complete.into());
    }
}

/// Shows a message to people.
pub fn show(hit: &Value) {
    if let Some(why) = hit["lost"].as_str() {
        let (receipt, accepted) = (show::strong(&text(&hit["receipt"])), text(&hit["accepted"]));
        show::line(&format!("{receipt} {accepted}  is lost: {why}\n"));
        return;
    }
    let recipients = hit["recipients"].as_array().map(Vec::as_slice).unwrap_or_default();
    let to: Vec<String> = recipients.iter().map(|one| text(&one["recipient"])).collect();
    show::line(&format!(
        "{} {}  {} → {}  ({}, {})",
        show::strong(&text(&hit["receipt"])),
        text(&hit["accepted"]),
        text(&hit["from"]),
        to.join(", "),
        text(&hit["direction"]),
        config::format_bytes(hit["bytes"].as_u64().unwrap_or_default()),
    ));
    if let Some(subject) = hit["subject"].as_str() {
        show::line(&format!("  {}", clean(subject)));
    }
    if let Some(excerpt) = hit["excerpt"].as_object() {
        let of = |name: &str| clean(&text(&excerpt[name]));
        let found = format!("…{}{}{}…", of("before"), show::strong(&of("hit")), of("after"));
        match excerpt["attachment"].as_str() {
            Some(name) => show::line(&format!("  {}: {found}", clean(name))),
            None => show::line(&format!("  {found}")),
        }
    }
    for attachment in hit["attachments"].as_array().into_iter().flatten() {
        let bytes = config::format_bytes(attachment["bytes"].as_u64().unwrap_or_default());
        let unread = attachment["unread_because"].as_str();
        let unread = unread.map(|why| format!("; not searched: {why}")).unwrap_or_default();
        let name = clean(&text(&attachment["name"]));
        show::line(&show::faint(&format!("  + {name} ({bytes}{unread})")));
    }
    for place in hit["places"].as_array().into_iter().flatten() {
        show::line(&show::faint(&format!("  {}", place_text(place))));
    }
    for one in recipients.iter().filter(|one| one["state"] != "delivered") {
        let line = format!("  {}: {}", text(&one["recipient"]), text(&one["state"]));
        show::line(&show::faint(&line));
    }
    show::line("");
}

fn place_text(place: &Value) -> String {
    let (account, mailbox) = (text(&place["account"]), clean(&text(&place["mailbox"])));
    let gone = &place["gone"];
    let at = format!("{} by {}", text(&gone["at"]), text(&gone["by"]));
    match gone["how"].as_str() {
        None => format!("{account}: in {mailbox} as UID {}", place["uid"]),
        Some("moved") => format!("{account}: moved out of {mailbox} {at}"),
        Some("expunged") => format!("{account}: deleted from {mailbox} {at}; it is in the archive"),
        Some(_) => {
            format!("{account}: deleted with the mailbox {mailbox} {at}; it is in the archive")
        }
    }
}

/// What strangers wrote moves no cursor and changes no colour.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How far making messages searchable is.
pub fn show_progress(progress: &Value) {
    show::note(&format!(
        "{} of {} messages are searchable …",
        progress["searchable"], progress["messages"]
    ));
}

/// How it ended, for people.
pub fn show_end(end: &Value, asked: bool) {
    let (searchable, messages) = (&end["searchable"], &end["messages"]);
    if asked {
        let more = match (end["gave_up"] == true, end["more"] == true) {
            (true, _) => ", then it took too long: narrow it with after:, from: or account:",
            (false, true) => "; there may be more (--limit)",
            (false, false) => "",
        };
        show::line(&format!("{} found in {} ms{more}.", end["found"], end["ms"]));
        for part in end["common"].as_array().into_iter().flatten() {
            show::line(&format!(
                "Many words have “{}” in them; some were not looked for: write more of the word.",
                text(part)
            ));
        }
    }
    if asked && end["parts_full"] == true {
        show::line(
            "Too many different words are kept: of those that came last no parts are found.",
        );
    }
    if !asked || searchable != messages {
        show::line(&format!("{searchable} of {messages} messages are searchable."));
    }
    let unread = end["unread"].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in unread {
        let again = if one["tried_again"] == true { " (they are tried again)" } else { "" };
        show::line(&format!(
            "Not found by their text: {} attachments{again}: {}",
            one["attachments"],
            clean(&text(&one["because"]))
        ));
    }
    if !unread.is_empty() {
        show::line("The messages they are in: restante search has:unread");
    }
}
