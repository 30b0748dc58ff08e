//! Connections never take what the journal needs, and what strangers do costs little.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{BOB, House, LIMIT, message, until};

fn greeting(address: SocketAddr) -> (TcpStream, String) {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    (stream, line)
}

#[test]
fn too_few_open_files_mean_fewer_connections_and_all_mail() {
    let mut house = House::made("127.0.0.1:1");
    // 64 would not even start it: the server raises that to what it may have.
    house.installation.wrapper = ["prlimit", "--nofile=64:1024"].map(str::to_owned).to_vec();
    house.start();
    let log = house.log();
    assert!(log.contains("the system allows too few open files"), "{log}");
    let address = house.address(143);
    let mut open = Vec::new();
    let refused = loop {
        let (stream, line) = greeting(address);
        if !line.starts_with("* OK") {
            break line;
        }
        open.push(stream);
        assert!(open.len() < 1024, "no end of connections");
    };
    assert!(refused.starts_with("* BYE [UNAVAILABLE]"), "{refused}");
    // 1024, less what the journal and the index may need, and half of the rest for sending.
    assert_eq!(open.len(), (1024 - 512) / 2);
    drop(open.split_off(open.len() - 20));
    until("a place", || greeting(house.address(25)).1.starts_with("220").then_some(()));
    house.deliver(&[BOB], &message("Room", "room-1"));
    drop(open);
    house.await_message(BOB, "Subject: Room");
    house.stop();
    house.installation.wrapper.clear();
}

#[test]
fn strangers_can_neither_wait_nor_talk_for_ever() {
    let mut house = House::made("127.0.0.1:1");
    house.set("timeouts", "before_sign_in = \"5s\"");
    house.start();
    house.python("strangers.py");
}
