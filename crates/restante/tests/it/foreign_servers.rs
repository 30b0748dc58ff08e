//! Debian's Postfix and Exim, each a whole mail server of its own in one directory.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::{message_id, tool, until};

/// The other server's domain: all mail for it goes into one Maildir.
pub const FAR: &str = "far.test";

/// Who may send to `only-signed-in` there (Exim alone knows).
pub const RELAY_USER: &str = "restante";
pub const RELAY_PASSWORD: &str = "four-quiet-lanes-at-noon";

/// Of its log, where a test failed.
const LOG_LINES_SHOWN: usize = 40;

/// Which server.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Postfix,
    /// Hands mail on to us over LMTP, which is then at `ours`.
    PostfixLmtp,
    Exim,
}

/// A running server that sends mail for `example.test` to us and keeps that for [`FAR`].
pub struct Foreign {
    kind: Kind,
    directory: TempDir,
    address: SocketAddr,
    exim: Option<Child>,
}

const POSTFIX_SERVICES: &str = "\
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
";

impl Foreign {
    /// Configures and starts it; `ours` is where our port 25 is.
    pub fn start(kind: Kind, ours: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        // Its processes run as other users.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        for part in ["etc", "spool", "lib", "log", "mail"] {
            fs::create_dir(path.join(part)).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let pair = rcgen::generate_simple_self_signed(vec![format!("mx.{FAR}")]).unwrap();
        let pem = format!("{}{}", pair.signing_key.serialize_pem(), pair.cert.pem());
        fs::write(path.join("etc/pem"), pem).unwrap();
        match kind {
            Kind::Postfix => configure_postfix(path, address, ours, "smtp"),
            Kind::PostfixLmtp => configure_postfix(path, address, ours, "lmtp"),
            Kind::Exim => configure_exim(path, address, ours),
        }
        let mut foreign = Self { kind, directory, address, exim: None };
        foreign.run();
        foreign
    }

    fn run(&mut self) {
        match self.kind {
            Kind::Postfix | Kind::PostfixLmtp => {
                tool(&mut self.postfix("start"));
            }
            Kind::Exim => {
                let mut command = Command::new(exim_program());
                command.arg("-C").arg(self.path().join("etc/exim.conf"));
                command.args(["-bdf", "-q1s"]).stdin(Stdio::null()).stderr(Stdio::null());
                self.exim = Some(command.spawn().unwrap());
            }
        }
        until("the other server's port", || TcpStream::connect(self.address).ok());
    }

    /// Stops it, whatever is under way, and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }

    fn stop(&mut self) {
        match self.kind {
            Kind::Postfix | Kind::PostfixLmtp => {
                tool(&mut self.postfix("stop"));
            }
            Kind::Exim => {
                let mut exim = self.exim.take().unwrap();
                drill::server::signal(exim.id(), "TERM").unwrap();
                exim.wait().unwrap();
            }
        }
    }

    fn postfix(&self, what: &str) -> Command {
        let mut command = Command::new("postfix");
        command.arg("-c").arg(self.path().join("etc")).arg(what);
        command
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The messages it has delivered, as they are.
    pub fn delivered(&self) -> Vec<String> {
        let read = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        self.files().into_iter().map(read).collect()
    }

    /// How many messages it has delivered.
    pub fn delivered_count(&self) -> usize {
        self.files().len()
    }

    /// The Message-IDs of what it has delivered, sorted.
    pub fn delivered_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.delivered().iter().map(|mail| message_id(mail)).collect();
        ids.sort();
        ids
    }

    fn files(&self) -> Vec<PathBuf> {
        // There is no Maildir before the first delivery.
        let Ok(new) = fs::read_dir(self.path().join("mail/all/new")) else { return Vec::new() };
        new.map(|entry| entry.unwrap().path()).collect()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let logs = fs::read_dir(self.path().join("log")).unwrap();
        logs.map(|log| fs::read_to_string(log.unwrap().path()).unwrap_or_default()).collect()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("queue run")).collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            let text = format!("the other server's log ends:\n{}\n", last.join("\n"));
            std::io::stderr().write_all(text.as_bytes()).ok();
        }
        match self.kind {
            Kind::Postfix | Kind::PostfixLmtp => {
                self.postfix("abort").status().ok();
            }
            Kind::Exim => {
                if let Some(mut exim) = self.exim.take() {
                    exim.kill().ok();
                    exim.wait().ok();
                }
            }
        }
    }
}

