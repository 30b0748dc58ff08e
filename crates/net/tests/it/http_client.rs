use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{
    HttpClient, HttpError, HttpLimits, HttpRequest, NameServer, Reach, Resolver, ResolverSettings,
    Trust,
};
use peers::Dns;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::toy::PATIENCE;

/// Answers each connection's request with the next of these texts (the last again and again);
/// sends what was asked. An empty text is silence.
async fn serve(
    texts: Vec<String>,
    tls: Option<TlsAcceptor>,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for turn in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let text = texts[turn.min(texts.len() - 1)].clone();
            let asked = asked.clone();
            match tls.clone() {
                None => drop(tokio::spawn(answer(stream, text, asked))),
                Some(tls) => drop(tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        answer(stream, text, asked).await;
                    }
                })),
            }
        }
    });
    (address, requests)
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    text: String,
    asked: mpsc::UnboundedSender<String>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let octets = stream.read(&mut buffer).await.unwrap_or(0);
        request.extend_from_slice(&buffer[..octets]);
        let whole = String::from_utf8_lossy(&request).into_owned();
        let Some((header, body)) = whole.split_once("\r\n\r\n") else {
            if octets == 0 {
                return;
            }
            continue;
        };
        let length = header
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            })
            .unwrap_or(0);
        if body.len() >= length {
            asked.send(whole).ok();
            break;
        }
    }
    if text.is_empty() {
        std::future::pending::<()>().await;
    }
    stream.write_all(text.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n\
         {body}",
        body.len()
    )
}

fn client_of(dns: &Dns, trust: &Trust) -> HttpClient {
    let servers = vec![NameServer(dns.addr())];
    let resolver = Resolver::new(&ResolverSettings { servers, ..ResolverSettings::default() });
    HttpClient::new(Arc::new(resolver.unwrap()), trust, route::Inward::default()).unwrap()
}

fn anywhere() -> HttpLimits {
    HttpLimits {
        reach: Reach::Anywhere,
        may_be_plain: true,
        time: PATIENCE,
        ..HttpLimits::default()
    }
}

