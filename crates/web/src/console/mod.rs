//! The console: pages for the people who look after this server, at `/admin`. Made on the server,
//! whole without any script.
//!
//! It asks everything of a [`Desk`], which decides who may do what; nothing is done by the pages
//! themselves. A request that changes something comes with the session's cookie (`__Host-`, Strict),
//! from this very origin, and with a key that only its own pages know.

mod accounts;
mod aliases;
mod api;
mod archive;
mod assets;
mod audit;
mod domains;
mod form;
mod heads;
mod history;
mod html_mail;
mod jobs;
mod journal;
mod layout;
mod mail;
mod mailboxes;
mod overview;
mod phrases;
mod plot;
mod queue;
mod retention;
mod routes;
mod session;
mod sessions_page;
mod signing_in;
mod trace;
mod visit;
mod words;
mod you;

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::{
    CONTENT_SECURITY_POLICY, COOKIE, HeaderName, HeaderValue, LOCATION, ORIGIN, REFERRER_POLICY,
    SET_COOKIE,
};
use hyper::{Method, StatusCode};
use maud::Markup;
use serde_json::Value;
use sign_in::SignIn;
use store::{Operator, OperatorAct, Store};

use crate::reply::{self, Reply};
use crate::{Asked, Future_, Maker, Shared};
pub use api::{answer as answer_api, paths as api_paths};
use form::Form;
use layout::Frame;
pub use phrases::Language;
use phrases::Phrase;
use session::{Key, Seen};
pub use session::{SessionLimits, Sessions};
use visit::Visit;
pub use you::totp_url;

/// Octets of a form.
const FORM_BYTES_MAX: usize = 512 << 10;
/// The session's cookie. The prefix has browsers insist on Secure, and on this host alone.
const COOKIE_NAME: &str = "__Host-restante";
/// The language's cookie.
const LANGUAGE_COOKIE: &str = "__Host-language";
/// Nothing but our own style and script, no frame around, no form elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; frame-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What the console needs of the rest of the server.
pub struct Console {
    /// Operators.
    pub store: Store,
    /// Who proves to be one.
    pub sign_in: Arc<SignIn>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Where everything is asked.
    pub desk: Arc<dyn Desk>,
    /// Which addresses may reach it.
    pub trusted: net::Trusted,
    /// This host's name.
    pub hostname: String,
}

/// Who asks at the desk.
#[derive(Clone, Debug)]
pub struct Who {
    /// The operator.
    pub operator: Arc<Operator>,
    /// From where.
    pub ip: IpAddr,
    /// The scopes of a token; none: a person in a session.
    pub scopes: Option<Vec<String>>,
    /// The password was given a moment ago.
    pub is_confirmed: bool,
    /// Which sentences are read in; programs read English.
    pub language: Language,
}

/// Why something was not done.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// It is not theirs to do.
    Forbidden(String),
    /// The password is wanted once more.
    Confirm,
    /// The request makes no sense.
    Invalid(String),
    /// There is nothing of that name.
    Missing,
    /// It did not work.
    Failed {
        /// In plain words.
        what: String,
        /// What to do about it, where that is known.
        mend: Option<String>,
    },
}

/// Permits, does, and writes down.
pub trait Desk: Send + Sync {
    /// Does a request as of the control socket, in JSON, where this one may ask it.
    fn perform(&self, who: Who, request: Value) -> Future_<'_, Result<Value, Trouble>>;

    /// What a search finds as a zip file with the messages, where this one may have it; the look is
    /// noted. Blocks once it is made.
    fn export(
        &self,
        who: Who,
        request: Value,
        as_mbox: bool,
    ) -> Future_<'_, Result<Maker, Trouble>>;

    /// Notes what an operator did about itself.
    fn note(&self, who: Who, act: OperatorAct) -> Future_<'_, Result<(), Trouble>>;
}

/// What a page comes to.
enum Answer {
    Page {
        title: String,
        main: Markup,
    },
    To(String),
    /// Cleaned HTML of a message.
    Mail {
        html: String,
        remote: bool,
    },
    /// A message to keep.
    File {
        name: String,
        bytes: Vec<u8>,
    },
}

