//! COMPRESS=DEFLATE (RFC 4978): when it is offered, and when it begins.

use crate::client::{Client, config};
use crate::service::Service;

#[test]
fn compression_is_offered_after_sign_in_until_it_is_active() {
    let mut service = Service::new();
    let mut client = Client::new(config());
    let answer = client.say(&mut service, "1 CAPABILITY");
    assert!(!answer.contains("COMPRESS"), "{answer}");
    let answer = client.say(&mut service, "2 COMPRESS DEFLATE");
    assert!(answer.starts_with("2 BAD "), "{answer}");
    let answer = client.say(&mut service, "3 LOGIN ann@example.org \"open sesame\"");
    assert!(answer.contains(" COMPRESS=DEFLATE"), "{answer}");
    let answer = client.say(&mut service, "4 COMPRESS LZMA");
    assert!(answer.starts_with("4 BAD "), "{answer}");
    assert_eq!(client.compression_asked, 0);
    let answer = client.say(&mut service, "5 compress deflate");
    assert!(answer.starts_with("5 OK "), "{answer}");
    assert_eq!(client.compression_asked, 1);
    // RFC 4978 §3: it is not offered twice.
    let answer = client.say(&mut service, "6 CAPABILITY");
    assert!(!answer.contains("COMPRESS"), "{answer}");
    let answer = client.say(&mut service, "7 COMPRESS DEFLATE");
    assert!(answer.starts_with("7 NO [COMPRESSIONACTIVE] "), "{answer}");
    assert_eq!(client.compression_asked, 1);
}

/// What was read behind the command came in the clear, and is none of the stream that begins.
#[test]
fn what_comes_with_the_command_is_forgotten() {
    let mut service = Service::new();
    let mut client = Client::signed_in(config(), &mut service);
    let answer = client.say(&mut service, "1 COMPRESS DEFLATE\r\n2 NOOP");
    assert_eq!(answer.lines().count(), 1, "{answer}");
    let answer = client.say(&mut service, "3 NOOP");
    assert!(answer.starts_with("3 OK "), "{answer}");
}
