use super::scan::{Parsed, Scan, SyntaxError};
use super::sequence::{SeqNumber, SequenceSet};

/// The parameters of SELECT and EXAMINE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectParams {
    /// RFC 7162 §3.1.8
    pub condstore: bool,
    /// RFC 7162 §3.2.5
    pub qresync: Option<Box<Resync>>,
}

/// What a client remembers of a mailbox (RFC 7162 §3.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resync {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// The modification sequence up to which it knows everything.
    pub modseq: u64,
    /// The UIDs that it knows; all where it did not say.
    pub known: Option<SequenceSet>,
    /// Sequence numbers of some messages and their UIDs.
    pub pairs: Option<(SequenceSet, SequenceSet)>,
}

impl SelectParams {
    // RFC 4466 §2.1: select-params = SP "(" select-param *(SP select-param) ")"
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        let mut params = Self::default();
        if !scan.eat(b' ') {
            return Ok(params);
        }
        scan.expect(b'(', "parameters stand in parentheses")?;
        loop {
            match scan.word()?.as_str() {
                "CONDSTORE" if !params.condstore => params.condstore = true,
                "QRESYNC" if params.qresync.is_none() => {
                    scan.space()?;
                    params.qresync = Some(Box::new(Resync::parse(scan)?));
                }
                _ => return Err(SyntaxError("unknown parameter of SELECT, or the second of it")),
            }
            if scan.eat(b')') {
                return Ok(params);
            }
            scan.space()?;
        }
    }
}

impl Resync {
    // RFC 7162 §7: "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"
    // seq-match-data = "(" known-sequence-set SP known-uid-set ")"
    fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        scan.expect(b'(', "the parameters of QRESYNC stand in parentheses")?;
        let uid_validity = scan.number()?;
        scan.space()?;
        let modseq = scan.number64()?;
        let mut resync = Self { uid_validity, modseq, known: None, pairs: None };
        if uid_validity == 0 || modseq == 0 {
            return Err(SyntaxError("neither UIDVALIDITY nor a modification sequence is 0"));
        }
        while scan.eat(b' ') {
            if scan.eat(b'(') {
                let numbers = known(scan)?;
                scan.space()?;
                let uids = known(scan)?;
                scan.expect(b')', "sequence numbers and UIDs stand in parentheses")?;
                resync.pairs = Some((numbers, uids));
                break;
            }
            if resync.known.is_some() {
                return Err(SyntaxError("known UIDs are given once"));
            }
            resync.known = Some(known(scan)?);
        }
        scan.expect(b')', "the parameters of QRESYNC end with a parenthesis")?;
        Ok(resync)
    }
}

// RFC 7162 §7: known-uids = sequence-set, "*" is not allowed
fn known(scan: &mut Scan<'_>) -> Parsed<SequenceSet> {
    let set = SequenceSet::parse(scan)?;
    let is_number = |end: SeqNumber| matches!(end, SeqNumber::Number(_));
    if !set.0.iter().all(|&(a, b)| is_number(a) && is_number(b)) {
        return Err(SyntaxError("what is known has numbers"));
    }
    Ok(set)
}
