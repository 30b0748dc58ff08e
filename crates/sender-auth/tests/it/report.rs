use std::io::{Read, Write};

use proptest::prelude::*;
use sender_auth::{
    AggregateReport, Alignment, Disposition, DmarcPolicy, DmarcRecord, DomainResult,
    PolicyPublished, REPORT_XML_BYTES_MAX, ReportError, ReportRecord, ReportSummary,
    SignatureResult, Verdict, report_destinations,
};

use crate::zone::Zone;

fn sample() -> AggregateReport {
    let record = |ip: &str, count, dkim, spf| ReportRecord {
        source_ip: ip.parse().unwrap(),
        count,
        disposition: Disposition::None,
        dkim,
        spf,
        reasons: vec![("local_policy".to_owned(), Some("a list & <more>".to_owned()))],
        header_from: "example.org".to_owned(),
        envelope_from: Some("bounce.example.org".to_owned()),
        envelope_to: Some("example.net".to_owned()),
        signatures: vec![SignatureResult {
            domain: "example.org".to_owned(),
            selector: Some("s1".to_owned()),
            result: Verdict::Pass,
            human_result: None,
        }],
        spf_results: vec![DomainResult {
            domain: "bounce.example.org".to_owned(),
            result: Verdict::SoftFail,
            human_result: Some("192.0.2.1 matched ~all".to_owned()),
        }],
    };
    AggregateReport {
        org_name: "mx.example.net".to_owned(),
        email: "postmaster@example.net".to_owned(),
        extra_contact_info: None,
        report_id: "20261121-1@mx.example.net".to_owned(),
        begin_secs: 1_795_219_200,
        end_secs: 1_795_305_599,
        errors: Vec::new(),
        generator: Some("Restante".to_owned()),
        policy: PolicyPublished {
            domain: "example.org".to_owned(),
            discovery_method: Some("treewalk".to_owned()),
            p: Some(DmarcPolicy::Reject),
            sp: Some(DmarcPolicy::Quarantine),
            np: Some(DmarcPolicy::Reject),
            adkim: Alignment::Strict,
            aspf: Alignment::Relaxed,
            testing: Some(false),
            fo: Some("0".to_owned()),
        },
        records: vec![
            record("192.0.2.1", 5, Verdict::Pass, Verdict::Fail),
            record("2001:db8::1", 2, Verdict::Fail, Verdict::Fail),
        ],
    }
}

/// RFC 9990 §3.1.1 and appendix A: names, order, namespace.
#[test]
fn the_xml_is_in_the_order_of_the_schema() {
    let xml = sample().to_xml();
    assert!(xml.starts_with(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n  <version>1.0</version>\n"
    ));
    let order = [
        "<report_metadata>",
        "<org_name>mx.example.net<",
        "<email>postmaster@example.net<",
        "<report_id>20261121-1@mx.example.net<",
        "<begin>1795219200<",
        "<end>1795305599<",
        "<policy_published>",
        "<domain>example.org<",
        "<discovery_method>treewalk<",
        "<p>reject<",
        "<sp>quarantine<",
        "<np>reject<",
        "<fo>0<",
        "<adkim>s<",
        "<aspf>r<",
        "<testing>n<",
        "<record>",
        "<source_ip>192.0.2.1<",
        "<count>5<",
        "<disposition>none<",
        "<dkim>pass<",
        "<spf>fail<",
        "<type>local_policy<",
        "<comment>a list &amp; &lt;more&gt;<",
        "<identifiers>",
        "<header_from>example.org<",
        "<auth_results>",
        "<selector>s1<",
        "<scope>mfrom<",
        "<result>softfail<",
        "</feedback>",
    ];
    let mut at = 0;
    for element in order {
        let found = xml[at..].find(element);
        at += found.unwrap_or_else(|| panic!("no {element} behind octet {at} of\n{xml}"));
    }
}

#[test]
fn what_was_written_is_read_back() {
    let report = sample();
    assert_eq!(AggregateReport::parse(report.to_xml().as_bytes()), Ok(report.clone()));
    assert_eq!(AggregateReport::parse_packed(&report.to_gzip()), Ok(report));
}

#[test]
fn our_gzip_is_one_to_others() {
    let mut xml = String::new();
    flate2::read::GzDecoder::new(&sample().to_gzip()[..]).read_to_string(&mut xml).unwrap();
    assert_eq!(xml, sample().to_xml());
}

#[test]
fn names_of_file_and_subject() {
    let report = sample();
    assert_eq!(
        report.file_name("mx.example.net", "2026-1"),
        "mx.example.net!example.org!1795219200!1795305599!20261.xml.gz"
    );
    assert_eq!(
        report.subject("mx.example.net"),
        "Report Domain: example.org Submitter: mx.example.net Report-ID: <20261121-1@mx.example.net>"
    );
}