/// Answers a request below `/admin`.
pub async fn answer(shared: &Shared, console: &Console, asked: &mut Asked) -> Reply {
    if !(console.trusted)(asked.peer) {
        return turned_away(asked.peer);
    }
    if let Some(asset) = assets::find(asked.path()) {
        return asset;
    }
    let query = Form::parse(asked.query());
    let wanted = Language::of_tag(query.get("lang"));
    let language = wanted.unwrap_or_else(|| language_of(asked));
    let mut reply = match *asked.method() {
        Method::GET | Method::HEAD => get(console, asked, query, language).await,
        Method::POST => post(shared, console, asked, query, language).await,
        _ => simple(console, language, StatusCode::METHOD_NOT_ALLOWED, Phrase::NotFound),
    };
    if let Some(wanted) = wanted {
        let cookie = format!(
            "{LANGUAGE_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=31536000",
            wanted.tag()
        );
        add(&mut reply, SET_COOKIE, &cookie);
    }
    reply
}

async fn get(console: &Console, asked: &Asked, query: Form, language: Language) -> Reply {
    let sign_in_wanted = asked.path() == signing_in::PATH;
    let Some((seen, operator)) = signed_in(console, asked) else {
        if sign_in_wanted {
            return signing_in::page(console, language, query.get("next"), None);
        }
        let whole = match asked.query() {
            "" => asked.path().to_owned(),
            query => format!("{}?{query}", asked.path()),
        };
        return redirect(&format!("{}?next={}", signing_in::PATH, form::encoded(&whole)));
    };
    if sign_in_wanted {
        return redirect("/admin");
    }
    let visit = Visit { console, seen, operator, ip: asked.peer, language, query };
    let segments = segments(asked.path());
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let answer = routes::get(&visit, &segments).await;
    finished(&visit, asked.path(), answer, None)
}

async fn post(
    shared: &Shared,
    console: &Console,
    asked: &mut Asked,
    query: Form,
    language: Language,
) -> Reply {
    if !is_own_origin(asked) {
        return simple(console, language, StatusCode::FORBIDDEN, Phrase::Forged);
    }
    let body = match asked.body(FORM_BYTES_MAX, &shared.limits, &shared.room).await {
        Ok(body) => body,
        Err(problem) => return reply::problem(&problem),
    };
    let form = Form::parse(&String::from_utf8_lossy(&body.bytes));
    drop(body);
    if asked.path() == signing_in::PATH {
        return signing_in::sign_in(console, asked, &form, language).await;
    }
    let Some((mut seen, operator)) = signed_in(console, asked) else {
        return redirect(signing_in::PATH);
    };
    // A forged request may carry the cookie; it cannot know this.
    if !same(form.get("key"), &seen.form_key) {
        return simple(console, language, StatusCode::FORBIDDEN, Phrase::Forged);
    }
    let mut wrong = None;
    if form.some("confirm_password").is_some() {
        match signing_in::confirm(console, &operator, asked.peer, &form).await {
            Ok(()) => {
                console.sessions.confirm(seen.number, net::now());
                seen.is_confirmed = true;
            }
            Err(phrase) => wrong = Some(phrase),
        }
    }
    let visit = Visit { console, seen, operator, ip: asked.peer, language, query };
    let segments = segments(asked.path());
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let answer = match wrong {
        Some(_) => Err(Trouble::Confirm),
        None => routes::post(&visit, &segments, &form).await,
    };
    finished(&visit, asked.path(), answer, Some((&form, wrong)))
}

/// What the browser gets.
fn finished(
    visit: &Visit<'_>,
    path: &str,
    answer: Result<Answer, Trouble>,
    form: Option<(&Form, Option<Phrase>)>,
) -> Reply {
    let page = |status, title: &str, main: Markup| {
        let frame = Frame::of(visit, path, title);
        html(status, &layout::page(&frame, &main).into_string())
    };
    match answer {
        Ok(Answer::Page { title, main }) => page(StatusCode::OK, &title, main),
        Ok(Answer::To(path)) => redirect(&path),
        Ok(Answer::Mail { html, remote }) => html_mail::reply(html, remote),
        Ok(Answer::File { name, bytes }) => file(&name, bytes),
        Err(Trouble::Confirm) => {
            let nothing = Form::default();
            let (form, wrong) = form.unwrap_or((&nothing, None));
            let main = layout::confirm(visit, path, form, wrong);
            page(StatusCode::OK, visit.t(Phrase::ConfirmTitle), main)
        }
        Err(Trouble::Forbidden(why)) => {
            let title = visit.t(Phrase::Forbidden);
            page(StatusCode::FORBIDDEN, title, layout::trouble(visit, title, &why, None))
        }
        Err(Trouble::Missing) => {
            let title = visit.t(Phrase::NotFound);
            page(StatusCode::NOT_FOUND, title, layout::trouble(visit, title, "", None))
        }
        Err(Trouble::Invalid(what)) => {
            let title = visit.t(Phrase::WentWrong);
            page(StatusCode::BAD_REQUEST, title, layout::trouble(visit, title, &what, None))
        }
        Err(Trouble::Failed { what, mend }) => {
            let title = visit.t(Phrase::WentWrong);
            let main = layout::trouble(visit, title, &what, mend.as_deref());
            page(StatusCode::UNPROCESSABLE_ENTITY, title, main)
        }
    }
}

