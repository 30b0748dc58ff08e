use std::sync::Arc;

use mail_types::Host;
use net::{ClientTls, Ended, Link, LinkLimits, Security, Stop};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::toy::{PATIENCE, Toy, ToyService, certificate, line, serve_one, server_tls};

fn connector(certificate_pem: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn name(text: &'static str) -> ServerName<'static> {
    ServerName::try_from(text).unwrap()
}

#[tokio::test]
async fn implicit_tls_with_a_client_that_verifies() {
    let certificate = certificate();
    let security = Security::ServerImplicit(server_tls(&certificate));
    let running = serve_one(security, LinkLimits::default(), Toy::new(None), Stop::never()).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let client = connector(&certificate.certificate_pem);
    let stream = client.connect(name("mail.example.org"), stream).await.unwrap();
    let mut client = BufReader::new(stream);
    assert_eq!(line(&mut client).await, "secure TLSv1.3");
    client.get_mut().write_all(b"BIG 1000000\r\nECHO over\r\nQUIT\r\n").await.unwrap();
    assert_eq!(line(&mut client).await.len(), 1_000_000);
    assert_eq!(line(&mut client).await, "over");
    assert_eq!(line(&mut client).await, "bye");
    assert_eq!(line(&mut client).await, "<end>");
    drop(client);
    let (ended, toy) = running.ended.await.unwrap();
    assert!(matches!(ended, Ended::Closed), "{ended:?}");
    let facts = toy.tls.unwrap();
    assert_eq!(facts.server_name.as_deref(), Some("mail.example.org"));
    assert!(facts.cipher.starts_with("TLS_"), "{}", facts.cipher);
    assert!(!facts.cipher.starts_with("TLS13_"), "{}", facts.cipher);
}

/// RFC 3207 §4.2: an attacker who puts a command behind STARTTLS in the clear must not have it run
/// within the session.
#[tokio::test]
async fn what_is_sent_behind_starttls_in_the_clear_is_forgotten() {
    let certificate = certificate();
    // More than the machine takes at once, so that a part still waits in the driver.
    let injected = format!("STARTTLS\r\n{}", "ECHO injected\r\n".repeat(1000));
    let security = Security::ServerStartTls(server_tls(&certificate));
    let running = serve_one(security, LinkLimits::default(), Toy::new(None), Stop::never()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(injected.as_bytes()).await.unwrap();
    let mut plain = BufReader::new(&mut stream);
    assert_eq!(line(&mut plain).await, "go");
    assert!(plain.buffer().is_empty());
    let client = connector(&certificate.certificate_pem);
    let stream = client.connect(name("mail.example.org"), stream).await.unwrap();
    let mut client = BufReader::new(stream);
    assert_eq!(line(&mut client).await, "secure TLSv1.3");
    client.get_mut().write_all(b"ECHO mine\r\n").await.unwrap();
    assert_eq!(line(&mut client).await, "mine");
}

#[tokio::test]
async fn a_failed_handshake_ends_the_connection() {
    let security = Security::ServerImplicit(server_tls(&certificate()));
    let running = serve_one(security, LinkLimits::default(), Toy::new(None), Stop::never()).await;
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(b"ECHO in the clear\r\n").await.unwrap();
    let (ended, toy) = timeout(PATIENCE, running.ended).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::Handshake(_)), "{ended:?}");
    assert!(ended.to_string().starts_with("the TLS handshake failed: "), "{ended}");
    assert_eq!(toy.received, ["<closed>"]);
}

#[tokio::test]
async fn a_handshake_without_end_is_given_up() {
    let security = Security::ServerImplicit(server_tls(&certificate()));
    let limits =
        LinkLimits { handshake: std::time::Duration::from_millis(30), ..Default::default() };
    let running = serve_one(security, limits, Toy::new(None), Stop::never()).await;
    let _client = TcpStream::connect(running.address).await.unwrap();
    let (ended, _) = timeout(PATIENCE, running.ended).await.unwrap().unwrap();
    assert!(matches!(ended, Ended::Handshake(_)), "{ended:?}");
}

/// Drives a toy client through STARTTLS against a toy server.
async fn client_facts(tls: ClientTls, host: &'static str) -> mail_types::TlsFacts {
    let certificate = certificate();
    let tls = if host == "trusted" {
        let der = CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes()).unwrap();
        ClientTls::with_authorities([der.as_ref()]).unwrap()
    } else {
        tls
    };
    let security = Security::ServerStartTls(server_tls(&certificate));
    let running = serve_one(security, LinkLimits::default(), Toy::new(None), Stop::never()).await;
    let security = Security::ClientStartTls(tls, Host::parse("mail.example.org").unwrap());
    let mut link = Link::connect(running.address, None, security, PATIENCE).await.unwrap();
    assert!(link.can_start_tls());
    let mut toy = Toy::new(None);
    toy.client_lines = vec!["STARTTLS", "<TLS>", "ECHO hello", "ECHO again", "QUIT", "<CLOSE>"];
    // The client speaks first.
    mail_types::Machine::event(&mut toy, "begin".to_owned(), net::now());
    let (_, events) = mpsc::unbounded_channel();
    let mut service = ToyService { gate: Arc::default(), events };
    let ended = net::drive(&mut link, &mut toy, &mut service, &Stop::never()).await;
    assert!(matches!(ended, Ended::Closed), "{ended:?}");
    assert_eq!(toy.received, ["what?", "go", "secure TLSv1.3", "hello", "again"]);
    toy.tls.unwrap()
}

