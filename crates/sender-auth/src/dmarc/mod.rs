//! Domain-based Message Authentication, Reporting, and Conformance (RFC 9989): does the domain in
//! From stand behind the message, and what does it want done if not?

mod author;
mod destinations;
mod record;
mod walk;

use self::walk::{Unwalked, Walk, own_record};
use crate::{Answer, Answers, Outcome, Query, QueryKind, Step, Verdict};

pub use author::{Authors, authors};
pub use destinations::report_destinations;
pub use record::{Alignment, DmarcPolicy, DmarcRecord, Psd, ReportAddress, percent_decoded};
pub use walk::dmarc_record;

/// Authenticated domains of one message that are looked at, those behind are not.
const IDENTIFIERS_MAX: usize = 30;

/// A domain that another check has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    /// What came of it. [`Verdict::Pass`] authenticates the domain, [`Verdict::TempError`] may yet.
    pub verdict: Verdict,
    /// SPF's domain of MAIL FROM (RFC 9989 §4.4.2), or the `d=` of a DKIM signature.
    pub domain: String,
}

/// What is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmarcInput {
    /// Whose the message says it is; see [`authors`].
    pub authors: Authors,
    /// SPF of the reverse-path.
    pub spf: Option<Identifier>,
    /// Each DKIM signature.
    pub dkim: Vec<Identifier>,
}

/// The policy that applies to an author's domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where the record was found.
    pub domain: String,
    /// The record.
    pub record: DmarcRecord,
    /// Which of its tags counts: `p`, `sp` or `np`.
    pub tag: &'static str,
    /// What that tag asks for.
    pub policy: DmarcPolicy,
    /// The author's Organizational Domain.
    pub organization: String,
}

/// What DMARC says of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmarcResult {
    /// The word, and why.
    pub outcome: Outcome,
    /// The author's domain that decided; empty where there is none.
    pub from: String,
    /// Its policy, where it has one.
    pub published: Option<Published>,
    /// What the domain wants done with this message: its policy for a fail, one step milder in its
    /// test mode; none for everything else.
    pub requested: DmarcPolicy,
    /// SPF passed for an aligned domain.
    pub spf_aligned: bool,
    /// A DKIM signature of an aligned domain passed.
    pub dkim_aligned: bool,
}

/// Judges a message (RFC 9989 §5.3).
#[must_use]
pub fn dmarc(input: &DmarcInput, answers: &Answers) -> Step<DmarcResult> {
    let (domains, flaw) = match &input.authors {
        Authors::Domains(domains) => (domains, None),
        // RFC 9989 §5.3.1, §11.5: each author counts. One that nobody can judge keeps the message
        // from passing, and the others from nothing.
        Authors::Partly { domains, flaw } => (domains, Some(flaw)),
        // Whoever is behind the last that is judged may ask for anything: as if for the most.
        Authors::TooMany { domains, flaw } => {
            let from = domains.first().map_or("", String::as_str);
            let failed = DmarcResult::without_policy(from, Verdict::Fail, flaw);
            return Step::Done(DmarcResult { requested: DmarcPolicy::Reject, ..failed });
        }
        // RFC 9989 §5.3.1: no domain can be taken from From.
        Authors::Unusable(why) => {
            return Step::Done(DmarcResult::without_policy("", Verdict::PermError, why));
        }
    };
    let mut results = Step::Done(Vec::with_capacity(domains.len()));
    for domain in domains {
        results = results.both(of_author(domain, input, answers)).map(|(mut all, one)| {
            all.push(one);
            all
        });
    }
    results.map(|mut results| {
        let unjudged = |why: &String| DmarcResult::without_policy("", Verdict::PermError, why);
        results.extend(flaw.map(unjudged));
        decisive(results, domains)
    })
}