/// The session of a request, and whose it is.
fn signed_in(console: &Console, asked: &Asked) -> Option<(Seen, Arc<Operator>)> {
    let cookie = cookie(asked, COOKIE_NAME)?;
    let directory = console.store.directory();
    let by_itself = asked.header(&HeaderName::from_static("x-renewed")).is_some();
    let by_person = (!by_itself).then_some(asked.peer);
    let seen = console.sessions.find(&Key::of(&cookie), &directory, by_person, net::now())?;
    let operator = directory.operator_of(seen.operator)?.clone();
    Some((seen, operator))
}

fn cookie(asked: &Asked, name: &str) -> Option<String> {
    let all = asked.headers(&COOKIE).flat_map(|field| field.split(';'));
    all.filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then(|| value.trim().to_owned()))
}

fn language_of(asked: &Asked) -> Language {
    let chosen = cookie(asked, LANGUAGE_COOKIE).and_then(|tag| Language::of_tag(&tag));
    let accepted = asked.header(&hyper::header::ACCEPT_LANGUAGE).unwrap_or_default();
    chosen.unwrap_or_else(|| Language::accepted(accepted))
}

/// RFC 6454: a form of this very origin. Browsers say so of each POST; what does not is no browser.
fn is_own_origin(asked: &Asked) -> bool {
    let own = format!("https://{}", asked.authority());
    match asked.header(&ORIGIN) {
        Some(origin) => origin.eq_ignore_ascii_case(&own),
        None => false,
    }
}

/// Whether two texts are the same, in a time that tells nothing of how far they are.
fn same(a: &str, b: &str) -> bool {
    blake3::hash(a.as_bytes()) == blake3::hash(b.as_bytes())
}

fn segments(path: &str) -> Vec<String> {
    let below = path.strip_prefix("/admin").unwrap_or_default();
    below
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| form::decoded(part, false))
        .collect()
}

/// A page of the console itself.
fn html(status: StatusCode, text: &str) -> Reply {
    let mut reply = reply::with_type(status, "text/html; charset=utf-8", text.as_bytes().to_vec());
    protect(&mut reply, POLICY);
    reply
}

fn protect(reply: &mut Reply, policy: &str) {
    add(reply, CONTENT_SECURITY_POLICY, policy);
    // Not `no-referrer`: with it browsers hide the origin of our own forms, too.
    add(reply, REFERRER_POLICY, "same-origin");
    add(reply, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(reply, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
}

fn add(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().append(name, value);
    }
}

fn redirect(to: &str) -> Reply {
    let mut reply = html(StatusCode::SEE_OTHER, "");
    add(&mut reply, LOCATION, to);
    reply
}

fn file(name: &str, bytes: Vec<u8>) -> Reply {
    let mut reply = reply::with_type(StatusCode::OK, "application/octet-stream", bytes);
    protect(&mut reply, "default-src 'none'; sandbox");
    let disposition = format!("attachment; filename=\"{name}\"");
    add(&mut reply, hyper::header::CONTENT_DISPOSITION, &disposition);
    reply
}

/// A page for somebody who is not signed in, or whose form is not taken.
fn simple(console: &Console, language: Language, status: StatusCode, why: Phrase) -> Reply {
    let frame = Frame::bare(console, language, why.text(language));
    html(status, &layout::page(&frame, &layout::only_title(why.text(language))).into_string())
}

fn turned_away(ip: IpAddr) -> Reply {
    let text = format!(
        "The console is not for {ip}.\nIf it should be, add its network to `networks` under \
         [console] in restante.toml and restart the server, or come by way of the machine: ssh -L \
         8443:localhost:443\n"
    );
    reply::with_type(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", text.into_bytes())
}
