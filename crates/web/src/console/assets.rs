//! The style, the script and the mark, in the binary itself. Named by what they are, so that browsers
//! keep them for ever and still get new ones.

use std::sync::LazyLock;

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderValue};

use crate::reply::{self, Reply};

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
/// The mark, for the page itself.
pub(super) const MARK: &str = include_str!("assets/mark.svg");
/// The mark, as the browser's icon.
pub(super) const ICON: &str = "/admin/static/mark.svg";
/// What has the hash of its content in its name never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| named("console", "css", STYLE));
static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| named("console", "js", SCRIPT));

fn named(name: &str, ending: &str, content: &str) -> String {
    let hash = blake3::hash(content.as_bytes()).to_hex();
    format!("/admin/static/{name}-{}.{ending}", &hash[..16])
}

pub(super) fn style() -> &'static str {
    &STYLE_PATH
}

pub(super) fn script() -> &'static str {
    &SCRIPT_PATH
}

/// What is at a path, for everybody who may reach the console.
pub(super) fn find(path: &str) -> Option<Reply> {
    let (media_type, content) = match path {
        path if path == *STYLE_PATH => ("text/css; charset=utf-8", STYLE),
        path if path == *SCRIPT_PATH => ("text/javascript; charset=utf-8", SCRIPT),
        ICON => ("image/svg+xml", MARK),
        _ => return None,
    };
    let mut reply = reply::with_type(StatusCode::OK, media_type, content.as_bytes().to_vec());
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    Some(reply)
}
