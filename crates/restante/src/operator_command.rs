//! `restante operator`: the people who look after this server over its console and HTTP API.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use mail_types::Domain;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{Actor, Operator, OperatorAct, OperatorRole, Store, TotpSecret};

use crate::init::{generate_password, read_passwords};
use crate::permit;
use crate::request::{Failure, Request, did};
use crate::show;

/// RFC 4226 §4: 160 bits are recommended.
const TOTP_SECRET_BYTES: usize = 20;

#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Add one; the password is generated and printed once unless a file has it
    Add {
        /// The name at sign-in; no mail address
        name: String,
        #[command(flatten)]
        role: RoleArgs,
        /// A file with the password
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Set a new password; ends its sessions
    Password {
        name: String,
        /// A file with the password
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Let one do other things
    Role {
        name: String,
        #[command(flatten)]
        role: RoleArgs,
    },
    /// Ask one for codes of an authenticator, too; prints what to put into it, once
    Totp {
        name: String,
        /// Ask for no codes any more (the phone is lost)
        #[arg(long)]
        off: bool,
    },
    /// Remove one: its sessions end, its tokens are worth nothing
    Remove { name: String },
    /// List them, and their tokens
    List,
    /// Who is signed in now; ends sessions
    Sessions {
        /// End this session
        #[arg(long, value_name = "NUMBER", conflicts_with = "end_all_of")]
        end: Option<u64>,
        /// End all sessions of this operator
        #[arg(long, value_name = "NAME")]
        end_all_of: Option<String>,
    },
    /// Tokens by which programs use the HTTP API as an operator
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make one; it is printed once and kept nowhere
    #[command(after_help = "\
Examples:
  restante operator token add ann --label monitor --scope status:read
  restante operator token add ann --label rescue --scope trace:read,queue:write
A scope is AREA:read, AREA:write (which reads, too), or AREA:grave beside it (purge, download).
`restante operator token scopes` lists the areas.")]
    Add {
        /// Whose
        name: String,
        /// What it is for
        #[arg(long, default_value = "")]
        label: String,
        /// What it is good for, separated by commas; without it, everything its operator may do
        #[arg(long = "scope", value_delimiter = ',')]
        scopes: Vec<String>,
    },
    /// Make one worthless
    Remove {
        /// Whose
        name: String,
        /// Its number, see `operator list`
        token: u64,
    },
    /// The areas of scopes
    Scopes,
}

/// What an operator may do.
#[derive(Args, Debug)]
pub struct RoleArgs {
    /// operator: everything; domain-admin: accounts, aliases and mail of domains; auditor: sees
    /// everything, changes nothing
    #[arg(long, value_enum)]
    role: RoleWord,
    /// The domains of a domain-admin
    #[arg(long = "domain", required_if_eq("role", "domain-admin"))]
    domains: Vec<Domain>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleWord {
    Operator,
    DomainAdmin,
    Auditor,
}

impl RoleArgs {
    fn role(self) -> anyhow::Result<OperatorRole> {
        match (self.role, self.domains.is_empty()) {
            (RoleWord::Operator, true) => Ok(OperatorRole::Operator),
            (RoleWord::Auditor, true) => Ok(OperatorRole::Auditor),
            (RoleWord::DomainAdmin, _) => Ok(OperatorRole::DomainAdmin { domains: self.domains }),
            (RoleWord::Operator | RoleWord::Auditor, false) => {
                bail!("--domain is for --role domain-admin alone")
            }
        }
    }
}

/// What is asked about operators, for the control socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    Add { name: String, role: OperatorRole, password: String },
    Password { name: String, password: String },
    Role { name: String, role: OperatorRole },
    Totp { name: String, secret: Option<Vec<u8>> },
    Remove { name: String },
    List,
    Sessions,
    EndSession { session: u64 },
    EndSessionsOf { name: String },
    TokenAdd { name: String, label: String, scopes: Vec<String>, text: String },
    TokenRemove { name: String, token: u64 },
}

/// What was made for a request, and is told once.
pub struct Told {
    label: &'static str,
    key: &'static str,
    text: String,
}

/// The request, and what was made for it; none where the command is answered here.
pub fn request(command: OperatorCommand) -> anyhow::Result<Option<(Request, Vec<Told>)>> {
    let password = |file: Option<PathBuf>| -> anyhow::Result<(String, Vec<Told>)> {
        if let Some(file) = file {
            return Ok((read_passwords(&file)?.swap_remove(0), Vec::new()));
        }
        let text = generate_password()?;
        let label = "The password (shown only now)";
        Ok((text.clone(), vec![Told { label, key: "password", text }]))
    };
    let (ask, told) = match command {
        OperatorCommand::Add { name, role, password_file } => {
            let (password, told) = password(password_file)?;
            (Ask::Add { name, role: role.role()?, password }, told)
        }
        OperatorCommand::Password { name, password_file } => {
            let (password, told) = password(password_file)?;
            (Ask::Password { name, password }, told)
        }
        OperatorCommand::Role { name, role } => (Ask::Role { name, role: role.role()? }, vec![]),
        OperatorCommand::Totp { name, off: true } => (Ask::Totp { name, secret: None }, vec![]),
        OperatorCommand::Totp { name, off: false } => {
            let secret: [u8; TOTP_SECRET_BYTES] = net::random_bytes()?;
            let text = sign_in::totp_text(&secret);
            let url = web::totp_url(&name, &secret);
            let told = vec![
                Told { label: "The secret (shown only now)", key: "secret", text },
                Told { label: "As a URL for authenticators", key: "url", text: url },
            ];
            (Ask::Totp { name, secret: Some(secret.to_vec()) }, told)
        }
        OperatorCommand::Remove { name } => (Ask::Remove { name }, vec![]),
        OperatorCommand::List => (Ask::List, vec![]),
        OperatorCommand::Sessions { end: Some(session), .. } => {
            (Ask::EndSession { session }, vec![])
        }
        OperatorCommand::Sessions { end_all_of: Some(name), .. } => {
            (Ask::EndSessionsOf { name }, vec![])
        }
        OperatorCommand::Sessions { .. } => (Ask::Sessions, vec![]),
        OperatorCommand::Token(TokenCommand::Add { name, label, scopes }) => {
            let random: [u8; 32] = net::random_bytes()?;
            let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            let text = format!("rso_{text}");
            let label_text = "The token (shown only now)";
            let told = vec![Told { label: label_text, key: "token", text: text.clone() }];
            (Ask::TokenAdd { name, label, scopes, text }, told)
        }
        OperatorCommand::Token(TokenCommand::Remove { name, token }) => {
            (Ask::TokenRemove { name, token }, vec![])
        }
        OperatorCommand::Token(TokenCommand::Scopes) => return Ok(None),
    };
    Ok(Some((Request::Operator { ask }, told)))
}

/// Does it on the store. Sessions are the running server's.
pub fn perform(store: &Store, ask: Ask, actor: Actor) -> Result<Value, Failure> {
    match ask {
        Ask::Add { name, role, password } => {
            let password = hashed(&password)?;
            let word = role.word();
            store.add_operator(actor, &name, role, password).wait()?;
            Ok(did(format!("{name} signs in at the console as {word}")))
        }
        Ask::Password { name, password } => {
            let password = hashed(&password)?;
            change(store, actor, &name, OperatorAct::PasswordSet { password })?;
            Ok(did(format!("operator {name} has a new password")))
        }
        Ask::Role { name, role } => {
            let word = role.word();
            change(store, actor, &name, OperatorAct::RoleSet { role })?;
            Ok(did(format!("{name} is {word} from now on")))
        }
        Ask::Totp { name, secret } => {
            let words = match secret.is_some() {
                true => format!("{name} needs a code of the authenticator to sign in"),
                false => format!("{name} signs in with the password alone"),
            };
            let secret = secret.map(TotpSecret);
            change(store, actor, &name, OperatorAct::SecondFactorSet { secret })?;
            Ok(did(words))
        }
        Ask::Remove { name } => {
            change(store, actor, &name, OperatorAct::Removed)?;
            Ok(did(format!("operator {name} removed")))
        }
        Ask::List => Ok(list(store)),
        Ask::Sessions | Ask::EndSession { .. } | Ask::EndSessionsOf { .. } => {
            Err(Failure { what: "only a running server has sessions".to_owned(), mend: None })
        }
        Ask::TokenAdd { name, label, scopes, text } => {
            for scope in &scopes {
                permit::check_scope(scope)?;
            }
            let token = store.add_operator_token(actor, &name, label, scopes, &text).wait()?;
            Ok(did(format!("token {token} uses the HTTP API as operator {name}")))
        }
        Ask::TokenRemove { name, token } => {
            change(store, actor, &name, OperatorAct::TokenRemoved { token })?;
            Ok(did(format!("token {token} of {name} is worth nothing any more")))
        }
    }
}

/// Does in the running server what concerns sessions.
pub async fn sessions(
    sessions: &web::Sessions,
    store: &Store,
    actor: &Actor,
    ask: &Ask,
) -> Option<Result<Value, Failure>> {
    match ask {
        Ask::Sessions => Some(Ok(sessions.view(&store.directory(), net::now()))),
        Ask::EndSession { session } => Some(end_one(sessions, store, actor, *session).await),
        Ask::EndSessionsOf { name } => Some(end_all(sessions, store, actor, name).await),
        Ask::Add { .. }
        | Ask::Password { .. }
        | Ask::Role { .. }
        | Ask::Totp { .. }
        | Ask::Remove { .. }
        | Ask::List
        | Ask::TokenAdd { .. }
        | Ask::TokenRemove { .. } => None,
    }
}

async fn end_one(
    sessions: &web::Sessions,
    store: &Store,
    actor: &Actor,
    session: u64,
) -> Result<Value, Failure> {
    let missing = || Failure { what: format!("there is no session {session}"), mend: None };
    let (operator, ip) = sessions.end(session).ok_or_else(missing)?;
    let name = store.directory().operator_of(operator).map(|one| one.name.to_string());
    let Some(name) = name else { return Ok(did(format!("session {session} is over"))) };
    store.change_operator(actor.clone(), &name, OperatorAct::SignedOut { ip }).await?;
    Ok(did(format!("session {session} of {name} is over")))
}

async fn end_all(
    sessions: &web::Sessions,
    store: &Store,
    actor: &Actor,
    name: &str,
) -> Result<Value, Failure> {
    let operator = store.directory().operator(name).map(|operator| operator.id);
    let missing = || Failure { what: format!("operator {name} does not exist"), mend: None };
    let ended = sessions.end_all_of(operator.ok_or_else(missing)?);
    for ip in &ended {
        let act = OperatorAct::SignedOut { ip: *ip };
        store.change_operator(actor.clone(), name, act).await?;
    }
    Ok(did(format!("{} sessions of {name} are over", ended.len())))
}

fn change(store: &Store, actor: Actor, name: &str, act: OperatorAct) -> Result<(), Failure> {
    Ok(store.change_operator(actor, name, act).wait()?)
}

/// What is kept of a password.
pub fn hashed(password: &str) -> Result<store::OperatorPassword, Failure> {
    /// A person chose it: shorter ones are guessed.
    const PASSWORD_CHARS_MIN: usize = 12;
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Failure {
            what: format!("an operator's password has at least {PASSWORD_CHARS_MIN} characters"),
            mend: Some("leave --password-file out, and one is made".to_owned()),
        });
    }
    let salt =
        net::random_bytes().map_err(|error| Failure { what: error.to_string(), mend: None })?;
    Ok(sign_in::operator_password(password, &salt)?)
}

