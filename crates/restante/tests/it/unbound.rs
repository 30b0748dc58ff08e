//! Debian's unbound with zones of the tests', the root among them, which is signed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};

use crate::harness::tool;

/// What it serves.
pub struct Zones<'a> {
    /// All of the root, in zone-file form; it is signed.
    pub root: &'a str,
    /// A zone of this name that is not.
    pub unsigned: Option<(&'a str, &'a str)>,
    /// In the signed root, what is replaced by what.
    pub forged: Option<(&'a str, &'a str)>,
}

/// The server; ended when dropped. Its trust anchor is the file `anchor` in its directory.
pub struct Unbound(Child);

impl Unbound {
    /// `modules`: whether it validates itself.
    pub fn start(directory: &Path, at: SocketAddr, modules: &str, zones: &Zones<'_>) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let place = |name: &str| directory.join(name).display().to_string();
        std::fs::write(place("root"), zones.root).unwrap();
        let mut keygen = Command::new("ldns-keygen");
        let key = tool(keygen.args(["-a", "ECDSAP256SHA256", "-k", "."]).current_dir(directory));
        let key = key.trim().to_owned();
        let mut sign = Command::new("ldns-signzone");
        tool(sign.args(["-f", "signed", "root", &key]).current_dir(directory));
        if let Some((was, is)) = zones.forged {
            let signed = std::fs::read_to_string(place("signed")).unwrap();
            assert!(signed.contains(was));
            std::fs::write(place("signed"), signed.replace(was, is)).unwrap();
        }
        std::fs::rename(place(&format!("{key}.key")), place("anchor")).unwrap();
        let zone = |name: &str, file: &str| {
            format!(
                "auth-zone:\n name: \"{name}\"\n zonefile: \"{}\"\n for-downstream: no\n \
                 for-upstream: yes\n fallback-enabled: no\n",
                place(file)
            )
        };
        let unsigned = zones.unsigned.map(|(name, text)| {
            std::fs::write(place("unsigned"), text).unwrap();
            zone(name, "unsigned")
        });
        let (ip, port) = (at.ip(), at.port());
        let config = format!(
            "server:\n directory: \"{}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
             interface: {ip}@{port}\n port: {port}\n do-daemonize: no\n use-syslog: no\n \
             logfile: \"{}\"\n trust-anchor-file: \"{}\"\n local-zone: \"test.\" nodefault\n \
             do-not-query-localhost: no\n module-config: \"{modules}\"\n{}{}remote-control:\n \
             control-enable: no\n",
            directory.display(),
            place("log"),
            place("anchor"),
            zone(".", "signed"),
            unsigned.unwrap_or_default(),
        );
        std::fs::write(place("conf"), config).unwrap();
        Self(Command::new("/usr/sbin/unbound").args(["-c", &place("conf")]).spawn().unwrap())
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
