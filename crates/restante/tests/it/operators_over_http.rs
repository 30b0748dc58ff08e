//! The operators' part of the API, with curl: what a token is good for, and what it is not.

use std::process::Command;

use serde_json::Value;

use crate::harness::{ALICE, BOB, House, message, tool, until};

/// The status and the document.
pub fn curl(
    house: &House,
    token: &str,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> (u16, Value) {
    let url = format!("https://{}/api/v1/{path}", house.address(443));
    let bearer = format!("Authorization: Bearer {token}");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-k", "-X", method, "-w", "\n%{http_code}", "-H", &bearer, &url]);
    if let Some(body) = body {
        curl.args(["-H", "Content-Type: application/json", "-d", body]);
    }
    let said = tool(&mut curl);
    let (body, code) = said.rsplit_once('\n').unwrap();
    (code.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| panic!("{said}")))
}

pub fn token(house: &House, name: &str, scopes: &str) -> String {
    let mut arguments = vec!["operator", "token", "add", name];
    if !scopes.is_empty() {
        arguments.extend(["--scope", scopes]);
    }
    house.restante_json(&arguments)["token"].as_str().unwrap().to_owned()
}

/// A house with an operator, an auditor and a domain-admin.
fn house() -> House {
    let house = House::new();
    house.restante(&["operator", "add", "ann", "--role", "operator"]);
    house.restante(&["operator", "add", "max", "--role", "auditor"]);
    let of_domain = ["--role", "domain-admin", "--domain", "example.test"];
    house.restante(&[&["operator", "add", "dan"][..], &of_domain].concat());
    house
}

