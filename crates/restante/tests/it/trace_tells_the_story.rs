//! `restante trace`: the whole story of a message, by whatever one knows of it.

use crate::harness::{ALICE, BOB, House, message, receipt_id};

#[test]
fn receipt_message_id_and_address_find_the_same_story() {
    let house = House::new();
    let receipt = house.deliver(&[ALICE, BOB], &message("A story", "story-1"));
    let id = receipt_id(&receipt);
    for query in [id, "<story-1@outside.test>", BOB, "stranger@outside.test"] {
        let story = house.restante(&["trace", query]);
        for part in [id, "stranger@outside.test", ALICE, BOB, "delivered", "127.0.0.1"] {
            let found = story.to_lowercase().contains(&part.to_lowercase());
            assert!(found, "trace {query} does not tell {part:?}:\n{story}");
        }
        let json = house.restante_json(&["trace", query]).to_string();
        assert!(json.contains(id), "trace {query} --json: {json}");
    }
}

#[test]
fn a_story_nobody_knows_is_said_so() {
    let house = House::new();
    let output = house.installation.command(&["trace", "<no-such-message@outside.test>"]).unwrap();
    assert!(!output.status.success());
}

#[test]
fn the_story_is_the_same_without_a_running_server_and_after_a_rebuild() {
    let mut house = House::new();
    let receipt = house.deliver(&[ALICE], &message("Kept", "story-2"));
    let id = receipt_id(&receipt);
    let running = house.restante_json(&["trace", id]);
    house.stop();
    assert_eq!(house.restante_json(&["trace", id]), running);
    house.restante(&["rebuild"]);
    assert_eq!(house.restante_json(&["trace", id]), running);
    house.start();
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 1);
}
