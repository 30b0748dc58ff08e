use std::time::Duration;

use sasl::{Answer, Question};
use sign_in::Limits;

use crate::world::{World, ip};

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";

fn world() -> World {
    World::new(Limits::default())
}

#[test]
fn each_guess_waits_longer_for_a_known_and_an_unknown_name() {
    let world = world();
    for (from, name) in [(HOME, "ann"), (ELSEWHERE, "nobody")] {
        let waits: Vec<_> =
            (0..8).map(|guess| world.tries(from, name, &format!("guess {guess}")).1).collect();
        assert_eq!(waits, [0, 250, 500, 1000, 2000, 4000, 8000, 8000], "{name}");
    }
}

/// The wait comes before the look: a right password waits like a wrong one, and its answer's delay
/// tells nothing.
#[test]
fn a_right_guess_waits_like_a_wrong_one() {
    let world = world();
    for guess in 0..4 {
        world.tries(ELSEWHERE, "ann", &format!("guess {guess}"));
    }
    assert_eq!(world.tries(ELSEWHERE, "ann", "swordfish"), (true, 2000));
}

/// A program that has not been told of the new password asks every few seconds, and its owner's
/// other programs go on.
#[test]
fn the_same_wrong_password_counts_once() {
    let world = world();
    let waits: Vec<_> = (0..20).map(|_| world.tries(HOME, "ann", "old password").1).collect();
    assert_eq!(waits[0], 0);
    assert!(waits[1..].iter().all(|wait| *wait == 250), "{waits:?}");
    assert!(world.tries(HOME, "ann", "swordfish").0);
    // For another name it is another guess.
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.tries(HOME, "bob", "old password").1, 0);
    assert_eq!(world.tries(HOME, "carl", "old password").1, 250);
    assert_eq!(world.tries(HOME, "dora", "old password").1, 500);
}

/// Nobody locks an owner out: not from the network where the account is at home, which does not even
/// wait, and not from anywhere else.
#[test]
fn the_owner_gets_in_while_a_crowd_guesses() {
    let world = world();
    assert!(world.tries(HOME, "ann", "swordfish").0);
    for guess in 0..3000_u32 {
        let from = format!("203.{}.{}.9", guess / 256, guess % 256);
        assert_eq!(world.wrong_proof(&from, "ann@example.org", guess), Answer::Refused);
    }
    // Another address of the same /24.
    assert_eq!(world.tries("192.0.2.99", "ann", "swordfish"), (true, 0));
    // Nor does it wait once the password is no longer remembered.
    world.pass(Duration::from_secs(61));
    assert_eq!(world.tries("192.0.2.99", "ann", "swordfish"), (true, 0));
    // The crowd waits as long as may be, and so does a stranger, who then gets in.
    assert_eq!(world.tries("203.0.1.9", "ann", "one more guess"), (false, 8000));
    assert_eq!(world.tries(ELSEWHERE, "ann", "swordfish"), (true, 8000));
    // From there it is known now.
    assert_eq!(world.tries(ELSEWHERE, "ann", "swordfish"), (true, 0));
    // Other accounts are not slowed down by it.
    assert_eq!(world.tries("198.51.100.200", "bob", "guess").1, 0);
}

#[test]
fn ipv6_counts_by_64_bits_and_is_at_home_in_48() {
    let world = world();
    assert!(world.tries("2001:db8:1:1::1", "ann", "swordfish").0);
    for guess in 0..20 {
        // Another address of one /64 each time.
        world.wrong_proof(&format!("2001:db8:2:2::{guess:x}"), "ann", guess);
    }
    assert_eq!(world.tries("2001:db8:2:2::ffff", "bob", "guess").1, 8000);
    assert_eq!(world.tries("2001:db8:2:3::1", "bob", "guess").1, 0);
    assert_eq!(world.tries("2001:db8:1:ffff::1", "ann", "swordfish"), (true, 0));
}

/// Tries of one source wait one behind the other, so that many connections are no way around it;
/// more of them than may wait are turned away, and counted for nothing.
#[test]
fn many_connections_of_one_source_queue_up() {
    let world = world();
    world.wrong_proof(ELSEWHERE, "ann", 1);
    world.wrong_proof(ELSEWHERE, "ann", 2);
    // The clock stands still for these: they come at once.
    let at_once = || {
        let question = Question::ScramKeys { authcid: "ann".to_owned() };
        let before = world.answer(question, ip(ELSEWHERE));
        match before {
            (Answer::Keys { .. }, waited) => {
                // `answer` has moved the clock; they ask at the same moment.
                world.pass_back(waited);
                Some(waited.as_millis())
            }
            (answer, _) => {
                assert_eq!(answer, Answer::Unavailable);
                None
            }
        }
    };
    let waits: Vec<_> = std::iter::from_fn(at_once).take(100).collect();
    assert_eq!(waits.len(), 16, "{waits:?}");
    assert!(waits.windows(2).all(|pair| pair[1] == pair[0] + 500), "{waits:?}");
    assert_eq!(waits.last(), Some(&8000));
}

#[test]
fn time_heals_and_a_right_password_forgives_half() {
    let world = world();
    for guess in 0..6 {
        world.wrong_proof(ELSEWHERE, "bob", guess);
    }
    world.pass(Duration::from_secs(10));
    // 6 failures, and then 3.
    assert!(world.tries(ELSEWHERE, "ann", "swordfish").0);
    world.pass(Duration::from_secs(10));
    world.tries(ELSEWHERE, "bob", "a guess");
    assert_eq!(world.tries(ELSEWHERE, "bob", "another").1, 2000);
    // After five minutes five are forgotten.
    world.pass(Duration::from_secs(300));
    assert_eq!(world.tries(ELSEWHERE, "bob", "a third").1, 0);
    assert_eq!(world.tries(ELSEWHERE, "bob", "a fourth").1, 250);
}

#[test]
fn loopback_is_left_alone_unless_it_is_to_be_limited() {
    for (loopback_is_limited, waits) in [(false, [0, 0, 0]), (true, [0, 250, 500])] {
        let world = World::new(Limits { loopback_is_limited, ..Limits::default() });
        let waited = [0, 1, 2].map(|guess| world.tries("::1", "ann", &format!("guess {guess}")).1);
        assert_eq!(waited, waits);
    }
}
