//! How TLS went on the way to others is told to them, if they want it, even where TLS is what fails.

use std::process::Command;

use peers::{Authority, Certified, Dns, Script, Sink, Web};
use serde_json::Value;

use crate::harness::{ALICE, House, LIMIT, message, receipt_id, tool};

const POLICY: &str = "version: STSv1\nmode: enforce\nmx: *.far.test\nmax_age: 604800\n";

/// What a program of others makes of a report: Python's own parsers.
const READER: &str = "import email, email.policy, gzip, json, sys\n\
    message = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)\n\
    assert message.get_content_type() == 'multipart/report', message.get_content_type()\n\
    assert message.get_param('report-type') == 'tlsrpt'\n\
    text, part = message.iter_parts()\n\
    assert text.get_content_type() == 'text/plain' and part.get_content_type() == 'application/tlsrpt+gzip'\n\
    report = json.loads(gzip.decompress(part.get_content()))\n\
    print(json.dumps({'report': report, 'domain': message['tls-report-domain'],\n\
    \x20   'submitter': message['tls-report-submitter'], 'required': message['tls-required'],\n\
    \x20   'subject': message['subject'], 'file': part.get_filename()}))\n";

fn read(house: &House, body: &[u8]) -> Value {
    let path = house.path().join("report.eml");
    std::fs::write(&path, body).unwrap();
    let text = tool(Command::new("/usr/bin/python3").args(["-c", READER]).arg(&path));
    serde_json::from_str(&text).unwrap()
}

/// far.test wants verified TLS and shows a wrong certificate; plain.test has no TLS at all.
struct World {
    house: House,
    dns: Dns,
    far: Sink,
    plain: Sink,
    web: Web,
}

