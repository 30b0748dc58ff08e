use mail_types::AccountId;
use sasl::{Answer, Failure, Mechanism, Next, Question, Secret};

use crate::ann;

#[test]
fn name_then_password() {
    assert_eq!(Mechanism::Login.first_challenge(), b"Username:");
    let mut exchange = crate::start(Mechanism::Login, "unused");
    assert_eq!(exchange.client(b"ann"), Next::Challenge(b"Password:".to_vec()));
    assert_eq!(
        exchange.client(b"pw"),
        Next::Ask(Question::Password {
            authcid: "ann".into(),
            authzid: None,
            password: Secret::new("pw".into()),
        })
    );
    let accepted = Answer::Accepted { account: AccountId(7), name: "ann@example.org".into() };
    assert_eq!(exchange.answer(accepted), Next::Done(ann(Mechanism::Login)));
}

#[test]
fn empty_name_or_password() {
    let mut exchange = crate::start(Mechanism::Login, "unused");
    assert_eq!(exchange.client(b""), Next::Failed(Failure::Malformed));
    let mut exchange = crate::start(Mechanism::Login, "unused");
    assert_eq!(exchange.client(b"ann"), Next::Challenge(b"Password:".to_vec()));
    assert_eq!(exchange.client(b""), Next::Failed(Failure::Malformed));
}
