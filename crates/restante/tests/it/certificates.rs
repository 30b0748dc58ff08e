//! Certificates: new files are taken into use, several by name, and an authority's (ACME, Debian's
//! pebble).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use peers::{Authority, Certified, Dns};

use crate::harness::{House, until};

/// What an independent client sees of the certificate for this name: subject, issuer, names.
fn seen(house: &House, name: &str) -> String {
    let at = house.address(993).to_string();
    let shown = Command::new("openssl")
        .args(["s_client", "-connect", &at, "-servername", name, "-showcerts"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut parse = Command::new("openssl")
        .args(["x509", "-noout", "-issuer", "-ext", "subjectAltName"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut parse.stdin.take().unwrap(), &shown.stdout).unwrap();
    String::from_utf8(parse.wait_with_output().unwrap().stdout).unwrap()
}

fn await_seen(house: &House, name: &str, wanted: &str) {
    until(&format!("{name} has {wanted}"), || seen(house, name).contains(wanted).then_some(()));
}

fn put(directory: &Path, stem: &str, certified: &Certified, key_name: &str) {
    let (chain, key) = certified.pem();
    std::fs::create_dir_all(directory).unwrap();
    std::fs::write(directory.join(format!("{stem}.pem")), chain).unwrap();
    std::fs::write(directory.join(key_name), key).unwrap();
}

#[test]
fn new_files_are_taken_into_use_and_broken_ones_are_not() {
    let house = House::new();
    let tls = house.installation.data.join("tls");
    assert!(seen(&house, "mx.example.test").contains("DNS:mx.example.test"));
    let authority = Authority::new();
    put(&tls, "certificate", &authority.issue(&["new.example.test"]), "key.pem");
    await_seen(&house, "mx.example.test", "DNS:new.example.test");
    // One more, for those who ask for its name alone.
    let other = authority.issue(&["other.example.test", "*.wild.test"]);
    put(&tls.join("by-name"), "other", &other, "other.key.pem");
    await_seen(&house, "other.example.test", "DNS:other.example.test");
    assert!(seen(&house, "a.wild.test").contains("DNS:*.wild.test"));
    assert!(seen(&house, "mx.example.test").contains("DNS:new.example.test"));
    std::fs::write(tls.join("certificate.pem"), "no certificate").unwrap();
    until("the broken file is told", || {
        house.log().contains("ALARM: the certificates could not be read").then_some(())
    });
    assert!(seen(&house, "mx.example.test").contains("DNS:new.example.test"));
    assert!(house.installation.checked(&["tls", "status"]).is_err());
}

/// Debian's ACME server, which looks at proofs as a public one does.
struct Pebble {
    process: Child,
    directory: String,
}

impl Pebble {
    fn start(house: &House, authority: &Authority, dns: &Dns) -> Self {
        Self::start_with(house, authority, dns, "")
    }

    /// With further settings of its own.
    fn start_with(house: &House, authority: &Authority, dns: &Dns, settings: &str) -> Self {
        let at = house.path().join("pebble");
        put(&at, "cert", &authority.issue(&["localhost"]), "key.pem");
        let port = house.address(0).port() + 2;
        let text = format!(
            r#"{{"pebble": {{"listenAddress": "127.0.0.1:{port}",
            "managementListenAddress": "127.0.0.1:{}",
            "certificate": "{at}/cert.pem", "privateKey": "{at}/key.pem",
            {settings} "httpPort": {}, "tlsPort": {}}}}}"#,
            port + 1,
            house.address(80).port(),
            house.address(443).port(),
            at = at.display(),
        );
        let config = at.join("config.json");
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(at.join("log")).unwrap();
        let process = Command::new("pebble")
            .args(["-config", &config.display().to_string()])
            .args(["-dnsserver", &dns.addr().to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        until("pebble listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { process, directory: format!("https://localhost:{port}/dir") }
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn ordering(house: &House, pebble: &Pebble, authority: &Authority, challenge: &str) {
    let pem = house.path().join("authority.pem");
    std::fs::write(&pem, authority.pem()).unwrap();
    house.set("tls", &format!("authorities = [\"{}\"]", pem.display()));
    house.set("acme", "enabled = true");
    house.set("acme", &format!("directory = \"{}\"", pebble.directory));
    house.set("acme", "names = [\"mta-sts.example.test\"]");
    house.set("acme", "contact = [\"postmaster@example.test\"]");
    house.set("acme", &format!("challenge = \"{challenge}\""));
}

async fn world() -> (House, Dns, Authority, Pebble) {
    let (dns, authority) = (Dns::start().await, Authority::new());
    for host in ["mx.example.test", "mta-sts.example.test"] {
        dns.address(host, [127, 0, 0, 1]);
    }
    let house = House::made(&dns.addr().to_string());
    let pebble = Pebble::start(&house, &authority, &dns);
    (house, dns, authority, pebble)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_signs_for_names_shown_by_tls_alpn() {
    let (mut house, _dns, authority, pebble) = world().await;
    ordering(&house, &pebble, &authority, "tls-alpn-01");
    tokio::task::block_in_place(|| {
        house.start();
        await_seen(&house, "mx.example.test", "Pebble Intermediate");
        assert!(seen(&house, "mta-sts.example.test").contains("DNS:mta-sts.example.test"));
        let first = std::fs::read(house.installation.data.join("tls/acme.pem")).unwrap();
        // The account is the same, the certificate a new one.
        house.restante(&["tls", "renew"]);
        let second = std::fs::read(house.installation.data.join("tls/acme.pem")).unwrap();
        assert_ne!(first, second);
        house.stop();
        house.start();
        assert!(seen(&house, "mx.example.test").contains("Pebble Intermediate"));
        drop(house);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_signs_for_names_shown_by_a_page() {
    let (mut house, _dns, authority, pebble) = world().await;
    ordering(&house, &pebble, &authority, "http-01");
    house.set("listen", "http = 80");
    tokio::task::block_in_place(|| {
        house.start();
        await_seen(&house, "mx.example.test", "Pebble Intermediate");
        drop(house);
    });
}

/// A command that writes down what it is to do and waits until it is done.
fn hook(house: &House) -> (PathBuf, PathBuf) {
    let (script, asked) = (house.path().join("hook"), house.path().join("asked"));
    let text = format!(
        "#!/bin/sh\necho \"$1 $2 $3\" >> {asked}\n[ \"$1\" = unset ] && exit 0\nwhile [ ! -e \
         {asked}.$2 ]; do sleep 0.05; done\n",
        asked = asked.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    (script, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_signs_for_names_shown_by_a_txt_record() {
    let (mut house, dns, authority, pebble) = world().await;
    ordering(&house, &pebble, &authority, "dns-01");
    let (script, asked) = hook(&house);
    house.set("acme", &format!("dns_hook = [\"{}\"]", script.display()));
    tokio::task::block_in_place(|| {
        house.start();
        let mut done = 0;
        until("the hook is called for both names", || {
            let text = std::fs::read_to_string(&asked).unwrap_or_default();
            for line in text.lines().filter(|line| line.starts_with("set ")).skip(done) {
                let words: Vec<&str> = line.split(' ').collect();
                dns.txt(words[1], words[2]);
                std::fs::write(format!("{}.{}", asked.display(), words[1]), "").unwrap();
                done += 1;
            }
            (done >= 2).then_some(())
        });
        await_seen(&house, "mx.example.test", "Pebble Intermediate");
        let text = std::fs::read_to_string(&asked).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("unset ")).count(), 2);
        drop(house);
    });
}

/// RFC 8555 §7.3.4: an authority that wants to know whose a new account is.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_bound_to_another_one() {
    let (dns, authority) = (Dns::start().await, Authority::new());
    for host in ["mx.example.test", "mta-sts.example.test"] {
        dns.address(host, [127, 0, 0, 1]);
    }
    let mut house = House::made(&dns.addr().to_string());
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let settings = format!(
        "\"externalAccountBindingRequired\": true, \"externalAccountMACKeys\": {{\"kid-1\": \"{key}\"}},"
    );
    let pebble = Pebble::start_with(&house, &authority, &dns, &settings);
    ordering(&house, &pebble, &authority, "tls-alpn-01");
    tokio::task::block_in_place(|| {
        house.start();
        until("the order without it fails", || {
            house.log().contains("externalAccountRequired").then_some(())
        });
        house.stop();
        std::fs::write(house.installation.data.join("eab.key"), format!("{key}\n")).unwrap();
        house.set("acme", "external_account = \"kid-1\"");
        house.set("acme", "external_account_key_file = \"eab.key\"");
        house.start();
        await_seen(&house, "mx.example.test", "Pebble Intermediate");
        drop(house);
    });
}

/// RFC 9773: the authority wants its certificate back before its time, and gets it.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_when_its_authority_says_so() {
    let (mut house, _dns, authority, pebble) = world().await;
    // Debian's pebble does not speak it yet: its directory, with a place for that added.
    let web = peers::Web::start(Some(&authority.issue(&["localhost"]))).await;
    let mut curl = Command::new("curl");
    let directory = crate::harness::tool(curl.args(["-sk", &pebble.directory]));
    let place = format!("https://localhost:{}", web.addr().port());
    let directory = directory.trim_end().trim_end_matches('}').trim_end();
    let directory = format!("{directory}, \"renewalInfo\": \"{place}/ari\"}}");
    web.page("/dir", 200, "application/json", &directory);
    ordering(&house, &pebble, &authority, "tls-alpn-01");
    let settings = house.installation.data.join("restante.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace(&pebble.directory, &format!("{place}/dir"))).unwrap();
    let asked =
        || web.asked().into_iter().map(|one| one.path).filter(|path| path.contains("/ari/"));
    tokio::task::block_in_place(|| {
        house.start();
        await_seen(&house, "mx.example.test", "Pebble Intermediate");
        house.stop();
        let file = house.installation.data.join("tls/acme.pem");
        let first = std::fs::read(&file).unwrap();
        // It is asked for by the id that openssl sees.
        let mut openssl = Command::new("openssl");
        let seen = crate::harness::tool(
            openssl
                .args(["x509", "-noout", "-serial", "-ext", "authorityKeyIdentifier", "-in"])
                .arg(&file),
        );
        let id = certificate_id(&seen);
        let window = "{\"suggestedWindow\": {\"start\": \"2026-01-02T04:00:00Z\", \
            \"end\": \"2026-01-03T04:00:00Z\"}, \"explanationURL\": \"https://localhost/why\"}";
        web.page(&format!("/ari/{id}"), 200, "application/json", window);
        house.start();
        until("a new certificate", || (std::fs::read(&file).unwrap() != first).then_some(()));
        assert!(
            asked().any(|path| path == format!("/ari/{id}")),
            "{:?}",
            asked().collect::<Vec<_>>()
        );
        drop(house);
    });
}

/// RFC 9773 §4.1, from what openssl shows.
fn certificate_id(shown: &str) -> String {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let octet = |two: &[u8]| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap();
        digits.chunks(2).map(octet).collect()
    };
    let mut serial = hex(shown.lines().find_map(|line| line.strip_prefix("serial=")).unwrap());
    if serial[0] & 0x80 != 0 {
        serial.insert(0, 0);
    }
    let key = shown.lines().rfind(|line| line.starts_with("    ")).unwrap();
    let url = |bytes: &[u8]| {
        let text = crate::harness::base64(bytes).replace('+', "-").replace('/', "_");
        text.trim_end_matches('=').to_owned()
    };
    format!("{}.{}", url(&hex(key.trim().trim_start_matches("keyid:"))), url(&serial))
}