/// RFC 9989 §5.3.1 and §11.5: with more than one author domain the check may go on; all of them
/// must then be authenticated, and of those that are not the strictest policy counts, so that
/// nobody's name is lent by adding another.
fn decisive(results: Vec<DmarcResult>, domains: &[String]) -> DmarcResult {
    let weight = |result: &DmarcResult| {
        let word = match result.outcome.verdict {
            Verdict::Fail => 4,
            Verdict::TempError => 3,
            Verdict::PermError => 2,
            Verdict::None | Verdict::Neutral | Verdict::SoftFail | Verdict::Policy => 1,
            Verdict::Pass => 0,
        };
        (word, result.requested)
    };
    let several = domains.len() > 1;
    let mut results = results.into_iter();
    let none = || DmarcResult::without_policy("", Verdict::PermError, "From names no domain");
    let mut worst = results.next().unwrap_or_else(none);
    for result in results {
        if weight(&result) > weight(&worst) {
            worst = result;
        }
    }
    if several {
        let reason = format!("{}; From names {}", worst.outcome.reason(), domains.join(" and "));
        worst.outcome = Outcome::new(worst.outcome.verdict, reason);
    }
    worst
}

impl DmarcResult {
    fn without_policy(from: &str, verdict: Verdict, why: &str) -> Self {
        Self {
            outcome: Outcome::new(verdict, why),
            from: from.to_owned(),
            published: None,
            requested: DmarcPolicy::None,
            spf_aligned: false,
            dkim_aligned: false,
        }
    }
}

/// Judges for one author domain.
fn of_author(from: &str, input: &DmarcInput, answers: &Answers) -> Step<DmarcResult> {
    let walk = match Walk::up(from, answers) {
        Ok(walk) => walk,
        Err(Unwalked::Ask(missing)) => return Step::Ask(missing),
        Err(Unwalked::Trouble(why)) => {
            return Step::Done(without_walk(from, input, answers, &why));
        }
    };
    let (published, unsure) = match policy(from, &walk, answers) {
        Ok(Some(policy)) => policy,
        Ok(None) => {
            let why = format!("no policy applies to {from}");
            return Step::Done(DmarcResult::without_policy(from, Verdict::None, &why));
        }
        Err(missing) => return Step::Ask(missing),
    };
    match align(from, input, &published, answers) {
        Ok(aligned) => {
            let result = judged(from, input, published, &aligned);
            Step::Done(match unsure {
                // RFC 9989 §5.3.6: a policy that cannot be known asks for nothing.
                Some(why) if result.outcome.verdict == Verdict::Fail => DmarcResult {
                    outcome: Outcome::new(Verdict::TempError, why),
                    requested: DmarcPolicy::None,
                    ..result
                },
                Some(_) | None => result,
            })
        }
        Err(missing) => Step::Ask(missing),
    }
}

/// The DNS failed on the way up. That a domain with a record of its own is authenticated by that
/// very name can be known all the same (RFC 9989 §4.10.2, the note); nothing else can (§5.3.6).
fn without_walk(from: &str, input: &DmarcInput, answers: &Answers, why: &str) -> DmarcResult {
    let own = own_record(from, answers).flatten().and_then(DmarcRecord::applicable);
    let Some(record) = own else {
        return DmarcResult::without_policy(from, Verdict::TempError, why);
    };
    let passed = |one: &&Identifier| one.verdict == Verdict::Pass && same(&one.domain, from);
    let dkim_aligned = input.dkim.iter().any(|one| passed(&one));
    let spf_aligned = input.spf.as_ref().is_some_and(|one| passed(&one));
    if !dkim_aligned && !spf_aligned {
        return DmarcResult::without_policy(from, Verdict::TempError, why);
    }
    let by = if dkim_aligned { "DKIM" } else { "SPF" };
    let policy = record.p.unwrap_or(DmarcPolicy::None);
    let (domain, organization) = (from.to_owned(), from.to_owned());
    DmarcResult {
        outcome: Outcome::new(Verdict::Pass, format!("{by} passed for {from} itself")),
        from: from.to_owned(),
        published: Some(Published { domain, record, tag: "p", policy, organization }),
        requested: DmarcPolicy::None,
        spf_aligned,
        dkim_aligned,
    }
}

