//! What a message says, for the one who looks after it: its text, its HTML, or all of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use message::{Kind, Limits, Part as MimePart, Structure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Store, StoreError, Story};

/// Octets of a text that are shown; the whole is in the message.
const TEXT_OCTETS_MAX: usize = 512 << 10;
/// Octets of all pictures that are shown with an HTML text.
const PICTURES_OCTETS_MAX: usize = 4 << 20;
/// Attachments that are listed.
const ATTACHMENTS_MAX: usize = 200;
/// Fields of a header that are listed, and octets of each.
const FIELDS_MAX: usize = 200;
const FIELD_OCTETS_MAX: usize = 2000;
/// Pictures that browsers show and that are no programs.
const PICTURES: [&str; 4] = ["png", "jpeg", "gif", "webp"];

/// What of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Plain text, made from the HTML where there is none.
    Text,
    /// HTML as it came: nothing is cleaned here.
    Html,
    /// Every octet.
    Whole,
}

impl Part {
    pub const fn looked_at(self) -> store::LookedAt {
        match self {
            Self::Text => store::LookedAt::Text,
            Self::Html => store::LookedAt::Html,
            Self::Whole => store::LookedAt::Whole,
        }
    }
}

/// The part of a message.
pub fn view(store: &Store, story: &Story, part: Part) -> Result<Value, StoreError> {
    let bytes = store.body(&story.facts)?;
    let receipt = story.facts.receipt.to_string();
    if part == Part::Whole {
        return Ok(json!({ "receipt": receipt, "base64": STANDARD.encode(&bytes) }));
    }
    let limits = Limits::default();
    let structure = Structure::parse(&bytes, &limits);
    let header = &bytes[message::header_range(&bytes)];
    let field = |name: &str| {
        let found = message::find_field(header, name, &limits);
        found.map(|field| message::decode_words(field.value).trim().to_owned())
    };
    let leaves: Vec<&MimePart> =
        structure.parts().iter().filter(|part| matches!(part.kind, Kind::Leaf)).collect();
    let body_of = |subtype: &str| {
        leaves
            .iter()
            .find(|part| part.content.is("text", subtype) && !is_attachment(part))
            .and_then(|part| message::decoded_text(part, &bytes, &limits))
            .map(|text| shortened(text.into_owned()))
    };
    let (plain, html) = (body_of("plain"), body_of("html"));
    let has_html = html.is_some();
    let body = match part {
        Part::Html => html.unwrap_or_default(),
        Part::Text | Part::Whole => match (plain, html) {
            (Some(plain), _) => plain,
            (None, Some(html)) => message::html_text(&html),
            (None, None) => String::new(),
        },
    };
    let pictures = match part {
        Part::Html => pictures(&leaves, &bytes),
        Part::Text | Part::Whole => Value::Null,
    };
    let fields: Vec<Value> = message::Fields::limited(header, &limits)
        .take(FIELDS_MAX)
        .map(|field| {
            let value = message::decode_words(field.value).trim().to_owned();
            let name = String::from_utf8_lossy(field.name).into_owned();
            json!([name, cut(value, FIELD_OCTETS_MAX)])
        })
        .collect();
    let attachments: Vec<Value> = leaves
        .iter()
        .filter(|part| is_attachment(part) || part.shown_type().0 != "text")
        .take(ATTACHMENTS_MAX)
        .map(|part| attachment(part, &bytes))
        .collect();
    Ok(json!({
        "receipt": receipt,
        "from": field("from"),
        "to": field("to"),
        "cc": field("cc"),
        "date": field("date"),
        "subject": field("subject"),
        "has_html": has_html,
        "body": body,
        "pictures": pictures,
        "attachments": attachments,
        "fields": fields,
        "bytes": story.facts.body_bytes,
    }))
}

fn is_attachment(part: &MimePart) -> bool {
    let how = part.content.disposition.as_ref();
    how.is_some_and(|how| &*how.kind == "attachment") || part.content.filename().is_some()
}

fn attachment(part: &MimePart, bytes: &[u8]) -> Value {
    let (kind, subtype) = part.shown_type();
    json!({
        "name": part.content.filename(),
        "type": format!("{kind}/{subtype}"),
        "bytes": message::decoded_size(bytes, part).ok(),
    })
}

/// Pictures that the HTML shows by their Content-ID, as data URIs.
fn pictures(leaves: &[&MimePart], bytes: &[u8]) -> Value {
    let mut found = serde_json::Map::new();
    let mut left = PICTURES_OCTETS_MAX;
    for part in leaves {
        let Some(id) = &part.content.id else { continue };
        let id = String::from_utf8_lossy(id).trim_matches(['<', '>', ' ']).to_owned();
        let Some(subtype) = PICTURES.iter().find(|subtype| part.content.is("image", subtype))
        else {
            continue;
        };
        let Ok(picture) = message::decoded_part(bytes, part) else { continue };
        if picture.len() > left {
            continue;
        }
        left -= picture.len();
        let url = format!("data:image/{subtype};base64,{}", STANDARD.encode(&picture));
        found.insert(id, url.into());
    }
    Value::Object(found)
}

fn shortened(text: String) -> String {
    cut(text, TEXT_OCTETS_MAX)
}

fn cut(mut text: String, octets_max: usize) -> String {
    if text.len() > octets_max {
        text.truncate(text.floor_char_boundary(octets_max));
        text.push('…');
    }
    text
}
