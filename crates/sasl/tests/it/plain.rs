use mail_types::AccountId;
use sasl::{Answer, Exchange, Failure, Mechanism, Next, Question, Secret};

use crate::ann;

fn start() -> Exchange {
    crate::start(Mechanism::Plain, "unused")
}

fn asked(message: &[u8]) -> Next {
    start().client(message)
}

#[test]
fn examples_of_rfc_4616() {
    let question = |authzid: Option<&str>, authcid: &str, password: &str| {
        Next::Ask(Question::Password {
            authcid: authcid.into(),
            authzid: authzid.map(Into::into),
            password: Secret::new(password.into()),
        })
    };
    assert_eq!(asked(b"\0tim\0tanstaaftanstaaf"), question(None, "tim", "tanstaaftanstaaf"));
    assert_eq!(asked(b"Ursel\0Kurt\0xipj3plmq"), question(Some("Ursel"), "Kurt", "xipj3plmq"));
    assert_eq!(asked("\0ann\0pä ß".as_bytes()), question(None, "ann", "pä ß"));
}

#[test]
fn malformed() {
    let long = [b"\0ann\0".as_slice(), &[b'x'; 5000]].concat();
    for bad in [
        b"".as_slice(),
        b"ann",
        b"\0ann",
        b"\0\0pw",
        b"\0ann\0",
        b"\0ann\0pw\0",
        b"\0ann\0pw\0more",
        b"\0\xff\0pw",
        b"\xff\0ann\0pw",
        &long,
    ] {
        assert_eq!(asked(bad), Next::Failed(Failure::Malformed), "{bad:?}");
    }
}

#[test]
fn answers() {
    let answered = |answer| {
        let mut exchange = start();
        assert!(matches!(exchange.client(b"\0ann\0pw"), Next::Ask(_)));
        let next = exchange.answer(answer);
        // Whatever came, it is over.
        assert_eq!(exchange.client(b"\0ann\0pw"), Next::Failed(Failure::Malformed));
        next
    };
    let accepted = Answer::Accepted { account: AccountId(7), name: "ann@example.org".into() };
    assert_eq!(answered(accepted), Next::Done(ann(Mechanism::Plain)));
    assert_eq!(answered(Answer::Refused), Next::Failed(Failure::Refused));
    assert_eq!(answered(Answer::Unavailable), Next::Failed(Failure::Unavailable));
}

#[test]
fn nobody_is_signed_in_by_an_answer_without_question() {
    let accepted = Answer::Accepted { account: AccountId(7), name: "ann@example.org".into() };
    assert_eq!(start().answer(accepted), Next::Failed(Failure::Unavailable));
}

#[test]
fn passwords_are_not_printed() {
    let printed = format!("{:?}", asked(b"\0ann\0hunter2"));
    assert!(printed.contains("ann") && !printed.contains("hunter2"), "{printed}");
}
