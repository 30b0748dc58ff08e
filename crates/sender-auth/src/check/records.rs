//! Records, fields and reports.

use crate::{
    AggregateReport, Answer, Answers, AuthResults, Authors, DmarcInput, DmarcRecord, Identifier,
    QueryKind, SpfSession, Step, Verdict, authors, claims_to_be_of, dmarc, spf_mail_from,
};

/// Rounds of questions that no check needs.
const ROUNDS_MAX: usize = 100;
/// Questions that no check asks in all.
const QUERIES_MAX: usize = 400;

/// Evaluates these octets as the SPF record of whatever domain is asked for, and checks that it
/// comes to an end within its limits.
///
/// # Errors
/// What does not hold.
pub fn check_spf_record(record: &[u8]) -> Result<(), String> {
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let ip = ip.parse().map_err(|_| "no address")?;
        let session = SpfSession {
            ip,
            helo: "mail.example.org",
            mail_from: "a-b+c@example.org",
            receiver: "mx.example.net",
            now_secs: 0,
        };
        let result = run(record, |answers| spf_mail_from(&session, answers))?;
        one_line(result.outcome.reason())?;
        one_line(result.explanation.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// The same for DMARC, these octets as the record of every name and as a header.
///
/// # Errors
/// What does not hold.
pub fn check_dmarc_record(record: &[u8]) -> Result<(), String> {
    drop(DmarcRecord::parse(record));
    let of = |verdict| Identifier { verdict, domain: "b.example.org".to_owned() };
    for authors in [authors(record), Authors::Domains(vec!["a.example.org".to_owned()])] {
        let spf = Some(of(Verdict::Pass));
        let input = DmarcInput { authors, spf, dkim: vec![of(Verdict::TempError)] };
        let result = run(record, |answers| dmarc(&input, answers))?;
        one_line(result.outcome.reason())?;
    }
    Ok(())
}

/// Reads a field's value, writes what it says, and reads that: nothing changes any more.
///
/// # Errors
/// What does not hold.
pub fn check_auth_results(value: &[u8]) -> Result<(), String> {
    let Some(read) = AuthResults::parse(value) else { return Ok(()) };
    if !claims_to_be_of(value, &read.authserv_id) {
        return Err("a field that is read is not known as its own server's".to_owned());
    }
    let again = |field: &str| {
        let value = field.split_once(':').map_or("", |(_, value)| value);
        AuthResults::parse(value.as_bytes())
    };
    let once = again(&read.to_field()).ok_or("what was written is not read")?;
    if again(&once.to_field()).as_ref() != Some(&once) {
        return Err("what was read is not what was written".to_owned());
    }
    Ok(())
}

/// Reads a report; one that is read and written is read as the same.
///
/// # Errors
/// What does not hold.
pub fn check_dmarc_report(file: &[u8]) -> Result<(), String> {
    drop(AggregateReport::of_message(file));
    let Ok(report) = AggregateReport::parse_packed(file) else { return Ok(()) };
    let once = AggregateReport::parse(report.to_xml().as_bytes());
    let once = once.map_err(|error| format!("what was written is not read: {error}"))?;
    if AggregateReport::parse(once.to_xml().as_bytes()) != Ok(once) {
        return Err("what was read is not what was written".to_owned());
    }
    Ok(())
}

/// Answers every question with this record, or something of its kind.
fn run<T>(record: &[u8], check: impl Fn(&Answers) -> Step<T>) -> Result<T, String> {
    let mut answers = Answers::default();
    let mut asked = 0;
    for _ in 0..ROUNDS_MAX {
        let queries = match check(&answers) {
            Step::Done(result) => return Ok(result),
            Step::Ask(queries) => queries,
        };
        asked += queries.len();
        if queries.is_empty() || asked > QUERIES_MAX {
            return Err(format!("{asked} questions, {} in the last round", queries.len()));
        }
        for query in queries {
            if answers.get(&query).is_some() {
                return Err(format!("asks again: {query:?}"));
            }
            let answer = match query.kind() {
                QueryKind::Txt => Answer::Txt(vec![record.to_vec()]),
                QueryKind::A | QueryKind::Aaaa => Answer::Ips(Vec::new()),
                QueryKind::Mx => Answer::Mx(vec![(1, "mx.example.org".to_owned()); 5]),
                QueryKind::Ptr => Answer::Names(vec!["mail.example.org".to_owned(); 5]),
            };
            answers.insert(query, answer);
        }
    }
    Err("does not come to an end".to_owned())
}

fn one_line(text: &str) -> Result<(), String> {
    let plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if plain { Ok(()) } else { Err(format!("no plain line: {text:?}")) }
}
