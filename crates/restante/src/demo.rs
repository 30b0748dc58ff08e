//! `restante demo`: a server in a fresh directory that shows its main job.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, bail};
use config::{Config, LogFormat, LogLevel, Service};
use mail_types::{Address, Domain};
use store::{Actor, Store};

use crate::data_dir::DataDir;
use crate::init::{InitArgs, Made, init};
use crate::request::{Request, Which, perform};
use crate::{serve, show};

/// How long each step of the demonstration may take on a busy machine.
const STEP_WAIT: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Stop when the story is told, for scripts
    #[arg(long)]
    exit: bool,
    /// Added to every standard port; without it, a free range is looked for from 20000 on
    #[arg(long)]
    port_base: Option<u16>,
}

pub fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let directory = tempfile::Builder::new()
        .prefix("restante-demo-")
        .tempdir()
        .context("cannot make a directory for the demonstration")?;
    let data = DataDir::new(&directory.path().join("data"));
    let port_base = match args.port_base {
        Some(port_base) => port_base,
        None => free_port_base()?,
    };
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let init_args = InitArgs {
        hostname: Domain::new("mail.example.org")?,
        domains: vec![Domain::new("example.org")?],
        accounts: vec![Address::parse("ann@example.org")?, Address::parse("bob@example.org")?],
        password_file: None,
        listen: vec![localhost],
        operator: Some("demo".to_owned()),
        port_base,
        resolver: None,
    };
    let alarms = show::start_log(LogLevel::Warn, LogFormat::Text);
    let made = init(&data, &init_args)?;
    show::heading("A mail server in a fresh directory");
    show::line(&format!("{} (gone when the demonstration ends)", data.path().display()));
    show::ports(&made.config);
    for (address, password) in &made.generated {
        show::line(&format!("Sign in as {address} with the password {password}"));
    }
    if let Some((name, password)) = &made.operator {
        let port = made.config.port_of(Service::Https).unwrap_or_default();
        let url = format!("https://127.0.0.1:{port}/admin");
        show::line(&format!("Console: {url} as {name} with the password {password}"));
    }
    let (told, result) = mpsc::channel();
    let (exit, root) = (args.exit, data.path().to_owned());
    serve::serve(&data, alarms, move |store, config| {
        let (store, config) = (store.clone(), config.clone());
        // The story is told beside the server, with nothing but sockets and its command line.
        std::thread::spawn(move || {
            let shown = show_story(&root, &store, &config, &made);
            let stop = exit || shown.is_err();
            if told.send(shown).is_ok() && stop {
                stop_server();
            } else {
                show::heading("It runs until you press Ctrl-C. Try it:");
                show::line(&try_it(&config));
            }
        });
    })?;
    // The thread has told its result before it asked the server to stop; Ctrl-C may come sooner.
    if let Ok(shown) = result.try_recv() {
        shown?;
    }
    directory.close().context("cannot remove the directory of the demonstration")?;
    Ok(ExitCode::SUCCESS)
}

/// The server stops at SIGTERM, whoever sends it.
fn stop_server() {
    let own = rustix::process::getpid();
    if let Err(error) = rustix::process::kill_process(own, rustix::process::Signal::TERM) {
        show::line(&format!("cannot stop the server ({error}); press Ctrl-C"));
    }
}

fn try_it(config: &Config) -> String {
    let port = |service| config.port_of(service).unwrap_or_default();
    format!(
        "  swaks --server 127.0.0.1:{} --from you@example.net --to ann@example.org\n  curl -k \
         imaps://127.0.0.1:{}/INBOX -u ann@example.org   (or any mail program)",
        port(Service::Smtp),
        port(Service::Imaps)
    )
}

