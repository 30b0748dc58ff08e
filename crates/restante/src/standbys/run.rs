//! The process of a standby: follows, and answers on the control socket.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use standby::{Followed, Following, LinkFile, Token, follow, greet};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

use super::Promoting;
use super::status::standing_view;
use crate::data_dir::{DataDir, journal_options};
use crate::kept_file;
use crate::show;

/// Bytes of one request.
const REQUEST_BYTES_MAX: u64 = 1 << 16;

/// Whom to follow from now on.
pub struct Whom {
    pub from: String,
    pub token: Token,
}

/// `restante standby`: sets up where `whom` is given, then follows until it is asked to stop.
pub fn run(data: &DataDir, whom: Option<Whom>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let known = LinkFile::read(data.path())?;
    if let Some(Whom { from, token }) = whom {
        check_place(data)?;
        let (hostname, name) = runtime.block_on(greet(&from, &token))?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data.path())
            .with_context(|| format!("cannot make {}", data.path().display()))?;
        std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot protect {}", data.path().display()))?;
        LinkFile { from, token: token.to_string() }.write(data.path())?;
        let place = data.path().display();
        show::note(&format!("{place} follows {hostname} from now on, as {name}."));
    } else if known.is_none() {
        bail!(
            "{} follows nobody yet.\nWhat to do: on the server `restante standby invite`, then \
             here what that prints: restante standby --data {} --from HOST:PORT --token …",
            data.path().display(),
            data.path().display()
        );
    }
    let Some(link) = LinkFile::read(data.path())? else { bail!("following/link.json is gone") };
    if !data.follows() && Promoting::read(data.path())?.is_some() {
        bail!(
            "{} was promoted: it is a server now.\nStart it with: restante serve --data {}",
            data.path().display(),
            data.path().display()
        );
    }
    // Of an attempt to promote it that did not get so far.
    kept_file::remove(&Promoting::path(data.path()))?;
    // The settings come over the link; before, nobody has said how much to log.
    let (level, format) =
        data.config().map_or((config::LogLevel::Info, config::LogFormat::Text), |config| {
            (config.log.level, config.log.format)
        });
    show::start_log(level, format);
    let settings = data.clone();
    let options = move || {
        settings
            .config()
            .map_or_else(|_| journal::Options::default(), |config| journal_options(&config))
    };
    let following = Following::new(data.path(), link, options)?;
    let ended = runtime.block_on(until_stopped(data, following));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}

/// A directory that is somebody's is not written over.
fn check_place(data: &DataDir) -> anyhow::Result<()> {
    let place = data.path().display();
    if data.follows() {
        return Ok(());
    }
    let empty = match std::fs::read_dir(data.path()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        entries => entries.with_context(|| format!("cannot read {place}"))?.next().is_none(),
    };
    if !empty {
        bail!("{place} is not empty: a standby begins in an empty directory; nothing was changed");
    }
    Ok(())
}

async fn until_stopped(data: &DataDir, following: Arc<Following>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let (stopper, stop) = net::stopper();
    let stopper = Arc::new(stopper);
    let path = data.control_path();
    let listener = listen(&path)?;
    let (asked, shown) = (Arc::clone(&stopper), Arc::clone(&following));
    let answering = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Err(error) = answer(stream, &shown, &asked).await {
                tracing::debug!(%error, "a control connection ended early");
            }
        }
    });
    let mut following = tokio::spawn(follow(following, stop));
    let ended = tokio::select! {
        ended = &mut following => ended,
        _ = terminate.recv() => { stopper.stop(); following.await }
        _ = interrupt.recv() => { stopper.stop(); following.await }
    };
    answering.abort();
    kept_file::remove(&path)?;
    match ended.context("following ended by a bug")?? {
        Followed::Stopped => tracing::info!("stopped"),
        Followed::Promoted => {
            tracing::info!("this directory was promoted: restante serve starts the server");
        }
    }
    Ok(())
}

fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        bail!("it runs already: restante standby status tells more");
    }
    kept_file::remove(path)?;
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot make the control socket {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect the control socket {}", path.display()))?;
    Ok(listener)
}

async fn answer(
    mut stream: UnixStream,
    following: &Following,
    stopper: &net::Stopper,
) -> std::io::Result<()> {
    let mut line = String::new();
    let (reader, mut writer) = stream.split();
    BufReader::new(reader.take(REQUEST_BYTES_MAX)).read_line(&mut line).await?;
    let request: Value = serde_json::from_str(&line).unwrap_or_default();
    let answer = match request["standby"].as_str() {
        Some("status") => json!({ "ok": standing_view(&following.standing(), true) }),
        Some("stop") => {
            stopper.stop();
            json!({ "ok": { "linked": following.standing().linked } })
        }
        _ => json!({ "error": {
            "what": "this directory is a standby, which follows another server",
            "mend": "restante standby status tells how far it is; restante standby promote makes it \
                     a server",
        } }),
    };
    writer.write_all(format!("{answer}\n").as_bytes()).await
}
