//! The verdict on a message as it is recorded.

use judge::{Facts, Overridden, Verdict};
use sender_auth::Outcome;
use smtp_machine::Sender;
use store::{DmarcFacts, Fact, Judged, JudgedAct, PublishedPolicy};

/// What is recorded of a verdict.
pub fn judged(
    facts: &Facts,
    (verdict, overridden): (&Verdict, Option<Overridden>),
    sender: &Sender,
    mail: mail_types::MailId,
) -> Judged {
    let (act, reasons) = match verdict {
        Verdict::Accept { reasons } => (JudgedAct::Deliver, reasons),
        Verdict::Junk { reasons } => (JudgedAct::Junk, reasons),
        Verdict::Hold { reasons } => (JudgedAct::Hold, reasons),
        Verdict::Reject { reasons, .. } => (JudgedAct::Reject, reasons),
    };
    Judged {
        mail: Some(mail),
        act,
        reasons: reasons.clone(),
        ip: sender.peer,
        reverse_path: sender.reverse_path.clone(),
        helo: sender.helo.clone(),
        facts: told(facts),
        dmarc: dmarc(facts, overridden),
    }
}

fn told(facts: &Facts) -> Vec<Fact> {
    let fact = |method: &str, about: &str, property: &str, outcome: &Outcome| Fact {
        method: method.to_owned(),
        result: outcome.verdict.as_str().to_owned(),
        about: about.to_owned(),
        property: property.to_owned(),
        reason: outcome.reason().to_owned(),
    };
    let iprev = &facts.iprev;
    let mut all = vec![
        fact("iprev", iprev.name.as_deref().unwrap_or_default(), "", &iprev.outcome),
        fact("spf", &facts.spf_helo.domain, "helo", &facts.spf_helo.outcome),
        fact("spf", &facts.spf.domain, "mailfrom", &facts.spf.outcome),
    ];
    all.extend(facts.dkim.iter().map(|one| {
        let domain = one.domain.as_ref().map_or("", |domain| domain.as_str());
        fact("dkim", domain, one.selector.as_deref().unwrap_or_default(), &one.outcome)
    }));
    if facts.arc.highest > 0 {
        let sealer = facts.arc.sets.last().map_or("", |set| set.sealer.as_str());
        all.push(fact("arc", sealer, "", &facts.arc.outcome));
    }
    all.push(fact("dmarc", &facts.dmarc.from, "", &facts.dmarc.outcome));
    all
}

fn dmarc(facts: &Facts, overridden: Option<Overridden>) -> Option<DmarcFacts> {
    let dmarc = &facts.dmarc;
    (!dmarc.from.is_empty()).then(|| DmarcFacts {
        from: dmarc.from.clone(),
        published: dmarc.published.as_ref().map(|published| PublishedPolicy {
            domain: published.domain.clone(),
            tag: published.tag.to_owned(),
            policy: published.policy.as_str().to_owned(),
        }),
        spf_aligned: dmarc.spf_aligned,
        dkim_aligned: dmarc.dkim_aligned,
        overridden: overridden.map(|why| why.as_str().to_owned()),
    })
}
