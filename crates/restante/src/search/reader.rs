//! Starts making messages searchable, and is the process that reads attachments.

use std::io::{stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use archive_search::{
    NoReader, Reader, ReaderProcess, Search, Settings, search_path, serve_reader,
};
use clap::Args;
use config::Config;
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use store::Store;

use crate::data_dir::DataDir;

/// Bytes of memory that reading attachments may take.
const MEMORY_MAX: u64 = 1 << 30;
/// Seconds of CPU time of one process. One that has used them up on others is asked once more, from
/// the start: of one attachment it is the limit, however busy the machine is.
const CPU_SECONDS_MAX: u64 = 10;
/// Files that it may have open: it opens none itself.
const FILES_MAX: u64 = 32;
/// How much it stands behind everything else.
const NICENESS: i32 = 19;
/// How long nothing was purged before its words are taken off the disk.
const SCOUR_AFTER: std::time::Duration = std::time::Duration::from_secs(60);
/// The command's name.
pub const COMMAND: &str = "attachment-reader";

/// Takes nothing.
#[derive(Clone, Copy, Debug, Args)]
pub struct ReaderArgs {}

/// Reads attachments that come on standard input; what strangers send can break this process alone.
pub fn read_attachments() -> anyhow::Result<ExitCode> {
    let limit = |resource, most| {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).context("cannot limit the reader of attachments")
    };
    // At the lower one it is ended in a way that says why.
    let cpu = Rlimit { current: Some(CPU_SECONDS_MAX), maximum: Some(CPU_SECONDS_MAX + 1) };
    setrlimit(Resource::Cpu, cpu).context("cannot limit the reader of attachments")?;
    limit(Resource::As, MEMORY_MAX)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    limit(Resource::Nofile, FILES_MAX)?;
    setpriority_process(None, NICENESS).context("cannot make the reader of attachments humble")?;
    serve_reader(&mut stdin().lock(), &mut stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// Who reads attachments under these settings.
pub fn reader(config: &Config) -> Box<dyn Reader> {
    if !config.search.attachments {
        return Box::new(NoReader);
    }
    match std::env::current_exe() {
        Ok(program) => Box::new(ReaderProcess::new(program, vec![COMMAND.to_owned()])),
        Err(error) => {
            tracing::warn!(%error, "attachments are not searched: this program is not found");
            Box::new(NoReader)
        }
    }
}

/// Makes messages searchable in the background, where the settings want it. Where it cannot, mail
/// goes on.
pub fn start(data: &DataDir, config: &Config, store: &Store) -> Option<Arc<Search>> {
    if !config.search.enabled {
        return None;
    }
    let rebuild_percent = config.search.rebuild_percent;
    let settings = Settings { rebuild_percent, scour_after: SCOUR_AFTER };
    Search::start(store, search_path(data.path()), settings, reader(config))
        .inspect_err(|error| tracing::error!(%error, "the archive cannot be searched"))
        .ok()
}

/// Ends it at the stop.
pub async fn until(search: Arc<Search>, mut stop: net::Stop) {
    stop.requested().await;
    if tokio::task::spawn_blocking(move || search.stop()).await.is_err() {
        tracing::error!("making messages searchable ended in a panic");
    }
}
