//! HTML that anybody may have sent: cleaned by a list of what may stay, and shown where nothing runs
//! and nothing is loaded.

use std::borrow::Cow;
use std::collections::HashSet;

use ammonia::{Builder, UrlRelative};
use hyper::StatusCode;
use serde_json::Value;

use super::protect;
use crate::reply::{self, Reply};

/// What stands around it: a quiet page of its own.
const BEFORE: &str = "<!doctype html><html><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width\"><style>\
    body{font:15px/1.5 system-ui,sans-serif;margin:16px;color:#1b1f24;background:#fff;\
    overflow-wrap:anywhere}img{max-width:100%;height:auto}table{max-width:100%}\
    blockquote{margin:0 0 0 8px;padding-left:12px;border-left:3px solid #d0d7de}\
    pre{white-space:pre-wrap}</style></head><body>";
const AFTER: &str = "</body></html>";
/// Where pictures may come from.
const DATA: &str = "data:";

/// The HTML without anything that runs, loads or leads away; with `remote`, pictures over HTTPS stay.
pub(super) fn cleaned(html: &str, pictures: &Value, remote: bool) -> String {
    let pictures = pictures.clone();
    let mut builder = Builder::default();
    builder
        // What is in these is no text for people.
        .clean_content_tags(HashSet::from(["script", "style", "title", "noscript", "template"]))
        .rm_tags(["map", "area"])
        .url_schemes(HashSet::from(["https", "http", "cid", "data", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(None)
        .attribute_filter(move |tag, name, value| match (tag, name) {
            ("img", "src") => source(value, &pictures, remote).map(Cow::Owned),
            // Nobody follows a link of a stranger from here; its words stay.
            (_, "href" | "cite" | "src" | "srcset" | "action" | "background") => None,
            _ => Some(value.into()),
        });
    builder.clean(html).to_string()
}

fn source(value: &str, pictures: &Value, remote: bool) -> Option<String> {
    if let Some(id) = value.strip_prefix("cid:") {
        return pictures[id].as_str().map(str::to_owned);
    }
    (remote && value.starts_with("https://")).then(|| value.to_owned())
}

/// The answer for a frame: a place of its own, without scripts, forms or any power (CSP `sandbox`).
pub(super) fn reply(html: String, remote: bool) -> Reply {
    let page = format!("{BEFORE}{html}{AFTER}");
    let mut reply = reply::with_type(StatusCode::OK, "text/html; charset=utf-8", page.into_bytes());
    let pictures = if remote { "data: https:" } else { DATA };
    let policy = format!(
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    );
    protect(&mut reply, &policy);
    reply
}
