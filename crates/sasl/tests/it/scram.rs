//! RFC 7677 §3: user "user", password "pencil".

use mail_types::AccountId;
use sasl::{Answer, Exchange, Failure, Mechanism, Next, Question, ScramKeys, base64_decode};

use crate::ann;

const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
     p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

/// The service hears of the proof, and says that the account may sign in.
fn proved(exchange: &mut Exchange, message: &str) -> Next {
    match exchange.client(message.as_bytes()) {
        Next::Ask(Question::ScramProof { authcid, right, .. }) => {
            assert_eq!(authcid, "user");
            let name = "ann@example.org".into();
            let accepted = Answer::Accepted { account: AccountId(7), name };
            exchange.answer(if right { accepted } else { Answer::Refused })
        }
        next => next,
    }
}

fn keys(password: &str) -> ScramKeys {
    ScramKeys::derive(password, &base64_decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096)
}

fn challenged(password: &str) -> Exchange {
    let mut exchange = crate::start(Mechanism::ScramSha256, SERVER_NONCE);
    assert_eq!(
        exchange.client(CLIENT_FIRST.as_bytes()),
        Next::Ask(Question::ScramKeys { authcid: "user".into() })
    );
    let answer = Answer::Keys {
        account: AccountId(7),
        name: "ann@example.org".into(),
        keys: keys(password),
    };
    assert_eq!(exchange.answer(answer), Next::Challenge(SERVER_FIRST.into()));
    exchange
}

#[test]
fn example_of_rfc_7677() {
    let mut exchange = challenged("pencil");
    assert_eq!(proved(&mut exchange, CLIENT_FINAL), Next::Challenge(SERVER_FINAL.into()));
    assert_eq!(exchange.client(b""), Next::Done(ann(Mechanism::ScramSha256)));
    assert_eq!(exchange.client(b""), Next::Failed(Failure::Malformed));
}

#[test]
fn wrong_password() {
    let mut exchange = challenged("Pencil");
    assert_eq!(proved(&mut exchange, CLIENT_FINAL), Next::Failed(Failure::Refused));
    assert_eq!(exchange.client(b""), Next::Failed(Failure::Malformed));
}

#[test]
fn the_last_response_must_be_empty() {
    let mut exchange = challenged("pencil");
    assert!(matches!(proved(&mut exchange, CLIENT_FINAL), Next::Challenge(_)));
    assert_eq!(exchange.client(b"x"), Next::Failed(Failure::Malformed));
}

#[test]
fn tampered_final_messages() {
    for (from, to, failure) in [
        // Another binding than the first message's: a man in the middle took `y` out.
        ("c=biws", "c=eSws", Failure::Malformed),
        // Another nonce: replayed.
        ("$k0,", "$k1,", Failure::Malformed),
        ("p=dH", "p=dG", Failure::Refused),
        ("p=dHzb", "p=", Failure::Malformed),
        ("VQ=", "VQ", Failure::Malformed),
        (",p=", ",q=", Failure::Malformed),
        ("c=biws,", "", Failure::Malformed),
    ] {
        let tampered = CLIENT_FINAL.replacen(from, to, 1);
        assert_ne!(tampered, CLIENT_FINAL, "{from:?} does not occur");
        let next = proved(&mut challenged("pencil"), &tampered);
        assert_eq!(next, Next::Failed(failure), "{tampered}");
    }
}

#[test]
fn first_messages() {
    let first = |message: &str| {
        crate::start(Mechanism::ScramSha256, SERVER_NONCE).client(message.as_bytes())
    };
    for (good, authcid) in [
        ("n,,n=a=2Cb=3Dc,r=x", "a,b=c"),
        ("y,,n=ann@example.org,r=x", "ann@example.org"),
        ("n,a=ann,n=ann,r=x", "ann"),
        ("n,,n=ann,r=x,ext=1", "ann"),
        ("n,,n=ännchen,r=x", "ännchen"),
    ] {
        let asked = Next::Ask(Question::ScramKeys { authcid: authcid.into() });
        assert_eq!(first(good), asked, "{good}");
    }
    for bad in [
        "",
        "n",
        "n,,",
        "p=tls-exporter,,n=ann,r=x",
        "n,,m=1,n=ann,r=x",
        "n,,n=,r=x",
        "n,,n=ann,r=",
        "n,,n=ann,r=\u{e4}",
        "n,,n=a=2c,r=x",
        "n,,n=a=,r=x",
        "n,,n=a=4ä,r=x",
        "n,b=ann,n=ann,r=x",
        "n,,r=x,n=ann",
    ] {
        assert_eq!(first(bad), Next::Failed(Failure::Malformed), "{bad}");
    }
    assert_eq!(first("n,a=bob,n=ann,r=x"), Next::Failed(Failure::Refused));
}

#[test]
fn answers_without_keys() {
    for (answer, failure) in [
        (Answer::Refused, Failure::Refused),
        (Answer::Unavailable, Failure::Unavailable),
        (Answer::Accepted { account: AccountId(7), name: "ann".into() }, Failure::Unavailable),
    ] {
        let mut exchange = crate::start(Mechanism::ScramSha256, SERVER_NONCE);
        assert!(matches!(exchange.client(CLIENT_FIRST.as_bytes()), Next::Ask(_)));
        assert_eq!(exchange.answer(answer), Next::Failed(failure));
    }
}

#[test]
fn keys_are_not_printed() {
    assert_eq!(format!("{:?}", keys("pencil")), "ScramKeys { iterations: 4096, .. }");
}

/// Whoever counts guesses can tell the same wrong password from another one, and nobody is signed in
/// whose proof was wrong, whatever the service says.
#[test]
fn the_service_hears_of_every_proof() {
    let guess = |client: &str, password: &str| {
        let mut exchange = challenged(password);
        let next = exchange.client(client.as_bytes());
        let Next::Ask(Question::ScramProof { right, guess, .. }) = next else { panic!("{next:?}") };
        (right, guess, exchange)
    };
    let (right, first, _) = guess(CLIENT_FINAL, "pencil");
    assert!(right);
    let (right, second, mut exchange) = guess(CLIENT_FINAL, "Pencil");
    assert!(!right);
    assert_ne!(first, second);
    assert_eq!(guess(CLIENT_FINAL, "Pencil").1, second);
    let accepted = Answer::Accepted { account: AccountId(7), name: "ann@example.org".into() };
    assert!(matches!(exchange.answer(accepted), Next::Failed(_)));
    // And nobody whom the service refuses.
    let (_, _, mut exchange) = guess(CLIENT_FINAL, "pencil");
    assert_eq!(exchange.answer(Answer::Refused), Next::Failed(Failure::Refused));
}
