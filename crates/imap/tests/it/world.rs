use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail_types::{AccountId, Address, Flags, SystemFlag};
use net::{ListenLimits, Listener, Security, Stopped, Stopper, stopper};
use sign_in::SignIn;
use store::{Actor, Arrived, FlagsChange, Options, Recipient, SessionActor, Source, Store, Via};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::client::Client;

pub const PASSWORD: &str = "correct horse";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// A store with the account ann@example.org, served over IMAP on loopback.
pub struct World {
    pub store: Store,
    pub ann: AccountId,
    pub address: SocketAddr,
    stopper: Stopper,
    serving: JoinHandle<Stopped>,
    directory: TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Security::Plain).await
    }

    /// A server with this security, which takes passwords from loopback without TLS only if it has
    /// none.
    pub async fn with(security: Security) -> Self {
        let directory = TempDir::new().unwrap();
        let (store, _) = Store::open(directory.path(), Options::new(Arc::new(net::now))).unwrap();
        let operator = || Actor::Operator { name: "root".to_owned() };
        store.add_domain(operator(), "example.org".parse().unwrap()).await.unwrap();
        let credentials = sign_in::credentials(PASSWORD, &[7; 16]).unwrap();
        let ann = address("ann@example.org");
        let ann = store.add_account(operator(), ann, credentials).await.unwrap();
        let of_accounts = store.clone();
        let accounts = move || of_accounts.directory();
        let sign_in =
            SignIn::new(accounts, [9; 32], Duration::from_secs(60), sign_in::Limits::default())
                .unwrap();
        let shared = Arc::new(imap::Shared {
            store: store.clone(),
            sign_in: Arc::new(sign_in),
            accounts: net::Bell::default(),
            hostname: "mail.example.org".parse().unwrap(),
            plain_sign_in_from_loopback: matches!(security, Security::Plain),
            limits: imap_machine::Limits::default(),
            submission_servers: vec!["submit@example.org".to_owned()],
            caches: imap::Caches::default(),
        });
        let (stopper, stop) = stopper();
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(
            "imap",
            &[loopback],
            security,
            ListenLimits::default(),
            imap::TOO_MANY_CONNECTIONS,
        )
        .unwrap();
        let address = listener.addresses()[0];
        let to_stop = stop.clone();
        let serve = move |link| imap::serve(Arc::clone(&shared), link, stop.clone());
        let serving = tokio::spawn(listener.run(serve, to_stop));
        Self { store, ann, address, stopper, serving, directory }
    }

    /// Delivers a message to ann.
    pub async fn deliver(&self, text: &str) {
        let mut arrival = self.store.arrival();
        arrival.write(text.as_bytes()).unwrap();
        let to = Recipient::plain(address("ann@example.org"));
        let source = Source::Smtp { ip: PEER, helo: "mx.example.net".to_owned(), tls: None };
        let (mail, from) = (self.store.next_mail(), (Actor::Peer { ip: PEER }, source));
        let arrived = Arrived::plain(mail, from, arrival.finish().unwrap(), vec![to]);
        self.store.accept(arrived).await.unwrap();
    }

    /// Another session, elsewhere, changes the flags of a message so often.
    pub async fn change_flags_often(&self, uid: u32, times: usize) {
        let inbox = self.store.mailbox(self.ann, "INBOX").unwrap().unwrap();
        let actor = SessionActor { account: self.ann, ip: None, via: Via::Imap, session: None };
        let changes: Vec<_> = (0..times)
            .map(|time| {
                let change = if time % 2 == 0 { FlagsChange::Add } else { FlagsChange::Remove };
                let flags = Flags::from_iter([SystemFlag::Answered]);
                self.store.set_flags(actor, inbox.id, vec![(uid, uid)], change, flags, None)
            })
            .collect();
        for change in changes {
            change.await.unwrap();
        }
    }

    /// Messages that lie in files of their own.
    pub fn body_files(&self) -> usize {
        let entries = std::fs::read_dir(self.directory.path().join("bodies")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().is_file()).count()
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    pub async fn signed_in(&self) -> Client {
        let mut client = self.client().await;
        client.ok(&format!("LOGIN ann@example.org \"{PASSWORD}\"")).await;
        client
    }

    /// A session that has selected INBOX.
    pub async fn in_inbox(&self) -> Client {
        let mut client = self.signed_in().await;
        client.ok("SELECT INBOX").await;
        client
    }

    /// Stops the server; every session has ended by itself.
    pub async fn stop(self) {
        self.stopper.stop();
        assert_eq!(self.serving.await.unwrap().cut_off, 0);
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}
