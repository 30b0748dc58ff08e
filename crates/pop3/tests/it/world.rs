use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mail_types::{AccountId, Address};
use net::{ListenLimits, Listener, Security, Stopped, Stopper, stopper};
use sign_in::SignIn;
use store::{Actor, Arrived, Options, Recipient, SessionActor, Source, Store, UidRanges, Via};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::client::Client;

pub const PASSWORD: &str = "correct horse";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// A store with the account ann@example.org, served over POP3 on loopback.
pub struct World {
    pub store: Store,
    pub ann: AccountId,
    pub address: SocketAddr,
    stopper: Stopper,
    serving: JoinHandle<Stopped>,
    _directory: TempDir,
}

impl World {
    pub async fn new() -> Self {
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
        let shared = Arc::new(pop3::Shared {
            store: store.clone(),
            sign_in: Arc::new(sign_in),
            accounts: net::Bell::default(),
            hostname: "mail.example.org".parse().unwrap(),
            plain_sign_in_from_loopback: true,
            idle: Duration::from_secs(600),
            sign_in_timeout: Duration::from_secs(60),
            locks: pop3::Locks::default(),
            reads: pop3::Reads::default(),
        });
        let (stopper, stop) = stopper();
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Listener::bind(
            "pop3",
            &[loopback],
            Security::Plain,
            ListenLimits::default(),
            pop3::TOO_MANY_CONNECTIONS,
        )
        .unwrap();
        let address = listener.addresses()[0];
        let to_stop = stop.clone();
        let serve = move |link| pop3::serve(Arc::clone(&shared), link, stop.clone());
        let serving = tokio::spawn(listener.run(serve, to_stop));
        Self { store, ann, address, stopper, serving, _directory: directory }
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

    /// UIDs in the inbox.
    pub fn uids(&self) -> Vec<u32> {
        let inbox = self.store.mailbox(self.ann, "INBOX").unwrap().unwrap();
        let (_, rows) = self.store.snapshot(inbox.id).unwrap().unwrap();
        rows.iter().map(|row| row.uid.get()).collect()
    }

    /// Another session, of IMAP perhaps, takes messages out.
    pub async fn remove(&self, uids: UidRanges) {
        let inbox = self.store.mailbox(self.ann, "INBOX").unwrap().unwrap();
        let actor = SessionActor { account: self.ann, ip: None, via: Via::Imap, session: None };
        self.store.remove(actor, inbox.id, uids).await.unwrap();
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    pub async fn signed_in(&self) -> Client {
        let mut client = self.client().await;
        client.ok("USER ann@example.org").await;
        client.ok(&format!("PASS {PASSWORD}")).await;
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
