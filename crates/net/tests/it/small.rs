use std::collections::HashSet;

use net::{nonce, now, random_bytes, stopper};

#[test]
fn nonces_are_printable_and_never_the_same() {
    let nonces: HashSet<String> = (0..1000).map(|_| nonce().unwrap()).collect();
    assert_eq!(nonces.len(), 1000);
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    assert!(nonces.iter().all(|nonce| nonce.len() == 24 && nonce.chars().all(fits)));
    assert_ne!(random_bytes::<32>().unwrap(), random_bytes::<32>().unwrap());
}

#[test]
fn the_clock_shows_this_century() {
    assert!(now().to_string().as_str() > "2025-01-01");
}

#[test]
fn a_self_signed_certificate_shows_no_key() {
    let made = net::self_signed(&["mail.example.org".to_owned()], now()).unwrap();
    assert!(made.key_pem.contains("PRIVATE KEY"));
    assert!(!format!("{made:?}").contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_stop_stays_asked_for_and_a_dropped_stopper_asks() {
    let (asked, mut stop) = stopper();
    assert!(!stop.is_requested());
    asked.stop();
    assert!(stop.is_requested());
    stop.requested().await;
    assert!(asked.watch().is_requested());

    let (dropped, mut stop) = stopper();
    drop(dropped);
    assert!(stop.is_requested());
    stop.requested().await;
}