/// As the large ones send them: the schema of RFC 7489, prefixes, old words.
#[test]
fn reports_of_others_are_read() {
    let xml = b"\xef\xbb\xbf<?xml version='1.0'?><!-- x --><r:feedback xmlns:r=\"urn:x\" a='>'>
      <r:report_metadata><r:org_name><![CDATA[A & B]]></r:org_name><r:report_id>7</r:report_id>
      <r:date_range><r:begin>10</r:begin><r:end>20</r:end></r:date_range></r:report_metadata>
      <r:policy_published><r:domain>Example.ORG</r:domain><r:p>none</r:p><r:pct>100</r:pct>
      </r:policy_published>
      <r:record><r:row><r:source_ip>192.0.2.9</r:source_ip><r:count> 3 </r:count>
      <r:policy_evaluated><r:disposition>quarantine</r:disposition><r:dkim>fail</r:dkim>
      <r:spf>pass</r:spf></r:policy_evaluated></r:row>
      <r:identities><r:header_from>example.org</r:header_from></r:identities>
      <r:auth_results><r:spf><r:domain>a.example</r:domain><r:result>unknown</r:result></r:spf>
      <r:dkim/></r:auth_results><ext:x xmlns:ext='y'><deep>z</deep></ext:x></r:record>
      <r:record><r:row><r:source_ip>nonsense</r:source_ip><r:count>1</r:count></r:row></r:record>
      </r:feedback>";
    let report = AggregateReport::parse(xml).unwrap();
    assert_eq!((report.org_name.as_str(), report.report_id.as_str()), ("A & B", "7"));
    assert_eq!((report.begin_secs, report.end_secs), (10, 20));
    assert_eq!(report.policy.domain, "example.org");
    assert_eq!(report.records.len(), 1);
    let record = &report.records[0];
    assert_eq!((record.count, record.disposition), (3, Disposition::Quarantine));
    assert_eq!((record.dkim, record.spf), (Verdict::Fail, Verdict::Pass));
    assert_eq!(record.header_from, "example.org");
    assert_eq!(record.spf_results[0].result, Verdict::TempError);
    assert_eq!(record.signatures.len(), 1);
}

#[test]
fn hostile_xml_is_refused() {
    let bomb = b"<!DOCTYPE x [<!ENTITY a \"aaaa\">]><feedback>&a;</feedback>";
    assert_eq!(AggregateReport::parse(bomb), Err(ReportError::Xml(0)));
    let deep = format!("<feedback>{}", "<a>".repeat(1000));
    assert!(matches!(AggregateReport::parse(deep.as_bytes()), Err(ReportError::Xml(_))));
    for xml in [
        "<feedback>",
        "<feedback></feedbac>",
        "<feedback/><feedback/>",
        "<feedback>&unknown;</feedback>",
        "<feedback>&#xd800;</feedback>",
        "<feedback",
        "<feedback a='>",
        "<feedback><![CDATA[x</feedback>",
        "<feedback><!-- </feedback>",
        "",
        "text",
    ] {
        let read = AggregateReport::parse(xml.as_bytes());
        assert!(matches!(read, Err(ReportError::Xml(_))), "{xml}: {read:?}");
    }
    for xml in ["<html/>", "<feedback/>"] {
        let read = AggregateReport::parse(xml.as_bytes());
        assert!(matches!(read, Err(ReportError::NoReport(_))), "{xml}: {read:?}");
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A zip file of one entry, deflated, its sizes behind the data as streaming writers do it.
fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    let data = encoder.finish().unwrap();
    let name = b"example.net!example.org!1!2.xml";
    let mut file = b"PK\x03\x04\x14\x00\x08\x00\x08\x00\x00\x00\x00\x00".to_vec();
    file.extend([0; 12]);
    file.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    file.extend([0, 0]);
    file.extend(name);
    file.extend(data);
    file.extend(b"PK\x07\x08 and the directory, which nobody reads");
    file
}

#[test]
fn archives_are_unpacked_within_limits() {
    let xml = sample().to_xml().into_bytes();
    for packed in [xml.clone(), gzipped(&xml), zipped(&xml)] {
        assert_eq!(AggregateReport::parse_packed(&packed), Ok(sample()));
    }
    let bomb = vec![b' '; REPORT_XML_BYTES_MAX + 1];
    for packed in [gzipped(&bomb), zipped(&bomb)] {
        assert!(packed.len() < 100_000);
        assert_eq!(AggregateReport::parse_packed(&packed), Err(ReportError::TooLarge));
    }
    let mut torn = gzipped(&xml);
    torn.truncate(torn.len() / 2);
    assert_eq!(AggregateReport::parse_packed(&torn), Err(ReportError::Archive));
    for cut in [b"PK\x03\x04".to_vec(), vec![0x1f, 0x8b, 8], zipped(&xml)[..40].to_vec()] {
        assert_eq!(AggregateReport::parse_packed(&cut), Err(ReportError::Archive));
    }
    assert_eq!(AggregateReport::parse_packed(b"hello"), Err(ReportError::Format));
}

#[test]
fn reports_are_found_in_messages() {
    let base64 = |bytes: &[u8]| {
        use std::fmt::Write as _;
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let mut word = [0_u8; 3];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u32::from_be_bytes([0, word[0], word[1], word[2]]);
            for place in 0..4_usize {
                let sextet = usize::try_from(word >> (18 - 6 * place) & 63).unwrap();
                let c = if place <= chunk.len() { char::from(alphabet[sextet]) } else { '=' };
                write!(text, "{c}").unwrap();
            }
        }
        text
    };
    let file = base64(&sample().to_gzip());
    let message = format!(
        "From: reports@example.net\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n<p>prose</p>\r\n--b\r\n\
         Content-Type: application/octet-stream; name=x.xml.gz\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{file}\r\n--b\r\nContent-Type: application/zip\r\n\r\n\
         no zip\r\n--b\r\nContent-Type: image/png\r\n\r\nno report\r\n--b--\r\n"
    );
    let found = AggregateReport::of_message(message.as_bytes());
    assert_eq!(found, [Ok(sample()), Err(ReportError::Format)]);
}

