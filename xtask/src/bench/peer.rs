//! Debian's Postfix and Dovecot as the peer: LMTP into mdbox, everything in one directory.

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
    etc: PathBuf,
    dovecot: Child,
    /// Where to send and look.
    pub target: Target,
}

impl Peer {
    /// Writes their configuration under `directory` and starts them; needs root.
    pub fn start(directory: &Path, mailboxes: usize, sink: SocketAddr) -> Result<Self, BenchError> {
        let directory = directory.join("peer");
        let etc = directory.join("postfix");
        for part in ["postfix", "spool", "lib", "mail", "dovecot"] {
            fs::create_dir_all(directory.join(part)).map_err(BenchError::io("peer directory"))?;
        }
        open_to_all(&directory)?;
        let (smtp, imap) = (free_address()?, free_address()?);
        write(&etc.join("main.cf"), &main_cf(&directory, sink))?;
        write(
            &etc.join("master.cf"),
            &format!("{}:{} inet n - n - - smtpd\n{MASTER_CF}", smtp.ip(), smtp.port()),
        )?;
        write(&directory.join("dovecot.conf"), &dovecot_conf(&directory, imap))?;
        let shell = "chown postfix \"$1/lib\" && chown mail:mail \"$1/mail\"";
        run(Command::new("sh").args(["-c", shell, "sh"]).arg(&directory))?;
        let dovecot = Command::new("dovecot")
            .arg("-F")
            .arg("-c")
            .arg(directory.join("dovecot.conf"))
            .stdin(Stdio::null())
            .spawn()
            .map_err(BenchError::io("starting dovecot"))?;
        run(Command::new("postfix").arg("-c").arg(&etc).arg("start"))?;
        let pid_file = directory.join("spool/pid/master.pid");
        wait_for("postfix", || pid_file.exists())?;
        let pid = fs::read_to_string(&pid_file).map_err(BenchError::io("postfix's pid"))?;
        let pid = pid.trim().parse().map_err(|_| BenchError::Peer("postfix has no pid".into()))?;
        wait_for("dovecot", || std::net::TcpStream::connect(imap).is_ok())?;
        let target = Target {
            name: "Postfix + Dovecot (mdbox)".to_owned(),
            smtp,
            submission: smtp,
            imap,
            accounts: (1..=mailboxes).map(|number| format!("box{number}@drill.test")).collect(),
            password: PASSWORD.to_owned(),
            signs_in: false,
            processes: vec![pid, dovecot.id()],
        };
        Ok(Self { etc, dovecot, target })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The measuring is over; what does not stop now shows in the process list.
        Command::new("postfix").arg("-c").arg(&self.etc).arg("stop").status().ok();
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

fn dovecot_conf(directory: &Path, imap: SocketAddr) -> String {
    let directory = directory.display();
    format!(
        "base_dir = {directory}/dovecot\nstate_dir = {directory}/dovecot\n\
         log_path = {directory}/dovecot.log\nprotocols = imap lmtp\nlisten = {}\nssl = no\n\
         disable_plaintext_auth = no\nfirst_valid_uid = 1\nmail_uid = mail\nmail_gid = mail\n\
         mail_location = mdbox:{directory}/mail/%u\n\
         passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
         userdb {{\n driver = static\n \
         args = uid=mail gid=mail home={directory}/mail/%u allow_all_users=yes\n}}\n\
         service imap-login {{\n inet_listener imap {{\n port = {}\n }}\n \
         inet_listener imaps {{\n port = 0\n }}\n}}\n\
         service lmtp {{\n unix_listener lmtp-in {{\n mode = 0666\n }}\n}}\n",
        imap.ip(),
        imap.port(),
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
