//! What is copied from one machine to the other.

use mail_types::Timestamp;
use standby::{Token, forget, invite, invited};

#[test]
fn a_token_is_read_back_and_nothing_else_is_one() {
    let token = Token { pin: [7; 32], secret: [9; 32] };
    let text = token.to_string();
    assert_eq!(text.parse::<Token>().unwrap(), token);
    assert_eq!(format!(" {text}\n").parse::<Token>().unwrap(), token);
    for wrong in ["", "rst-standby1-", &text[1..], &text[..text.len() - 1], &format!("{text}AA")] {
        assert!(wrong.parse::<Token>().is_err(), "{wrong}");
    }
    assert!(!format!("{token:?}").contains(&text[20..]), "it does not show itself");
}

#[test]
fn each_standby_has_its_own_and_can_be_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let now = Timestamp(1_800_000_000_000);
    let one = invite(dir.path(), "one", "mx.example.test", now).unwrap();
    let two = invite(dir.path(), "two", "mx.example.test", now).unwrap();
    assert_eq!(one.pin, two.pin);
    assert_ne!(one.secret, two.secret);
    assert!(invite(dir.path(), "one", "mx.example.test", now).is_err(), "the name is taken");
    assert!(invite(dir.path(), "../one", "mx.example.test", now).is_err());
    let names: Vec<_> = invited(dir.path()).unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(forget(dir.path(), "one").unwrap());
    assert!(!forget(dir.path(), "one").unwrap());
    assert_eq!(invited(dir.path()).unwrap().len(), 1);
    // The secret itself is nowhere.
    let kept = std::fs::read_to_string(dir.path().join("standby/invited/two.json")).unwrap();
    assert!(!kept.contains(&two.to_string()[20..]));
}
