//! `restante check`: the same cases as the crate's own tests, through the real binary and a DNS
//! server, beside opinions that are not ours.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::TXT;
use peers::{Dns, Fault};
use serde_json::Value;

use crate::harness::{RESTANTE, tool, words};

const SPF: &str = include_str!("../../../sender-auth/tests/vectors/spf.txt");

/// `\xHH` is an octet.
fn octets(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut octets = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        octets.push(u8::from_str_radix(&part[..2], 16).unwrap());
        octets.extend_from_slice(&part.as_bytes()[2..]);
    }
    octets
}

/// Publishes the `@` lines.
fn publish(dns: &Dns, vectors: &str) {
    for line in vectors.lines().filter_map(|line| line.strip_prefix("@ ")) {
        let mut words = line.splitn(3, ' ');
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        let data = words.next().unwrap_or("");
        match kind {
            "TXT" => {
                let octets = octets(data);
                dns.add(name, RData::TXT(TXT::from_bytes(octets.chunks(255).collect())));
            }
            "A" | "AAAA" => {
                dns.address(name, data.parse::<IpAddr>().unwrap());
            }
            "MX" => {
                let (preference, host) = data.split_once(' ').unwrap();
                match host {
                    "." => dns.null_mx(name),
                    host => dns.mx(name, preference.parse().unwrap(), host),
                };
            }
            "PTR" => {
                let host: hickory_proto::rr::Name = data.parse().unwrap();
                dns.add(name, RData::PTR(hickory_proto::rr::rdata::PTR(host)));
            }
            "CNAME" => {
                dns.cname(name, data);
            }
            "SERVFAIL" => {
                dns.fault(name, Fault::ServFail);
            }
            _ => panic!("{line}"),
        }
    }
}

fn check(dns: SocketAddr, arguments: &[&str]) -> String {
    let resolver = dns.to_string();
    let mut command = Command::new(RESTANTE);
    command.arg("check").args(arguments).args(["--resolver", &resolver]);
    tool(&mut command)
}

struct Case {
    ip: String,
    helo: String,
    mail_from: String,
    wanted: String,
    /// Where the other opinion differs.
    pyspf: Option<String>,
}