#[test]
fn a_summary_adds_up() {
    let mut summary = ReportSummary::default();
    summary.add(&sample());
    summary.add(&sample());
    assert_eq!((summary.reports, summary.messages, summary.passed), (2, 14, 10));
    let source = summary.sources[&"192.0.2.1".parse().unwrap()];
    assert_eq!((source.messages, source.dkim, source.spf, source.passed), (10, 10, 0, 10));
    assert_eq!(summary.dispositions[&Disposition::None], 14);
    assert_eq!(summary.reporters["mx.example.net"], 14);
}

/// RFC 9990 §4, step by step.
#[test]
fn reports_go_only_where_they_are_wanted() {
    let mut zone = Zone::default();
    for line in [
        "_dmarc.example.org TXT v=DMARC1; p=none",
        "_dmarc.blue.example.org TXT v=DMARC1; p=none",
        "example.org._report._dmarc.yes.test TXT v=DMARC1;",
        "example.org._report._dmarc.no.test TXT something",
        "example.org._report._dmarc.instead.test TXT v=DMARC1; rua=mailto:other@instead.test",
        "example.org._report._dmarc.abuse.test TXT v=DMARC1; rua=mailto:victim@victim.test",
        "example.org._report._dmarc.broken.test SERVFAIL",
        "*._report._dmarc.any.test TXT v=DMARC1",
    ] {
        zone.add(line);
    }
    let to = |rua: &str| {
        let record = DmarcRecord::parse(format!("v=DMARC1; p=none; rua={rua}").as_bytes()).unwrap();
        let (found, _) = zone.run(|answers| report_destinations("example.org", &record, answers));
        found.iter().map(|one| one.address.to_string()).collect::<Vec<_>>()
    };
    let nobody: [&str; 0] = [];
    assert_eq!(to("mailto:d@example.org"), ["d@example.org"]);
    assert_eq!(to("mailto:d@blue.example.org"), ["d@blue.example.org"]);
    assert_eq!(to("mailto:d@yes.test"), ["d@yes.test"]);
    assert_eq!(to("mailto:d@no.test"), nobody);
    assert_eq!(to("mailto:d@nothing.test"), nobody);
    assert_eq!(to("mailto:d@instead.test"), ["other@instead.test"]);
    assert_eq!(to("mailto:d@abuse.test"), nobody);
    assert_eq!(to("mailto:d@broken.test"), nobody);
    assert_eq!(to("mailto:d@[192.0.2.1]"), nobody);
    assert_eq!(
        to("mailto:a@no.test,mailto:b@yes.test,mailto:b@yes.test,mailto:c@example.org"),
        ["b@yes.test", "c@example.org"]
    );
    let long = format!("mailto:d@{}x.test", "a23456789.".repeat(23));
    assert_eq!(to(&long), nobody);
}

proptest! {
    #[test]
    fn any_octets_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u8..3) {
        let start: &[u8] = match kind {
            0 => b"",
            1 => &[0x1f, 0x8b, 8],
            _ => b"PK\x03\x04",
        };
        drop(AggregateReport::parse_packed(&[start, &bytes].concat()));
        drop(AggregateReport::parse(&bytes));
    }

    #[test]
    fn any_elements_are_read(
        xml in "(</?(feedback|record|row|count|source_ip|auth_results|dkim|policy_published|domain|p)/?>|&lt;|&#65;|x|1){0,60}",
    ) {
        drop(AggregateReport::parse(["<feedback>", &xml, "</feedback>"].concat().as_bytes()));
    }
}