fn configure_postfix(path: &Path, address: SocketAddr, ours: SocketAddr, protocol: &str) {
    let root = path.display();
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {root}/spool\ndata_directory = {root}/lib\n\
         command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\n\
         mail_owner = postfix\nsetgid_group = postdrop\nmaillog_file = {root}/log/postfix\n\
         maillog_file_prefixes = {root}\nmyhostname = mx.{FAR}\nmydestination =\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
         virtual_mailbox_domains = {FAR}\nvirtual_mailbox_base = {root}/mail\n\
         virtual_mailbox_maps = static:all/\nvirtual_minimum_uid = 1\nvirtual_uid_maps = static:8\n\
         virtual_gid_maps = static:8\n\
         transport_maps = inline:{{ example.test={protocol}:[{}]:{} }}\nrelay_domains = example.test\n\
         smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {root}/etc/pem\n\
         smtp_tls_security_level = may\nsmtp_tls_loglevel = 1\nsmtpd_tls_loglevel = 1\n\
         smtp_dns_support_level = disabled\n\
         minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\n\
         smtpd_client_connection_rate_limit = 0\nbiff = no\nalias_maps =\nalias_database =\n",
        ours.ip(),
        ours.port(),
    );
    fs::write(path.join("etc/main.cf"), main).unwrap();
    let master =
        format!("{}:{} inet n - n - - smtpd\n{POSTFIX_SERVICES}", address.ip(), address.port());
    fs::write(path.join("etc/master.cf"), master).unwrap();
    let shell = "chown postfix \"$1/lib\" && chown mail:mail \"$1/mail\"";
    tool(Command::new("sh").args(["-c", shell, "sh"]).arg(path));
}

fn configure_exim(path: &Path, address: SocketAddr, ours: SocketAddr) {
    let root = path.display();
    let program = exim_program();
    let conf = format!(
        "exim_path = {}\nprimary_hostname = mx.{FAR}\nlocal_interfaces = {}\ndaemon_smtp_ports = {}\n\
         spool_directory = {root}/spool\nlog_file_path = {root}/log/%s\n\
         pid_file_path = {root}/spool/pid\nexim_user = Debian-exim\nexim_group = Debian-exim\n\
         deliver_drop_privilege = true\nkeep_environment =\n\
         domainlist local_domains = {FAR}\nacl_smtp_rcpt = all\n\
         dsn_advertise_hosts = *\nchunking_advertise_hosts = *\nsmtputf8_advertise_hosts = *\n\
         tls_advertise_hosts = *\ntls_certificate = {root}/etc/pem\n\
         host_lookup =\nrfc1413_hosts =\nsmtp_accept_max = 0\nqueue_only\n\
         queue_run_max = 4\nlog_selector = +tls_cipher +tls_peerdn\n\n\
         begin acl\nall:\n  deny\n    local_parts = only-signed-in\n    !authenticated = *\n  accept\n\n\
         begin routers\n\
         here:\n  driver = accept\n  domains = +local_domains\n  transport = maildir\n\
         ours:\n  driver = manualroute\n  domains = example.test\n  \
         route_list = * {} byname\n  transport = ours\n  self = send\n\n\
         begin transports\n\
         maildir:\n  driver = appendfile\n  directory = {root}/mail/all\n  maildir_format\n\
         ours:\n  driver = smtp\n  port = {}\n  hosts_try_chunking = *\n  \
         hosts_avoid_tls =\n  tls_verify_certificates =\n\n\
         begin retry\n* * F,1h,1s\n\n\
         begin authenticators\n\
         plain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  \
         server_advertise_condition = ${{if def:tls_in_cipher}}\n  \
         server_condition = ${{if and{{{{eq{{$auth2}}{{{RELAY_USER}}}}}{{eq{{$auth3}}{{{RELAY_PASSWORD}}}}}}}}}\n  \
         server_set_id = $auth2\n",
        program.display(),
        address.ip(),
        address.port(),
        ours.ip(),
        ours.port(),
    );
    fs::write(path.join("etc/exim.conf"), conf).unwrap();
    let shell = "chown -R Debian-exim \"$1/spool\" \"$1/log\" \"$1/mail\" \"$1/etc/pem\"";
    tool(Command::new("sh").args(["-c", shell, "sh"]).arg(path));
}

/// Debian's package cannot be installed beside Postfix: `./test` unpacks it.
fn exim_program() -> PathBuf {
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../exim/usr/sbin/exim4");
    fs::canonicalize(unpacked).unwrap_or_else(|_| PathBuf::from("/usr/sbin/exim4"))
}
