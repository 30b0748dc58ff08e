//! Who signs in.

use std::net::IpAddr;

use hyper::StatusCode;
use hyper::header::{SET_COOKIE, USER_AGENT};
use maud::html;
use sasl::Secret;
use sign_in::{OperatorAnswer, OperatorClaim};
use store::{Operator, OperatorAct};

use super::form::Form;
use super::layout::{self, Frame};
use super::phrases::{Language, Phrase};
use super::{COOKIE_NAME, Console, Trouble, Who, add, redirect};
use crate::Asked;
use crate::reply::{self, Reply};

/// Where.
pub(super) const PATH: &str = "/admin/sign-in";

/// The form.
pub(super) fn page(
    console: &Console,
    language: Language,
    next: &str,
    wrong: Option<Phrase>,
) -> Reply {
    let t = |phrase: Phrase| phrase.text(language);
    let main = html! {
        div.narrow.sign-in {
            (layout::title(t(Phrase::SignIn), t(Phrase::SignInLead)))
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (t(wrong)) } }
            form.card method="post" action=(PATH) {
                input type="hidden" name="next" value=(next);
                label { (t(Phrase::Name))
                    input name="name" required autofocus autocomplete="username"
                        autocapitalize="none" spellcheck="false"; }
                label { (t(Phrase::Password))
                    input type="password" name="password" required
                        autocomplete="current-password"; }
                label { (t(Phrase::Code))
                    input name="code" inputmode="numeric" autocomplete="one-time-code"
                        maxlength="9" aria-describedby="code-hint";
                    small #code-hint { (t(Phrase::CodeHint)) } }
                button.primary type="submit" { (t(Phrase::SignIn)) }
            }
        }
    };
    let frame = Frame::bare(console, language, t(Phrase::SignIn));
    let status = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    super::html(status, &layout::page(&frame, &main).into_string())
}

/// The form, sent.
pub(super) async fn sign_in(
    console: &Console,
    asked: &Asked,
    form: &Form,
    language: Language,
) -> Reply {
    let next = form.get("next");
    let claim = OperatorClaim {
        ip: asked.peer,
        name: form.get("name").to_owned(),
        password: Secret::new(form.raw("password").to_owned()),
        code: form.get("code").to_owned(),
    };
    let operator = match proved(console, claim).await {
        Ok(operator) => operator,
        Err(wrong) => {
            tracing::warn!(ip = %asked.peer, "somebody failed to sign in at the console");
            return page(console, language, next, Some(wrong));
        }
    };
    let (Ok(random), Ok(form_key)) = (net::random_bytes::<32>(), net::random_bytes::<32>()) else {
        let problem = crate::Problem::unavailable("The system gives no random numbers");
        return reply::problem(&problem);
    };
    let agent = asked.header(&USER_AGENT).unwrap_or_default().to_owned();
    let Some(operator) = console.store.directory().operator_of(operator).cloned() else {
        return page(console, language, next, Some(Phrase::SignInFailed));
    };
    let who = Who {
        operator: operator.clone(),
        ip: asked.peer,
        scopes: None,
        is_confirmed: true,
        language,
    };
    // Written down first: no session that nobody knows of.
    let act = OperatorAct::SignedIn { ip: asked.peer, agent: agent.clone() };
    if let Err(trouble) = console.desk.note(who, act).await {
        return reply::problem(&unwritten(&trouble));
    }
    let text = hex(&random);
    let from = (asked.peer, agent.as_str());
    console.sessions.begin(&text, hex(&form_key), &operator, from, net::now());
    let mut reply = redirect(own_path(next));
    let cookie = format!("{COOKIE_NAME}={text}; Path=/; Secure; HttpOnly; SameSite=Strict");
    add(&mut reply, SET_COOKIE, &cookie);
    reply
}

/// Whether it is the operator itself that sits there.
pub(super) async fn confirm(
    console: &Console,
    operator: &Operator,
    ip: IpAddr,
    form: &Form,
) -> Result<(), Phrase> {
    let claim = OperatorClaim {
        ip,
        name: operator.name.clone(),
        password: Secret::new(form.raw("confirm_password").to_owned()),
        code: form.get("confirm_code").to_owned(),
    };
    match proved(console, claim).await? {
        id if id == operator.id => Ok(()),
        _ => Err(Phrase::SignInFailed),
    }
}

async fn proved(console: &Console, claim: OperatorClaim) -> Result<u64, Phrase> {
    match console.sign_in.operator(claim, net::now, tokio::time::sleep).await {
        OperatorAnswer::Accepted(operator) => Ok(operator),
        OperatorAnswer::Refused => Err(Phrase::SignInFailed),
        OperatorAnswer::Unavailable => Err(Phrase::SignInBusy),
    }
}

fn unwritten(trouble: &Trouble) -> crate::Problem {
    let why = match trouble {
        Trouble::Failed { what, .. } | Trouble::Invalid(what) | Trouble::Forbidden(what) => what,
        Trouble::Confirm | Trouble::Missing => "it cannot be written down now",
    };
    crate::Problem::unavailable(why)
}

/// Only a path of ours: a link must not sign somebody in and lead elsewhere.
fn own_path(next: &str) -> &str {
    let is_own = next == "/admin" || next.starts_with("/admin/") || next.starts_with("/admin?");
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_own && is_plain && next != PATH { next } else { "/admin" }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