/// RFC 9989 §4.10.1: the record that applies: the author's own, its organization's, its public
/// suffix's. With it, why it is not known which of its tags applies.
fn policy(
    from: &str,
    walk: &Walk,
    answers: &Answers,
) -> Result<Option<(Published, Option<String>)>, Vec<Query>> {
    let organization = walk.organization();
    let found = [from, organization.as_str()]
        .into_iter()
        .find_map(|name| walk.at(name).map(|record| (name.to_owned(), record)));
    let suffix = || walk.of_suffix().map(|(name, record)| (name.clone(), record));
    let Some((domain, record)) = found.or_else(suffix) else { return Ok(None) };
    let Some(record) = record.clone().applicable() else { return Ok(None) };
    let p = record.p.unwrap_or(DmarcPolicy::None);
    let below = record.sp.map_or(("p", p), |sp| ("sp", sp));
    let mut unsure = None;
    let (tag, policy) = if domain == from {
        ("p", p)
    } else if let Some(np) = record.np.filter(|np| *np != below.1) {
        match existence(from, answers)? {
            Existence::Is => below,
            Existence::IsNot => ("np", np),
            Existence::Unknown(why) => {
                unsure = Some(format!("whether {from} exists is not known: {why}"));
                below
            }
        }
    } else {
        below
    };
    Ok(Some((Published { domain, record, tag, policy, organization }, unsure)))
}

/// What the DNS says of a name, whatever stands there.
enum Existence {
    Is,
    IsNot,
    /// Nothing for now; why.
    Unknown(String),
}

/// RFC 9989 §3.2.13, RFC 8020: NXDOMAIN says that a name does not exist. Both types must say so: a
/// name that has some type exists, whatever a careless server says of another. A server that is
/// silent says neither.
fn existence(name: &str, answers: &Answers) -> Result<Existence, Vec<Query>> {
    let queries = [QueryKind::A, QueryKind::Mx].map(|kind| Query::new(name, kind));
    let missing = answers.missing(queries.iter().cloned());
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut existence = Existence::IsNot;
    for answer in queries.iter().filter_map(|query| answers.get(query)) {
        match answer {
            Answer::NxDomain => {}
            Answer::Trouble(why) => existence = Existence::Unknown(why.clone()),
            Answer::Txt(_) | Answer::Ips(_) | Answer::Mx(_) | Answer::Names(_) | Answer::NoData => {
                return Ok(Existence::Is);
            }
        }
    }
    Ok(existence)
}

/// How the authenticated domains stand to the author's.
#[derive(Default)]
struct Aligned {
    spf: Standing,
    dkim: Standing,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// None passed that is aligned.
    #[default]
    No,
    /// One that is aligned could not be checked for now; why.
    Unknown(String),
    /// This domain.
    By(String),
}

/// RFC 9989 §4.10.2, §5.3.4.
fn align(
    from: &str,
    input: &DmarcInput,
    published: &Published,
    answers: &Answers,
) -> Result<Aligned, Vec<Query>> {
    let mut missing = Vec::new();
    let mut standing = |identifiers: &[&Identifier], mode: Alignment| {
        let mut standing = Standing::No;
        for one in identifiers.iter().take(IDENTIFIERS_MAX) {
            let passed = match one.verdict {
                Verdict::Pass => true,
                Verdict::TempError => false,
                _ => continue,
            };
            match is_aligned(&one.domain, from, mode, published, answers) {
                Ok(true) if passed => return Standing::By(one.domain.clone()),
                Ok(true) => standing = Standing::Unknown(one.domain.clone()),
                Ok(false) => {}
                Err(Unwalked::Ask(queries)) => missing.extend(queries),
                Err(Unwalked::Trouble(why)) => standing = Standing::Unknown(why),
            }
        }
        standing
    };
    let dkim = standing(&input.dkim.iter().collect::<Vec<_>>(), published.record.adkim);
    let spf = standing(&input.spf.iter().collect::<Vec<_>>(), published.record.aspf);
    // One that is aligned is enough: what else is missing need not be known. Reports tell both,
    // so the other is finished where that costs no question.
    let passed = matches!(dkim, Standing::By(_)) || matches!(spf, Standing::By(_));
    if !missing.is_empty() && !passed {
        missing.sort();
        missing.dedup();
        return Err(missing);
    }
    Ok(Aligned { spf, dkim })
}

