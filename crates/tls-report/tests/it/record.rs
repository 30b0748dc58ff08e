use tls_report::{RecordError, ReportUri, TlsReportRecord};

fn find(records: &[&str]) -> Result<Option<Vec<String>>, RecordError> {
    let records: Vec<Vec<u8>> = records.iter().map(|text| text.as_bytes().to_vec()).collect();
    let uris = |record: TlsReportRecord| record.rua.iter().map(ReportUri::to_uri).collect();
    TlsReportRecord::find(&records).map(|found| found.map(uris))
}

#[test]
fn each_rule_of_the_record_has_its_result() {
    let some = |uris: &[&str]| Ok(Some(uris.iter().map(|&uri| uri.to_owned()).collect()));
    // RFC 8460 §3.1: the examples.
    assert_eq!(
        find(&["v=TLSRPTv1;rua=mailto:reports@example.com"]),
        some(&["mailto:reports@example.com"])
    );
    assert_eq!(
        find(&["v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"]),
        some(&["https://reporting.example.com/v1/tlsrpt"])
    );
    // Several places, white space, unknown fields and schemes, a delimiter at the end.
    assert_eq!(
        find(&["v=TLSRPTv1 ; x=1; rua=mailto:a%2bb@a.test , ftp://no, HTTPS://b.test/;"]),
        some(&["mailto:a+b@a.test", "https://b.test/"])
    );
    // RFC 8460 §3: others are discarded; what does not begin so is another.
    assert_eq!(
        find(&["v=spf1 -all", "v=TLSRPTv1;rua=mailto:a@a.test", "v=TLSRPTv1x;rua=mailto:b@a.test"]),
        some(&["mailto:a@a.test"])
    );
    assert_eq!(find(&["v=tlsrptv1;rua=mailto:a@a.test"]), Ok(None));
    assert_eq!(find(&["v=TLSRPTv1"]), Ok(None));
    assert_eq!(find(&[]), Ok(None));
    // More than one is none.
    let one = "v=TLSRPTv1;rua=mailto:a@a.test";
    assert_eq!(find(&[one, one]), Err(RecordError::Several));
    for nowhere in ["v=TLSRPTv1;", "v=TLSRPTv1;rua=", "v=TLSRPTv1;rua=http://a.test/"] {
        assert_eq!(find(&[nowhere]), Err(RecordError::NoUri), "{nowhere}");
    }
    // RFC 8460 §3: no more than a few are used.
    let many = format!("v=TLSRPTv1;rua={}", ["mailto:a@a.test"; 40].join(","));
    assert_eq!(find(&[&many]).unwrap().unwrap().len(), 10);
}
