//! `restante standby status`, on either side.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use standby::{KeptState, LinkFile, Standing};

use super::when;
use crate::control;
use crate::data_dir::DataDir;
use crate::request::Request;
use crate::show;

/// How a standby stands; `running`: its process answers.
pub fn standing_view(standing: &Standing, running: bool) -> Value {
    let kept = &standing.kept;
    json!({
        "running": running,
        "linked": standing.linked,
        "server": kept.hostname,
        "name": kept.name,
        "heard": kept.heard_at.map(when),
        "records": standing.records,
        "applied_records": standing.applied,
        "lag_records": standing.lag.records,
        "lag_bytes": standing.lag.bytes,
        "lag_secs": standing.lag_secs,
        "trouble": kept.trouble,
    })
}

/// Asks the process of a standby; `None` where none runs.
pub fn ask(data: &DataDir, what: &str) -> anyhow::Result<Option<Value>> {
    let mut stream = match UnixStream::connect(data.control_path()) {
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        stream => stream.context("cannot reach the standby's control socket")?,
    };
    let gone = "the standby went away";
    writeln!(stream, "{}", json!({ "standby": what })).context(gone)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).context(gone)?;
    let mut answer: Value = serde_json::from_str(&line).context(gone)?;
    match answer.get_mut("error") {
        Some(failure) => Err(control::told(serde_json::from_value(failure.take())?)),
        None => Ok(Some(answer["ok"].take())),
    }
}

/// `restante standby status`.
pub fn status(data: &DataDir, as_json: bool) -> anyhow::Result<()> {
    if data.follows() {
        return of_standby(data, as_json);
    }
    let answer = control::ask(data, Request::Status)?;
    let standbys = &answer["standby"];
    if as_json {
        show::json(standbys);
        return Ok(());
    }
    if standbys.is_null() {
        bail!(
            "no server runs here, or it does not listen for standbys.\nWhat to do: set standby \
             under [listen] in {} to a port, and start the server; restante standby invite makes \
             a token",
            data.settings_path().display()
        );
    }
    show::table_of(
        &standbys["standbys"],
        &["name", "linked", "peer", "seen", "records", "lag_records", "lag_bytes", "lag_secs"],
        "no standby is invited: restante standby invite",
    );
    for standby in standbys["standbys"].as_array().into_iter().flatten() {
        if let Some(trouble) = standby["trouble"].as_str() {
            show::line(&format!("{}: {trouble}", show::text(&standby["name"])));
        }
    }
    let waits = standbys["acknowledge"] == "standby";
    let away = standbys["away"] == true;
    show::line(match (waits, away) {
        (false, _) => "Mail is acknowledged when it is on the disk here.",
        (true, false) => "Mail is acknowledged when a standby has it, too.",
        (true, true) => {
            "ALARM: mail is to be acknowledged when a standby has it, and none is there."
        }
    });
    Ok(())
}

fn of_standby(data: &DataDir, as_json: bool) -> anyhow::Result<()> {
    let view = match ask(data, "status")? {
        Some(view) => view,
        None => {
            let kept = KeptState::read(data.path());
            json!({
                "running": false,
                "linked": false,
                "server": kept.hostname,
                "name": kept.name,
                "heard": kept.heard_at.map(when),
                "trouble": kept.trouble,
            })
        }
    };
    if as_json {
        show::json(&view);
        return Ok(());
    }
    let from = LinkFile::read(data.path())?.map_or_else(String::new, |link| link.from);
    let server = view["server"].as_str().unwrap_or("a server that it has not reached yet");
    show::line(&format!("A standby of {server} ({from})."));
    let heard = view["heard"].as_str().unwrap_or("never");
    if view["running"] == false {
        show::line(&format!(
            "It does not run; it last heard of the server: {heard}. Start it: restante standby \
             --data {}",
            data.path().display()
        ));
    } else if view["linked"] == true {
        show::line(&format!(
            "Linked. It has {} records, {} of them in the index; the server has {} more ({}), \
             since {:.1} s.",
            view["records"],
            view["applied_records"],
            view["lag_records"],
            config::format_bytes(view["lag_bytes"].as_u64().unwrap_or(0)),
            view["lag_secs"].as_f64().unwrap_or(0.0)
        ));
    } else {
        show::line(&format!(
            "Not linked; it has {} records, and last heard of the server: {heard}.",
            view["records"]
        ));
    }
    if let Some(trouble) = view["trouble"].as_str() {
        show::line(trouble);
    }
    Ok(())
}