#[tokio::test]
async fn asks_and_reads_the_answer() {
    let dns = Dns::start().await;
    dns.address("hooks.example", [127, 0, 0, 1]);
    let (address, mut asked) = serve(vec![ok("thanks\n")], None).await;
    let url = format!("http://hooks.example:{}/in?x=1", address.port());
    let request = HttpRequest::post(url, "application/json", b"{\"a\":1}".to_vec());
    let client = client_of(&dns, &Trust::public());
    let response = client.send(request, &anywhere()).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.body, b"thanks\n");
    assert_eq!(response.media_type().as_deref(), Some("text/plain"));
    let asked = asked.recv().await.unwrap().to_ascii_lowercase();
    assert!(asked.starts_with("post /in?x=1 http/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("\r\nhost: hooks.example:{}\r\n", address.port())), "{asked}");
    assert!(asked.contains("\r\ncontent-length: 7\r\n"), "{asked}");
    assert!(asked.ends_with("{\"a\":1}"), "{asked}");
}

#[tokio::test]
async fn a_strangers_url_leads_nowhere_inside() {
    let dns = Dns::start().await;
    dns.address("evil.example", [127, 0, 0, 1]);
    let (address, mut asked) = serve(vec![ok("secret")], None).await;
    let client = client_of(&dns, &Trust::public());
    let limits = HttpLimits { reach: Reach::Outward, ..anywhere() };
    for host in ["evil.example", "127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/", address.port());
        let error = client.send(HttpRequest::get(url), &limits).await.unwrap_err();
        assert!(matches!(error, HttpError::Inward { .. }), "{host}: {error}");
    }
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn limits_hold() {
    let dns = Dns::start().await;
    let client = client_of(&dns, &Trust::public());
    let (address, _asked) = serve(vec![ok(&"x".repeat(5000))], None).await;
    let url = format!("http://{address}/");
    let small = HttpLimits { body_octets_max: 4999, ..anywhere() };
    let error = client.send(HttpRequest::get(&url), &small).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { octets_max: 4999, .. }), "{error}");
    let enough = HttpLimits { body_octets_max: 5000, ..anywhere() };
    assert_eq!(client.send(HttpRequest::get(&url), &enough).await.unwrap().body.len(), 5000);
    // Without a length, the body ends with the connection, and is measured all the same.
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "y".repeat(5000));
    let (address, _asked) = serve(vec![endless], None).await;
    let request = HttpRequest::get(format!("http://{address}/"));
    let error = client.send(request, &small).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error}");
    let (address, _asked) = serve(vec![String::new()], None).await;
    let short = HttpLimits { time: Duration::from_millis(50), ..anywhere() };
    let request = HttpRequest::get(format!("http://{address}/"));
    let error = client.send(request, &short).await.unwrap_err();
    assert!(matches!(error, HttpError::TimedOut { .. }), "{error}");
    for bad in ["ftp://a.example/", "/path", "http://user@a.example/", "http://", "gibberish\n"] {
        let error = client.send(HttpRequest::get(bad), &anywhere()).await.unwrap_err();
        assert!(matches!(error, HttpError::Url { .. }), "{bad}: {error}");
    }
    let strict = HttpLimits { may_be_plain: false, ..anywhere() };
    let error = client.send(HttpRequest::get(&url), &strict).await.unwrap_err();
    assert!(matches!(error, HttpError::Url { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_only_where_asked() {
    let dns = Dns::start().await;
    let client = client_of(&dns, &Trust::public());
    let (end, mut asked_end) = serve(vec![ok("there")], None).await;
    let away =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{end}/b\r\nContent-Length: 0\r\n\r\n");
    let here = "HTTP/1.1 307 T\r\nLocation: /moved\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (begin, mut asked) = serve(vec![here, away], None).await;
    let mut request = HttpRequest::get(format!("http://{begin}/a"));
    request.headers.insert("authorization", "Bearer secret".parse().unwrap());
    let response = client.send(request.clone(), &anywhere()).await.unwrap();
    assert_eq!(response.status, 307);
    asked.recv().await.unwrap();
    let (begin, mut asked) = serve(
        vec![
            "HTTP/1.1 307 T\r\nLocation: /moved\r\nContent-Length: 0\r\n\r\n".to_owned(),
            format!("HTTP/1.1 302 Found\r\nLocation: http://{end}/b\r\nContent-Length: 0\r\n\r\n"),
        ],
        None,
    )
    .await;
    request.url = format!("http://{begin}/a");
    let follows = HttpLimits { redirects_max: 2, ..anywhere() };
    let response = client.send(request.clone(), &follows).await.unwrap();
    assert_eq!(response.body, b"there");
    assert!(asked.recv().await.unwrap().contains("Bearer secret"));
    let second = asked.recv().await.unwrap();
    assert!(second.starts_with("GET /moved ") && second.contains("Bearer secret"), "{second}");
    let last = asked_end.recv().await.unwrap();
    assert!(last.starts_with("GET /b ") && !last.contains("Bearer"), "{last}");
    let again = "HTTP/1.1 301 M\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (begin, _asked) = serve(vec![again], None).await;
    request.url = format!("http://{begin}/");
    let error = client.send(request, &follows).await.unwrap_err();
    assert!(matches!(error, HttpError::Redirects { .. }), "{error}");
}

#[tokio::test]
async fn only_a_trusted_certificate_for_the_name_is_taken() {
    let dns = Dns::start().await;
    dns.address("good.example", [127, 0, 0, 1]).address("other.example", [127, 0, 0, 1]);
    let made = peers::self_signed(&["good.example"]);
    let authority = made.certificate.clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.certificate], PrivateKeyDer::Pkcs8(made.key))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (address, _asked) = serve(vec![ok("sealed")], Some(acceptor)).await;
    let trusting = client_of(&dns, &Trust::only([&*authority]).unwrap());
    let good = HttpRequest::get(format!("https://good.example:{}/", address.port()));
    let response = trusting.send(good.clone(), &anywhere()).await.unwrap();
    assert_eq!(response.body, b"sealed");
    let other = HttpRequest::get(format!("https://other.example:{}/", address.port()));
    let error = trusting.send(other, &anywhere()).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error}");
    let doubting = client_of(&dns, &Trust::public());
    let error = doubting.send(good, &anywhere()).await.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error}");
}
