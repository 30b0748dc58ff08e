//! The service behind a real listener, asked by hand over TLS-less connections: what is under TLS is
//! asked by curl in the tests of the binary.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use net::{ListenLimits, Listener, Security, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use web::{Limits, Page, PageSource, Shared};

fn limits() -> Limits {
    Limits {
        header_wait: Duration::from_millis(300),
        body_wait: Duration::from_millis(300),
        header_bytes_max: 8192,
        streams_max: 8,
        message_bytes_max: 1 << 20,
        recipients_max: 100,
    }
}

async fn server(pages: Vec<PageSource>) -> SocketAddr {
    let shared = Arc::new(Shared {
        limits: limits(),
        pages,
        health: None,
        api: None,
        console: None,
        room: Shared::room(4 << 20),
    });
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let listener = Listener::bind(
        "http",
        &[address],
        Security::Plain,
        ListenLimits::default(),
        web::TOO_MANY_CONNECTIONS,
    )
    .unwrap();
    let bound = listener.addresses()[0];
    tokio::spawn(
        listener
            .run(move |link| web::serve(Arc::clone(&shared), link, Stop::never()), Stop::never()),
    );
    bound
}

/// Everything that comes until the server closes.
async fn ask(server: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
        .await
        .expect("the server must close")
        .unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn pages_are_found_by_host_and_path() {
    let policy: PageSource = Arc::new(|host, path| {
        (host == "mta-sts.example.org" && path == "/.well-known/mta-sts.txt")
            .then(|| Page { media_type: "text/plain", bytes: b"version: STSv1\n".to_vec() })
    });
    let server = server(vec![policy]).await;
    let get = |host: &str| {
        format!(
            "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
    };
    let answer = ask(server, &get("MTA-STS.example.org:443")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("version: STSv1\n"), "{answer}");
    let answer = ask(server, &get("other.example.org")).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // RFC 9457 §3.
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("\"status\": 404"), "{answer}");
}

#[tokio::test]
async fn a_header_that_does_not_end_ends_the_connection() {
    let server = server(Vec::new()).await;
    // Slow, then too large.
    ask(server, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    let large = "y".repeat(20_000);
    let answer = ask(server, &format!("GET / HTTP/1.1\r\nX-Large: {large}\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}
