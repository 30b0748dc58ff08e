//! Debian's Postfix and Dovecot as the peers: LMTP into mdbox, everything in one directory.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::BenchError;
use super::target::Target;

const READY_WAIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "peer";

const MASTER_CF: &str = "\
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
";

/// Both running. Dropped, both are stopped.
pub struct Peer {
    /// Postfix's, where it runs.
    etc: Option<PathBuf>,
    dovecot: Child,
}

impl Peer {
    /// Writes their configuration under `directory` and starts them; needs root.
    pub fn start(
        directory: &Path,
        mailboxes: usize,
        sink: SocketAddr,
    ) -> Result<(Self, Target), BenchError> {
        let directory = directory.join("peer");
        let etc = directory.join("postfix");
        for part in ["postfix", "spool", "lib", "mail", "dovecot"] {
            fs::create_dir_all(directory.join(part)).map_err(BenchError::io("peer directory"))?;
        }
        open_to_all(&directory)?;
        let (smtp, imap, pop3) = (free_address()?, free_address()?, free_address()?);
        write(&etc.join("main.cf"), &main_cf(&directory, sink))?;
        write(
            &etc.join("master.cf"),
            &format!("{}:{} inet n - n - - smtpd\n{MASTER_CF}", smtp.ip(), smtp.port()),
        )?;
        write(&directory.join("dovecot.conf"), &dovecot_conf(&directory, (imap, pop3), None))?;
        let shell = "chown postfix \"$1/lib\" && chown mail:mail \"$1/mail\"";
        run(Command::new("sh").args(["-c", shell, "sh"]).arg(&directory))?;
        let dovecot = start_dovecot(&directory)?;
        run(Command::new("postfix").arg("-c").arg(&etc).arg("start"))?;
        let pid_file = directory.join("spool/pid/master.pid");
        wait_for("postfix", || pid_file.exists())?;
        let pid = fs::read_to_string(&pid_file).map_err(BenchError::io("postfix's pid"))?;
        let pid = pid.trim().parse().map_err(|_| BenchError::Peer("postfix has no pid".into()))?;
        wait_for("dovecot", || std::net::TcpStream::connect(imap).is_ok())?;
        let target = Target {
            processes: vec![pid, dovecot.id()],
            ..target("Postfix + Dovecot (mdbox)", smtp, (imap, pop3), mailboxes)
        };
        Ok((Self { etc: Some(etc), dovecot }, target))
    }

    /// Dovecot alone, which takes mail by LMTP; needs root.
    pub fn dovecot(directory: &Path, mailboxes: usize) -> Result<(Self, Target), BenchError> {
        let directory = directory.join("dovecot");
        for part in ["mail", "dovecot"] {
            fs::create_dir_all(directory.join(part)).map_err(BenchError::io("peer directory"))?;
        }
        open_to_all(&directory)?;
        let (lmtp, imap, pop3) = (free_address()?, free_address()?, free_address()?);
        write(
            &directory.join("dovecot.conf"),
            &dovecot_conf(&directory, (imap, pop3), Some(lmtp)),
        )?;
        let shell = "chown mail:mail \"$1/mail\"";
        run(Command::new("sh").args(["-c", shell, "sh"]).arg(&directory))?;
        let dovecot = start_dovecot(&directory)?;
        wait_for("dovecot", || std::net::TcpStream::connect(imap).is_ok())?;
        let target = Target {
            is_lmtp: true,
            processes: vec![dovecot.id()],
            ..target("Dovecot (mdbox)", lmtp, (imap, pop3), mailboxes)
        };
        Ok((Self { etc: None, dovecot }, target))
    }
}

fn target(
    name: &str,
    smtp: SocketAddr,
    (imap, pop3): (SocketAddr, SocketAddr),
    mailboxes: usize,
) -> Target {
    Target {
        name: name.to_owned(),
        smtp,
        submission: smtp,
        imap,
        pop3,
        imaps: None,
        is_lmtp: false,
        accounts: (1..=mailboxes).map(|number| format!("box{number}@drill.test")).collect(),
        password: PASSWORD.to_owned(),
        signs_in: false,
        processes: Vec::new(),
        device: None,
    }
}

