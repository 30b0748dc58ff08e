//! How an import signs in to an IMAP server: with the best that the server offers (RFC 3501 §6.2.2).

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sasl::{Login, Secret, SignIn};

use crate::transfer::imap::{ImapServer, quoted};

/// What shows a server who we are.
pub enum Proof {
    Password(String),
    /// An access token that its owner's identity provider has given out (OAuth 2.0).
    Token(String),
}

/// Challenges of one sign-in, at most.
const CHALLENGES_MAX: usize = 8;

/// A client's side of AUTHENTICATE.
enum Exchange {
    Sasl(SignIn),
    /// The message, and what is due to an error that the server tells of before its NO.
    Token {
        message: Option<String>,
        after_error: &'static str,
    },
}

impl ImapServer {
    /// Signs in by SCRAM-SHA-256, PLAIN or LOGIN with a password, by OAUTHBEARER or XOAUTH2 with a
    /// token.
    pub fn sign_in(&mut self, proof: &Proof) -> anyhow::Result<()> {
        let mut offered = Vec::new();
        self.command("CAPABILITY", |response| {
            if let Some(list) = response.text.strip_prefix("* CAPABILITY ") {
                offered.extend(list.split_ascii_whitespace().map(str::to_ascii_uppercase));
            }
            Ok(())
        })?;
        let mechanisms: Vec<&str> =
            offered.iter().filter_map(|word| word.strip_prefix("AUTH=")).collect();
        let user = self.login.user.clone();
        match proof {
            Proof::Password(password) => {
                let login = Login { name: user.clone(), password: Secret::new(password.clone()) };
                // For LOGIN there is a command.
                let wanted: Vec<&str> =
                    mechanisms.iter().copied().filter(|name| *name != "LOGIN").collect();
                let chosen = SignIn::choose(&wanted.join(" "), &login, &net::nonce()?, true);
                if let Some(sign_in) = chosen {
                    let name = sign_in.mechanism();
                    return self.authenticate(name, Exchange::Sasl(sign_in));
                }
                if offered.iter().any(|word| word == "LOGINDISABLED") {
                    bail!("the server offers no sign-in with a password, only {mechanisms:?}");
                }
                let (user, password) = (quoted(&user)?, quoted(password)?);
                self.command(&format!("LOGIN {user} {password}"), |_| Ok(()))
            }
            Proof::Token(token) if mechanisms.contains(&"OAUTHBEARER") => {
                // RFC 7628 §3.1; RFC 5801 §4: `,` and `=` in a name.
                let name = user.replace('=', "=3D").replace(',', "=2C");
                let (host, port) = (&self.login.host, self.login.port);
                let message = format!(
                    "n,a={name},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01"
                );
                // RFC 7628 §3.2.3: an error is answered with a single ^A.
                let exchange = Exchange::Token { message: Some(message), after_error: "\x01" };
                self.authenticate("OAUTHBEARER", exchange)
            }
            Proof::Token(token) if mechanisms.contains(&"XOAUTH2") => {
                let message = Some(format!("user={user}\x01auth=Bearer {token}\x01\x01"));
                self.authenticate("XOAUTH2", Exchange::Token { message, after_error: "" })
            }
            Proof::Token(_) => bail!("the server takes no tokens, only {mechanisms:?}"),
        }
    }

    fn authenticate(&mut self, mechanism: &str, mut exchange: Exchange) -> anyhow::Result<()> {
        let tag = self.send(&format!("AUTHENTICATE {mechanism}"))?;
        let mut told = None;
        for _ in 0..CHALLENGES_MAX {
            let response = loop {
                let response = self.response()?;
                // Untagged ones may come in between.
                if !response.text.starts_with("* ") {
                    break response.text;
                }
            };
            if let Some(status) = response.strip_prefix(&tag).map(str::trim_start) {
                return match (status.starts_with("OK"), &exchange) {
                    // RFC 5802 §3: with SCRAM a server that does not prove itself is another's.
                    (true, Exchange::Sasl(sign_in)) if !sign_in.is_done() => {
                        bail!("the server has not proved that it knows the password")
                    }
                    (true, _) => Ok(()),
                    (false, _) => match told {
                        Some(told) => bail!("the server says: {status} ({told})"),
                        None => bail!("the server says: {status}"),
                    },
                };
            }
            let challenge = response.strip_prefix('+').map(str::trim);
            let challenge = challenge.with_context(|| format!("the server says: {response}"))?;
            let answer = match &mut exchange {
                // The first is empty: it asks for the initial response.
                Exchange::Sasl(sign_in) if challenge.is_empty() => sign_in.initial(),
                Exchange::Sasl(sign_in) => match sign_in.respond(challenge) {
                    Ok(answer) => answer,
                    Err(error) => {
                        // RFC 3501 §6.2.2: this gives up.
                        self.send_line("*")?;
                        bail!("{error}");
                    }
                },
                Exchange::Token { message, after_error } => match message.take() {
                    Some(message) => STANDARD.encode(message),
                    None => {
                        let error = STANDARD.decode(challenge).unwrap_or_default();
                        told = Some(String::from_utf8_lossy(&error).into_owned());
                        STANDARD.encode(after_error)
                    }
                },
            };
            self.send_line(&answer)?;
        }
        bail!("the server asks on and on")
    }
}
