use net::{Security, ServerTls, self_signed};

use crate::client::Client;
use crate::world::{PASSWORD, World};

#[tokio::test]
async fn under_implicit_tls_the_greeting_offers_to_sign_in() {
    let certificate = self_signed(&["mail.example.org".to_owned()], net::now()).unwrap();
    let (chain, key) = (&certificate.certificate_pem, &certificate.key_pem);
    let tls = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let world = World::with(Security::ServerImplicit(tls)).await;
    let mut client = Client::connect_tls(world.address, chain).await;
    assert!(client.greeting.contains(" AUTH=PLAIN"), "{}", client.greeting);
    assert!(!client.greeting.contains("STARTTLS"), "{}", client.greeting);
    client.ok(&format!("LOGIN ann@example.org \"{PASSWORD}\"")).await;
    client.ok("SELECT INBOX").await;
}

#[tokio::test]
async fn without_tls_nobody_signs_in_where_it_is_offered() {
    let certificate = self_signed(&["mail.example.org".to_owned()], net::now()).unwrap();
    let (chain, key) = (certificate.certificate_pem, certificate.key_pem);
    let tls = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let world = World::with(Security::ServerStartTls(tls)).await;
    let mut client = world.client().await;
    assert!(client.greeting.contains(" STARTTLS LOGINDISABLED"), "{}", client.greeting);
    let refused = client.no(&format!("LOGIN ann@example.org \"{PASSWORD}\"")).await;
    assert!(refused.starts_with("[PRIVACYREQUIRED] "), "{refused}");
}
