//! The examples of the RFCs.

use sender_auth::{Algorithm, Verdict, dkim_overall};

use crate::signer::{dns, verify};

/// RFC 8463 §A.3, with the keys of §A.2.
const EXAMPLE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
d=football.example.com; i=@football.example.com;\r\n \
q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
subject : date : message-id : from : subject : date;\r\n \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n \
d=football.example.com; i=@football.example.com;\r\n \
q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n \
date : message-id : from : subject : date;\r\n \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n \
DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n \
dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game.  Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";

const ED25519: (&str, &str) = (
    "brisbane._domainkey.football.example.com",
    "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
);
const RSA: (&str, &str) = (
    "test._domainkey.football.example.com",
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhd\
     R6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5\
     QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
);

#[test]
fn rfc_8463_both_signatures_are_good() {
    let results = verify(EXAMPLE, &dns(&[ED25519, RSA]));
    let words: Vec<_> =
        results.iter().map(|it| (it.outcome.verdict, it.algorithm.unwrap())).collect();
    let both = [Algorithm::Ed25519Sha256, Algorithm::RsaSha256].map(|it| (Verdict::Pass, it));
    assert_eq!(words, both, "{results:?}");
    assert_eq!(results[0].domain.as_ref().unwrap().as_str(), "football.example.com");
    assert_eq!(results[0].selector.as_deref(), Some("brisbane"));
    assert_eq!(results[0].identity.as_deref(), Some("@football.example.com"));
    assert_eq!(results[0].mark, "/gCrinpc");
}

#[test]
fn rfc_8463_one_key_is_enough() {
    let results = verify(EXAMPLE, &dns(&[RSA]));
    assert_eq!(results[0].outcome.verdict, Verdict::PermError);
    assert_eq!(dkim_overall(&results).verdict, Verdict::Pass);
}

#[test]
fn rfc_8463_changes_are_noticed() {
    let answers = dns(&[ED25519, RSA]);
    for (from, to) in [("lost the game", "won the game"), ("dinner ready", "lunch ready")] {
        let results = verify(&EXAMPLE.replace(from, to), &answers);
        assert!(results.iter().all(|it| it.outcome.verdict == Verdict::Fail), "{results:?}");
    }
    // Relaxed: white space at the end of a line and case of field names do not count.
    for (from, to) in [("yet?\r\n", "yet? \t\r\n"), ("Subject:", "SUBJECT :")] {
        assert_eq!(
            dkim_overall(&verify(&EXAMPLE.replace(from, to), &answers)).verdict,
            Verdict::Pass
        );
    }
}

/// RFC 6376 §A.3, with the key of §C.
#[test]
fn rfc_6376_example() {
    let message = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n      \
c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n      \
h=Received : From : To : Subject : Date : Message-ID;\r\n      \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n      \
b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n      \
4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n      \
KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n      \
4bmp/YzhwvcubU4=;\r\n\
Received: from client1.football.example.com  [192.0.2.1]\r\n      \
by submitserver.example.com with SUBMISSION;\r\n      \
Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game. Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";
    let key = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkM\
oGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v\
/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBc\
WToIMmPSPDdQPNUYckcQ2QIDAQAB";
    let results = verify(message, &dns(&[("brisbane._domainkey.example.com", key)]));
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].outcome.verdict, Verdict::Pass, "{results:?}");
}
