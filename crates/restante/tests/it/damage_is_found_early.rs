//! What nobody reads is read by the server itself: damage is an alarm before it is needed, and the
//! auditor says each minute that all mail is accounted for.

use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::harness::{ALICE, BOB, House, message, until};

fn house(messages: usize) -> House {
    let mut house = House::made("127.0.0.1:1");
    house.set("scrub", "every = \"1s\"");
    house.start();
    for number in 0..messages {
        let name = format!("m{number}");
        house.deliver(&[ALICE, BOB], &message(&name, &name));
    }
    house
}

/// Flips a bit of the body that holds these words; the place of the byte.
fn flip(data: &Path, words: &str) -> u64 {
    let path = data.join("journal/00000001.seg");
    let bytes = std::fs::read(&path).unwrap();
    let found = bytes.windows(words.len()).position(|part| part == words.as_bytes()).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(&[bytes[found] ^ 4], found as u64).unwrap();
    found as u64
}

#[test]
fn all_mail_is_accounted_for_and_says_so() {
    let house = house(3);
    let status = until("a look of the auditor", || {
        let status = house.restante_json(&["status"]);
        (status["audit"]["rounds"].as_u64()? > 0).then_some(status)
    });
    assert!(status["unaccounted"] == 0 && status["overdue"] == 0, "{status}");
    let now = house.restante_json(&["verify", "--online"]);
    assert!(now["unaccounted"] == 0 && now["audit"]["custodies"] == 6, "{now}");
    let scrub = house.restante_json(&["scrub"]);
    assert!(scrub["clean"] == true && scrub["frames"].as_u64().unwrap() > 6, "{scrub}");
    let status = until("a whole round of the scrubber", || {
        let status = house.restante_json(&["status"]);
        status["scrub"]["finished"].is_string().then_some(status)
    });
    assert_eq!(status["scrub"]["damaged"], 0, "{status}");
}

#[test]
fn a_body_that_rots_is_named_contained_and_an_alarm() {
    let mut house = house(3);
    house.stop();
    let data = house.installation.data.clone();
    let at = flip(&data, "The body of m1.");
    house.start();
    let alarm = until("the alarm", || {
        let alarms = house.restante_json(&["status"])["alarms"].to_string();
        alarms.contains("the journal is damaged").then_some(alarms)
    });
    assert!(alarm.contains("body") && alarm.contains("segment 1"), "{alarm}");
    let scrub = house.installation.command(&["scrub", "--json"]).unwrap();
    assert!(!scrub.status.success());
    let said: serde_json::Value = serde_json::from_slice(&scrub.stdout).unwrap();
    assert_eq!(said["damaged"], 1, "{said}");
    // The others are read, and mail goes on.
    house.deliver(&[ALICE], &message("m9", "m9"));
    house.stop();
    let path = data.join("journal/00000001.seg");
    let mut byte = [0];
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}