async fn world() -> World {
    let (dns, authority) = (Dns::start().await, Authority::new());
    let wrong = Certified::from(peers::self_signed(&["mx.far.test"]));
    let far =
        Sink::start_at(([127, 0, 77, 1], 0).into(), Script::accept().starttls_with(&wrong)).await;
    let port = far.addr().port();
    let plain = Sink::start_at(([127, 0, 77, 2], port).into(), Script::accept()).await;
    let certified = authority.issue(&["mta-sts.far.test", "rpt.test"]);
    let web = Web::start(Some(&certified)).await;
    web.page("/.well-known/mta-sts.txt", 200, "text/plain", POLICY);
    dns.mx("far.test", 10, "mx.far.test").address("mx.far.test", far.addr().ip());
    dns.mx("plain.test", 10, "mx.plain.test").address("mx.plain.test", plain.addr().ip());
    dns.address("mta-sts.far.test", [127, 0, 0, 1]).txt("_mta-sts.far.test", "v=STSv1; id=1;");
    dns.address("rpt.test", [127, 0, 0, 1]);
    let house = House::made(&dns.addr().to_string());
    let pem = house.path().join("authority.pem");
    std::fs::write(&pem, authority.pem()).unwrap();
    house.set("tls", &format!("authorities = [\"{}\"]", pem.display()));
    house.set("queue", &format!("remote_port = {port}"));
    house.set("queue", "inward_networks = [\"127.0.0.0/8\"]");
    house.set("outgoing_tls", &format!("mta_sts_port = {}", web.addr().port()));
    house.set("reports", "tls = \"yes\"");
    World { house, dns, far, plain, web }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_told_what_failed_by_mail_and_by_https() {
    let World { mut house, dns, far, plain, web } = world().await;
    let url = format!("https://rpt.test:{}/tls", web.addr().port());
    dns.txt("_smtp._tls.far.test", &format!("v=TLSRPTv1; rua=mailto:tls@far.test,{url}"));
    dns.txt("_smtp._tls.plain.test", "v=TLSRPTv1;rua=mailto:tls@plain.test");
    web.page("/tls", 503, "text/plain", "not now");
    house.start();
    let guarded = house.submit(&["you@far.test"], &message("Guarded", "rpt-1"));
    house.await_trace(receipt_id(&guarded), "leads to no authority we trust");
    house.submit(&["me@plain.test"], &message("Bare", "rpt-2"));
    plain.wait_for_count(LIMIT, 1).await;
    house.await_trace("<rpt-2@outside.test>", "relayed");
    let told = house.restante(&["report", "send"]);
    assert!(told.contains("tried again for a day: HTTP status 503"), "{told}");

    // The report goes to the very host whose certificate is wrong; the mail still waits.
    let state = far.wait_for_count(LIMIT, 1).await;
    let stored = &state.stored[0];
    assert_eq!(stored.recipients, ["tls@far.test"]);
    assert!(stored.tls && stored.text().starts_with("DKIM-Signature: v=1; a="), "{stored:?}");
    let theirs = read(&house, &stored.body);
    assert_eq!(
        (&theirs["domain"], &theirs["submitter"]),
        (&"far.test".into(), &"example.test".into())
    );
    assert_eq!(theirs["required"], "No");
    let report = &theirs["report"];
    let id = report["report-id"].as_str().unwrap();
    assert_eq!(
        theirs["subject"],
        format!("Report Domain: far.test Submitter: example.test Report-ID: <{id}>")
    );
    let file = theirs["file"].as_str().unwrap();
    assert!(file.starts_with("example.test!far.test!") && file.ends_with(".json.gz"), "{file}");
    let policy = &report["policies"][0];
    assert_eq!(
        (&policy["policy"]["policy-type"], &policy["policy"]["policy-domain"]),
        (&"sts".into(), &"far.test".into())
    );
    assert_eq!(
        policy["policy"]["policy-string"],
        serde_json::json!(["version: STSv1", "mode: enforce", "mx: *.far.test", "max_age: 604800"])
    );
    assert_eq!(policy["summary"]["total-successful-session-count"], 0);
    let detail = &policy["failure-details"][0];
    assert_eq!(
        (&detail["result-type"], &detail["receiving-mx-hostname"]),
        (&"certificate-not-trusted".into(), &"mx.far.test".into()),
        "{policy}"
    );
    assert_eq!(detail["receiving-ip"], "127.0.77.1");

    let bare = plain.wait_for_count(LIMIT, 2).await;
    let bare = read(&house, &bare.stored[1].body);
    let policy = &bare["report"]["policies"][0];
    assert_eq!(policy["policy"]["policy-type"], "no-policy-found");
    assert_eq!(policy["failure-details"][0]["result-type"], "starttls-not-supported");

    // Who could not take it gets it later, the others not again; reports are not reported.
    web.page("/tls", 201, "text/plain", "thanks");
    let told = house.restante(&["report", "send"]);
    assert!(told.contains(&format!("posted to {url} (201)")), "{told}");
    let posted = web.asked().into_iter().rfind(|one| one.path == "/tls").unwrap();
    assert_eq!(posted.method, "POST");
    let has = |line: &str| posted.headers.iter().any(|have| have.eq_ignore_ascii_case(line));
    assert!(has("content-type: application/tlsrpt+gzip"), "{:?}", posted.headers);
    assert_eq!(house.restante_json(&["report", "next"])["domains"], serde_json::json!([]));
    assert_eq!((far.state().count, plain.state().count), (1, 2));

    // We read what others send us as they read ours.
    let path = house.path().join("posted.json.gz");
    std::fs::write(&path, &posted.body).unwrap();
    let told = house.restante_json(&["report", "tls", &path.display().to_string()]);
    assert_eq!((&told["reports"], &told["failures"]), (&1.into(), &1.into()), "{told}");
    house.deliver(&[ALICE], &String::from_utf8_lossy(&stored.body).replace("\r\n", "\n"));
    let told = house.restante(&["report", "tls", "--to", ALICE]);
    assert!(told.starts_with("1 report on 1 connections: 0 went well, 1 did not."), "{told}");
    assert!(told.contains("certificate-not-trusted at mx.far.test: 1"), "{told}");
    tokio::task::block_in_place(|| drop(house));
}

/// RFC 8689 §5: whoever writes the field would rather have it delivered than protected.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_require_tls_goes_past_a_policy() {
    let World { mut house, dns: _dns, far, plain: _plain, web: _web } = world().await;
    house.start();
    let text = message("Rather arrive", "opt-1");
    let guarded = house.submit(&["you@far.test"], &text.replace("opt-1", "opt-2"));
    let open = house.submit(&["you@far.test"], &format!("TLS-Required: no\n{text}"));
    let story = house.await_trace(receipt_id(&open), "relayed");
    assert!(story.contains("TLS-Required: No, in place of MTA-STS enforce"), "{story}");
    house.await_trace(receipt_id(&guarded), "leads to no authority we trust");
    let state = far.wait_for_count(LIMIT, 1).await;
    assert!(state.count == 1 && state.stored[0].tls);
    // Over a restart, too.
    house.kill();
    house.start();
    assert!(house.restante(&["trace", receipt_id(&open)]).contains("relayed"));
    tokio::task::block_in_place(|| drop(house));
}

