//! Reports of others, mailed to us as they mail them, are found in the archive and added up.

use std::process::Command;

use crate::harness::{ALICE, House, RESTANTE, tool, words};

const REPORT: &str = "<?xml version=\"1.0\"?>\
<feedback><report_metadata><org_name>big.example</org_name><email>x@big.example</email>\
<report_id>ID</report_id><date_range><begin>1795219200</begin><end>1795305599</end></date_range>\
</report_metadata><policy_published><domain>example.test</domain><p>none</p></policy_published>\
<record><row><source_ip>192.0.2.1</source_ip><count>40</count><policy_evaluated>\
<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>\
<identifiers><header_from>example.test</header_from></identifiers></record>\
<record><row><source_ip>203.0.113.9</source_ip><count>2</count><policy_evaluated>\
<disposition>quarantine</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>\
<identifiers><header_from>example.test</header_from></identifiers></record></feedback>";

/// The message that carries a file, as somebody else's program packs it.
fn carrying(id: &str, how: &str) -> String {
    let script = "import gzip, io, sys, zipfile\n\
        from email.message import EmailMessage\n\
        xml = sys.argv[1].encode()\n\
        message = EmailMessage()\n\
        message['From'] = 'reports@big.example'\n\
        message['To'] = 'alice@example.test'\n\
        message['Subject'] = 'Report Domain: example.test Submitter: big.example'\n\
        message.set_content('A report is attached.')\n\
        name = 'big.example!example.test!1795219200!1795305599'\n\
        if sys.argv[2] == 'gzip':\n\
        \x20   message.add_attachment(gzip.compress(xml), 'application', 'gzip', filename=name + '.xml.gz')\n\
        else:\n\
        \x20   packed = io.BytesIO()\n\
        \x20   archive = zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED)\n\
        \x20   archive.writestr(name + '.xml', xml)\n\
        \x20   archive.close()\n\
        \x20   message.add_attachment(packed.getvalue(), 'application', 'zip', filename=name + '.zip')\n\
        print(message.as_string())\n";
    let xml = REPORT.replace("ID", id);
    tool(Command::new("python3").args(["-c", script, &xml, how]))
}

#[test]
fn what_was_mailed_is_added_up() {
    let house = House::new();
    house.deliver(&[ALICE], &carrying("1", "gzip"));
    house.deliver(&[ALICE], &carrying("2", "zip"));
    // The same again, and something that is no report.
    house.deliver(&[ALICE], &carrying("2", "gzip"));
    house.deliver(&[ALICE], &crate::harness::message("no report", "plain"));

    let told = house.restante_json(&["report", "dmarc", "--to", ALICE]);
    assert_eq!((&told["reports"], &told["messages"]), (&2.into(), &84.into()), "{told}");
    assert_eq!((&told["passed"], &told["failed"]), (&80.into(), &4.into()), "{told}");
    assert_eq!(told["received_again"], 1);
    assert_eq!(told["sources"][0]["source"], "203.0.113.9", "{told}");
    assert_eq!(told["dispositions"]["quarantine"], 4);
    assert_eq!(told["unreadable"].as_array().map(Vec::len), Some(0), "{told}");

    let text = house.restante(&["report", "dmarc", "--to", ALICE, "--domain", "example.test"]);
    assert!(text.starts_with("2 reports on 84 messages: 80 passed DMARC, 4 did not.\n"), "{text}");
    let other = house.restante(&["report", "dmarc", "--to", ALICE, "--domain", "other.test"]);
    assert!(other.starts_with("No DMARC report was found."), "{other}");
}

#[test]
fn files_are_read_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.eml");
    std::fs::write(&file, carrying("7", "zip")).unwrap();
    let bad = directory.path().join("bad.gz");
    std::fs::write(&bad, [0x1f, 0x8b, 8, 0]).unwrap();
    let output =
        Command::new(RESTANTE).args(["report", "dmarc"]).arg(&file).arg(&bad).output().unwrap();
    let text = words(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.starts_with("1 report on 42 messages: 40 passed") && text.contains("damaged"),
        "{text}"
    );
}
