//! What came in others' names is told to them once a day, if they want it, once and to nobody else.

use std::process::{Command, Stdio};

use peers::{Dns, Fault, Script, Sink, Stored};

use crate::harness::{ALICE, House, LIMIT, RESTANTE, Smtp, message, tool, until};

/// What a program of others makes of the report in a message: Python's own parsers.
const READER: &str = "import email, email.policy, gzip, json, sys\n\
    import xml.etree.ElementTree as tree\n\
    message = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)\n\
    part = [p for p in message.iter_attachments()][0]\n\
    feedback = tree.fromstring(gzip.decompress(part.get_content()))\n\
    space = '{urn:ietf:params:xml:ns:dmarc-2.0}'\n\
    assert feedback.tag == space + 'feedback', feedback.tag\n\
    def text(path, of=feedback):\n\
    \x20   found = of.find(path.replace('/', '/' + space).join([space, '']))\n\
    \x20   return None if found is None else found.text\n\
    records = [[text('row/source_ip', r), text('row/count', r), text('row/policy_evaluated/disposition', r),\n\
    \x20   text('row/policy_evaluated/spf', r), text('identifiers/header_from', r),\n\
    \x20   text('identifiers/envelope_from', r), text('auth_results/spf/result', r)]\n\
    \x20   for r in feedback.findall(space + 'record')]\n\
    print(json.dumps({'subject': message['subject'], 'from': message['from'].addresses[0].addr_spec,\n\
    \x20   'type': part.get_content_type(), 'file': part.get_filename(), 'id': text('report_metadata/report_id'),\n\
    \x20   'auto': message['auto-submitted'], 'org': text('report_metadata/org_name'), 'domain': text('policy_published/domain'),\n\
    \x20   'begin': text('report_metadata/date_range/begin'), 'end': text('report_metadata/date_range/end'),\n\
    \x20   'p': text('policy_published/p'), 'records': records}))\n";

fn read(house: &House, stored: &Stored) -> serde_json::Value {
    let path = house.path().join("report.eml");
    std::fs::write(&path, &stored.body).unwrap();
    let text = tool(Command::new("/usr/bin/python3").args(["-c", READER]).arg(&path));
    serde_json::from_str(&text).unwrap()
}

/// A mail host for everybody, at an address that is not the server's own.
async fn everybodys_host(dns: &Dns, domains: &[&str]) -> Sink {
    let sink = Sink::start_at(([127, 0, 77, 1], 0).into(), Script::accept()).await;
    for domain in domains {
        dns.mx(domain, 10, "mx.far.test");
    }
    dns.address("mx.far.test", sink.addr().ip());
    dns.ptr([127, 0, 0, 1], "mx.outside.test").address("mx.outside.test", [127, 0, 0, 1]);
    sink
}

/// A server that checks mail from loopback, too, and sends reports.
fn reporting(dns: &Dns, sink: &Sink, settings: &str) -> House {
    let mut house = House::made(&dns.addr().to_string());
    house.set("judge", "trusted_networks = []");
    house.set("reports", settings);
    house.set("queue", "inward_networks = [\"127.0.0.0/8\"]");
    house.set("queue", &format!("remote_port = {}", sink.addr().port()));
    house.start();
    house
}

/// Offers a message; the reply to its final dot.
fn offered(house: &House, mail_from: &str, from: &str, id: &str) -> String {
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO mx.outside.test");
    smtp.expect(&format!("MAIL FROM:<{mail_from}>"), "250");
    smtp.expect(&format!("RCPT TO:<{ALICE}>"), "250");
    smtp.expect("DATA", "354");
    let text = message("Counted", id).replace("stranger@outside.test", from);
    smtp.say(&format!("{}\r\n.", text.replace('\n', "\r\n").replace("\r\n.", "\r\n..")))
}

