//! A mail server of our own in front hands its mail on over LMTP (RFC 2033).

use crate::harness::{ALICE, BOB, House, receipt_id};

/// What python's smtplib finds: LHLO, a reply for each recipient, no SMTP.
#[test]
fn over_a_unix_socket_and_over_tcp() {
    let mut house = House::made("127.0.0.1:1");
    house.set("lmtp", "socket = \"lmtp.sock\"");
    house.set("listen", "lmtp = 24");
    house.start();
    let told = house.python("lmtp.py");
    assert!(told.contains("all as expected"), "{told}");
    for account in [ALICE, BOB] {
        let inbox = house.mailbox(account, "INBOX");
        assert_eq!(inbox.len(), 2, "{inbox:?}");
        assert!(inbox[0].contains(" with LMTP id "), "{}", inbox[0]);
    }
    let receipt = told.lines().find_map(|line| line.strip_prefix("receipt ")).unwrap();
    let story = house.await_trace(receipt_id(receipt), "taken over LMTP from 127.0.0.1");
    assert!(story.contains("front.test"), "{story}");
}

#[test]
fn the_socket_is_gone_with_the_server() {
    let mut house = House::made("127.0.0.1:1");
    house.set("lmtp", "socket = \"lmtp.sock\"");
    house.start();
    let socket = house.installation.data.join("lmtp.sock");
    assert!(socket.exists());
    house.kill();
    assert!(socket.exists(), "a killed server leaves it");
    house.start();
    house.stop();
    assert!(!socket.exists());
}

#[test]
fn only_for_those_that_settings_name() {
    let mut house = House::made("127.0.0.1:1");
    house.set("listen", "lmtp = 24");
    house.set("lmtp", "networks = [\"192.0.2.0/24\"]");
    house.start();
    let mut greeting = String::new();
    let stream = std::net::TcpStream::connect(house.address(24)).unwrap();
    std::io::Read::read_to_string(&mut &stream, &mut greeting).unwrap();
    assert!(greeting.starts_with("554 5.7.1 "), "{greeting}");
}
