//! How one signs in oneself: password and authenticator.

use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};
use sasl::Secret;
use sign_in::{totp_step, totp_text};
use store::{OperatorAct, TotpSecret};

use super::form::{Form, encoded};
use super::phrases::Phrase;
use super::session::Notice;
use super::visit::Visit;
use super::{Answer, Trouble, layout};

const PATH: &str = "/admin/you";
/// As for passwords that are set on the command line.
const PASSWORD_CHARS_MIN: usize = 12;
const PASSWORD_CHARS_MAX: usize = 1024;
/// RFC 4226 §4: 160 bits are recommended.
const SECRET_BYTES: usize = 20;
/// Empty modules around a QR code (ISO/IEC 18004 §6.3.8).
const QUIET_ZONE: i32 = 4;

/// What is put into an authenticator (`otpauth:`, as all of them read it).
#[must_use]
pub fn totp_url(name: &str, secret: &[u8]) -> String {
    format!(
        "otpauth://totp/Restante:{}?secret={}&issuer=Restante",
        encoded(name),
        totp_text(secret)
    )
}

pub(super) fn page(visit: &Visit<'_>) -> Answer {
    let has_code = visit.operator.second_factor.is_some();
    let main = html! {
        (layout::title(&visit.operator.name, super::words::role(visit.language, &visit.operator.role)))
        div.columns {
            section.card {
                h2 { (visit.t(Phrase::YourPassword)) }
                form method="post" action="/admin/you/password" {
                    (layout::key(visit))
                    input type="text" name="username" value=(visit.operator.name) hidden
                        autocomplete="username";
                    label { (visit.t(Phrase::NewPassword))
                        input type="password" name="password" required minlength=(PASSWORD_CHARS_MIN)
                            autocomplete="new-password"; }
                    label { (visit.t(Phrase::NewPasswordAgain))
                        input type="password" name="again" required autocomplete="new-password"; }
                    button.primary type="submit" { (visit.t(Phrase::SetPassword)) }
                }
            }
            section.card {
                h2 { (visit.t(Phrase::Authenticator)) }
                p { (visit.t(Phrase::AuthenticatorLead)) }
                @if has_code {
                    p.notice.good { "✓ " (visit.t(Phrase::AuthenticatorOn)) }
                    form method="post" action="/admin/you/authenticator/off" {
                        (layout::key(visit))
                        button.danger type="submit" { (visit.t(Phrase::TurnOff)) }
                    }
                } @else {
                    p.notice.warn { (visit.t(Phrase::AuthenticatorOff)) }
                    p { a.button.primary href="/admin/you/authenticator" {
                        (visit.t(Phrase::SetUpAuthenticator)) } }
                }
            }
        }
    };
    Answer::Page { title: visit.t(Phrase::You).to_owned(), main }
}

/// Shows what to scan.
pub(super) fn authenticator(visit: &Visit<'_>, wrong: Option<Phrase>) -> Result<Answer, Trouble> {
    let new: [u8; SECRET_BYTES] = net::random_bytes()
        .map_err(|error| Trouble::Failed { what: error.to_string(), mend: None })?;
    let secret = visit.console.sessions.totp(visit.seen.number, new.to_vec());
    let url = totp_url(&visit.operator.name, &secret);
    let main = html! {
        div.narrow {
            (layout::title(visit.t(Phrase::AuthenticatorTitle), visit.t(Phrase::ScanThis)))
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (visit.t(wrong)) } }
            (qr(&url, visit.t(Phrase::ScanThis)))
            p { (visit.t(Phrase::Secret)) ": " code.secret { (totp_text(&secret)) } }
            form.card method="post" action="/admin/you/authenticator" {
                (layout::key(visit))
                label { (visit.t(Phrase::Code))
                    input name="code" required inputmode="numeric" autocomplete="one-time-code"
                        maxlength="9" autofocus; }
                div.row {
                    button.primary type="submit" { (visit.t(Phrase::TurnOn)) }
                    a.button href=(PATH) { (visit.t(Phrase::Cancel)) }
                }
            }
        }
    };
    Ok(Answer::Page { title: visit.t(Phrase::Authenticator).to_owned(), main })
}

/// A QR code as one path.
fn qr(text: &str, label: &str) -> Markup {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return html! {} };
    let whole = code.size() + 2 * QUIET_ZONE;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + QUIET_ZONE, y + QUIET_ZONE));
        }
    }
    html! {
        svg.qr viewBox={ "0 0 " (whole) " " (whole) } role="img" aria-label=(label)
            shape-rendering="crispEdges" {
            rect width=(whole) height=(whole) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    }
}

pub(super) async fn turn_on(visit: &Visit<'_>, form: &Form) -> Result<Answer, Trouble> {
    confirmed(visit)?;
    let secret = visit.console.sessions.totp(visit.seen.number, Vec::new());
    if secret.is_empty() || totp_step(&secret, form.get("code"), net::now()).is_none() {
        return authenticator(visit, Some(Phrase::WrongCode));
    }
    let secret = Some(TotpSecret(secret));
    set(visit, OperatorAct::SecondFactorSet { secret }, Phrase::TotpOn).await
}

pub(super) async fn turn_off(visit: &Visit<'_>) -> Result<Answer, Trouble> {
    confirmed(visit)?;
    set(visit, OperatorAct::SecondFactorSet { secret: None }, Phrase::TotpOff).await
}

pub(super) async fn password(visit: &Visit<'_>, form: &Form) -> Result<Answer, Trouble> {
    let (password, again) = (form.raw("password"), form.raw("again"));
    let length = password.chars().count();
    let wrong = if password != again {
        Some(Phrase::PasswordsDiffer)
    } else if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&length) {
        Some(Phrase::PasswordShort)
    } else {
        None
    };
    if let Some(wrong) = wrong {
        return Ok(visit.done(PATH, Notice::words(false, visit.t(wrong))));
    }
    confirmed(visit)?;
    let failed = |what: String| Trouble::Failed { what, mend: None };
    let salt = net::random_bytes().map_err(|error| failed(error.to_string()))?;
    let password = Secret::new(password.to_owned());
    // Costs some ten milliseconds of a whole core.
    let made =
        tokio::task::spawn_blocking(move || sign_in::operator_password(password.expose(), &salt));
    let made = made.await.map_err(|error| failed(error.to_string()))?;
    let password = made.map_err(|error| failed(error.to_string()))?;
    set(visit, OperatorAct::PasswordSet { password }, Phrase::PasswordSet).await
}

/// Whoever finds an open browser must not become its operator for good.
fn confirmed(visit: &Visit<'_>) -> Result<(), Trouble> {
    if visit.seen.is_confirmed { Ok(()) } else { Err(Trouble::Confirm) }
}

/// Sets it; this session goes on, all others end.
async fn set(visit: &Visit<'_>, act: OperatorAct, told: Phrase) -> Result<Answer, Trouble> {
    visit.note(act).await?;
    let sessions = &visit.console.sessions;
    if let Some(operator) = visit.console.store.directory().operator_of(visit.operator.id) {
        sessions.go_on(visit.seen.number, operator);
    }
    sessions.totp_done(visit.seen.number);
    Ok(visit.done(PATH, Notice::words(true, visit.t(told))))
}
