use std::time::{Duration, Instant};

use sasl::{Answer, Question, ScramKeys};
use sign_in::{Limits, credentials};

use crate::world::{World, ann, ip, operator};

const HERE: &str = "192.0.2.1";

#[test]
fn the_right_password_signs_in_under_any_spelling_of_the_name() {
    let world = World::new(Limits::default());
    for name in ["ann@example.org", "Ann@Example.ORG", "ann"] {
        let (answer, _) = world.ask(HERE, name, "swordfish");
        assert!(matches!(answer, Answer::Accepted { ref name, .. } if name == "ann@example.org"));
    }
    assert_eq!(world.ask(HERE, "ann", "swordfish ").0, Answer::Refused);
    assert_eq!(world.ask(HERE, "bob", "swordfish").0, Answer::Refused);
}

#[test]
fn a_remembered_password_is_forgotten_when_it_changes() {
    let world = World::new(Limits::default());
    assert!(world.tries(HERE, "ann", "swordfish").0);
    let new = credentials("herring", &[8; 16]).unwrap();
    world.store.set_credentials(operator(), ann(), new).wait().unwrap();
    assert_eq!(world.ask(HERE, "ann", "swordfish").0, Answer::Refused);
    assert!(world.tries(HERE, "ann", "herring").0);
}

#[test]
fn a_session_stands_until_the_password_changes_or_the_account_goes() {
    let world = World::new(Limits::default());
    let (refused, _) = world.ask(HERE, "ann", "herring");
    assert_eq!(world.sign_in.standing(&refused), None);
    let (accepted, _) = world.ask(HERE, "ann", "swordfish");
    let first = world.sign_in.standing(&accepted).unwrap();
    assert!(world.sign_in.stands(&first));
    assert_eq!(world.sign_in.standing(&accepted), Some(first));
    let new = credentials("herring", &[8; 16]).unwrap();
    world.store.set_credentials(operator(), ann(), new).wait().unwrap();
    assert!(!world.sign_in.stands(&first));
    let second = world.sign_in.standing(&accepted).unwrap();
    assert!(second != first && world.sign_in.stands(&second));
    world.store.remove_account(operator(), ann()).wait().unwrap();
    assert!(!world.sign_in.stands(&second));
    assert_eq!(world.sign_in.standing(&accepted), None);
}

/// RFC 5802: who asks for keys learns nothing of who exists.
#[test]
fn keys_are_there_for_every_name() {
    let world = World::new(Limits::default());
    let keys = |name: &str| {
        let question = Question::ScramKeys { authcid: name.to_owned() };
        match world.answer(question, ip(HERE)).0 {
            Answer::Keys { keys, .. } => keys,
            other => panic!("{other:?}"),
        }
    };
    let (known, unknown) = (keys("ann"), keys("nobody"));
    let shape = |keys: &ScramKeys| (keys.salt.len(), keys.iterations);
    assert_eq!(shape(&known), shape(&unknown));
    assert!(unknown == keys("nobody") && unknown == keys("NoBody"));
    assert!(unknown != keys("nobody2"));
}

/// The same cost for a name that is known and one that is not: medians of interleaved tries, so that
/// a loaded machine slows both.
#[test]
fn a_refusal_takes_as_long_for_an_unknown_name() {
    let limits = Limits { failure_delay: Duration::ZERO, ..Limits::default() };
    let world = World::new(limits);
    // That its password is remembered makes no difference to wrong ones.
    assert!(world.tries(HERE, "ann", "swordfish").0);
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..31 {
        for (times, name) in times.iter_mut().zip(["ann@example.org", "bob@example.org"]) {
            let begun = Instant::now();
            assert!(!world.tries(HERE, name, &format!("wrong {round}")).0);
            times.push(begun.elapsed());
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.67..1.5).contains(&ratio), "{known:?} for a known name, {unknown:?} for another");
    // It was the password hash that took the time, not a look at a table.
    assert!(unknown > Duration::from_millis(1), "{unknown:?}");
}
