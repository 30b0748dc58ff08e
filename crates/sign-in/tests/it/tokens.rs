//! Tokens: whose they are, how long they are remembered, and what guessing them costs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mail_types::Timestamp;
use sasl::{Answer, Question, Secret};
use sign_in::{Limits, TokenCheck, TokenFault, Tokens};

use crate::world::{World, ip};

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

/// Knows some tokens, and counts how often it is asked.
struct Issuer(Arc<AtomicU32>);

impl Tokens for Issuer {
    fn check<'a>(
        &'a self,
        token: &'a Secret,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = TokenCheck> + Send + 'a>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let good = |name: &str| TokenCheck::Good {
            name: name.to_owned(),
            until: now.after(Duration::from_secs(100)),
        };
        let check = match token.expose() {
            "ann" => good("ann@example.org"),
            "bob" => good("bob@example.org"),
            "narrow" => TokenCheck::Bad(TokenFault::Scope),
            "down" => TokenCheck::Unavailable,
            _ => TokenCheck::Bad(TokenFault::Invalid),
        };
        Box::pin(std::future::ready(check))
    }

    fn error(&self, fault: TokenFault) -> String {
        format!("{fault:?}")
    }
}

fn world() -> (World, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let mut world = World::new(Limits::default());
    world.sign_in = world.sign_in.with_tokens(Issuer(Arc::clone(&asked)));
    (world, asked)
}

fn tries(world: &World, from: &str, authzid: Option<&str>, token: &str) -> (Answer, u128) {
    let token = Secret::new(token.to_owned());
    let authzid = authzid.map(str::to_owned);
    let (answer, waited) = world.answer(Question::Token { authzid, token }, ip(from));
    (answer, waited.as_millis())
}

fn refused(fault: TokenFault) -> Answer {
    Answer::TokenRefused { error: format!("{fault:?}") }
}

#[test]
fn a_token_signs_in_whose_it_is_and_nobody_else() {
    let (world, _) = world();
    for authzid in [None, Some("ann@example.org"), Some("ANN@Example.Org"), Some("ann")] {
        let (answer, _) = tries(&world, HOME, authzid, "ann");
        assert!(matches!(&answer, Answer::Accepted { name, .. } if name == "ann@example.org"));
        assert!(world.sign_in.standing(&answer).is_some_and(|of| world.sign_in.stands(&of)));
    }
    // Another's name, remembered or not, and a token for somebody who has no account.
    let wrong = refused(TokenFault::Invalid);
    assert_eq!(tries(&world, HOME, Some("postmaster@example.org"), "ann").0, wrong);
    assert_eq!(tries(&world, HOME, Some("ann@example.org"), "bob").0, wrong);
    assert_eq!(tries(&world, HOME, None, "bob").0, wrong);
    assert_eq!(tries(&world, HOME, None, "inactive").0, wrong);
    assert_eq!(tries(&world, HOME, None, "narrow").0, refused(TokenFault::Scope));
    assert_eq!(tries(&world, HOME, None, "down").0, Answer::Unavailable);
}

#[test]
fn a_good_token_is_remembered_and_a_bad_one_is_not() {
    let (world, asked) = world();
    let count = || asked.load(Ordering::SeqCst);
    for _ in 0..3 {
        assert!(matches!(tries(&world, HOME, None, "ann").0, Answer::Accepted { .. }));
    }
    assert_eq!(count(), 1);
    world.pass(Duration::from_secs(101));
    assert!(matches!(tries(&world, HOME, None, "ann").0, Answer::Accepted { .. }));
    assert_eq!(count(), 2);
    // A question for what is needed asks nobody.
    assert_eq!(tries(&world, HOME, None, "").0, refused(TokenFault::Invalid));
    assert_eq!(count(), 2);
    tries(&world, HOME, None, "bad");
    tries(&world, HOME, None, "bad");
    assert_eq!(count(), 4);
}

#[test]
fn guesses_wait_and_the_owner_does_not() {
    let (world, _) = world();
    assert_eq!(tries(&world, HOME, None, "ann").1, 0);
    let waits: Vec<_> = (0..5)
        .map(|guess| tries(&world, ELSEWHERE, Some("ann"), &format!("guess{guess}")).1)
        .collect();
    assert_eq!(waits, [0, 250, 500, 1000, 2000]);
    // The same wrong one again is a program whose token is over, and no further guess.
    assert_eq!(tries(&world, HOME, None, "old").1, 0);
    assert_eq!(tries(&world, HOME, None, "old").1, 250);
    assert_eq!(tries(&world, HOME, None, "old").1, 250);
    assert_eq!(tries(&world, HOME, Some("ann"), "ann").1, 0);
    // Passwords and tokens are slowed down together; half of a second has gone by above.
    assert_eq!(world.tries(ELSEWHERE, "ann", "swordfish"), (true, 3500));
}

#[test]
fn without_somebody_who_knows_them_there_are_no_tokens() {
    let world = World::new(Limits::default());
    assert!(!world.sign_in.takes_tokens());
    assert_eq!(tries(&world, HOME, None, "ann").0, Answer::Unavailable);
}