/// RFC 8461 §10.2: a policy that is old is fetched, though no mail goes there.
#[tokio::test(flavor = "multi_thread")]
async fn kept_policies_are_fetched_anew_before_they_end() {
    let World { mut house, dns: _dns, far: _far, plain: _plain, web } = world().await;
    let directory = house.installation.data.join("mta-sts");
    std::fs::create_dir_all(&directory).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let old = now.as_millis() as i64 - 2 * 86_400_000;
    let kept = serde_json::json!({ "id": "1", "fetched": old, "policy": POLICY });
    std::fs::write(directory.join("far.test.json"), kept.to_string()).unwrap();
    house.start();
    crate::harness::until("the policy is asked for", || {
        web.asked().iter().any(|one| one.path == "/.well-known/mta-sts.txt").then_some(())
    });
    crate::harness::until("the policy is kept anew", || {
        let text = std::fs::read_to_string(directory.join("far.test.json")).ok()?;
        let kept: Value = serde_json::from_str(&text).ok()?;
        (kept["fetched"].as_i64()? > old).then_some(())
    });
    tokio::task::block_in_place(|| drop(house));
}

/// RFC 8689 §4: REQUIRETLS goes on from server to server, or the mail goes back.
#[tokio::test(flavor = "multi_thread")]
async fn requiretls_is_kept_up_from_server_to_server() {
    let dns = Dns::start().await;
    dns.address("mx.example.test", [127, 0, 0, 1]);
    let mut second = House::made(&dns.addr().to_string());
    second.start();
    second.restante(&["domain", "add", "far.test"]);
    second.restante(&["alias", "add", "you@far.test", crate::harness::BOB]);
    let first = {
        let mut first = House::made(&dns.addr().to_string());
        let theirs = second.installation.data.join("tls/certificate.pem");
        first.set("tls", &format!("authorities = [\"{}\"]", theirs.display()));
        first.start();
        first
    };
    let host = format!("mx.example.test:{}", second.address(25).port());
    first.restante(&["route", "add", "far.test", &host]);
    let told = submit_requiring(&first, "you@far.test", "req-1");
    assert_eq!(told.trim(), "250", "{told}");
    let kept = second.await_message(crate::harness::BOB, "The body of req-1.");
    assert!(kept.contains("with ESMTPS"), "{kept}");
    // Over there it is required still: the next hop would have to keep it up as well.
    let bare = Sink::start(Script::accept().starttls()).await;
    second.restante(&["alias", "add", "on@far.test", "on@next.test"]);
    second.restante(&["route", "add", "next.test", &bare.addr().to_string()]);
    submit_requiring(&first, "on@far.test", "req-2");
    let returned = second.await_message(ALICE, "5.7.30");
    assert!(returned.contains("REQUIRETLS"), "{returned}");
    assert!(!returned.contains("The body of req-2."), "{returned}");
    assert_eq!(bare.state().commands_of("MAIL"), 0);
    tokio::task::block_in_place(|| {
        drop(first);
        drop(second);
    });
}

/// Python's smtplib submits with REQUIRETLS; the reply's code.
fn submit_requiring(house: &House, to: &str, id: &str) -> String {
    const SCRIPT: &str = "import smtplib, ssl, sys\n\
        port, account, password, to, text = sys.argv[1:]\n\
        context = ssl.create_default_context()\n\
        context.check_hostname = False\n\
        context.verify_mode = ssl.CERT_NONE\n\
        smtp = smtplib.SMTP('127.0.0.1', int(port))\n\
        smtp.starttls(context=context)\n\
        smtp.login(account, password)\n\
        smtp.ehlo()\n\
        assert smtp.has_extn('requiretls')\n\
        smtp.mail(account, ['REQUIRETLS'])\n\
        assert smtp.rcpt(to)[0] == 250\n\
        print(smtp.data(text)[0])\n";
    let port = house.address(587).port().to_string();
    let text = crate::harness::from_alice(&message("Required", id));
    tool(Command::new("/usr/bin/python3").args([
        "-c",
        SCRIPT,
        &port,
        ALICE,
        crate::harness::PASSWORD,
        to,
        &text,
    ]))
}
