//! What waiting mail waits for besides its due time: only the running server knows.

use deliver::Wait;
use mail_types::{Address, Host};
use route::Relay;
use serde_json::Value;

/// Adds it to what is listed (`waits_for`), and to the stories that are shown (`now`).
pub fn tell(answer: &mut Value, wait_of: impl Fn(&Host, Option<&Relay>) -> Option<Wait>) {
    let wait = |address: &Value, via: &Value| {
        let address = Address::parse(address.as_str()?).ok()?;
        let relay: Option<Relay> = via.as_str().and_then(|via| via.parse().ok());
        wait_of(&address.host, relay.as_ref()).map(|wait| wait.to_string())
    };
    for item in answer.as_array_mut().into_iter().flatten() {
        if item["state"] == "waiting" {
            item["waits_for"] = wait(&item["to"], &item["via"]).into();
        }
        let queued = |one: &&Value| one["state"] == "queued";
        let recipients = item["recipients"].as_array();
        let told: Vec<Value> = recipients
            .into_iter()
            .flatten()
            .filter(queued)
            .filter_map(|one| {
                let to = one["recipient"].as_str()?;
                Some(format!("{to}: {}", wait(&one["recipient"], &one["via"])?).into())
            })
            .collect();
        if let Some(now) = item["now"].as_array_mut() {
            now.extend(told);
        }
    }
}
