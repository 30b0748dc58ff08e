//! The client's side, against RFC 7677's example.

use sasl::{ClientError, Login, Secret, SignIn, base64_decode, base64_encode};

fn login() -> Login {
    Login { name: "user".to_owned(), password: Secret::new("pencil".to_owned()) }
}

fn decoded(text: &str) -> String {
    String::from_utf8(base64_decode(text.as_bytes()).unwrap()).unwrap()
}

const FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

/// RFC 7677 §3.
#[test]
fn the_rfcs_example_is_spoken_word_for_word() {
    let mut sign_in =
        SignIn::choose("PLAIN SCRAM-SHA-256", &login(), "rOprNGfwEbeRWgbNEkqO", true).unwrap();
    assert_eq!(sign_in.mechanism(), "SCRAM-SHA-256");
    assert_eq!(decoded(&sign_in.initial()), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let last = sign_in.respond(&base64_encode(FIRST.as_bytes())).unwrap();
    assert_eq!(
        decoded(&last),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert!(!sign_in.is_done(), "a yes now would be of somebody who does not know the password");
    let verifier = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(sign_in.respond(&base64_encode(verifier.as_bytes())), Ok(String::new()));
    assert!(sign_in.is_done());
}

#[test]
fn what_a_server_may_not_do_ends_the_sign_in() {
    let begun = || {
        let mut sign_in =
            SignIn::choose("scram-sha-256", &login(), "rOprNGfwEbeRWgbNEkqO", false).unwrap();
        sign_in.initial();
        sign_in
    };
    for (first, error) in [
        (FIRST.replace("i=4096", "i=1"), ClientError::Iterations(1)),
        (FIRST.replace("i=4096", "i=4000000000"), ClientError::Iterations(4_000_000_000)),
        (FIRST.replace("r=rOpr", "r=other"), ClientError::Malformed),
        ("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".into(), ClientError::Malformed),
        ("m=ext,r=x".into(), ClientError::Malformed),
        (String::new(), ClientError::Malformed),
    ] {
        assert_eq!(begun().respond(&base64_encode(first.as_bytes())), Err(error), "{first}");
    }
    let mut sign_in = begun();
    sign_in.respond(&base64_encode(FIRST.as_bytes())).unwrap();
    let wrong = base64_encode(b"v=AAAA");
    assert_eq!(sign_in.respond(&wrong), Err(ClientError::Unproven));
    assert!(!sign_in.is_done());
}

#[test]
fn a_password_is_told_only_where_it_may_be() {
    assert!(SignIn::choose("PLAIN LOGIN", &login(), "nonce", false).is_none());
    assert!(SignIn::choose("CRAM-MD5 XOAUTH2", &login(), "nonce", true).is_none());
    // draft-murchison-sasl-login: asked for one after the other.
    let mut sign_in = SignIn::choose("LOGIN XOAUTH2", &login(), "nonce", true).unwrap();
    assert_eq!(sign_in.initial(), "");
    let mut said = |challenge: &[u8]| decoded(&sign_in.respond(&base64_encode(challenge)).unwrap());
    assert_eq!([said(b"Username:"), said(b"Password:")], ["user", "pencil"]);
    assert!(sign_in.is_done() && sign_in.respond("").is_err());
    let mut sign_in = SignIn::choose("LOGIN PLAIN", &login(), "nonce", true).unwrap();
    assert_eq!(decoded(&sign_in.initial()), "\0user\0pencil");
    assert!(sign_in.is_done());
    assert!(!format!("{sign_in:?} {:?}", login()).contains("pencil"));
}