const SENDS: &str = "v=spf1 ip4:127.0.0.1 -all";

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_told_what_came_in_its_name() {
    let dns = Dns::start().await;
    let sink = everybodys_host(&dns, &["outside.test", "agreed.test", "victim.test"]).await;
    dns.txt("outside.test", SENDS).txt("other.test", SENDS);
    // Two elsewhere are named; one of them has agreed, and wants it at another address.
    dns.txt(
        "_dmarc.outside.test",
        "v=DMARC1; p=reject; rua=mailto:dmarc@outside.test,mailto:a@agreed.test,\
         mailto:v@victim.test,mailto:small@outside.test!1",
    );
    dns.txt("outside.test._report._dmarc.agreed.test", "v=DMARC1; rua=mailto:b@agreed.test");
    let house = reporting(&dns, &sink, "dmarc = \"yes\"\norganization = \"The Example House\"");
    for id in ["r-1", "r-2"] {
        let reply = offered(&house, "stranger@outside.test", "stranger@outside.test", id);
        assert!(reply.starts_with("250"), "{reply}");
    }
    let reply = offered(&house, "forger@other.test", "boss@outside.test", "r-3");
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    // No policy, no report.
    offered(&house, "one@other.test", "one@other.test", "r-4");
    let next = house.restante_json(&["report", "next"]);
    assert_eq!(next["domains"].as_array().map(Vec::len), Some(1), "{next}");
    assert_eq!(
        (&next["domains"][0]["counted"], &next["domains"][0]["failed"]),
        (&3.into(), &1.into())
    );

    let told = house.restante(&["report", "send"]);
    assert!(told.contains("mailed to mailto:dmarc@outside.test"), "{told}");
    let state = sink.wait_for_count(LIMIT, 2).await;
    let to: Vec<_> = state.stored.iter().flat_map(|stored| stored.recipients.clone()).collect();
    assert!(to.contains(&"dmarc@outside.test".into()) && to.contains(&"b@agreed.test".into()));
    let stored = &state.stored[0];
    assert_eq!(stored.reverse_path, "noreply@example.test");
    assert!(stored.text().starts_with("DKIM-Signature: v=1; a="), "{}", stored.text());
    let report = read(&house, stored);
    let id = report["id"].as_str().unwrap();
    let (begin, end) = (report["begin"].as_str().unwrap(), report["end"].as_str().unwrap());
    assert_eq!(
        report["subject"],
        format!("Report Domain: outside.test Submitter: example.test Report-ID: <{id}>")
    );
    assert_eq!(report["file"], format!("example.test!outside.test!{begin}!{end}!{id}.xml.gz"));
    assert_eq!(
        (&report["type"], &report["auto"]),
        (&"application/gzip".into(), &"auto-generated".into())
    );
    assert_eq!((&report["org"], &report["p"]), (&"The Example House".into(), &"reject".into()));
    assert_eq!(
        report["records"],
        serde_json::json!([
            ["127.0.0.1", "1", "reject", "fail", "outside.test", "other.test", "pass"],
            ["127.0.0.1", "2", "pass", "pass", "outside.test", "outside.test", "pass"],
        ]),
        "{report}"
    );

    // Who has not agreed gets none, and what is too large is not sent; both are told.
    let sent = house.restante(&["report", "sent", "--domain", "outside.test"]);
    assert!(
        sent.contains("not sent to mailto:v@victim.test: v@victim.test has not agreed"),
        "{sent}"
    );
    assert!(sent.contains("not sent to mailto:small@outside.test: it has"), "{sent}");
    // All of it was told: there is nothing more to tell, now or after a start.
    house.restante(&["report", "send"]);
    assert_eq!(house.restante_json(&["report", "sent"]).as_array().map(Vec::len), Some(4));
    let mails = sink.state();
    assert_eq!(mails.count, 2, "{:?}", mails.stored);
    let trace = house.restante(&["trace", "dmarc@outside.test"]);
    assert!(trace.contains("it is our DMARC report about outside.test from"), "{trace}");
    tokio::task::block_in_place(|| drop(house));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_goes_on_and_sends_none_twice() {
    let dns = Dns::start().await;
    let sink = everybodys_host(&dns, &["aye.test", "bee.test"]).await;
    for domain in ["aye.test", "bee.test"] {
        dns.txt(domain, SENDS);
        dns.txt(
            &format!("_dmarc.{domain}"),
            &format!("v=DMARC1; p=none; rua=mailto:dmarc@{domain}"),
        );
    }
    let mut house = reporting(&dns, &sink, "dmarc = \"yes\"");
    for domain in ["aye.test", "bee.test"] {
        offered(&house, &format!("one@{domain}"), &format!("one@{domain}"), domain);
    }
    // The first is mailed; at the second the server waits for the DNS, and dies.
    dns.fault("_dmarc.bee.test", Fault::Silent);
    let mut asking = Command::new(RESTANTE)
        .args(["report", "send", "--data"])
        .arg(&house.installation.data)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    sink.wait_for_count(LIMIT, 1).await;
    // Else the queue itself would send it again: nobody could know whether it had arrived.
    house.await_trace("dmarc@aye.test", "relayed");
    house.kill();
    assert!(!asking.wait().unwrap().success());
    dns.heal("_dmarc.bee.test");
    // What came after the end of that span is of the next one.
    house.start();
    let state = sink.wait_for_count(LIMIT, 2).await;
    let to: Vec<_> = state.stored.iter().map(|stored| stored.recipients[0].as_str()).collect();
    assert_eq!(to, ["dmarc@aye.test", "dmarc@bee.test"]);
    until("the span is over", || {
        let next = house.restante_json(&["report", "next"]);
        (next["end"].is_null() && next["domains"].as_array()?.is_empty()).then_some(())
    });
    assert_eq!(sink.state().count, 2);
    tokio::task::block_in_place(|| drop(house));
}
