//! RFC 9585: a search that takes long says how far it is, every ten seconds and not more often.

use mail_types::Timestamp;

use crate::client::{Client, config};
use crate::service::{Service, flags};

fn search_of_eight(secs_per_answer: u64) -> String {
    let mut service = Service::new();
    for number in 1..=8 {
        let text = format!("Subject: {number}\r\n\r\nneedle\r\n");
        service.deliver("INBOX", text.as_bytes(), flags(""), Timestamp::default());
    }
    let mut config = config();
    config.limits.match_messages_max = 1;
    let mut client = Client::signed_in(config, &mut service);
    client.say(&mut service, "a SELECT INBOX");
    client.secs_per_answer = secs_per_answer;
    client.say(&mut service, "b SEARCH BODY needle")
}

#[test]
fn progress_is_told_every_ten_seconds() {
    let answer = search_of_eight(5);
    let told: Vec<&str> = answer.lines().filter(|line| line.contains("INPROGRESS")).collect();
    let wanted =
        [2, 4, 6, 8].map(|done| format!("* OK [INPROGRESS (\"b\" {done} 8)] Still looking"));
    assert_eq!(told, wanted, "{answer}");
    assert!(answer.ends_with("* SEARCH 1 2 3 4 5 6 7 8\r\nb OK Done\r\n"), "{answer}");
}

#[test]
fn a_quick_search_tells_no_progress() {
    let answer = search_of_eight(0);
    assert!(!answer.contains("INPROGRESS"), "{answer}");
}