#[test]
fn a_token_is_good_for_its_scopes_and_its_operator_s_role() {
    let house = house();
    house.deliver(&[ALICE], &message("over the API", "api-1"));
    let (reads, all) = (token(&house, "ann", "trace:read,queue:write"), token(&house, "ann", ""));
    let (auditor, of_domain) = (token(&house, "max", ""), token(&house, "dan", ""));
    let (status, stories) = curl(&house, &reads, "GET", &format!("trace?text={ALICE}"), None);
    assert_eq!((status, &stories[0]["subject"]), (200, &"over the API".into()), "{stories}");
    for (token, method, path, body, wanted) in [
        ("rso_nonsense", "GET", "status", None, 401),
        (&reads, "GET", "status", None, 403),
        (&all, "GET", "status", None, 200),
        (&auditor, "GET", "status", None, 200),
        (&auditor, "GET", "audit", None, 200),
        (&of_domain, "GET", "status", None, 403),
        (&of_domain, "GET", "accounts", None, 200),
        (&all, "PUT", "domains/second.test", Some("{}"), 200),
        (&of_domain, "DELETE", "accounts/x@second.test", None, 403),
        (&auditor, "DELETE", "accounts/bob@example.test", None, 403),
        (&of_domain, "PUT", "accounts/bob@example.test/quota", Some(r#"{"messages": 7}"#), 200),
        (&of_domain, "PUT", "accounts/bob@example.test/quota", Some(r#"{"messages": null}"#), 200),
        (&reads, "POST", "queue/pause", Some(r#"{"destination": "far.test", "reason": "x"}"#), 200),
        (
            &all,
            "POST",
            "queue/change",
            Some(r#"{"what": {"purge": {"after_secs": 9}}, "filter": {"to": "far.test"}}"#),
            403,
        ),
        // What is misspelt is not everything, and neither is nothing.
        (
            &all,
            "POST",
            "queue/change",
            Some(r#"{"what": "hold", "filter": {"form": "far.test"}}"#),
            400,
        ),
        (&all, "POST", "queue/change", Some(r#"{"what": "hold", "filter": {}}"#), 422),
        (
            &all,
            "POST",
            "command",
            Some(
                r#"{"do": "acts", "ask": {"undo": {"acts": [], "filter": {"acount": "x"}, "dry_run": true}}}"#,
            ),
            400,
        ),
        (&all, "POST", "command", Some(r#"{"do": "domain-list"}"#), 200),
        (&all, "POST", "command", Some(r#"{"do": "no-such-thing"}"#), 400),
        (
            &all,
            "POST",
            "command",
            Some(r#"{"do": "operator", "ask": {"remove": {"name": "max"}}}"#),
            403,
        ),
        (&all, "POST", "command", Some("[1]"), 400),
    ] {
        let (status, answer) = curl(&house, token, method, path, body);
        assert_eq!(status, wanted, "{method} {path} {body:?}: {answer}");
    }
    let grave = token(&house, "ann", "queue:write,queue:grave");
    let purge = r#"{"what": {"purge": {"after_secs": 9}}, "filter": {"to": "far.test"}}"#;
    assert_eq!(curl(&house, &grave, "POST", "queue/change", Some(purge)).0, 200);
    let audit = house.restante(&["audit"]);
    for wanted in ["ann (console)", "looked for “alice@example.test”", "paused mail to far.test"]
    {
        assert!(audit.contains(wanted), "{wanted} in:\n{audit}");
    }
    house.restante(&["operator", "token", "remove", "ann", "1"]);
    assert_eq!(curl(&house, &reads, "GET", "trace?text=x@y.test", None).0, 401);
    house.restante(&["operator", "remove", "max"]);
    assert_eq!(curl(&house, &auditor, "GET", "status", None).0, 401);
    let (_, document) = curl(&house, &all, "GET", "openapi.json", None);
    assert!(document["paths"]["/api/v1/accounts/{address}"]["delete"].is_object(), "{document}");
}

#[test]
fn who_is_not_let_in_does_not_even_see_the_sign_in() {
    let mut house = House::made("127.0.0.1:1");
    house.set("console", "networks = [\"192.0.2.0/24\"]");
    house.start();
    house.restante(&["operator", "add", "ann", "--role", "operator"]);
    let token = token(&house, "ann", "");
    assert_eq!(curl(&house, &token, "GET", "status", None).0, 403);
    let url = format!("https://{}/admin/sign-in", house.address(443));
    let said = tool(Command::new("curl").args(["-sS", "-k", "-w", "\n%{http_code}", &url]));
    assert!(said.ends_with("\n403"), "{said}");
    assert!(said.contains("`networks` under [console]"), "{said}");
    assert!(!said.contains("<form"), "{said}");
    // Accounts of mail are none of its business.
    let user = format!("{BOB}:{}", crate::harness::PASSWORD);
    let url = format!("https://{}/api/v1/send", house.address(443));
    let letter = format!(r#"{{"from": "{BOB}", "to": "{ALICE}", "text": "x"}}"#);
    let json = ["-H", "Content-Type: application/json", "-d", &letter];
    let sent = tool(Command::new("curl").args(["-sS", "-k", "-u", &user, &url]).args(json));
    assert!(sent.contains("\"receipt\""), "{sent}");
}

#[test]
fn operators_are_made_and_kept_over_a_restart() {
    let mut house = house();
    assert!(house.restante(&["operator", "list"]).contains("domain-admin"));
    let made = house.restante_json(&["operator", "totp", "ann"]);
    assert!(made["url"].as_str().unwrap().starts_with("otpauth://totp/Restante:ann?secret="));
    let token = token(&house, "ann", "status:read");
    house.kill();
    house.start();
    let known = house.restante_json(&["operator", "list"]);
    assert_eq!(known[0]["second_factor"], true, "{known}");
    assert_eq!(known[0]["tokens"][0]["scopes"][0], "status:read", "{known}");
    assert_eq!(curl(&house, &token, "GET", "status", None).0, 200);
    house.restante(&["operator", "role", "ann", "--role", "auditor"]);
    for wrong in [
        &["operator", "add", "ann", "--role", "operator"][..],
        &["operator", "add", "a b", "--role", "operator"],
        &["operator", "add", "eve", "--role", "domain-admin"],
        &["operator", "token", "add", "ann", "--scope", "everything"],
    ] {
        let output = house.installation.command(wrong).unwrap();
        assert!(!output.status.success(), "{wrong:?}");
    }
}

#[test]
fn backups_are_begun_and_looked_at_over_http() {
    let mut house = House::made("127.0.0.1:1");
    let backup = house.path().join("backup");
    house.set("backup", &format!("to = {:?}\nevery = \"0s\"", backup.to_str().unwrap()));
    house.start();
    house.restante(&["operator", "add", "ann", "--role", "operator"]);
    house.deliver(&[ALICE], &message("Kept twice", "api-9"));
    let reads = token(&house, "ann", "backup:read");
    let writes = token(&house, "ann", "backup:write");
    assert_eq!(curl(&house, &reads, "POST", "backup/start", Some("{}")).0, 403);
    assert_eq!(curl(&house, &reads, "GET", "status", None).0, 403);
    for (what, wanted) in [("start", "records"), ("check", "clean")] {
        let begun = curl(&house, &writes, "POST", &format!("backup/{what}"), Some("{}"));
        assert_eq!(begun.0, 200, "{begun:?}");
        let state = until("its end", || {
            let (_, state) = curl(&house, &reads, "GET", "backup", None);
            state["work"]["ended"].is_string().then_some(state)
        });
        assert!(!state["work"]["result"][wanted].is_null(), "{state}");
    }
    let (_, points) = curl(&house, &reads, "GET", "backup/points", None);
    assert_eq!(points["points"].as_array().unwrap().len(), 1, "{points}");
}
