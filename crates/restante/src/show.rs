//! Everything that is printed: tables and sentences on standard output, errors and logs on
//! standard error.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table, TableStyle};
use config::{Config, LogFormat, LogLevel, Service};
use mail_types::Address;
use serde_json::Value;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::alarms::Alarms;
use crate::data_dir::DataDir;
use crate::init::{InitArgs, Made};
use crate::request::Request;

/// Whether standard output is somebody who sees colours.
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

fn bold(text: &str) -> String {
    if colours() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn dim(text: &str) -> String {
    if colours() { format!("\u{1b}[2m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn good(text: &str) -> String {
    if colours() { format!("\u{1b}[32m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn bad(text: &str) -> String {
    if colours() { format!("\u{1b}[31m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// What is to be seen first.
pub fn strong(text: &str) -> String {
    bold(text)
}

/// What matters less.
pub fn faint(text: &str) -> String {
    dim(text)
}

/// How long work goes on, on standard error.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// An error with its causes, on standard error.
pub fn error(error: &anyhow::Error) {
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    eprintln!("restante: {}", chain.join(": "));
}

/// A line for people.
pub fn line(text: &str) {
    println!("{text}");
}

/// Text as it is, such as a signed note.
pub fn verbatim(text: &str) {
    print!("{text}");
}

/// Octets as they are, such as a message.
///
/// # Errors
/// What standard output says.
pub fn octets(octets: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(octets)
}

/// A heading for people.
pub fn heading(text: &str) {
    println!("\n{}", bold(text));
}

/// Whether somebody sees progress.
pub fn is_seen() -> bool {
    std::io::stderr().is_terminal()
}

/// A line of progress on standard error, where somebody sees it, or a program wants lines.
pub fn progress(text: &str) {
    if std::env::var_os(crate::backups::asked::PROGRESS_LINES).is_some() {
        eprintln!("{text}");
    } else if std::io::stderr().is_terminal() {
        eprint!("\r\u{1b}[K{text}");
    }
}

/// Logs go to standard error; the alarms among them are remembered, too.
pub fn start_log(level: LogLevel, format: LogFormat) -> Alarms {
    let level = match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let alarms = Alarms::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let lines = lines.with_filter(LevelFilter::from_level(level));
    let remembered = alarms.clone().with_filter(LevelFilter::WARN);
    tracing_subscriber::registry().with(lines).with(remembered).init();
    alarms
}

pub fn json(value: &Value) {
    println!("{value:#}");
}

/// A password that was made, told once.
pub fn generated(address: &Address, password: &str, json: bool) {
    if json {
        eprintln!("{}", serde_json::json!({ "account": address, "password": password }));
    } else {
        println!("Password of {address} (shown only now): {}", bold(password));
    }
}

pub fn made(data: &DataDir, args: &InitArgs, made: &Made, as_json: bool) {
    if as_json {
        json(&serde_json::json!({
            "data": data.path(),
            "hostname": made.config.hostname,
            "accounts": args.accounts,
            "operator": made.operator.as_ref().map(|(name, password)| serde_json::json!({
                "name": name, "password": password, "console": made.console_url() })),
            "passwords": made.generated.iter().map(|(a, p)| (a.to_string(), p)).collect::<std::collections::BTreeMap<_, _>>(),
        }));
        return;
    }
    println!("{} {} for {}", good("Made"), data.path().display(), made.config.hostname);
    for (address, password) in &made.generated {
        generated(address, password, false);
    }
    if let Some((name, password)) = &made.operator {
        println!("Operator {name}, password (shown only now): {}", bold(password));
        println!("Console: {}", made.console_url());
    }
    ports(&made.config);
    println!("\nStart it with: restante serve --data {}", data.path().display());
}

/// Where mail programs find the services.
pub fn ports(config: &Config) {
    let mut table = table(&["service", "port", "security"]);
    for service in Service::ALL {
        if let Some(port) = config.port_of(service) {
            let security = if service.is_implicit_tls() { "TLS" } else { "STARTTLS" };
            table.add_row([service.as_str(), &port.to_string(), security]);
        }
    }
    println!("{table}");
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|word| bold(word)));
    table
}

/// What came of a request.
pub fn answer(request: &Request, answer: &Value, as_json: bool) {
    if as_json {
        return json(answer);
    }
    if let Some(did) = answer["did"].as_str() {
        println!("{} {did}.", good("Done:"));
        if let Some(redo) = answer["redo"].as_str() {
            println!("To take this back: restante undo --redo {redo}");
        }
        return;
    }
    match request {
        Request::Status => status(answer),
        Request::Metrics => print!("{}", text(answer)),
        Request::Trace { .. } => stories(
            answer,
            "Nothing found. A trace takes a receipt (r2k-9f86d081), a Message-ID or an address.",
        ),
        Request::QueueShow { .. } => stories(answer, "Nothing of that is queued."),
        Request::AccountList | Request::AccountQuota { .. } => {
            let columns = ["address", "messages", "messages_max", "storage", "storage_max"];
            rows(answer, &columns, "no accounts")
        }
        Request::Hook { ask: crate::hook_command::Ask::Log { .. } } => {
            rows(answer, &["at", "event", "kind", "told", "said"], "nothing was told yet");
        }
        Request::Hook { ask: crate::hook_command::Ask::Show { .. } } => {
            let columns = ["hook", "url", "events", "state", "tries", "next_try", "why"];
            rows(&Value::Array(vec![answer.clone()]), &columns, "no such hook");
            rows(&answer["log"], &["at", "event", "kind", "told", "said"], "nothing was told yet");
        }
        Request::Hook { .. } => {
            let columns = ["hook", "url", "events", "state", "tries", "next_try", "why"];
            rows(answer, &columns, "no hooks");
        }
        Request::TokenList => {
            rows(answer, &["token", "account", "label", "added"], "no tokens");
        }
        Request::Job { .. } => {
            let columns = ["job", "what", "by", "began", "state", "progress"];
            if answer.is_array() { rows(answer, &columns, "no jobs") } else { json(answer) }
        }
        Request::RestoreFound(_) => would_restore(answer),
        Request::OperatorLog { .. } => {
            rows(answer, &["at", "who", "ip", "what"], "no operator did anything yet");
        }
        Request::DomainList => rows(answer, &["domain"], "no domains"),
        Request::AliasList => rows(answer, &["alias", "targets"], "no aliases"),
        Request::RouteList => rows(answer, &["domain", "host", "port", "user"], "no routes"),
        Request::QueueChange { .. } => would_change(answer),
        Request::Acts { ask: crate::history::Ask::Sessions { .. } } => rows(
            answer,
            &["session", "by", "from", "via", "first", "last", "changed", "undone"],
            "nobody changed anything",
        ),
        Request::Acts { .. } => rows(
            answer,
            &["act", "at", "what", "where", "messages", "by", "from", "session", "undone"],
            "nothing was done that could be taken back",
        ),
        Request::Mailbox { ask: crate::mailbox_command::Ask::List { .. } } => {
            rows(answer, &["mailbox", "messages", "gone_since"], "there was no mailbox");
        }
        Request::Archive { ask } => archive(ask, answer),
        Request::Mailbox { .. } => rows(
            answer,
            &["uid", "date", "from", "subject", "flags", "bytes", "gone", "act"],
            "it was empty",
        ),
        Request::QueueList { .. } => rows(
            &waits_in_words(answer),
            &["receipt", "from", "to", "bytes", "state", "attempts", "next_try", "last_reply"],
            "nothing is queued",
        ),
        _ => json(answer),
    }
}

/// What restoring what a search finds would do.
fn would_restore(answer: &Value) {
    let more = if answer["more"] == true { "more than " } else { "" };
    println!(
        "{} of {more}{} messages found, {} would be put back.",
        bold("Trial run:"),
        text(&answer["found"]),
        text(&answer["would_restore"])
    );
    let columns = ["receipt", "account", "was_in", "to", "gone", "by", "subject"];
    rows(&answer["first"], &columns, "nothing is to be restored");
    for (why, count) in answer["skipped"].as_object().into_iter().flatten() {
        println!("{count} stay as they are: {why}");
    }
}

/// What waits for a limit of ours says so where its state is.
fn waits_in_words(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for item in answer.as_array_mut().into_iter().flatten() {
        if item["waits_for"].is_string() {
            item["state"] = item["waits_for"].take();
        }
    }
    answer
}

/// A value as people read it.
fn archive(ask: &crate::archive_command::Ask, answer: &Value) {
    use crate::archive_command::Ask;
    match ask {
        Ask::Retention => rows(answer, &["of", "keep", "spam"], "nothing is set"),
        Ask::Holds { .. } => {
            let columns = ["hold", "account", "from", "to", "since", "reason", "ended"];
            rows(answer, &columns, "no legal holds");
        }
        Ask::Over { .. } => {
            let (due, on_hold) = (text(&answer["due"]), text(&answer["on_hold"]));
            println!(
                "{} {due} messages would be purged; {on_hold} are kept by legal holds.",
                bold("Trial run:")
            );
            let columns = ["receipt", "accepted", "nobody_has_it_since", "bytes", "rule"];
            rows(&answer["first"], &columns, "nothing is over its time");
        }
        Ask::SetRetention { .. }
        | Ask::AddHold { .. }
        | Ask::RemoveHold { .. }
        | Ask::Purge { .. } => json(answer),
    }
}

pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Rows as a table.
pub fn table_of(rows: &Value, columns: &[&str], nothing: &str) {
    self::rows(rows, columns, nothing);
}

fn rows(answer: &Value, columns: &[&str], nothing: &str) {
    let Some(rows) = answer.as_array().filter(|rows| !rows.is_empty()) else {
        return println!("{nothing}");
    };
    let header: Vec<String> = columns.iter().map(|column| column.replace('_', " ")).collect();
    let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        table.add_row(columns.iter().map(|column| text(&row[*column])));
    }
    println!("{table}");
}

/// What a trial run found.
fn would_change(answer: &Value) {
    println!("{} {} would be changed.", bold("Trial run:"), text(&answer["would_change"]));
    rows(
        &answer["first"],
        &["receipt", "from", "to", "bytes", "state", "attempts", "next_try"],
        "nothing of that waits",
    );
}

fn status(answer: &Value) {
    match answer["stopped_because"].as_str() {
        Some(reason) => println!("{} {reason}", bad("Not accepting mail:")),
        None => println!("{}", good("Accepting mail.")),
    }
    for alarm in answer["alarms"].as_array().into_iter().flatten() {
        let of = |name: &str| text(&alarm[name]);
        let (what, detail, times) = (of("what"), of("detail"), of("times"));
        println!("{} {what} ({times} times, last {}): {detail}", bad("ALARM"), of("last"));
    }
    watched(answer);
    if let Some(why) = answer["unreadable_because"].as_str() {
        println!("{} the queue cannot be read now: {why}", bad("Trouble:"));
        return;
    }
    println!(
        "{} accounts in {} domains, {} recipients queued",
        answer["accounts"], answer["domains"], answer["queued"]
    );
    if answer["held"].as_u64().is_some_and(|held| held > 0) {
        println!("{} recipients held (see `restante queue list --held`)", answer["held"]);
    }
    for pause in answer["paused"].as_array().into_iter().flatten() {
        let (to, since) = (text(&pause["destination"]), text(&pause["since"]));
        println!("{} mail to {to} waits since {since}", bad("Paused:"));
    }
    if let Some(queued) = answer["queued_by_destination"].as_object() {
        for (destination, count) in queued {
            println!("  {count:>8} to {destination}");
        }
    }
}

/// What the server looks at by itself.
fn watched(answer: &Value) {
    if let Some(unaccounted) = answer["unaccounted"].as_u64() {
        let overdue = answer["overdue"].as_u64().unwrap_or(0);
        let at = text(&answer["audit"]["at"]);
        let word =
            if unaccounted + overdue == 0 { good("Unaccounted:") } else { bad("Unaccounted:") };
        println!("{word} {unaccounted} ({overdue} overdue), looked at {at}");
        for finding in answer["audit"]["findings"].as_array().into_iter().flatten() {
            println!("  {}", text(finding));
        }
    }
    let backup = &answer["backup"];
    if backup.is_object() {
        let (to, at) = (text(&backup["to"]), text(&backup["taken"]));
        println!("Backup in {to}: last taken {at}, {} records", text(&backup["records"]));
        if let Some(why) = backup["failed"].as_str() {
            println!("  {} {why}", bad("failed"));
        }
    }
    let scrub = &answer["scrub"];
    if let Some(percent) = scrub["percent"].as_u64() {
        let finished = text(&scrub["finished"]);
        println!("Reading the journal again: {percent} %, last round ended {finished}");
        for damage in scrub["damage"].as_array().into_iter().flatten() {
            println!("  {} {}", bad("damaged"), text(damage));
        }
        for healed in scrub["healed"].as_array().into_iter().flatten() {
            println!("  {} {}", good("healed"), text(healed));
        }
    }
}

fn stories(answer: &Value, nothing: &str) {
    let stories = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if stories.is_empty() {
        println!("{nothing}");
    }
    for story in stories {
        println!(
            "{} {} from {}{}",
            bold(&text(&story["receipt"])),
            text(&story["accepted"]),
            text(&story["from"]),
            story["subject"].as_str().map(|s| format!(", “{s}”")).unwrap_or_default()
        );
        if let Some(message_id) = story["message_id"].as_str() {
            println!("  {}", dim(&format!("Message-ID <{message_id}>")));
        }
        for event in story["story"].as_array().into_iter().flatten() {
            println!("  {}  {}", dim(&text(&event["at"])), text(&event["what"]));
        }
        for now in story["now"].as_array().into_iter().flatten() {
            println!("  {} {}", bold("now"), text(now));
        }
        println!();
    }
}

/// What `verify` found.
pub fn verified(report: &store::Report, as_json: bool) {
    if as_json {
        let violations: Vec<Value> = report
            .violations
            .iter()
            .map(|one| serde_json::json!({ "invariant": one.invariant.number(), "what": one.what }))
            .collect();
        return json(&serde_json::json!({
            "clean": report.is_clean(),
            "records": report.records,
            "bodies": report.bodies,
            "body_bytes": report.body_bytes,
            "messages": report.mails,
            "custodies": report.states,
            "violations": violations,
            "violations_count": report.violations_count,
            "torn_tail": report.torn_tail,
        }));
    }
    println!(
        "Read {} records and {} bodies ({}).",
        report.records,
        report.bodies,
        config::format_bytes(report.body_bytes)
    );
    for invariant in store::Invariant::ALL {
        let broken = report.violations.iter().any(|one| one.invariant == invariant);
        let mark = if broken { bad("broken") } else { good("holds ") };
        println!("  {mark} {:>3}  {}", invariant.number(), invariant.sentence());
    }
    let states: Vec<String> =
        report.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    println!("{} messages accepted; recipients: {}.", report.mails, states.join(", "));
    for violation in &report.violations {
        println!("  {} {}", bad(violation.invariant.number()), violation.what);
    }
    if let Some(tail) = &report.torn_tail {
        println!("At the end: {tail}; nobody was told of it, the next start cuts it.");
    }
    if report.is_clean() {
        println!("{}", good("Nothing is lost: every recipient of every message is accounted for."));
    } else {
        println!(
            "{} What to do: keep a copy of the data directory, then try `restante rebuild` if only \
             I13 or I14 is broken; else take the damaged parts from a backup.",
            bad(&format!("{} violations.", report.violations_count))
        );
    }
}