fn is_aligned(
    domain: &str,
    from: &str,
    mode: Alignment,
    published: &Published,
    answers: &Answers,
) -> Result<bool, Unwalked> {
    if same(domain, from) {
        return Ok(true);
    }
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    // A domain outside the organization's name cannot be of it: no walk is needed to know that.
    if mode == Alignment::Strict || !is_at_or_below(&domain, &published.organization) {
        return Ok(false);
    }
    Ok(Walk::up(&domain, answers)?.organization() == published.organization)
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other)
}

fn is_at_or_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn judged(from: &str, input: &DmarcInput, published: Published, aligned: &Aligned) -> DmarcResult {
    let (spf, dkim) = (&aligned.spf, &aligned.dkim);
    let mode = |mode: Alignment, domain: &str| match mode {
        _ if same(domain, from) => "the author's domain".to_owned(),
        Alignment::Relaxed => format!("of the same organization as {from}"),
        Alignment::Strict => format!("aligned with {from}"),
    };
    let (verdict, reason) = match (dkim, spf) {
        (Standing::By(domain), _) => {
            let how = mode(published.record.adkim, domain);
            (Verdict::Pass, format!("DKIM passed for {domain}, {how}"))
        }
        (_, Standing::By(domain)) => {
            let how = mode(published.record.aspf, domain);
            (Verdict::Pass, format!("SPF passed for {domain}, {how}"))
        }
        (Standing::Unknown(why), _) => {
            (Verdict::TempError, format!("DKIM could not be checked: {why}"))
        }
        (_, Standing::Unknown(why)) => {
            (Verdict::TempError, format!("SPF could not be checked: {why}"))
        }
        (Standing::No, Standing::No) => (Verdict::Fail, failed(from, input)),
    };
    let requested = match (verdict, published.record.testing) {
        (Verdict::Fail, false) => published.policy,
        (Verdict::Fail, true) => published.policy.one_below(),
        _ => DmarcPolicy::None,
    };
    DmarcResult {
        outcome: Outcome::new(verdict, reason),
        from: from.to_owned(),
        published: Some(published),
        requested,
        spf_aligned: matches!(spf, Standing::By(_)),
        dkim_aligned: matches!(dkim, Standing::By(_)),
    }
}

fn failed(from: &str, input: &DmarcInput) -> String {
    let passed = |one: &&Identifier| one.verdict == Verdict::Pass;
    let dkim: Vec<&str> =
        input.dkim.iter().filter(passed).map(|one| one.domain.as_str()).take(3).collect();
    let dkim = match (dkim.as_slice(), input.dkim.len()) {
        ([], 0) => "there is no DKIM signature".to_owned(),
        ([], _) => "no DKIM signature passed".to_owned(),
        (domains, _) => format!("DKIM passed for {} only", domains.join(", ")),
    };
    let spf = match &input.spf {
        None => "SPF was not checked".to_owned(),
        Some(one) if one.verdict == Verdict::Pass => format!("SPF passed for {} only", one.domain),
        Some(one) => format!("SPF said {} for {}", one.verdict, one.domain),
    };
    format!("nothing authenticates {from}: {dkim}, {spf}")
}
