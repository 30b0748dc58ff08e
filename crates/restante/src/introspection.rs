//! Asks an OAuth 2.0 server whether a token is good (RFC 7662).

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, bail};
use config::Config;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, StatusCode};
use mail_types::{Address, Timestamp};
use net::{HttpClient, HttpLimits, HttpRequest, HttpResponse, Reach};
use sasl::{Secret, base64_encode};
use serde_json::{Map, Value, json};
use sign_in::{TokenCheck, TokenFault, Tokens};
use tokio::sync::Semaphore;

use crate::data_dir::DataDir;

/// Questions that are under way at a time; one more is told to come again.
const QUESTIONS_MAX: usize = 64;
/// Octets of an answer.
const ANSWER_OCTETS_MAX: usize = 64 << 10;
/// Octets of the file with the secret.
const SECRET_OCTETS_MAX: u64 = 4096;

/// An introspection endpoint, and what must be so for a token to open mail.
pub struct Introspection {
    http: HttpClient,
    url: String,
    authorization: Option<HeaderValue>,
    address_claims: Vec<String>,
    required_scope: Option<String>,
    openid_configuration: Option<String>,
    limits: HttpLimits,
    remember_for: Duration,
    places: Semaphore,
}

/// Why an answer says nothing.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("{0} questions are under way already")]
    TooMany(usize),
    #[error(transparent)]
    Http(#[from] net::HttpError),
    #[error(
        "it does not know us (status {0}); are oauth.client_id and oauth.client_secret_file right?"
    )]
    NotKnown(StatusCode),
    #[error("it answers with status {0}")]
    Status(StatusCode),
    #[error("its answer is no JSON object: {0}")]
    NoJson(#[from] serde_json::Error),
    #[error("its answer has no usable member `{0}` (RFC 7662 §2.2)")]
    Member(&'static str),
}

impl Introspection {
    /// What the settings name; `None` where they name nothing.
    pub fn new(data: &DataDir, config: &Config, http: &HttpClient) -> anyhow::Result<Option<Self>> {
        let settings = &config.oauth;
        let Some(url) = &settings.introspection_url else { return Ok(None) };
        let authorization = match (&settings.client_id, &settings.client_secret_file) {
            (Some(id), Some(file)) => {
                let path = data.resolve(file);
                let secret = read_secret(&path)
                    .with_context(|| format!("oauth.client_secret_file {}", path.display()))?;
                Some(basic(id, &secret)?)
            }
            (None, _) | (_, None) => None,
        };
        Ok(Some(Self {
            http: http.clone(),
            url: url.clone(),
            authorization,
            address_claims: settings.address_claims.clone(),
            required_scope: settings.required_scope.clone(),
            openid_configuration: settings.openid_configuration.clone(),
            limits: HttpLimits {
                time: settings.timeout,
                body_octets_max: ANSWER_OCTETS_MAX,
                redirects_max: 0,
                // The operator wrote the URL; in clear it leads to this machine alone.
                reach: Reach::Anywhere,
                may_be_plain: true,
            },
            remember_for: settings.remember_for,
            places: Semaphore::new(QUESTIONS_MAX),
        }))
    }

    async fn ask(&self, token: &Secret, now: Timestamp) -> Result<TokenCheck, Unanswered> {
        let place = self.places.try_acquire();
        let place = place.map_err(|_| Unanswered::TooMany(QUESTIONS_MAX))?;
        // RFC 7662 §2.1
        let body = format!("token={}&token_type_hint=access_token", form_encoded(token.expose()));
        let form = "application/x-www-form-urlencoded";
        let mut request = HttpRequest::post(self.url.as_str(), form, body.into_bytes());
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            request.headers.insert(AUTHORIZATION, authorization.clone());
        }
        let response = self.http.send(request, &self.limits).await?;
        drop(place);
        self.judge(&claims(&response)?, now)
    }

    /// RFC 7662 §2.2: what its answer comes to.
    fn judge(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<TokenCheck, Unanswered> {
        let active = claims.get("active").and_then(Value::as_bool);
        if !active.ok_or(Unanswered::Member("active"))? {
            return Ok(TokenCheck::Bad(TokenFault::Invalid));
        }
        // Who says "active" says that it is not over; yet clocks and caches differ.
        let (begins, ends) = (time(claims, "nbf")?, time(claims, "exp")?);
        if ends.is_some_and(|ends| ends <= now) || begins.is_some_and(|begins| now < begins) {
            return Ok(TokenCheck::Bad(TokenFault::Invalid));
        }
        let has = |wanted: &String| {
            let scope = claims.get("scope").and_then(Value::as_str).unwrap_or_default();
            scope.split(' ').any(|one| one == wanted)
        };
        if !self.required_scope.as_ref().is_none_or(has) {
            return Ok(TokenCheck::Bad(TokenFault::Scope));
        }
        let Some(name) = self.address(claims) else {
            tracing::info!(claims = ?self.address_claims, "a good token names no address");
            return Ok(TokenCheck::Bad(TokenFault::Invalid));
        };
        let until = now.after(self.remember_for);
        Ok(TokenCheck::Good { name, until: ends.map_or(until, |ends| until.min(ends)) })
    }

    fn address(&self, claims: &Map<String, Value>) -> Option<String> {
        let unverified = claims.get("email_verified").is_some_and(|verified| !is_true(verified));
        let usable = self.address_claims.iter().filter(|claim| *claim != "email" || !unverified);
        let mut texts = usable.filter_map(|claim| claims.get(claim)?.as_str());
        texts.find(|text| Address::parse(text).is_ok()).map(str::to_owned)
    }
}

impl Tokens for Introspection {
    fn check<'a>(
        &'a self,
        token: &'a Secret,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = TokenCheck> + Send + 'a>> {
        Box::pin(async move {
            match self.ask(token, now).await {
                Ok(check) => check,
                Err(error) => {
                    tracing::warn!(url = self.url, %error, "tokens cannot be checked");
                    TokenCheck::Unavailable
                }
            }
        })
    }

    /// RFC 7628 §3.2.2: `status`, and what helps to get a better token.
    fn error(&self, fault: TokenFault) -> String {
        let status = match fault {
            TokenFault::Invalid => "invalid_token",
            TokenFault::Scope => "insufficient_scope",
        };
        let mut error = Map::from_iter([("status".to_owned(), json!(status))]);
        if let Some(scope) = &self.required_scope {
            error.insert("scope".to_owned(), json!(scope));
        }
        if let Some(url) = &self.openid_configuration {
            error.insert("openid-configuration".to_owned(), json!(url));
        }
        Value::Object(error).to_string()
    }
}

/// Some write it as a text.
fn is_true(value: &Value) -> bool {
    matches!(value, Value::Bool(true)) || value.as_str() == Some("true")
}

fn claims(response: &HttpResponse) -> Result<Map<String, Value>, Unanswered> {
    match response.status {
        StatusCode::OK => Ok(serde_json::from_slice(&response.body)?),
        // RFC 7662 §2.3: it is we who are not known, not the token.
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Err(Unanswered::NotKnown(status))
        }
        status => Err(Unanswered::Status(status)),
    }
}

