//! Behind haproxy the client's own address counts, and only a trusted proxy may say whose it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use peers::Dns;

use crate::harness::{ALICE, House, LIMIT, Smtp, message, receipt_id, tool, until};

/// Port 25 of 127.0.0.2 is for proxies alone; that of 127.0.0.1 is for everybody.
fn behind_proxies(networks: &str) -> House {
    let mut house = House::made("127.0.0.1:1");
    let (open, proxied) = (house.address(25), proxied(&house));
    house.set("listen", &format!("smtp = [\"{open}\", \"{proxied}\"]"));
    house.set("proxy", &format!("listeners = [\"{proxied}\"]\nnetworks = [{networks}]"));
    house.set("limits", "connections_per_ip_max = 2");
    house.start();
    house
}

fn proxied(house: &House) -> SocketAddr {
    SocketAddr::new([127, 0, 0, 2].into(), house.address(25).port())
}

/// All that the server says to these octets before it closes.
fn said(house: &House, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxied(house)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // It may be closed before it is written.
    drop(stream.write_all(octets));
    let mut said = String::new();
    drop(stream.read_to_string(&mut said));
    said
}

#[test]
fn the_client_counts_in_traces_and_limits() {
    let house = behind_proxies("\"127.0.0.0/8\"");
    let header = "PROXY TCP4 192.0.2.77 192.0.2.1 4711 25\r\n";
    let mut smtp = Smtp::connect_behind(proxied(&house), header.as_bytes());
    smtp.say("EHLO outside.test");
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    let receipt = smtp.send(&[ALICE], &message("Through a proxy", "proxied-1"));
    let story = house.restante(&["trace", receipt_id(&receipt)]);
    assert!(story.contains("taken from 192.0.2.77"), "{story}");
    let kept = &house.mailbox(ALICE, "INBOX")[0];
    assert!(kept.contains("Received: from outside.test ([192.0.2.77])"), "{kept}");
    let _second = Smtp::connect_behind(proxied(&house), header.as_bytes());
    let third = said(&house, header.as_bytes());
    assert!(third.starts_with("421 4.7.0"), "{third}");
    // Version 2 names the same client, so that the limit holds for it, too.
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x4d\xc0\0\x02\x01\x12\x67\0\x19";
    assert!(said(&house, v2).starts_with("421 4.7.0"));
}

#[test]
fn without_a_header_or_from_elsewhere_nobody_is_served() {
    let house = behind_proxies("\"127.0.0.1\"");
    assert_eq!(said(&house, b"EHLO outside.test\r\nQUIT\r\n"), "");
    let house = behind_proxies("\"192.0.2.1\"");
    let forged = b"PROXY TCP4 192.0.2.77 192.0.2.1 4711 25\r\nQUIT\r\n";
    assert_eq!(said(&house, forged), "");
}

/// Ended when dropped.
struct Haproxy(Child);

impl Drop for Haproxy {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Debian's haproxy hands on to our port for proxies, with this word in its settings.
fn haproxy(house: &House, word: &str) -> (Haproxy, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = listener.local_addr().unwrap();
    drop(listener);
    let conf = house.path().join(format!("{word}.cfg"));
    let text = format!(
        "global\n  log stderr local0 emerg\ndefaults\n  mode tcp\n  timeout connect 5s\n  \
         timeout client 30s\n  timeout server 30s\nlisten mail\n  bind {front}\n  \
         server ours {} {word}\n",
        proxied(house)
    );
    std::fs::write(&conf, text).unwrap();
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(&conf).stdout(Stdio::null());
    let running = Haproxy(command.spawn().unwrap());
    until("haproxy's port", || TcpStream::connect(front).ok());
    (running, front)
}

/// Versions 1 and 2 of the header as haproxy writes them: the client's own address is in the trace,
/// in the Received field, and what SPF is about.
#[tokio::test(flavor = "multi_thread")]
async fn haproxy_names_the_client_and_spf_is_about_it() {
    let dns = Dns::start().await;
    dns.txt("outside.test", "v=spf1 ip4:127.0.0.9 -all");
    let mut house = House::made(&dns.addr().to_string());
    let at = proxied(&house);
    house.set("listen", &format!("smtp = [\"{}\", \"{at}\"]", house.address(25)));
    house.set("proxy", &format!("listeners = [\"{at}\"]\nnetworks = [\"127.0.0.1\"]"));
    house.set("judge", "trusted_networks = []");
    house.start();
    for word in ["send-proxy", "send-proxy-v2"] {
        let (_running, front) = haproxy(&house, word);
        for (client, result) in [("127.0.0.9", "spf=pass"), ("127.0.0.10", "spf=fail")] {
            let id = format!("{word}-{client}");
            let mut swaks = Command::new("swaks");
            swaks.args(["--server", "127.0.0.1", "--port", &front.port().to_string()]);
            swaks.args(["--local-interface", client, "--helo", "mx.outside.test"]);
            swaks.args(["--from", "stranger@outside.test", "--to", ALICE]);
            let header = format!("Message-Id: <{id}@outside.test>");
            tool(swaks.args(["--header", &header, "--silent", "2"]));
            let kept = house.await_message(ALICE, &format!("<{id}@outside.test>"));
            assert!(kept.contains(&format!("([{client}])")), "{kept}");
            let results = kept.replace("\r\n\t", " ").replace("\r\n ", " ");
            assert!(results.contains(result), "{result}: {kept}");
            let story = house.restante(&["trace", &format!("<{id}@outside.test>")]);
            assert!(story.contains(&format!("taken from {client}")), "{story}");
        }
    }
    tokio::task::block_in_place(|| drop(house));
}
