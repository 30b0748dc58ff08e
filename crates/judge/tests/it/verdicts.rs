use judge::{Act, DnsTrouble, Facts, Overridden, Policy, Verdict, auth_results, judge};
use mail_types::Domain;
use sender_auth::{
    ArcResult, ArcSet, DmarcPolicy, DmarcResult, IprevResult, Outcome, SpfResult, SpfScope,
    Verdict as Word,
};

fn facts(dmarc: Word, requested: DmarcPolicy) -> Facts {
    let outcome = |word| Outcome::new(word, "as the test has it");
    let spf = |scope| SpfResult {
        outcome: outcome(Word::None),
        scope,
        domain: "author.test".to_owned(),
        explanation: None,
    };
    Facts {
        iprev: IprevResult { outcome: outcome(Word::Pass), name: Some("mx.test".to_owned()) },
        spf_helo: spf(SpfScope::Helo),
        spf: spf(SpfScope::MailFrom),
        dkim: Vec::new(),
        arc: ArcResult { outcome: outcome(Word::None), sets: Vec::new(), highest: 0, ended: false },
        dmarc: DmarcResult {
            outcome: outcome(dmarc),
            from: "author.test".to_owned(),
            published: None,
            requested,
            spf_aligned: false,
            dkim_aligned: false,
        },
    }
}

fn sealed(mut facts: Facts, sealers: &[(&str, &str)]) -> Facts {
    facts.arc.outcome = Outcome::new(Word::Pass, "");
    facts.arc.sets = sealers
        .iter()
        .zip(1..)
        .map(|((sealer, results), instance)| ArcSet {
            instance,
            sealer: Domain::new(sealer).unwrap(),
            selector: "s".to_owned(),
            results: format!("{sealer}; {results}"),
        })
        .collect();
    facts
}

fn verdict(facts: &Facts, policy: Policy) -> Verdict {
    judge(facts, &[policy], &[]).0
}

fn code(verdict: &Verdict) -> Option<u16> {
    match verdict {
        Verdict::Reject { refusal, .. } => Some(refusal.reply().code),
        Verdict::Accept { .. } | Verdict::Junk { .. } | Verdict::Hold { .. } => None,
    }
}

#[test]
fn a_sure_fail_is_treated_as_the_author_asks() {
    let of = |requested| verdict(&facts(Word::Fail, requested), Policy::default());
    assert_eq!(code(&of(DmarcPolicy::Reject)), Some(550));
    assert!(matches!(of(DmarcPolicy::Quarantine), Verdict::Junk { .. }));
    assert_eq!(of(DmarcPolicy::None), Verdict::Accept { reasons: Vec::new() });
    let Verdict::Junk { reasons } = of(DmarcPolicy::Quarantine) else { panic!() };
    assert!(reasons[0].contains("author.test"), "{reasons:?}");
}

/// Whatever else is known: what is not known turns nothing away for good.
#[test]
fn a_temporary_error_is_never_permanent() {
    let strict = Policy {
        dmarc_none: Act::Reject,
        spf_fail: Act::Reject,
        no_author: Act::Reject,
        dmarc_quarantine: Act::Reject,
        ..Policy::default()
    };
    let mut unknown = facts(Word::TempError, DmarcPolicy::None);
    unknown.spf.outcome = Outcome::new(Word::TempError, "");
    for trouble in [DnsTrouble::Accept, DnsTrouble::Defer] {
        let policy = Policy { dns_trouble: trouble, ..strict };
        let code = code(&verdict(&unknown, policy));
        assert_eq!(code, (trouble == DnsTrouble::Defer).then_some(451));
    }
    // Only if all recipients would rather wait.
    let waits = Policy { dns_trouble: DnsTrouble::Defer, ..strict };
    assert_eq!(code(&judge(&unknown, &[waits, strict], &[]).0), None);
}

#[test]
fn the_mildest_of_several_recipients_counts() {
    let failed = facts(Word::Fail, DmarcPolicy::Reject);
    let holds = Policy { dmarc_reject: Act::Hold, ..Policy::default() };
    let notes = Policy { dmarc_reject: Act::Note, ..Policy::default() };
    let of = |policies: &[Policy]| judge(&failed, policies, &[]);
    assert!(matches!(of(&[Policy::default(), holds]), (Verdict::Hold { .. }, None)));
    let local = Some(Overridden::LocalPolicy);
    assert_eq!(of(&[holds, notes]), (Verdict::Accept { reasons: Vec::new() }, local));
}

#[test]
fn spf_counts_where_dmarc_is_silent() {
    let policy = Policy { spf_fail: Act::Reject, ..Policy::default() };
    let mut failed = facts(Word::None, DmarcPolicy::None);
    failed.spf.outcome = Outcome::new(Word::Fail, "");
    assert_eq!(code(&verdict(&failed, policy)), Some(550));
    failed.dmarc.outcome = Outcome::new(Word::Pass, "");
    assert_eq!(code(&verdict(&failed, policy)), None, "DKIM made up for it");
}

#[test]
fn only_trusted_sealers_are_believed() {
    let failed = || facts(Word::Fail, DmarcPolicy::Reject);
    let trusted = [Domain::new("list.test").unwrap()];
    let of = |facts: &Facts| judge(facts, &[Policy::default()], &trusted);
    let (verdict, overridden) = of(&sealed(failed(), &[("list.test", "dmarc=pass")]));
    assert!(matches!(verdict, Verdict::Accept { ref reasons } if reasons.len() == 1));
    assert_eq!(overridden, Some(Overridden::TrustedForwarder));
    // It has to have been right there, the newest has to be trusted, the chain has to be whole.
    for sets in [
        vec![("list.test", "dmarc=fail")],
        vec![("other.test", "dmarc=pass")],
        vec![("list.test", "dmarc=pass"), ("other.test", "dmarc=pass")],
        vec![("other.test", "dmarc=pass"), ("list.test", "arc=pass; dmarc=fail")],
    ] {
        assert_eq!(code(&of(&sealed(failed(), &sets)).0), Some(550), "{sets:?}");
    }
    let mut broken = sealed(failed(), &[("list.test", "dmarc=pass")]);
    broken.arc.outcome = Outcome::new(Word::Fail, "");
    assert_eq!(code(&of(&broken).0), Some(550));
}

#[test]
fn the_field_says_all_of_it() {
    let facts = facts(Word::Pass, DmarcPolicy::None);
    let ip = [192, 0, 2, 1].into();
    let field = auth_results(&facts, ip, "mx.test", "a@author.test", "us.test").to_field();
    let field = field.replace("\r\n\t", " ");
    for part in [
        "iprev=pass",
        "smtp.helo=mx.test",
        "smtp.mailfrom=a@author.test",
        "dkim=none",
        "dmarc=pass",
        "header.from=author.test",
    ] {
        assert!(field.contains(part), "{part} in {field}");
    }
    // The null reverse-path has no mailfrom.
    let field = auth_results(&facts, ip, "mx.test", "", "us.test").to_field();
    assert!(!field.contains("mailfrom"), "{field}");
}
