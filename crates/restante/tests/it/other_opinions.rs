//! OpenDKIM, rspamd and Postfix's tools think the same of our mail, our records and other people's
//! mail as we do.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use peers::{Dns, Fault, Script, Sink};
use serde_json::{Value, json};

use crate::harness::{House, LIMIT, RESTANTE, as_root, message, tool, tool_output, until, words};
use crate::unbound::{Unbound, Zones};

/// What the filter of OpenDKIM does with a message under these settings, in its own words.
fn opendkim(directory: &Path, settings: &str, message: &str) -> String {
    let (conf, mail) = (directory.join("opendkim.conf"), directory.join("offered.eml"));
    std::fs::write(&conf, settings).unwrap();
    std::fs::write(&mail, message).unwrap();
    let mut command = Command::new("opendkim");
    words(&tool_output(command.arg("-x").arg(&conf).arg("-vv").arg("-t").arg(&mail)))
}

#[tokio::test(flavor = "multi_thread")]
async fn opendkim_believes_both_of_our_signatures() {
    let sink = Sink::start(Script::accept()).await;
    let house = House::new();
    house.restante(&["route", "add", "far.test", &sink.addr().to_string()]);
    house.submit(&["you@far.test"], &message("Signed", "opendkim-1"));
    let signed = sink.wait_for_count(LIMIT, 1).await.stored[0].text();
    let list = house.restante_json(&["dkim", "list", "example.test"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let active = list[0]["keys"].as_array().unwrap().iter().filter(|key| key["state"] == "active");
    let records: Vec<String> =
        active.map(|key| format!("{} {}\n", text(&key["name"]), text(&key["record"]))).collect();
    let known = house.path().join("public-keys");
    std::fs::write(&known, records.concat()).unwrap();
    let settings = format!("Mode v\nTestPublicKeys {}\n", known.display());
    let told = opendkim(house.path(), &settings, &signed);
    for algorithm in ["ed25519-sha256", "rsa-sha256"] {
        let good = told.lines().find(|line| line.contains(&format!("header.a={algorithm}")));
        assert!(good.is_some_and(|line| line.contains("dkim=pass")), "{algorithm}: {told}");
    }
    let told = opendkim(house.path(), &settings, &signed.replace("The body", "A body"));
    assert!(!told.contains("dkim=pass") && told.contains("dkim=fail"), "{told}");
    tokio::task::block_in_place(|| drop(house));
}

/// Everything between quotation marks.
fn quoted(zone: &str) -> String {
    zone.split('"').skip(1).step_by(2).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn we_believe_what_opendkim_signs_and_publishes() {
    let dns = Dns::start().await;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let mut genkey = Command::new("opendkim-genkey");
    tool(genkey.args(["-d", "outside.test", "-s", "s", "-b", "2048", "-D", &at("")]));
    let record = quoted(&std::fs::read_to_string(at("s.txt")).unwrap());
    assert!(record.starts_with("v=DKIM1; h=sha256; k=rsa; p="), "{record}");
    dns.txt("s._domainkey.outside.test", &record);
    let resolver = dns.addr().to_string();
    let check = |text: &str| {
        std::fs::write(at("signed.eml"), text).unwrap();
        let (file, data) = (at("signed.eml"), at("none"));
        let arguments = ["check", "dkim", &file, "--resolver", &resolver, "--data", &data];
        tool(Command::new(RESTANTE).args(arguments))
    };
    let plain = message("Theirs", "theirs-1").replace('\n', "\r\n");
    for canon in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
        let settings = format!(
            "Mode s\nDomain outside.test\nSelector s\nKeyFile {}\nCanonicalization {canon}\n\
             SignatureAlgorithm rsa-sha256\nOversignHeaders From\nRequireSafeKeys no\n",
            at("s.private")
        );
        let told = opendkim(directory.path(), &settings, &plain);
        let (_, field) = told.split_once("hname='DKIM-Signature' hvalue='").unwrap();
        let field = field.split('\'').next().unwrap().replace('\n', "\r\n");
        let signed = format!("DKIM-Signature: {field}\r\n{plain}");
        assert!(check(&signed).starts_with("pass ("), "{canon}: {told}");
        assert!(check(&signed.replace("The body", "A body")).starts_with("fail ("), "{canon}");
    }
    // Its other tool still signs with SHA-1, which the record above does not allow, and RFC 8301
    // §3.1 does not let count anywhere.
    std::fs::write(at("plain.eml"), &plain).unwrap();
    let mut testmsg = Command::new("opendkim-testmsg");
    testmsg.args(["-C", "-d", "outside.test", "-s", "s", "-k", &at("s.private")]);
    let output = testmsg.stdin(std::fs::File::open(at("plain.eml")).unwrap()).output().unwrap();
    let signed = String::from_utf8(output.stdout).unwrap();
    assert!(signed.contains("a=rsa-sha1"), "{signed}");
    for record in [record.clone(), record.replace("h=sha256; ", "")] {
        dns.clear("s._domainkey.outside.test").txt("s._domainkey.outside.test", &record);
        let told = check(&signed);
        assert!(!told.starts_with("pass"), "{told}");
    }
}

/// A zone made of what `domain dns` prints, signed and served by unbound: Postfix finds the TLSA
/// record that its certificate check needs, and OpenDKIM both keys.
#[test]
fn what_we_say_to_publish_is_a_zone_that_others_can_use() {
    let house = House::new();
    let port = house.address(25).port();
    let printed = house.restante(&["domain", "dns", "example.test", "--no-check"]);
    let records = printed.replace("_25._tcp.", &format!("_{port}._tcp."));
    let root = format!(
        "$TTL 60\n. IN SOA ns. admin. 1 3600 600 86400 60\n. IN NS ns.\nns. IN A 127.0.0.1\n\
         mx.example.test. IN A 127.0.0.1\n{records}"
    );
    // The system's resolver asks port 53 and no other, so that an address of its own is needed.
    let place = port.to_be_bytes();
    let server = SocketAddr::from(([127, 53, place[0], place[1]], 53));
    let directory = house.path().join("unbound");
    let zones = Zones { root: &root, unsigned: None, forged: None };
    let _unbound = Unbound::start(&directory, server, "validator iterator", &zones);
    let at = |name: &str| directory.join(name).display().to_string();
    let resolv = format!("nameserver {}\noptions trust-ad edns0\n", server.ip());
    std::fs::write(at("resolv.conf"), resolv).unwrap();
    let shell = "mount --bind \"$1\" /etc/resolv.conf && exec posttls-finger -c -L summary -l dane \
                 -o inet_protocols=ipv4 \"$2\"";
    let finger = || {
        let target = format!("[mx.example.test]:{port}");
        let mut unshare = as_root("unshare");
        unshare.args(["-m", "sh", "-c", shell, "sh", &at("resolv.conf"), &target]);
        words(&tool_output(&mut unshare))
    };
    let wanted = "Verified TLS connection established to mx.example.test";
    until("Postfix verifies our certificate by DANE", || finger().contains(wanted).then_some(()));
    let library = format!(
        "server:\n local-zone: \"test.\" nodefault\n do-not-query-localhost: no\n \
         trust-anchor-file: \"{}\"\nforward-zone:\n name: \".\"\n forward-addr: {}\n",
        at("anchor"),
        server.ip()
    );
    std::fs::write(at("library.conf"), library).unwrap();
    let conf = format!("ResolverConfiguration {}\nDomain example.test\n", at("library.conf"));
    std::fs::write(at("testkey.conf"), conf).unwrap();
    let keys = house.restante_json(&["dkim", "list", "example.test"]);
    let keys = keys[0]["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let selector = key["name"].as_str().unwrap().split('.').next().unwrap();
        let mut testkey = Command::new("opendkim-testkey");
        testkey.args(["-d", "example.test", "-s", selector, "-vvv", "-x", &at("testkey.conf")]);
        let told = words(&tool_output(&mut testkey));
        assert!(told.contains("key secure") && told.contains("key OK"), "{selector}: {told}");
    }
}

/// Debian's rspamd with nothing but its checks of senders; ended when dropped.
struct Rspamd {
    child: Child,
    address: String,
}

impl Rspamd {
    fn start(directory: &Path, dns: SocketAddr) -> Self {
        let at = directory.display();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        // What is a public suffix; its own list takes long to read.
        std::fs::write(directory.join("suffixes"), "test\n").unwrap();
        let conf = format!(
            "options {{\n pidfile = \"{at}/pid\"; filters = \"spf,dkim\"; cache_file = \"{at}/cache\";\n \
             rrd = \"\"; history_file = \"{at}/history\"; local_addrs = []; hs_cache_dir = \"{at}\";\n \
             dns {{ nameserver = [\"{dns}\"]; timeout = 1s; retransmits = 2; }}\n \
             control_socket = \"{at}/control mode=0600\"; url_tld = \"{at}/suffixes\";\n \
             tempdir = \"{at}\";\n}}\n\
             logging {{ type = \"file\"; filename = \"{at}/log\"; level = \"warning\"; }}\n\
             worker \"normal\" {{ bind_socket = \"{address}\"; count = 1; task_timeout = 8s; }}\n\
             modules {{ path = \"/usr/share/rspamd/plugins/\"; }}\n\
             lua = \"/usr/share/rspamd/rules/rspamd.lua\";\n\
             spf {{ min_cache_ttl = 0; }}\ndkim {{ }}\ndmarc {{ }}\narc {{ }}\n\
             actions {{ reject = 1500; }}\n"
        );
        std::fs::write(directory.join("conf"), conf).unwrap();
        let mut command = Command::new("rspamd");
        command.args(["-f", "-i", "-c"]).arg(directory.join("conf"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let rspamd = Self { child, address };
        until("rspamd's port", || std::net::TcpStream::connect(&rspamd.address).ok());
        rspamd
    }

    /// The names of the symbols that a message gets.
    fn symbols(&self, ip: &str, mail_from: &str, file: &Path) -> Vec<String> {
        let mut rspamc = Command::new("rspamc");
        rspamc.args(["-h", &self.address, "-i", ip, "--helo", "mx.nowhere.test", "-F", mail_from]);
        let told = tool(rspamc.args(["-r", "bob@example.test", "--json", "symbols"]).arg(file));
        let told: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}"));
        told["symbols"].as_object().unwrap_or_else(|| panic!("{told}")).keys().cloned().collect()
    }
}

impl Drop for Rspamd {
    fn drop(&mut self) {
        // Its workers end with it when it is asked, not when it is killed.
        drill::server::signal(self.child.id(), "TERM").unwrap();
        self.child.wait().unwrap();
    }
}

/// A message, and what is to be thought of it.
struct Case {
    name: &'static str,
    /// The domains of From and of the reverse-path.
    author: &'static str,
    mail_from: &'static str,
    /// How it is signed, sealed, spoilt.
    made: Value,
    /// SPF, DKIM, DMARC, ARC.
    wanted: [&'static str; 4],
    /// What rspamd says of SPF.
    their_spf: &'static str,
}

const SENDER: &str = "192.0.2.1";

/// All are sent from [`SENDER`]: name, domain of From, of the reverse-path, how it is made; then what
/// SPF, DKIM, DMARC and ARC must come to. `ok` has SPF for the sender; `no`, `soft` and `neutral`
/// have not; `bad` has a broken record, and of `dead` the DNS fails. Behind them stands rspamd's word
/// on SPF where it differs: it passes over what it cannot read, where RFC 7208 §4.6 has an error.
const CASES: &str = "\
spf-pass          ok.test              ok.test             -                    pass none pass none
spf-fail          no.test              no.test             -                    fail none fail none
spf-soft          soft.test            soft.test           -                    softfail none fail none
spf-neutral       neutral.test         neutral.test        -                    neutral none fail none
spf-none          bare.test            bare.test           -                    none none none none
spf-broken        bad.test             bad.test            -                    permerror none fail none fail
spf-dead          bare.test            dead.test           -                    temperror none none none
dkim-good         no.test              no.test             signer=no.test       fail pass pass none
dkim-spoilt       no.test              no.test             signer=no.test,body  fail fail fail none
dkim-other        no.test              ok.test             signer=ok.test       pass pass fail none
dkim-dead         bare.test            bare.test           signer=dead.test     none temperror none none
dkim-keyless      bare.test            bare.test           signer=keyless.test  none permerror none none
relaxed-dkim      sub.no.test          no.test             signer=no.test       fail pass pass none
relaxed-spf       ok.test              bounce.ok.test      -                    pass none pass none
strict-dkim       sub.strict.test      no.test             signer=strict.test   fail pass fail none
strict-dkim-same  strict.test          no.test             signer=strict.test   fail pass pass none
strict-spf        strict.test          bounce.strict.test  -                    pass none fail none
subdomain-policy  sub.quarantine.test  no.test             -                    fail none fail none
dmarc-dead        mute.test            ok.test             -                    pass none temperror none
arc-one           bare.test            bare.test           hops=1               none none none pass
arc-three         bare.test            bare.test           hops=3               none none none pass
arc-spoilt        bare.test            bare.test           hops=2,body          none none none fail
arc-old-seal      bare.test            bare.test           hops=2,seal          none none none fail
";

fn cases() -> Vec<Case> {
    let read = |line: &'static str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, author, mail_from, made, spf, dkim, dmarc, arc, ref more @ ..] = words[..]
        else {
            panic!("{line}");
        };
        let their_spf = more.first().copied().unwrap_or(spf);
        let (how, spoilt) = made.split_once(',').map_or((made, None), |(how, it)| (how, Some(it)));
        let made = match how.split_once('=') {
            Some(("hops", hops)) => {
                json!({ "hops": hops.parse::<u8>().unwrap(), "spoilt": spoilt })
            }
            Some((_, signer)) => json!({ "signer": signer, "spoilt": spoilt }),
            None => json!({}),
        };
        Case { name, author, mail_from, made, wanted: [spf, dkim, dmarc, arc], their_spf }
    };
    CASES.lines().map(read).collect()
}

fn publish(dns: &Dns, key: &str) {
    let right = "v=spf1 ip4:192.0.2.1 -all";
    dns.txt("ok.test", right).txt("bounce.ok.test", right).txt("bounce.strict.test", right);
    dns.txt("strict.test", "v=spf1 -all").txt("no.test", "v=spf1 ip4:198.51.100.1 -all");
    dns.txt("soft.test", "v=spf1 ~all").txt("neutral.test", "v=spf1 ?all");
    dns.txt("bad.test", "v=spf1 ip4:not-an-address -all").txt("bare.test", "nothing of this kind");
    dns.fault("dead.test", Fault::ServFail).fault("s._domainkey.dead.test", Fault::ServFail);
    dns.fault("_dmarc.mute.test", Fault::ServFail);
    dns.txt("_dmarc.strict.test", "v=DMARC1; p=reject; adkim=s; aspf=s");
    dns.txt("_dmarc.quarantine.test", "v=DMARC1; p=reject; sp=quarantine");
    for domain in ["ok", "no", "soft", "neutral", "bad"] {
        dns.txt(&format!("_dmarc.{domain}.test"), "v=DMARC1; p=reject");
    }
    for domain in ["ok", "no", "strict", "far"] {
        dns.txt(&format!("s._domainkey.{domain}.test"), key);
    }
}

/// What rspamd's symbols say in the words of RFC 8601 §2.7.
fn in_words(symbols: &[String]) -> [&'static str; 4] {
    let has = |name: &str| symbols.iter().any(|symbol| symbol == name);
    let first = |known: &[(&str, &'static str)]| {
        known.iter().find(|(symbol, _)| has(symbol)).map_or("nothing", |(_, word)| *word)
    };
    [
        first(&[
            ("R_SPF_ALLOW", "pass"),
            ("R_SPF_FAIL", "fail"),
            ("R_SPF_SOFTFAIL", "softfail"),
            ("R_SPF_NEUTRAL", "neutral"),
            ("R_SPF_PERMFAIL", "permerror"),
            ("R_SPF_DNSFAIL", "temperror"),
            ("R_SPF_NA", "none"),
        ]),
        first(&[
            ("R_DKIM_ALLOW", "pass"),
            ("R_DKIM_REJECT", "fail"),
            ("R_DKIM_PERMFAIL", "permerror"),
            ("R_DKIM_TEMPFAIL", "temperror"),
            ("R_DKIM_NA", "none"),
        ]),
        first(&[
            ("DMARC_POLICY_ALLOW", "pass"),
            ("DMARC_POLICY_REJECT", "fail"),
            ("DMARC_POLICY_QUARANTINE", "fail"),
            ("DMARC_POLICY_SOFTFAIL", "fail"),
            ("DMARC_DNSFAIL", "temperror"),
            ("DMARC_NA", "none"),
        ]),
        first(&[
            ("ARC_ALLOW", "pass"),
            ("ARC_REJECT", "fail"),
            ("ARC_INVALID", "fail"),
            ("ARC_DNSFAIL", "temperror"),
            ("ARC_NA", "none"),
        ]),
    ]
}

/// Has the corpus written; the record of its key.
fn make_corpus(directory: &Path, cases: &[Case]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/opinion_corpus.py");
    // Debian's own Python, which its packages belong to.
    let mut child = Command::new("/usr/bin/python3")
        .arg(script)
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    for case in cases {
        let mut made = case.made.clone();
        made["name"] = case.name.into();
        made["from"] = format!("ann@{}", case.author).into();
        lines.push_str(&format!("{made}\n"));
    }
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rspamd_thinks_the_same_of_every_case() {
    let dns = Dns::start().await;
    let (directory, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cases = cases();
    publish(&dns, &make_corpus(directory.path(), &cases));
    let rspamd = Rspamd::start(theirs.path(), dns.addr());
    let resolver = dns.addr().to_string();
    let none = directory.path().join("none").display().to_string();
    let check = |arguments: &[&str]| -> String {
        let common = ["--resolver", resolver.as_str(), "--data", none.as_str(), "--json"];
        let told = tool(Command::new(RESTANTE).arg("check").args(arguments).args(common));
        let told: Value = serde_json::from_str(&told).unwrap();
        told["result"].as_str().unwrap().to_owned()
    };
    let mut differs = Vec::new();
    for case in &cases {
        let path = directory.path().join(format!("{}.eml", case.name));
        let file = path.display().to_string();
        let sender = format!("ann@{}", case.mail_from);
        let session = ["--ip", SENDER, "--helo", "mx.nowhere.test", "--mail-from", &sender];
        let ours = [
            check(&[&["spf"][..], &session].concat()),
            check(&["dkim", &file]),
            check(&[&["dmarc", file.as_str()][..], &session].concat()),
            check(&["arc", &file]),
        ];
        let symbols = rspamd.symbols(SENDER, &sender, &path);
        let theirs = in_words(&symbols);
        let [_, dkim, dmarc, arc] = case.wanted;
        if ours != case.wanted || theirs != [case.their_spf, dkim, dmarc, arc] {
            let (name, wanted) = (case.name, case.wanted);
            differs
                .push(format!("{name}: {wanted:?}; ours {ours:?}, theirs {theirs:?} {symbols:?}"));
        }
    }
    assert_eq!(differs, Vec::<String>::new(), "{differs:#?}");
}
