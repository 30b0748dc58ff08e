//! Who asks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use mail_types::AccountId;
use sasl::{Answer, Question};
use sign_in::Standing;

use crate::api::Api;
use crate::{Asked, Problem};

/// Somebody who has proved who it is.
pub struct Signed {
    pub account: AccountId,
    /// Its address.
    pub name: String,
    pub standing: Standing,
    /// By which token, where it was one.
    pub token: Option<u64>,
}

/// Signs in by what the request carries: Basic with the account's password (RFC 7617), or Bearer with
/// one of its tokens (RFC 6750 §2.1).
pub async fn sign_in(api: &Api, asked: &Asked) -> Result<Signed, Problem> {
    // RFC 7617 §4, RFC 6750 §5.3: never in clear.
    if asked.tls.is_none() && !(api.plain_sign_in_from_loopback && asked.peer.is_loopback()) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "Sign in over HTTPS only"));
    }
    let given = asked.header(&AUTHORIZATION);
    let given = given.ok_or_else(|| Problem::sign_in("Sign in with a password or a token"))?;
    match given.split_once(' ') {
        Some((scheme, value)) if scheme.eq_ignore_ascii_case("Basic") => {
            basic(api, asked, value.trim()).await
        }
        Some((scheme, value)) if scheme.eq_ignore_ascii_case("Bearer") => bearer(api, value.trim()),
        _ => Err(Problem::sign_in("Only Basic and Bearer are known here")),
    }
}

async fn basic(api: &Api, asked: &Asked, value: &str) -> Result<Signed, Problem> {
    let wrong = || Problem::sign_in("The Basic credentials cannot be read");
    let decoded = STANDARD.decode(value).map_err(|_| wrong())?;
    let text = String::from_utf8(decoded).map_err(|_| wrong())?;
    let (name, password) = text.split_once(':').ok_or_else(wrong)?;
    let question = Question::Password {
        authcid: name.to_owned(),
        authzid: None,
        password: sasl::Secret::new(password.to_owned()),
    };
    let answer = api.sign_in.answer(question, asked.peer, net::now, tokio::time::sleep).await;
    let standing = api.sign_in.standing(&answer);
    match (answer, standing) {
        (Answer::Accepted { account, name }, Some(standing)) => {
            Ok(Signed { account, name, standing, token: None })
        }
        (Answer::Unavailable, _) => Err(Problem::unavailable("Too many sign-ins; try again")),
        _ => Err(Problem::sign_in("The name or the password is wrong")),
    }
}

/// A token has 256 random bits: there is nothing to guess, so nothing is slowed down.
fn bearer(api: &Api, token: &str) -> Result<Signed, Problem> {
    let directory = api.store.directory();
    let unknown = || Problem::sign_in("The token is unknown");
    let token = directory.token(token).ok_or_else(unknown)?;
    let account = directory.account(token.account).ok_or_else(unknown)?;
    let standing = api.sign_in.standing_of(account.id).ok_or_else(unknown)?;
    let (name, id) = (account.address.to_string(), Some(token.id));
    Ok(Signed { account: account.id, name, standing, token: id })
}