/// RFC 7519 §2: a NumericDate, seconds since 1970, which may be absent.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, Unanswered> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let secs = value.as_i64().ok_or(Unanswered::Member(name))?;
            Ok(Some(Timestamp::from_secs(secs)))
        }
    }
}

/// RFC 6749 §2.3.1: both are form-encoded before they become HTTP Basic (RFC 7617).
fn basic(id: &str, secret: &str) -> anyhow::Result<HeaderValue> {
    let pair = format!("{}:{}", form_encoded(id), form_encoded(secret));
    let text = format!("Basic {}", base64_encode(pair.as_bytes()));
    let mut value = HeaderValue::try_from(text).context("cannot write the client's secret")?;
    value.set_sensitive(true);
    Ok(value)
}

fn read_secret(path: &std::path::Path) -> anyhow::Result<String> {
    let octets = std::fs::metadata(path).context("cannot be read")?.len();
    if octets > SECRET_OCTETS_MAX {
        bail!("has {octets} bytes, more than {SECRET_OCTETS_MAX}: that is no secret");
    }
    let text = std::fs::read_to_string(path).context("cannot be read")?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.contains(['\r', '\n']) {
        bail!("must hold one line: the secret of oauth.client_id");
    }
    Ok(secret.to_owned())
}

/// application/x-www-form-urlencoded.
fn form_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