fn start_dovecot(directory: &Path) -> Result<Child, BenchError> {
    Command::new("dovecot")
        .arg("-F")
        .arg("-c")
        .arg(directory.join("dovecot.conf"))
        .stdin(Stdio::null())
        .spawn()
        .map_err(BenchError::io("starting dovecot"))
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The measuring is over; what does not stop now shows in the process list.
        if let Some(etc) = &self.etc {
            Command::new("postfix").arg("-c").arg(etc).arg("stop").status().ok();
        }
        drill::server::signal(self.dovecot.id(), "TERM").ok();
        self.dovecot.wait().ok();
    }
}

fn main_cf(directory: &Path, sink: SocketAddr) -> String {
    let directory = directory.display();
    format!(
        "compatibility_level = 3.6\nqueue_directory = {directory}/spool\n\
         data_directory = {directory}/lib\ncommand_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
         setgid_group = postdrop\nmaillog_file = {directory}/postfix.log\n\
         maillog_file_prefixes = {directory}\nmyhostname = mx.drill.test\nmydestination =\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
         virtual_mailbox_domains = drill.test\nvirtual_mailbox_maps = static:ok\n\
         virtual_transport = lmtp:unix:{directory}/dovecot/lmtp-in\n\
         transport_maps = inline:{{ sink.test=smtp:[{}]:{} }}\n\
         default_process_limit = 300\nbiff = no\nalias_maps =\nalias_database =\n",
        sink.ip(),
        sink.port(),
    )
}

fn dovecot_conf(
    directory: &Path,
    (imap, pop3): (SocketAddr, SocketAddr),
    lmtp: Option<SocketAddr>,
) -> String {
    let directory = directory.display();
    let lmtp = lmtp.map_or_else(
        || "unix_listener lmtp-in {\n mode = 0666\n }".to_owned(),
        |lmtp| format!("inet_listener lmtp {{\n port = {}\n }}", lmtp.port()),
    );
    format!(
        "base_dir = {directory}/dovecot\nstate_dir = {directory}/dovecot\n\
         log_path = {directory}/dovecot.log\nprotocols = imap pop3 lmtp\nlisten = {}\nssl = no\n\
         disable_plaintext_auth = no\nfirst_valid_uid = 1\nmail_uid = mail\nmail_gid = mail\n\
         mail_location = mdbox:{directory}/mail/%u\nmail_max_userip_connections = 0\n\
         default_client_limit = 20000\ndefault_vsz_limit = 4G\n\
         passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
         userdb {{\n driver = static\n \
         args = uid=mail gid=mail home={directory}/mail/%u allow_all_users=yes\n}}\n\
         service imap-login {{\n service_count = 0\n process_min_avail = 2\n \
         inet_listener imap {{\n port = {}\n }}\n \
         inet_listener imaps {{\n port = 0\n }}\n}}\n\
         service imap {{\n process_limit = 10000\n}}\n\
         service pop3-login {{\n service_count = 0\n \
         inet_listener pop3 {{\n port = {}\n }}\n \
         inet_listener pop3s {{\n port = 0\n }}\n}}\n\
         service lmtp {{\n {lmtp}\n}}\n",
        imap.ip(),
        imap.port(),
        pop3.port(),
    )
}

fn free_address() -> Result<SocketAddr, BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener.and_then(|listener| listener.local_addr()).map_err(BenchError::io("a free port"))
}

fn open_to_all(directory: &Path) -> Result<(), BenchError> {
    for part in directory.ancestors().take(2) {
        fs::set_permissions(part, fs::Permissions::from_mode(0o755))
            .map_err(BenchError::io("peer directory"))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(path, text).map_err(BenchError::io("writing the peer's configuration"))
}

fn run(command: &mut Command) -> Result<(), BenchError> {
    let status = command.status().map_err(BenchError::io("running the peer's command"))?;
    if status.success() {
        Ok(())
    } else {
        Err(BenchError::Peer(format!("{command:?} ended with {status}")))
    }
}

fn wait_for(what: &str, ready: impl Fn() -> bool) -> Result<(), BenchError> {
    let deadline = Instant::now() + READY_WAIT;
    while !ready() {
        if Instant::now() > deadline {
            return Err(BenchError::Peer(format!("{what} does not start")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