fn spf_cases() -> Vec<Case> {
    let read = |line: &str| {
        let line = String::from_utf8(octets(line)).unwrap();
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let pyspf = words.get(4).and_then(|more| more.split_once("pyspf: "));
        Case {
            ip: words[0].to_owned(),
            helo: words[1].to_owned(),
            mail_from: words[2].to_owned(),
            wanted: words[3].to_owned(),
            pyspf: pyspf.map(|(_, word)| word.to_owned()),
        }
    };
    SPF.lines().filter_map(|line| line.strip_prefix("> ")).map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_of_spf_through_the_command_line() {
    let dns = Dns::start().await;
    publish(&dns, SPF);
    let mut wrong = Vec::new();
    for case in spf_cases() {
        let mail_from = if case.mail_from == "-" { "<>" } else { &case.mail_from };
        let arguments = ["spf", "--ip", &case.ip, "--helo", &case.helo, "--mail-from", mail_from];
        let told = check(dns.addr(), &arguments);
        if told.split(' ').next() != Some(&case.wanted) {
            wrong.push(format!("{} {} {}: {told}", case.ip, case.mail_from, case.wanted));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn python3_spf_says_the_same() {
    let dns = Dns::start().await;
    publish(&dns, SPF);
    let cases: Vec<Case> =
        spf_cases().into_iter().filter(|case| case.pyspf.as_deref() != Some("-")).collect();
    let lines: Vec<String> =
        cases.iter().map(|case| format!("{} {} {}", case.ip, case.helo, case.mail_from)).collect();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/spf_opinion.py");
    // Debian's own Python: its packages are not seen by others.
    let mut child = Command::new("/usr/bin/python3")
        .arg(script)
        .env("DNS_PORT", dns.addr().port().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let mut differs = Vec::new();
    for (case, word) in cases.iter().zip(said.lines()) {
        let wanted = case.pyspf.as_ref().unwrap_or(&case.wanted);
        if word != wanted {
            differs.push(format!(
                "{} {} {}: {wanted}, not {word}",
                case.ip, case.helo, case.mail_from
            ));
        }
    }
    assert_eq!(said.lines().count(), cases.len());
    assert_eq!(differs, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_is_for_people_and_for_programs() {
    let dns = Dns::start().await;
    publish(&dns, SPF);
    let case = ["spf", "--ip", "192.0.2.1", "--helo", "any.test", "--mail-from", "ann@exp8.test"];
    assert_eq!(
        check(dns.addr(), &case),
        "fail (192.0.2.1 matched -all of exp9.test)\nexplanation: of the target\n"
    );
    let told: Value =
        serde_json::from_str(&check(dns.addr(), &[&case[..], &["--json"]].concat())).unwrap();
    assert_eq!(told["result"], "fail");
    assert_eq!(told["domain"], "exp8.test");
    assert_eq!(told["explanation"], "of the target");
    assert_eq!(told["lookups"], 3);
}

#[test]
fn a_dns_server_that_is_not_there_is_a_temporary_error() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let told = check(
        nobody,
        &["spf", "--ip", "192.0.2.1", "--mail-from", "ann@plain.test", "--timeout", "1"],
    );
    assert!(told.starts_with("temperror (the SPF record of plain.test: "), "{told}");
}

#[test]
fn what_is_missing_is_a_usage_error() {
    for arguments in [&["spf"][..], &["spf", "--ip", "192.0.2.1"], &["spf", "--ip", "nonsense"]] {
        let output = Command::new(RESTANTE).arg("check").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    }
}

/// DMARC of a message, SPF and DKIM checked on the way.
#[tokio::test(flavor = "multi_thread")]
async fn dmarc_of_a_message() {
    let dns = Dns::start().await;
    for line in [
        "@ plain.test TXT v=spf1 ip4:192.0.2.1 -all",
        "@ _dmarc.plain.test TXT v=DMARC1; p=reject; t=y",
        "@ bounce.plain.test TXT v=spf1 ip4:192.0.2.1 -all",
        "@ other.test TXT v=spf1 +all",
        "@ _dmarc.broken.test SERVFAIL",
    ] {
        publish(&dns, line);
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("message.eml");
    let of = |from: &str, ip: &str, mail_from: &str, more: &[&str]| {
        std::fs::write(&file, format!("{from}Subject: x\n\nhello\n")).unwrap();
        let file = file.display().to_string();
        let arguments = ["dmarc", &file, "--ip", ip, "--helo", "h.test", "--mail-from", mail_from];
        check(dns.addr(), &[&arguments[..], more].concat())
    };
    let from = "From: Ann <ann@plain.test>\n";
    let passed = of(from, "192.0.2.1", "x@bounce.plain.test", &[]);
    assert_eq!(
        passed.lines().next(),
        Some("pass (SPF passed for bounce.plain.test, of the same organization as plain.test)")
    );
    let failed = of(from, "192.0.2.1", "x@other.test", &[]);
    assert_eq!(
        failed.lines().take(4).collect::<Vec<_>>(),
        [
            "fail (nothing authenticates plain.test: there is no DKIM signature, SPF passed for \
             other.test only)",
            "policy: reject (p of _dmarc.plain.test, in test mode)",
            "requested: quarantine",
            "spf: pass (192.0.2.1 matched +all of other.test) of other.test",
        ]
    );
    let word = |from: &str| of(from, "192.0.2.1", "x@other.test", &[]);
    assert!(word("From: a@nothing.test\n").starts_with("none ("));
    assert!(word("From: a@broken.test\n").starts_with("temperror ("));
    assert!(word("").starts_with("permerror (there is no From field)"));
    let both = word("From: a@plain.test, b@other.test\n");
    assert!(both.starts_with("fail ("), "{both}");
    let told: Value =
        serde_json::from_str(&of(from, "203.0.113.1", "ann@plain.test", &["--json"])).unwrap();
    assert_eq!((&told["result"], &told["requested"]), (&"fail".into(), &"quarantine".into()));
    assert_eq!(told["policy"]["domain"], "plain.test");
    assert_eq!(told["spf"]["result"], "fail");
}
