//! What reports to others count, and that each is settled once.

use std::path::Path;

use journal::{Body, Head};
use mail_types::Timestamp;
use store::{
    Beside, DmarcFacts, Fact, Judged, JudgedAct, Observation, PublishedPolicy, Refused, ReportKind,
    ReportMail, ReportOutcome, ReportSpan, Reported, Store, TlsPolicySeen, verify,
};

use crate::support::{PEER, address, arrived, options, populate};

fn judged(domain: &str) -> Judged {
    Judged {
        mail: None,
        act: JudgedAct::Deliver,
        reasons: Vec::new(),
        ip: PEER,
        reverse_path: mail_types::ReversePath::Null,
        helo: "mx.example.net".to_owned(),
        facts: vec![Fact {
            method: "dmarc".to_owned(),
            result: "pass".to_owned(),
            about: domain.to_owned(),
            property: String::new(),
            reason: String::new(),
        }],
        dmarc: Some(DmarcFacts {
            from: domain.to_owned(),
            published: Some(PublishedPolicy {
                domain: domain.to_owned(),
                tag: "p".to_owned(),
                policy: "none".to_owned(),
            }),
            spf_aligned: true,
            dkim_aligned: false,
            overridden: None,
        }),
    }
}

fn deliver(store: &Store, domain: &str) {
    let mut arrived = arrived(store, true, &["ann@example.org"], "hello");
    arrived.subject = Some(format!("of {domain}"));
    let judged = Judged { mail: Some(arrived.mail), ..judged(domain) };
    let beside = Beside { judged: Some(judged), ..Beside::default() };
    store.accept_with(arrived, beside).wait().unwrap();
}

/// The domains of what was judged in a span, with the subjects; and where it ends.
fn counted(store: &Store, span: &ReportSpan, at_once: usize) -> (Vec<String>, Head) {
    let mut head = Head::from_bytes(&span.head).unwrap();
    let mut seen = Vec::new();
    loop {
        let found =
            store.observed(&head, span.end.unwrap_or(Timestamp(i64::MAX)), at_once).unwrap();
        seen.extend(found.seen.into_iter().filter_map(|one| match one {
            Observation::Judged { judged, subject } => {
                Some(format!("{} {}", judged.dmarc.unwrap().from, subject.unwrap_or_default()))
            }
            Observation::Tried { .. } => None,
        }));
        head = found.head;
        if !found.more {
            return (seen, head);
        }
    }
}

fn report(about: &str, begin: Timestamp, to: &str) -> Reported {
    Reported {
        kind: ReportKind::Dmarc,
        about: about.to_owned(),
        begin,
        end: begin,
        to: to.to_owned(),
        id: "1".to_owned(),
        counted: 1,
        failed: 0,
        outcome: ReportOutcome::Posted { status: 200 },
    }
}

fn mail(to: &str) -> ReportMail {
    ReportMail {
        from: address("noreply@example.org"),
        to: address(to),
        body: Body::from_bytes(b"Subject: r\r\n\r\nx\r\n").unwrap(),
        subject: "r".to_owned(),
        message_id: "1@example.org".to_owned(),
        tls_optional: true,
    }
}

fn clean(root: &Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}

#[test]
fn spans_follow_on_each_other_and_count_everything_once() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    deliver(&store, "before.test");
    assert_eq!(store.report_span().unwrap(), None);
    assert!(matches!(store.end_report_span(Timestamp(0)).wait(), Err(Refused::Missing(_))));
    store.begin_report_span().wait().unwrap();
    deliver(&store, "one.test");
    // A group of the journal that reaches over the end would be of the next span as a whole.
    store.turned_away(crate::support::operator(), judged("two.test")).wait().unwrap();
    let span = store.end_report_span(Timestamp(i64::MAX)).wait().unwrap();
    deliver(&store, "three.test");
    // A second end changes nothing, nor does a restart.
    assert_eq!(store.end_report_span(Timestamp(i64::MAX)).wait().unwrap(), span);
    store.close();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    assert_eq!(store.report_span().unwrap(), Some(span.clone()));
    for at_once in [1, 2, 1000] {
        let (seen, _) = counted(&store, &span, at_once);
        assert_eq!(seen, ["one.test of one.test", "two.test "], "{at_once}");
    }
    let (_, head) = counted(&store, &span, 1000);
    let next = store.next_report_span(&head).wait().unwrap();
    assert_eq!((Some(next.begin), next.end), (span.end, None));
    assert_eq!(counted(&store, &next, 1000).0, ["three.test of three.test"]);
    assert!(matches!(store.next_report_span(&head).wait(), Err(Refused::Invalid(_))));
    store.close();
    clean(root.path());
}

#[test]
fn a_report_is_settled_once_and_with_its_message() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let at = Timestamp(1000);
    let outside = report("far.test", at, "mailto:r@far.test");
    assert!(!store.is_report_settled(&outside).unwrap());
    store.settle_report(outside.clone(), Some(mail("r@far.test"))).wait().unwrap();
    assert!(store.is_report_settled(&outside).unwrap());
    let again = store.settle_report(outside.clone(), Some(mail("r@far.test"))).wait();
    assert!(matches!(again, Err(Refused::Exists(_))), "{again:?}");
    // Another destination, another time and another kind are other reports.
    for other in [
        report("far.test", at, "mailto:s@far.test"),
        report("far.test", Timestamp(2000), "mailto:r@far.test"),
        Reported { kind: ReportKind::Tls, ..outside.clone() },
    ] {
        store.settle_report(other, None).wait().unwrap();
    }
    // To somebody here, and to nobody here.
    let local = report("example.org", at, "mailto:ann@example.org");
    store.settle_report(local, Some(mail("ann@example.org"))).wait().unwrap();
    let nobody = report("example.org", at, "mailto:no@example.org");
    store.settle_report(nobody, Some(mail("no@example.org"))).wait().unwrap();
    let queue = store.queue(&store::QueueFilter::default()).unwrap();
    assert_eq!(queue.len(), 1);
    assert!(queue[0].mail.facts.tls_optional && !queue[0].mail.facts.requires_tls);
    assert_eq!(
        queue[0].mail.accepted.reverse_path,
        mail_types::ReversePath::Address(address("noreply@example.org"))
    );
    let all = store.reports(Timestamp(0), 100).unwrap();
    let dropped = |one: &&store::SentReport| matches!(&one.report.outcome, ReportOutcome::Dropped { why } if why.contains("no such user"));
    assert_eq!((all.len(), all.iter().filter(dropped).count()), (6, 1), "{all:#?}");
    assert_eq!(store.reports(Timestamp(0), 2).unwrap().len(), 2);
    store.close();
    clean(root.path());
}

#[test]
fn what_domains_want_of_tls_is_recorded_when_it_changes() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let policy = |mode: &str| TlsPolicySeen {
        domain: "far.test".to_owned(),
        host: String::new(),
        owner: "far.test".to_owned(),
        strings: vec![format!("mode: {mode}")],
        mx: Vec::new(),
    };
    let note = |policy: TlsPolicySeen| {
        store.settle_seen(Vec::new(), Vec::new(), None, vec![policy]).wait().unwrap();
    };
    note(policy("testing"));
    note(policy("testing"));
    note(policy("enforce"));
    assert_eq!(store.tls_policies_seen("far.test").unwrap(), [policy("enforce")]);
    assert!(store.tls_policies_seen("other.test").unwrap().is_empty());
    store.close();
    clean(root.path());
}
