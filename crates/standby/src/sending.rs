//! Streams a journal to one standby: in order, one group and a piece of a file in memory.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::{BodyFile, DiskFile, GroupError, Groups, Head, RawGroup, RealDisk};
use net::Stop;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::HubError;
use crate::hub::Hub;
use crate::invites::{Invite, invited};
use crate::small::{self, Known};
use crate::wire::{self, FromServer, FromStandby};

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// A standby that says nothing for so long is gone: it answers every beat.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Between two looks at the small files and the invitation.
const LOOK_EACH: Duration = Duration::from_secs(2);
/// Bytes of a body file sent at a time.
const PART_BYTES: usize = 256 << 10;

/// A link to one standby.
pub struct Sending {
    hub: Arc<Hub>,
    invite: Invite,
    groups: Option<Groups<RealDisk>>,
    files: Known,
    head_sent: Option<String>,
    looked: Option<Instant>,
    beat: Option<Instant>,
}

impl Sending {
    pub fn new(hub: Arc<Hub>, invite: Invite, groups: Groups<RealDisk>) -> Self {
        let (files, groups) = (Known::new(), Some(groups));
        Self { hub, invite, groups, files, head_sent: None, looked: None, beat: None }
    }

    /// Sends until the link is cut or the server stops.
    pub async fn run(
        mut self,
        from: impl AsyncRead + Send + Unpin + 'static,
        mut to: impl AsyncWrite + Send + Unpin,
        mut stop: Stop,
    ) -> Result<(), HubError> {
        let listening = listen(Arc::clone(&self.hub), self.invite.name.clone(), from);
        let mut listening = std::pin::pin!(listening);
        let mut durable = self.hub.durable.subscribe();
        loop {
            durable.mark_unchanged();
            let step = tokio::select! {
                ended = &mut listening => return ended,
                () = stop.requested() => return Ok(()),
                step = self.step(&mut to) => step?,
            };
            if step == Step::Sent {
                continue;
            }
            tokio::select! {
                ended = &mut listening => return ended,
                () = stop.requested() => return Ok(()),
                // An error: the hub is gone, which the stop tells of.
                _ = durable.changed() => {}
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }

    /// Sends what is next.
    async fn step(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> Result<Step, HubError> {
        if is_over(self.looked, LOOK_EACH) {
            self.look(to).await?;
            self.looked = Some(Instant::now());
        }
        let sent = match self.next_group().await? {
            Some(group) => {
                self.send_group(to, group).await?;
                Step::Sent
            }
            None => Step::Waits,
        };
        if is_over(self.beat, BEAT) {
            self.send_beat(to).await?;
            self.beat = Some(Instant::now());
        }
        Ok(sent)
    }

    /// The invitation may be gone, small files may have changed.
    async fn look(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), HubError> {
        let root = self.hub.settings.root.clone();
        let looked =
            tokio::task::spawn_blocking(move || (invited(&root), small::read(&root))).await;
        let (invited, files) = looked.map_err(|_| HubError::Panicked)?;
        if !invited?.contains(&self.invite) {
            let what = "the server does not know this standby any more".to_owned();
            let mend = "make a new token there: restante standby invite".to_owned();
            say(to, &FromServer::Refused { what: what.clone(), mend }).await?;
            return Err(HubError::Refused(what));
        }
        let files = files.map_err(crate::error::hub_io("read the small files"))?;
        let mut changed = false;
        let names: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
        for (path, bytes) in files {
            let hash = small::hash(&bytes);
            if self.files.get(&path) != Some(&hash) {
                let words = FromServer::File { path: path.clone() };
                wire::write(to, &words, &bytes).await.map_err(HubError::Link)?;
                self.files.insert(path, hash);
                changed = true;
            }
        }
        if changed || names.len() != self.files.len() {
            self.files.retain(|path, _| names.contains(path));
            say(to, &FromServer::Files(names)).await?;
        }
        Ok(())
    }

    /// The next group that is durable, read and checked on a thread that may block.
    async fn next_group(&mut self) -> Result<Option<RawGroup>, HubError> {
        let Some(mut groups) = self.groups.take() else { return Err(HubError::Panicked) };
        let read = tokio::task::spawn_blocking(move || (groups.next(), groups)).await;
        let (group, groups) = read.map_err(|_| HubError::Panicked)?;
        self.groups = Some(groups);
        if let Err(error @ (GroupError::Damaged { .. } | GroupError::Other { .. })) = &group {
            tracing::error!(%error, "ALARM: the journal is damaged; standbys get no more of it");
        }
        Ok(group?)
    }

    async fn send_group(
        &mut self,
        to: &mut (impl AsyncWrite + Unpin),
        mut group: RawGroup,
    ) -> Result<(), HubError> {
        // Ends: each turn but the last has a file less.
        'again: loop {
            for (file, size) in group.files.clone() {
                if self.send_body(to, file, size).await?.is_none() {
                    // It was purged between two looks: its frame says so by now.
                    group = self.again(group.head, file).await?;
                    continue 'again;
                }
            }
            break;
        }
        let start = (group.start.segment, group.start.offset);
        wire::write(to, &FromServer::Group { start }, &group.bytes).await.map_err(HubError::Link)
    }

    /// The group once more that ends at this head, without the file that is gone.
    async fn again(&mut self, head: Head, gone: BodyFile) -> Result<RawGroup, HubError> {
        let Some(groups) = &self.groups else { return Err(HubError::Panicked) };
        let mut groups = groups.before_last();
        let read = tokio::task::spawn_blocking(move || (groups.next(), groups)).await;
        let (group, groups) = read.map_err(|_| HubError::Panicked)?;
        self.groups = Some(groups);
        let group = group?.filter(|group| group.head == head).ok_or(HubError::Panicked)?;
        if group.files.iter().any(|(file, _)| *file == gone) {
            let what = format!("the body file of {} is lost", gone.hash);
            tracing::error!(what, "ALARM: the journal is damaged; standbys get no more of it");
            return Err(HubError::Refused(what));
        }
        Ok(group)
    }

    /// `None` where the file is not there.
    async fn send_body(
        &self,
        to: &mut (impl AsyncWrite + Unpin),
        file: BodyFile,
        size: u64,
    ) -> Result<Option<()>, HubError> {
        let Some(store) = self.hub.store() else { return Err(HubError::Panicked) };
        let reader = store.journal();
        let opened = tokio::task::spawn_blocking(move || reader.open_body(file)).await;
        let opened = match opened.map_err(|_| HubError::Panicked)? {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => Arc::new(opened.map_err(crate::error::hub_io("open a body file"))?),
        };
        let (hash, serial) = (file.hash.0, file.serial);
        say(to, &FromServer::Body { hash, serial, size }).await?;
        let mut at = 0;
        while at < size {
            let opened = Arc::clone(&opened);
            let read = tokio::task::spawn_blocking(move || -> io::Result<Vec<u8>> {
                let mut part = vec![0; PART_BYTES];
                let read = DiskFile::read_at(&*opened, at, &mut part)?;
                part.truncate(read);
                Ok(part)
            });
            let part = read.await.map_err(|_| HubError::Panicked)?;
            let part = part.map_err(crate::error::hub_io("read a body file"))?;
            if part.is_empty() {
                return Err(HubError::Refused(format!("the body file of {} is short", file.hash)));
            }
            at += part.len() as u64;
            wire::write(to, &FromServer::Part, &part).await.map_err(HubError::Link)?;
        }
        say(to, &FromServer::BodyEnd).await.map(Some)
    }

    async fn send_beat(&mut self, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), HubError> {
        let Some(store) = self.hub.store() else { return Err(HubError::Panicked) };
        let head = store.journal().head().unwrap_or(Head::START).to_bytes().to_vec();
        let path = ledger::heads_path(&self.hub.settings.root).join("latest");
        // There is none before the first is signed, and one more a second later.
        let note = std::fs::read_to_string(path).ok().filter(|note| !note.is_empty());
        if note.is_some() && note != self.head_sent {
            if let Some(note) = &note {
                say(to, &FromServer::Head(note.clone())).await?;
            }
            self.head_sent = note;
        }
        say(to, &FromServer::Beat { head, at: net::now().millis() }).await
    }
}

/// What a step came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Sent,
    Waits,
}

/// Hears what the standby has.
async fn listen(
    hub: Arc<Hub>,
    name: String,
    mut from: impl AsyncRead + Unpin,
) -> Result<(), HubError> {
    loop {
        let said = wire::read(&mut from, SILENCE_MAX).await;
        let (said, _): (FromStandby, _) = said.map_err(HubError::Link)?;
        match said {
            FromStandby::Synced(head) => {
                hub.synced(&name, wire::head(&head).map_err(HubError::Link)?);
            }
            FromStandby::Refused(what) => {
                tracing::error!(name, what, "ALARM: a standby refuses to follow");
                hub.trouble(&name, what.clone());
                return Err(HubError::Refused(what));
            }
        }
    }
}

fn is_over(since: Option<Instant>, wait: Duration) -> bool {
    since.is_none_or(|since| since.elapsed() >= wait)
}

async fn say(to: &mut (impl AsyncWrite + Unpin), what: &FromServer) -> Result<(), HubError> {
    wire::write(to, what, &[]).await.map_err(HubError::Link)
}
