use mail_types::Domain;
use route::{StsError, StsMode, StsPolicy, sts_id};

fn txt(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn host(text: &str) -> Domain {
    Domain::new(text).unwrap()
}

#[test]
fn the_record_names_an_id() {
    // RFC 8461 §3.1.
    let id = |texts: &[&str]| sts_id(&txt(texts));
    assert_eq!(id(&["v=STSv1; id=20160831085700Z;"]), Ok(Some("20160831085700Z".into())));
    assert_eq!(id(&["v=STSv1;id=1"]), Ok(Some("1".into())));
    assert_eq!(id(&["v = STSv1 ; ext=a b ; id = 7 ;"]), Ok(Some("7".into())));
    assert_eq!(id(&[]), Ok(None));
    assert_eq!(id(&["v=spf1 -all", "something"]), Ok(None));
    assert_eq!(id(&["v=STSv2; id=1"]), Ok(None));
    assert_eq!(id(&["id=1; v=STSv1"]), Ok(None));
    assert_eq!(id(&["v=spf1 -all", "v=STSv1; id=9"]), Ok(Some("9".into())));
    assert_eq!(id(&["v=STSv1; id=1", "v=STSv1; id=2"]), Err(StsError::SeveralRecords(2)));
    assert_eq!(id(&["v=STSv1;"]), Err(StsError::NoId));
    assert_eq!(id(&["v=STSv1; id=a-b"]), Err(StsError::NoId));
    assert_eq!(id(&[&format!("v=STSv1; id={}", "1".repeat(33))]), Err(StsError::NoId));
}

#[test]
fn the_policy_of_the_rfc() {
    // RFC 8461 §3.2, the example.
    let text = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: \
                backupmx.example.com\nmax_age: 604800\n";
    let policy = StsPolicy::parse(text.as_bytes()).unwrap();
    assert_eq!((policy.mode, policy.max_age_secs), (StsMode::Enforce, 604_800));
    // RFC 8461 §4.1.
    for named in ["mail.example.com", "MAIL.example.com", "a.example.net", "backupmx.example.com"] {
        assert!(policy.names(&host(named)), "{named}");
    }
    for other in ["example.net", "a.b.example.net", "mail2.example.com", "xexample.net"] {
        assert!(!policy.names(&host(other)), "{other}");
    }
    let written = StsPolicy::parse(policy.to_text().as_bytes()).unwrap();
    assert_eq!(written, policy);
}

#[test]
fn what_is_no_policy() {
    let parse = |text: &str| StsPolicy::parse(text.as_bytes());
    let good = "version: STSv1\r\nmode: testing\r\nmx: a.example\r\nmax_age: 86400\r\n";
    assert_eq!(parse(good).unwrap().mode, StsMode::Testing);
    // Unknown keys are passed over, and of two the first counts.
    let more = format!("{good}mode: none\r\nfuture: yes\r\n\r\n");
    assert_eq!(parse(&more).unwrap().mode, StsMode::Testing);
    assert_eq!(parse("version: STSv1\nmode: none\nmax_age: 1\n").unwrap().mx, []);
    assert_eq!(parse(&good.replace("86400", "9999999999")).unwrap().max_age_secs, 31_557_600);
    assert_eq!(parse(&good.replace("STSv1", "STSv2")), Err(StsError::Field("version")));
    assert_eq!(parse(&good.replace("testing", "Testing")), Err(StsError::Field("mode")));
    assert_eq!(parse(&good.replace("mx: a.example\r\n", "")), Err(StsError::Field("mx")));
    assert_eq!(parse(&good.replace("a.example", "*.*.example")), Err(StsError::Field("mx")));
    assert_eq!(parse(&good.replace("86400", "-1")), Err(StsError::Field("max_age")));
    assert_eq!(parse(&good.replace("max_age: 86400\r\n", "")), Err(StsError::Field("max_age")));
    assert_eq!(parse("<html>\n"), Err(StsError::Line(1)));
    assert_eq!(StsPolicy::parse(b"version: \xff"), Err(StsError::NotText));
    assert_eq!(parse(""), Err(StsError::Field("version")));
}
