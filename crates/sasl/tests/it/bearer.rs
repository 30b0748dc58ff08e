//! OAUTHBEARER by the examples of RFC 7628 §4, and XOAUTH2.

use mail_types::AccountId;
use sasl::{Answer, Failure, Mechanism, Next, Question, Secret, base64_decode};

use crate::ann;

const ERROR: &str = r#"{"status":"invalid_token","scope":"example_scope"}"#;

fn asked(mechanism: Mechanism, message: &[u8]) -> Next {
    crate::start(mechanism, "unused").client(message)
}

fn question(authzid: Option<&str>, token: &str) -> Next {
    let authzid = authzid.map(Into::into);
    Next::Ask(Question::Token { authzid, token: Secret::new(token.into()) })
}

#[test]
fn examples_of_rfc_7628() {
    let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
    // §4.1, over IMAP
    let message = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9Q\
                   mVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
    let message = base64_decode(message.as_bytes()).unwrap();
    let next = asked(Mechanism::OAuthBearer, &message);
    assert_eq!(next, question(Some("user@example.com"), token));
    // §4.3: an empty Authorization asks for the scope.
    let message = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01";
    assert_eq!(asked(Mechanism::OAuthBearer, message), question(Some("user@example.com"), ""));
}

#[test]
fn forms() {
    for (message, authzid) in [
        ("n,,\x01auth=Bearer a.b-c_d~+/==\x01\x01", None),
        ("y,a=ann=2Cof=3Dx,\x01auth=bearer   a.b-c_d~+/==\x01\x01", Some("ann,of=x")),
        ("n,a=ann,\x01new=what ever\x01auth=BEARER a.b-c_d~+/==\x01qs=a=b\x01\x01", Some("ann")),
    ] {
        let next = asked(Mechanism::OAuthBearer, message.as_bytes());
        assert_eq!(next, question(authzid, "a.b-c_d~+/=="), "{message:?}");
    }
    let next = asked(Mechanism::XOAuth2, b"user=ann@example.org\x01auth=Bearer abc\x01\x01");
    assert_eq!(next, question(Some("ann@example.org"), "abc"));
    // A token may be long, as signed documents are.
    let long = "x".repeat(9000);
    let next =
        asked(Mechanism::OAuthBearer, format!("n,,\x01auth=Bearer {long}\x01\x01").as_bytes());
    assert_eq!(next, question(None, &long));
}

#[test]
fn malformed() {
    let long = format!("n,,\x01auth=Bearer {}\x01\x01", "x".repeat(9300));
    for bad in [
        "",
        "\x01",
        "n,,",
        "n,,\x01",
        "n,,\x01\x01",
        "n,,\x01auth=Bearer abc",
        "n,,\x01auth=Bearer abc\x01",
        "n,,\x01auth=Bearer\x01\x01",
        "n,,\x01auth=Bearer \x01\x01",
        "n,,\x01auth=Bearer a b\x01\x01",
        "n,,\x01auth=Bearer a\"b\x01\x01",
        "n,,\x01auth=Basic abc\x01\x01",
        "n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
        "n,,\x01\x01auth=Bearer abc\x01\x01",
        "n,,\x01h0st=x\x01auth=Bearer abc\x01\x01",
        "n,,\x01host=\x7f\x01auth=Bearer abc\x01\x01",
        "n,a=,\x01auth=Bearer abc\x01\x01",
        "n,a=x,y,\x01auth=Bearer abc\x01\x01",
        "n,ann,\x01auth=Bearer abc\x01\x01",
        "n,\x01auth=Bearer abc\x01\x01",
        "p=tls-exporter,,\x01auth=Bearer abc\x01\x01",
        &long,
    ] {
        let next = asked(Mechanism::OAuthBearer, bad.as_bytes());
        assert_eq!(next, Next::Failed(Failure::Malformed), "{bad:?}");
    }
    for bad in ["", "user=ann", "auth=Bearer abc\x01\x01", "user=a\nb\x01auth=Bearer abc\x01\x01"] {
        let next = asked(Mechanism::XOAuth2, bad.as_bytes());
        assert_eq!(next, Next::Failed(Failure::Malformed), "{bad:?}");
    }
}

#[test]
fn answers() {
    let message = b"n,,\x01auth=Bearer abc\x01\x01";
    let answered = |answer| {
        let mut exchange = crate::start(Mechanism::OAuthBearer, "unused");
        assert!(matches!(exchange.client(message), Next::Ask(_)));
        (exchange.answer(answer), exchange)
    };
    let accepted = Answer::Accepted { account: AccountId(7), name: "ann@example.org".into() };
    assert_eq!(answered(accepted).0, Next::Done(ann(Mechanism::OAuthBearer)));
    // Our trouble is never told as the token's.
    assert_eq!(answered(Answer::Unavailable).0, Next::Failed(Failure::Unavailable));
    // RFC 7628 §3.2.3: the error, the client's word to it, and then the end; a second token in its
    // place is none.
    for word in [b"\x01".as_slice(), b"", message] {
        let (next, mut exchange) = answered(Answer::TokenRefused { error: ERROR.into() });
        assert_eq!(next, Next::Challenge(ERROR.into()));
        assert_eq!(exchange.client(word), Next::Failed(Failure::Refused));
        assert_eq!(exchange.client(message), Next::Failed(Failure::Malformed));
    }
    // No other question is answered by what is for tokens.
    let mut exchange = crate::start(Mechanism::Plain, "unused");
    assert!(matches!(exchange.client(b"\0ann\0pw"), Next::Ask(_)));
    let next = exchange.answer(Answer::TokenRefused { error: ERROR.into() });
    assert_eq!(next, Next::Failed(Failure::Unavailable));
}

#[test]
fn tokens_are_not_printed() {
    let printed =
        format!("{:?}", asked(Mechanism::OAuthBearer, b"n,,\x01auth=Bearer hunter2\x01\x01"));
    assert!(!printed.contains("hunter2"), "{printed}");
}
