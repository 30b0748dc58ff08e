//! `restante token`: who may use the HTTP API.

use clap::Subcommand;
use mail_types::Address;
use serde_json::Value;

use crate::request::Request;
use crate::show;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make one; it is printed once and kept nowhere
    Add {
        /// The account that it signs in as
        address: Address,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Make one worthless
    Remove {
        /// Its number, see `token list`
        token: u64,
    },
    /// List them, without the tokens themselves
    List,
}

/// The request, and the token that was made for it.
pub fn token(command: Token) -> anyhow::Result<(Request, Option<String>)> {
    Ok(match command {
        Token::Add { address, label } => {
            let random: [u8; 32] = net::random_bytes()?;
            let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            let text = format!("rst_{text}");
            (Request::TokenAdd { address, label, text: text.clone() }, Some(text))
        }
        Token::Remove { token } => (Request::TokenRemove { token }, None),
        Token::List => (Request::TokenList, None),
    })
}

/// What came of it.
pub fn answer(request: &Request, answer: &Value, made: Option<&str>, as_json: bool) {
    match (made, as_json) {
        (Some(text), true) => {
            let mut answer = answer.clone();
            answer["token"] = text.into();
            show::json(&answer);
        }
        (Some(text), false) => {
            show::answer(request, answer, false);
            show::line(&format!("The token (shown only now): {text}"));
        }
        (None, _) => show::answer(request, answer, as_json),
    }
}
