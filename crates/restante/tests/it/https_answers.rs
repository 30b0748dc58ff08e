//! Port 443 speaks both versions of HTTP to curl, and says what is wrong in JSON.

use std::process::Command;

use crate::harness::{House, tool};

#[test]
fn over_http_1_and_2() {
    let house = House::new();
    let server = format!("https://{}/api/v1/health", house.address(443));
    for (version, number) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-k", version, "-w", " %{http_version} %{http_code}", &server]);
        let answer = tool(&mut curl);
        assert!(answer.contains("\"ok\""), "{answer}");
        assert!(answer.ends_with(&format!(" {number} 200")), "{answer}");
    }
}

/// hyper waits for ever for a preface that never comes, and for the requests of one who only answers
/// its pings; each would keep a place that is everybody's.
#[test]
fn whoever_asks_nothing_over_http_2_is_let_go() {
    let mut house = House::made("127.0.0.1:1");
    house.set("web", "header_timeout = \"1s\"");
    house.start();
    let (host, port) = (house.address(443).ip(), house.address(443).port());
    let script = format!(
        r#"
import socket, ssl
context = ssl._create_unverified_context()
context.set_alpn_protocols(["h2"])
def frame(kind, flags, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags, 0, 0, 0, 0]) + payload
for begun in (False, True):
    stream = context.wrap_socket(socket.create_connection(("{host}", {port})))
    assert stream.selected_alpn_protocol() == "h2"
    if begun:
        stream.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0))
    buffer = b""
    try:
        while got := stream.recv(4096):
            buffer += got
            while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
                size, kind, flags = int.from_bytes(buffer[:3], "big"), buffer[3], buffer[4]
                payload, buffer = buffer[9:9 + size], buffer[9 + size:]
                if kind == 4 and not flags & 1:
                    stream.sendall(frame(4, 1))
                if kind == 6 and not flags & 1:
                    stream.sendall(frame(6, 1, payload))
    except OSError:
        pass
    print("let go", begun)
"#
    );
    let said = tool(Command::new("python3").args(["-c", &script]));
    assert_eq!(said.lines().collect::<Vec<_>>(), ["let go False", "let go True"]);
}