fn list(store: &Store) -> Value {
    store.directory().operators().map(|operator| view(operator)).collect()
}

fn view(operator: &Operator) -> Value {
    let domains = match &operator.role {
        OperatorRole::DomainAdmin { domains } => domains.clone(),
        OperatorRole::Operator | OperatorRole::Auditor => Vec::new(),
    };
    let tokens: Vec<Value> = operator
        .tokens
        .iter()
        .map(|token| {
            json!({
                "token": token.id,
                "label": token.label,
                "scopes": token.scopes,
                "added": token.added.to_string(),
            })
        })
        .collect();
    json!({
        "operator": operator.name,
        "role": operator.role.word(),
        "domains": domains,
        "second_factor": operator.second_factor.is_some(),
        "added": operator.added.to_string(),
        "tokens": tokens,
    })
}

/// What came of it, and what was made for it.
pub fn answer(request: &Request, answer: &Value, told: &[Told], as_json: bool) {
    if as_json {
        let mut answer = answer.clone();
        for one in told {
            answer[one.key] = one.text.clone().into();
        }
        return show::json(&answer);
    }
    match request {
        Request::Operator { ask: Ask::List } => {
            let columns = ["operator", "role", "domains", "second_factor", "added"];
            show::table_of(
                answer,
                &columns,
                "no operators; add one: restante operator add NAME --role operator",
            );
            let tokens: Vec<Value> = answer
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|operator| {
                    let of = operator["operator"].clone();
                    operator["tokens"].as_array().cloned().unwrap_or_default().into_iter().map(
                        move |mut token| {
                            token["operator"] = of.clone();
                            token
                        },
                    )
                })
                .collect();
            if !tokens.is_empty() {
                let columns = ["operator", "token", "label", "scopes", "added"];
                show::table_of(&Value::Array(tokens), &columns, "");
            }
        }
        Request::Operator { ask: Ask::Sessions } => {
            let columns = ["session", "operator", "ip", "began", "used", "ends", "agent"];
            show::table_of(answer, &columns, "nobody is signed in");
        }
        _ => show::answer(request, answer, false),
    }
    for one in told {
        show::line(&format!("{}: {}", one.label, one.text));
    }
}

/// The areas of scopes.
pub fn print_scopes() {
    permit::AREAS.iter().for_each(|(area, what)| show::line(&format!("{area:<12} {what}")));
}
