//! The command's side of a session.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, bail};
use mail_types::Address;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::Store;

use crate::data_dir::DataDir;
use crate::request::{Failure, Request};
use crate::transfer::words::{Ask, Checked, FolderHere, KEYS_MAX, Listed, Message};

/// A session with the store.
pub struct Client {
    reader: BufReader<UnixStream>,
    writer: BufWriter<UnixStream>,
    /// Where no server runs: the opened store and the thread that serves it.
    own: Option<(Store, std::thread::JoinHandle<()>)>,
}

impl Client {
    /// Begins a session of this account with the server that runs, or with the store itself.
    pub fn open(data: &DataDir, address: &Address) -> anyhow::Result<Self> {
        match UnixStream::connect(data.control_path()) {
            Ok(stream) => {
                let mut client = Self::over(stream, None)?;
                let request = Request::Transfer { account: address.clone() };
                writeln!(client.writer, "{}", serde_json::to_string(&request)?)?;
                client.writer.flush()?;
                client.answer::<Value>()?;
                Ok(client)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
                ) =>
            {
                Self::on_the_store(data, address)
            }
            Err(error) => Err(error).with_context(|| {
                format!("cannot reach the server at {}", data.control_path().display())
            }),
        }
    }

    fn on_the_store(data: &DataDir, address: &Address) -> anyhow::Result<Self> {
        let config = data.config()?;
        let (store, _) = Store::open(data.path(), DataDir::store_options(&config))
            .with_context(|| format!("cannot open the store in {}", data.path().display()))?;
        let found = store.directory().sign_in_name(&address.to_string()).map(|found| found.id);
        let Some(account) = found else { bail!("account {address} does not exist") };
        let (here, there) = UnixStream::pair()?;
        let (served, operator) = (store.clone(), crate::control::own_actor(data));
        let thread = std::thread::Builder::new().name("transfer".to_owned()).spawn(move || {
            if let Err(error) = super::serve(served, account, operator, there) {
                tracing::warn!(%error, "the session ended early");
            }
        })?;
        let mut client = Self::over(here, Some((store, thread)))?;
        client.answer::<Value>()?;
        Ok(client)
    }

    fn over(
        stream: UnixStream,
        own: Option<(Store, std::thread::JoinHandle<()>)>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            reader: BufReader::new(stream.try_clone()?),
            writer: BufWriter::new(stream),
            own,
        })
    }

    /// Ends the session; an own store is closed in order.
    pub fn close(self) -> anyhow::Result<()> {
        let Self { reader, writer, own } = self;
        writer
            .into_inner()
            .map_err(|error| error.into_error())?
            .shutdown(std::net::Shutdown::Both)?;
        drop(reader);
        if let Some((store, thread)) = own {
            thread.join().map_err(|_| anyhow::anyhow!("the session ended by a bug"))?;
            store.close();
        }
        Ok(())
    }

    pub fn folders(&mut self) -> anyhow::Result<Vec<FolderHere>> {
        self.ask(&Ask::Folders)
    }

    pub fn folder(&mut self, name: &str, subscribed: bool) -> anyhow::Result<()> {
        let made: Value = self.ask(&Ask::Folder { name: name.to_owned(), subscribed })?;
        tracing::debug!(name, %made, "mailbox");
        Ok(())
    }

    /// Those of these messages that are here.
    pub fn known(&mut self, keys: &[String]) -> anyhow::Result<HashSet<String>> {
        let mut known = HashSet::new();
        for keys in keys.chunks(KEYS_MAX) {
            known.extend(self.ask::<Vec<String>>(&Ask::Known { keys: keys.to_vec() })?);
        }
        Ok(known)
    }

    /// One more message of the batch.
    pub fn message(&mut self, message: Message, content: &[u8]) -> anyhow::Result<()> {
        self.tell(&Ask::Message(message))?;
        self.writer.write_all(content).context("the server went away")
    }

    pub fn commit(&mut self, folder: &str, from: &str) -> anyhow::Result<()> {
        let (folder, from) = (folder.to_owned(), from.to_owned());
        self.ask::<Value>(&Ask::Commit { folder, from }).map(drop)
    }

    pub fn check(&mut self, keys: &[String]) -> anyhow::Result<Vec<Checked>> {
        let mut checked = Vec::new();
        for keys in keys.chunks(KEYS_MAX) {
            checked.extend(self.ask::<Vec<Checked>>(&Ask::Check { keys: keys.to_vec() })?);
        }
        Ok(checked)
    }

    /// The next messages of a mailbox behind this UID; none at its end.
    pub fn list(&mut self, folder: &str, behind: u32) -> anyhow::Result<Vec<Listed>> {
        self.ask(&Ask::List { folder: folder.to_owned(), behind })
    }

    pub fn body(&mut self, mail: u64) -> anyhow::Result<Vec<u8>> {
        let answer: Value = self.ask(&Ask::Body { mail })?;
        let size = answer["bytes"].as_u64().context("the server's answer has no size")?;
        let mut bytes = Vec::new();
        (&mut self.reader).take(size).read_to_end(&mut bytes).context("the server went away")?;
        if bytes.len() as u64 != size {
            bail!("the server went away in the middle of a message");
        }
        Ok(bytes)
    }

    fn tell(&mut self, ask: &Ask) -> anyhow::Result<()> {
        writeln!(self.writer, "{}", serde_json::to_string(ask)?).context("the server went away")
    }

    fn ask<T: DeserializeOwned>(&mut self, ask: &Ask) -> anyhow::Result<T> {
        self.tell(ask)?;
        self.writer.flush().context("the server went away")?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).context("the server went away")? == 0 {
            bail!("the server went away; run the same command again, it goes on where it stopped");
        }
        let mut answer: Value =
            serde_json::from_str(&line).context("the answer is not readable")?;
        if let Some(failure) = answer.get_mut("error") {
            let failure: Failure = serde_json::from_value(failure.take())?;
            return Err(crate::control::told(failure));
        }
        Ok(serde_json::from_value(answer["ok"].take())?)
    }
}
