use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use net::Authority;
use sender_auth::{Answer, Answers, Query, QueryKind, Step};

use crate::resolve::{resolver, resolver_that_waits};

const PATIENCE: Duration = Duration::from_secs(10);

fn query(name: &str, kind: QueryKind) -> Query {
    Query::new(name, kind)
}

/// A check that wants all of these, one after the other or all at once.
fn wants(queries: &[Query], at_once: bool) -> impl FnMut(&Answers) -> Step<Vec<Answer>> {
    move |answers| {
        let missing: Vec<Query> =
            queries.iter().filter(|query| answers.get(query).is_none()).cloned().collect();
        if missing.is_empty() {
            return Step::Done(queries.iter().filter_map(|q| answers.get(q).cloned()).collect());
        }
        Step::Ask(if at_once { missing } else { missing[..1].to_vec() })
    }
}

#[tokio::test]
async fn every_kind_is_answered() {
    let (resolver, _) = resolver().await;
    let mut authority = Authority::new(Arc::new(resolver), PATIENCE);
    let queries = [
        query("txt.example", QueryKind::Txt),
        query("both.example", QueryKind::A),
        query("both.example", QueryKind::Aaaa),
        query("mx.example", QueryKind::Mx),
        Query::reverse("192.0.2.1".parse().unwrap()),
        query("nodata.example", QueryKind::Txt),
        query("there.is.none.example", QueryKind::Txt),
    ];
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let wanted = [
        Answer::Txt(vec![b"v=spf1 -all".to_vec()]),
        Answer::Ips(vec![ip("192.0.2.1")]),
        Answer::Ips(vec![ip("2001:db8::1")]),
        Answer::Mx(vec![(20, "b.example".to_owned()), (10, "a.example".to_owned())]),
        Answer::Names(vec!["both.example".to_owned()]),
        Answer::NoData,
        Answer::NxDomain,
    ];
    assert_eq!(authority.drive(wants(&queries, true)).await, wanted);
    assert_eq!(authority.driven().lookups, 7);
}

#[tokio::test]
async fn a_question_is_asked_once() {
    let (resolver, asked) = resolver().await;
    let mut authority = Authority::new(Arc::new(resolver), PATIENCE);
    let same = vec![query("servfail.example", QueryKind::Txt); 3];
    authority.answer(same.clone()).await;
    let before = asked.udp.load(Ordering::SeqCst);
    assert!(before > 0);
    let answers = authority.drive(wants(&same, false)).await;
    assert!(matches!(answers[0], Answer::Trouble(_)), "{answers:?}");
    // Trouble is not asked about again within one message.
    assert_eq!(asked.udp.load(Ordering::SeqCst), before);
    assert_eq!(authority.driven().lookups, 1);
}

#[tokio::test]
async fn the_deadline_answers_what_is_open() {
    let (resolver, _) = resolver_that_waits(Duration::from_secs(60)).await;
    let mut authority = Authority::new(Arc::new(resolver), Duration::from_millis(200));
    let queries = [query("silent.example", QueryKind::Txt), query("both.example", QueryKind::A)];
    let answers = authority.drive(wants(&queries, true)).await;
    assert!(matches!(answers[0], Answer::Trouble(_)), "{answers:?}");
    assert!(matches!(answers[1], Answer::Ips(_)), "{answers:?}");
}

#[tokio::test]
async fn look_ups_for_one_message_are_limited() {
    let (resolver, asked) = resolver().await;
    let mut authority = Authority::new(Arc::new(resolver), PATIENCE);
    let many: Vec<Query> =
        (0..300).map(|n| query(&format!("n{n}.example"), QueryKind::A)).collect();
    let answers = authority.drive(wants(&many, true)).await;
    let nothing = answers.iter().filter(|answer| **answer == Answer::NxDomain).count();
    assert_eq!((nothing, answers.len() - nothing), (200, 100));
    assert!(asked.udp.load(Ordering::SeqCst) <= 200);
}

#[tokio::test]
async fn a_name_that_cannot_be_is_not_asked_for() {
    let (resolver, asked) = resolver().await;
    let mut authority = Authority::new(Arc::new(resolver), PATIENCE);
    let names = ["a..example", &format!("{}.example", "x".repeat(64)), &"a.".repeat(130), ""];
    let queries: Vec<Query> = names.iter().map(|name| query(name, QueryKind::A)).collect();
    let answers = authority.drive(wants(&queries, true)).await;
    assert_eq!(answers, vec![Answer::NxDomain; 4]);
    assert_eq!(asked.udp.load(Ordering::SeqCst), 0);
}