#[tokio::test]
async fn an_unknown_certificate_is_taken_and_not_called_verified() {
    let facts = client_facts(ClientTls::with_public_roots().unwrap(), "unknown").await;
    assert_eq!(facts.version, "TLSv1.3");
    assert_eq!(facts.server_name, None);
}

#[tokio::test]
async fn a_certificate_that_verifies_is_called_so() {
    let facts = client_facts(ClientTls::with_public_roots().unwrap(), "trusted").await;
    assert_eq!(facts.server_name.as_deref(), Some("mail.example.org"));
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate_and_keeps_the_old_after_an_error() {
    let (old, new) = (certificate(), certificate());
    let folder = std::env::temp_dir().join(format!("net-reload-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain, &old.certificate_pem).unwrap();
    std::fs::write(&key, &old.key_pem).unwrap();
    let tls = net::ServerTls::from_pem_files(&chain, &key).unwrap();

    let greets = async |certificate_pem: &str| {
        let security = Security::ServerImplicit(tls.clone());
        let running =
            serve_one(security, LinkLimits::default(), Toy::new(None), Stop::never()).await;
        let stream = TcpStream::connect(running.address).await.unwrap();
        connector(certificate_pem).connect(name("mail.example.org"), stream).await.is_ok()
    };
    assert!(greets(&old.certificate_pem).await);
    std::fs::write(&chain, &new.certificate_pem).unwrap();
    // The key is still the old one: refused, by name, and nothing changes.
    let error = tls.reload(&chain, &key).unwrap_err();
    assert!(matches!(error, net::TlsError::Config(_)), "{error}");
    assert!(greets(&old.certificate_pem).await);
    std::fs::write(&key, &new.key_pem).unwrap();
    tls.reload(&chain, &key).unwrap();
    assert!(greets(&new.certificate_pem).await);
    assert!(!greets(&old.certificate_pem).await);

    std::fs::write(&chain, "no certificate").unwrap();
    assert!(matches!(tls.reload(&chain, &key), Err(net::TlsError::Chain(_))));
    let missing = folder.join("missing.pem");
    assert!(matches!(tls.reload(&missing, &key), Err(net::TlsError::Read { .. })));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// RFC 9266, RFC 5929: both ends come to the same values, and no two sessions to the same exporter.
#[tokio::test]
async fn channel_bindings_are_the_clients_own() {
    let certificate = certificate();
    let tls = server_tls(&certificate);
    let leaf = CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes()).unwrap();
    // The certificate of this test is signed with ECDSA and SHA-256.
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let security = Security::ServerImplicit(tls.clone());
        let running =
            serve_one(security, LinkLimits::default(), Toy::new(None), Stop::never()).await;
        let stream = TcpStream::connect(running.address).await.unwrap();
        let client = connector(&certificate.certificate_pem);
        let stream = client.connect(name("mail.example.org"), stream).await.unwrap();
        let session = stream.get_ref().1;
        let label = b"EXPORTER-Channel-Binding";
        let exported = session.export_keying_material([0; 32], label, None).unwrap();
        let mut client = BufReader::new(stream);
        client.get_mut().write_all(b"QUIT\r\n").await.unwrap();
        assert_eq!(line(&mut client).await, "secure TLSv1.3");
        assert_eq!(line(&mut client).await, "bye");
        drop(client);
        let bindings = running.ended.await.unwrap().1.tls.unwrap().bindings;
        assert_eq!(bindings.named("tls-exporter"), Some(&exported[..]));
        assert_eq!(bindings.named("tls-server-end-point"), Some(hash.as_ref()));
        assert_eq!(bindings.named("tls-unique"), None);
        assert!(!seen.contains(&exported));
        seen.push(exported);
    }
}
