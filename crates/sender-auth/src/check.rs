//! What must hold for any octets: the fuzz targets and the tests that replay their corpora ask it.

mod records;

use mail_types::Timestamp;

use crate::{Answer, Answers, Reading, Step, Verdict};

pub use records::{check_auth_results, check_dmarc_record, check_dmarc_report, check_spf_record};

/// Rounds of questions that a check of one message may take: all keys are asked for at once.
const ROUNDS_MAX: usize = 2;

/// Reads the octets as a message, whole and in pieces: both come to the same, a check ends once its
/// questions are answered, and nothing passes without a key.
///
/// # Errors
/// What is broken, in words.
pub fn check_message(bytes: &[u8]) -> Result<(), String> {
    let now = Timestamp::from_secs(1_800_000_000);
    let mut results = Vec::new();
    for piece in [bytes.len().max(1), 7] {
        let mut reading = Reading::for_signing();
        bytes.chunks(piece).for_each(|piece| reading.write(piece));
        let early = [reading.queries(), reading.seal_queries()].concat();
        let examined = reading.finish();
        let mut answers = Answers::default();
        for query in early {
            answers.insert(query, Answer::NxDomain);
        }
        let (mut dkim, mut arc) = (None, None);
        for _ in 0..ROUNDS_MAX {
            for asked in [
                match examined.dkim(&answers, now) {
                    Step::Done(done) => {
                        dkim = Some(done);
                        Vec::new()
                    }
                    Step::Ask(queries) => queries,
                },
                match examined.arc(&answers) {
                    Step::Done(done) => {
                        arc = Some(done);
                        Vec::new()
                    }
                    Step::Ask(queries) => queries,
                },
            ] {
                asked.into_iter().for_each(|query| answers.insert(query, Answer::NxDomain));
            }
        }
        let (Some(dkim), Some(arc)) = (dkim, arc) else {
            return Err("a check asks without an end".to_owned());
        };
        let passes = |verdict| verdict == Verdict::Pass;
        if dkim.iter().any(|result| passes(result.outcome.verdict)) || passes(arc.outcome.verdict) {
            return Err("a signature passes without a key".to_owned());
        }
        results.push((dkim, arc));
    }
    if results[0] == results[1] {
        Ok(())
    } else {
        Err(format!("read in pieces it is another message: {results:?}"))
    }
}
