//! What waiting mail waits for besides its due time: only the running server knows.

use deliver::Wait;
use mail_types::{Address, Host};
use serde_json::Value;

/// Adds it to what is listed (`waits_for`), and to the stories that are shown (`now`).
pub fn tell(answer: &mut Value, wait_of: impl Fn(&Host) -> Option<Wait>) {
    let wait = |address: &Value| {
        let address = Address::parse(address.as_str()?).ok()?;
        wait_of(&address.host).map(|wait| wait.to_string())
    };
    for item in answer.as_array_mut().into_iter().flatten() {
        if let Some(wait) = wait(&item["to"]).filter(|_| item["state"] == "waiting") {
            item["state"] = wait.into();
        }
        let queued = |one: &&Value| one["state"] == "queued";
        let recipients = item["recipients"].as_array();
        let told: Vec<Value> = recipients
            .into_iter()
            .flatten()
            .filter(queued)
            .filter_map(|one| {
                let to = one["recipient"].as_str()?;
                Some(format!("{to}: {}", wait(&one["recipient"])?).into())
            })
            .collect();
        if let Some(now) = item["now"].as_array_mut() {
            now.extend(told);
        }
    }
}