/// Sends a message from outside, reads it over IMAP, tells its story, proves that all is there.
fn show_story(root: &Path, store: &Store, config: &Config, made: &Made) -> anyhow::Result<()> {
    show::heading("Another server brings a message for ann");
    let receipt = send(local(config, Service::Smtp)?)?;
    show::heading("Ann's mail program finds it at once");
    let password = made
        .generated
        .iter()
        .find(|(address, _)| address.localpart.as_str() == "ann")
        .map(|(_, password)| password.as_str())
        .unwrap_or_default();
    read(local(config, Service::Imap)?, password)?;
    show::heading(&format!("Its story: restante trace {receipt}"));
    let which = Which::parse(&receipt).map_err(anyhow::Error::msg)?;
    let request = Request::Trace {
        which,
        since: None,
        until: None,
        count_max: None,
        keys: Default::default(),
    };
    let actor = Actor::Operator { name: "demo".to_owned() };
    let story = perform(store, request.clone(), &actor)?;
    show::answer(&request, &story, false);
    show::heading("The proof: restante verify");
    let scratch = tempfile::tempdir()?;
    let report = store::verify(root, scratch.path(), &mut |_| {})?;
    show::verified(&report, false);
    if !report.is_clean() {
        bail!("verify found something wrong");
    }
    Ok(())
}

fn local(config: &Config, service: Service) -> anyhow::Result<SocketAddr> {
    let port = config.port_of(service).context("a service of the demonstration is off")?;
    Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

/// A conversation, printed as it goes.
struct Dialog {
    reader: BufReader<TcpStream>,
}

impl Dialog {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, STEP_WAIT)?;
        stream.set_read_timeout(Some(STEP_WAIT))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    fn say(&mut self, text: &str) -> anyhow::Result<()> {
        for line in text.lines() {
            show::line(&format!("  C: {line}"));
        }
        Ok(self.reader.get_mut().write_all(format!("{text}\r\n").as_bytes())?)
    }

    /// Reads lines up to one of which `last` says so; that one.
    fn hear(&mut self, last: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                bail!("the server closed the connection");
            }
            let line = line.trim_end();
            show::line(&format!("  S: {line}"));
            if last(line) {
                return Ok(line.to_owned());
            }
        }
    }
}

/// A message from outside; its receipt.
fn send(address: SocketAddr) -> anyhow::Result<String> {
    let mut smtp = Dialog::open(address)?;
    let reply = |line: &str| line.as_bytes().get(3) == Some(&b' ');
    smtp.hear(reply)?;
    for command in
        ["EHLO mx.example.net", "MAIL FROM:<eve@example.net>", "RCPT TO:<ann@example.org>", "DATA"]
    {
        smtp.say(command)?;
        smtp.hear(reply)?;
    }
    smtp.say(
        "From: Eve <eve@example.net>\r\nTo: Ann <ann@example.org>\r\nSubject: Mail that stays\r\n\
         Message-ID: <demo@example.net>\r\n\r\nIt stays until it is collected.\r\n.",
    )?;
    let accepted = smtp.hear(reply)?;
    smtp.say("QUIT")?;
    smtp.hear(reply)?;
    let receipt = accepted.strip_prefix("250 2.0.0 ").and_then(|rest| rest.split(' ').next());
    Ok(receipt.with_context(|| format!("not accepted: {accepted}"))?.to_owned())
}

fn read(address: SocketAddr, password: &str) -> anyhow::Result<()> {
    let mut imap = Dialog::open(address)?;
    imap.hear(|line| line.starts_with("* OK"))?;
    for (tag, command) in [
        ("a", format!("LOGIN ann@example.org {password}")),
        ("b", "SELECT INBOX".to_owned()),
        ("c", "FETCH 1 (FLAGS ENVELOPE)".to_owned()),
        ("d", "LOGOUT".to_owned()),
    ] {
        imap.say(&format!("{tag} {command}"))?;
        let done = imap.hear(|line| line.starts_with(&format!("{tag} ")))?;
        if !done.starts_with(&format!("{tag} OK")) {
            bail!("the server said {done}");
        }
    }
    Ok(())
}

/// A base at which every service's port is free.
fn free_port_base() -> anyhow::Result<u16> {
    const STANDARD: [u16; 7] = [25, 587, 465, 143, 993, 110, 995];
    let free = |base: u16| {
        STANDARD.iter().all(|port| {
            TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), base + port)).is_ok()
        })
    };
    (20_000..60_000)
        .step_by(1000)
        .find(|&base| free(base))
        .context("no free range of ports between 20000 and 60000; name one with --port-base")
}
