//! Port 443 speaks both versions of HTTP to curl, and says what is wrong in JSON.

use std::process::Command;

use crate::harness::{House, tool};

#[test]
fn over_http_1_and_2() {
    let house = House::new();
    let server = format!("https://{}/api/v1/health", house.address(443));
    for (version, number) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-k", version, "-w", " %{http_version} %{http_code}", &server]);
        let answer = tool(&mut curl);
        assert!(answer.contains("\"ok\""), "{answer}");
        assert!(answer.ends_with(&format!(" {number} 200")), "{answer}");
    }
}
