//! A link at the server: who it is, and what it wants.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use journal::{GroupError, Head};
use net::{PinnedKey, Stop};
use store::Promotion;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::HubError;
use crate::fence::Fence;
use crate::hub::Hub;
use crate::invites::{Invite, whose};
use crate::sending::Sending;
use crate::wire::{self, FromServer, Hello, Want};

/// Handshake and first words take no longer.
const FIRST_WORDS: Duration = Duration::from_secs(10);
/// Links at a time, those included that have not shown who they are.
const LINKS_MAX: usize = 64;
/// After an accept that failed.
const AFTER_TROUBLE: Duration = Duration::from_millis(200);

impl Hub {
    /// Serves those who connect to this socket, until the stop.
    pub async fn listen(self: Arc<Self>, listener: TcpListener, key: PinnedKey, mut stop: Stop) {
        let places = Arc::new(Semaphore::new(LINKS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.requested() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a standby could not connect");
                    tokio::time::sleep(AFTER_TROUBLE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                tracing::warn!(%peer, "too many links of standbys; this one is turned away");
                continue;
            };
            let (hub, key, stop) = (Arc::clone(&self), key.clone(), stop.clone());
            tokio::spawn(async move {
                if let Err(error) = hub.serve(stream, peer, &key, stop).await {
                    tracing::info!(%peer, %error, "the link of a standby ended");
                }
                drop(place);
            });
        }
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        key: &PinnedKey,
        stop: Stop,
    ) -> Result<(), HubError> {
        let accepted = timeout(FIRST_WORDS, key.accept(stream)).await;
        let stream = accepted.map_err(|late| HubError::Link(late.into()))?;
        let (mut from, mut to) = stream.map_err(HubError::Link)?.split();
        let hello = wire::read(&mut from, FIRST_WORDS).await;
        let (hello, _): (Hello, _) = hello.map_err(HubError::Link)?;
        let invite = match self.admit(&hello).await? {
            Ok(invite) => invite,
            Err((what, mend)) => {
                let text = what.clone();
                say(&mut to, &FromServer::Refused { what, mend }).await?;
                return Err(HubError::Refused(text));
            }
        };
        let last = self.last_promotion().await?;
        let epoch = last.as_ref().map_or(0, |last| last.epoch);
        let name = invite.name.clone();
        let welcome = FromServer::Welcome { hostname: self.settings.hostname.clone(), name, epoch };
        match hello.want {
            Want::Greet => say(&mut to, &welcome).await,
            Want::Fence { epoch: theirs, by, after, at } => {
                let after = wire::head(&after).map_err(HubError::Link)?;
                if last.is_some_and(|last| last.epoch == theirs && last.after == after) {
                    return say(&mut to, &FromServer::Itself).await;
                }
                self.fence_by(&mut to, (by, invite.name), (theirs, at), (epoch, after)).await
            }
            Want::Follow(after) => {
                let after = wire::head(&after).map_err(HubError::Link)?;
                self.followed(from, to, (invite, peer.ip()), (after, welcome), stop).await
            }
        }
    }

    /// Who it is; else why it is not served, and what to do.
    async fn admit(&self, hello: &Hello) -> Result<Result<Invite, (String, String)>, HubError> {
        if hello.version != wire::VERSION {
            let what = format!(
                "the server speaks version {} of this protocol, the standby version {}",
                wire::VERSION,
                hello.version
            );
            return Ok(Err((what, "run the same release on both".to_owned())));
        }
        let (root, secret) = (self.settings.root.clone(), hello.secret);
        let whose = tokio::task::spawn_blocking(move || whose(&root, &secret)).await;
        let unknown = || {
            let what = "the server does not know this token (any more)".to_owned();
            let mend = "make a new one there: restante standby invite".to_owned();
            (what, mend)
        };
        Ok(whose.map_err(|_| HubError::Panicked)??.ok_or_else(unknown))
    }

    async fn last_promotion(&self) -> Result<Option<Promotion>, HubError> {
        let Some(store) = self.store().cloned() else { return Ok(None) };
        let last = tokio::task::spawn_blocking(move || store.last_promotion()).await;
        Ok(last.map_err(|_| HubError::Panicked)??)
    }

    /// A standby says that it was promoted.
    async fn fence_by(
        &self,
        to: &mut (impl AsyncWrite + Unpin),
        by: (String, String),
        (theirs, at): (u64, i64),
        (ours, after): (u64, Head),
    ) -> Result<(), HubError> {
        if theirs <= ours {
            let what = format!(
                "{} was promoted as well, and later: promotion {ours} against {theirs}",
                self.settings.hostname
            );
            let mend = "stop this one, and have it follow the other in an empty directory".into();
            return say(to, &FromServer::Refused { what, mend }).await;
        }
        let head = self.store().and_then(|store| store.journal().head()).unwrap_or(Head::START);
        let fence = Fence::new(by, (theirs, at), &after, &head);
        self.fence(fence)?;
        let answered = say(to, &FromServer::Fenced).await;
        self.spoke();
        answered
    }

    /// Streams to a standby until it, or this server, ends.
    async fn followed(
        self: Arc<Self>,
        from: impl AsyncRead + Send + Unpin + 'static,
        mut to: impl AsyncWrite + Send + Unpin + 'static,
        (invite, peer): (Invite, IpAddr),
        (after, welcome): (Head, FromServer),
        stop: Stop,
    ) -> Result<(), HubError> {
        let Some(store) = self.store() else {
            return Err(HubError::Refused("the server is not ready".to_owned()));
        };
        let reader = store.journal();
        let groups = tokio::task::spawn_blocking(move || reader.groups(after)).await;
        let groups = match groups.map_err(|_| HubError::Panicked)? {
            Err(GroupError::NotHeld { head, ours }) => {
                let name = &invite.name;
                let (what, mend) = parted(&head, &ours);
                tracing::error!(name, what, "ALARM: a standby and this server went different ways");
                self.trouble(name, what.clone());
                self.spoke();
                say(&mut to, &FromServer::Refused { what: what.clone(), mend }).await?;
                return Err(HubError::Refused(what));
            }
            groups => groups?,
        };
        say(&mut to, &welcome).await?;
        tracing::info!(name = invite.name, %peer, behind = %after, "a standby follows");
        self.linked(&invite.name, peer, true);
        // Before it has anything: whoever comes back after a crash must know that there was one.
        let hub = Arc::clone(&self);
        tokio::task::spawn_blocking(move || hub.keep()).await.map_err(|_| HubError::Panicked)?;
        self.spoke();
        let ended =
            Sending::new(Arc::clone(&self), invite.clone(), groups).run(from, to, stop).await;
        self.linked(&invite.name, peer, false);
        ended
    }
}

/// Why a standby cannot follow this journal.
fn parted(theirs: &Head, ours: &Head) -> (String, String) {
    if theirs.group > ours.group {
        let what = format!(
            "the standby has more than the server: {theirs} against {ours}; the server lost its end, \
             or was put back from an older copy"
        );
        let mend = "stop the server, and promote the standby, which has what the server lost";
        return (what, mend.to_owned());
    }
    let what = format!(
        "the standby and the server went different ways before {theirs}: one of them was restored, \
         promoted or changed"
    );
    let mend = "decide which of the two goes on; the other one follows it in an empty directory";
    (what, mend.to_owned())
}

async fn say(to: &mut (impl AsyncWrite + Unpin), what: &FromServer) -> Result<(), HubError> {
    wire::write(to, what, &[]).await.map_err(HubError::Link)
}
