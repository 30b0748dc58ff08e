//! The ARC sets of a header, put together (RFC 8617 §4.2, §5.2 step 3).

use std::collections::BTreeMap;

use super::{ArcSet, SETS_MAX};
use crate::Query;
use crate::dkim::{Basics, Signature};
use crate::keys;
use crate::tags::{self, Tags};

const RESULTS: &str = "arc-authentication-results";
const MESSAGE_SIGNATURE: &str = "arc-message-signature";
const SEAL: &str = "arc-seal";

/// What the ARC fields of a header form.
pub(crate) enum Chain {
    /// There are none.
    None,
    /// They form no chain.
    Broken {
        /// Why.
        flaw: String,
        /// The highest instance that could be read.
        highest: u8,
    },
    /// Sets from 1 to N; nothing of them is verified.
    Whole(Box<Whole>),
}

pub(crate) struct Whole {
    /// From 1 to N, at least one.
    pub sets: Vec<Set>,
    /// The message signature of the last: no other can be expected to hold still.
    pub signature: Result<Signature, String>,
}

pub(crate) struct Set {
    pub instance: u8,
    /// Which fields of the header.
    pub results: usize,
    pub message_signature: usize,
    pub seal_field: usize,
    pub seal: Basics,
    pub chain: ChainValue,
    results_text: String,
}

/// `cv=`: what a sealer found of the chain before it (RFC 8617 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainValue {
    None,
    Fail,
    Pass,
}

/// A set while its fields come together.
#[derive(Default)]
struct Parts<'a> {
    results: Option<(usize, &'a str)>,
    message_signature: Option<(usize, &'a [u8])>,
    seal: Option<(usize, &'a [u8])>,
}

impl Whole {
    pub fn newest(&self) -> &Set {
        // There is at least one.
        &self.sets[self.sets.len() - 1]
    }

    /// The keys of all that is verified, each once.
    pub fn queries(&self) -> Vec<Query> {
        let signature = self.signature.as_ref().ok().map(|signature| &signature.basics);
        let seals = self.sets.iter().map(|set| &set.seal);
        let mut queries: Vec<Query> = Vec::new();
        for basics in signature.into_iter().chain(seals) {
            let query = keys::query(&basics.selector, &basics.domain);
            if !queries.contains(&query) {
                queries.push(query);
            }
        }
        queries
    }
}

impl Set {
    pub fn told(&self) -> ArcSet {
        ArcSet {
            instance: self.instance,
            sealer: self.seal.domain.clone(),
            selector: self.seal.selector.clone(),
            results: self.results_text.clone(),
        }
    }
}

impl Chain {
    /// Takes the fields of a header: which, its name in lower case, its value.
    pub fn parse<'a>(fields: impl Iterator<Item = (usize, &'a str, &'a [u8])>) -> Self {
        let mut sets: BTreeMap<u8, Parts<'a>> = BTreeMap::new();
        let mut flaw = None;
        for (at, name, value) in fields {
            let added = match name {
                RESULTS => results(value).and_then(|(instance, text)| {
                    once(&mut sets.entry(instance).or_default().results, (at, text))
                }),
                MESSAGE_SIGNATURE => instance(value).and_then(|instance| {
                    once(&mut sets.entry(instance).or_default().message_signature, (at, value))
                }),
                SEAL => instance(value).and_then(|instance| {
                    once(&mut sets.entry(instance).or_default().seal, (at, value))
                }),
                _ => continue,
            };
            if let Err(why) = added {
                flaw.get_or_insert(format!("{name}: {why}"));
            }
        }
        if sets.is_empty() && flaw.is_none() {
            return Self::None;
        }
        let highest = sets.last_key_value().map_or(0, |(&instance, _)| instance);
        let whole = flaw.map_or_else(|| whole(&sets), Err);
        whole.map_or_else(
            |flaw| Self::Broken { flaw, highest },
            |whole| Self::Whole(Box::new(whole)),
        )
    }

    /// The signature that the body must be hashed for.
    pub fn newest_signature(&self) -> Option<&Signature> {
        match self {
            Self::Whole(whole) => whole.signature.as_ref().ok(),
            Self::None | Self::Broken { .. } => None,
        }
    }

    /// The keys that verifying needs.
    pub fn queries(&self) -> Vec<Query> {
        match self {
            Self::Whole(whole) => whole.queries(),
            Self::None | Self::Broken { .. } => Vec::new(),
        }
    }
}

/// RFC 8617 §5.2 step 3.A: each set has exactly one of each field.
fn once<T>(place: &mut Option<T>, part: T) -> Result<(), String> {
    match place.replace(part) {
        None => Ok(()),
        Some(_) => Err("there are two of one instance".to_owned()),
    }
}

fn whole(parts: &BTreeMap<u8, Parts<'_>>) -> Result<Whole, String> {
    let mut sets = Vec::with_capacity(parts.len());
    let mut signature = Err("there is none".to_owned());
    // RFC 8617 §5.2 step 3.B: from 1 to N without a gap.
    for ((&found, parts), instance) in parts.iter().zip(1..) {
        if found != instance {
            return Err(format!("set {instance} is missing"));
        }
        let lacks = |what: &str| format!("set {instance} has no {what}");
        let (results, text) = parts.results.ok_or_else(|| lacks(RESULTS))?;
        let (message_signature, value) =
            parts.message_signature.ok_or_else(|| lacks(MESSAGE_SIGNATURE))?;
        let (seal_field, seal_value) = parts.seal.ok_or_else(|| lacks(SEAL))?;
        let (seal, chain) =
            seal(seal_value).map_err(|flaw| format!("the seal of set {instance}: {flaw}"))?;
        signature = message_signature_of(value);
        let results_text = text.to_owned();
        sets.push(Set {
            instance,
            results,
            message_signature,
            seal_field,
            seal,
            chain,
            results_text,
        });
    }
    Ok(Whole { sets, signature })
}

/// RFC 8617 §4.1.3 ARC-Seal.
fn seal(value: &[u8]) -> Result<(Basics, ChainValue), String> {
    let tags = Tags::parse(value)?;
    // RFC 8617 §4.1.3: an h= MUST NOT be there; the chain has failed where it is.
    if tags.get("h").is_some() {
        return Err("it has an h=".to_owned());
    }
    let chain = match tags.need("cv")? {
        "none" => ChainValue::None,
        "fail" => ChainValue::Fail,
        "pass" => ChainValue::Pass,
        other => return Err(format!("cv={other} is unknown")),
    };
    Ok((Basics::parse(&tags)?, chain))
}

/// RFC 8617 §4.1.2 ARC-Message-Signature.
fn message_signature_of(value: &[u8]) -> Result<Signature, String> {
    let tags = Tags::parse(value)?;
    let signature = Signature::parse_common(&tags)?;
    // RFC 8617 §4.1.2: ARC-Seal fields MUST NOT be signed by it.
    if signature.fields.iter().any(|name| &**name == SEAL) {
        return Err("it signs ARC-Seal".to_owned());
    }
    Ok(signature)
}

/// `i=` of a seal or message signature.
fn instance(value: &[u8]) -> Result<u8, String> {
    let tags = Tags::parse(value)?;
    number(tags.need("i")?)
}

/// RFC 8617 §4.2.1: 1 to 50.
fn number(text: &str) -> Result<u8, String> {
    let number = tags::number(text, 2).and_then(|number| u8::try_from(number).ok());
    number
        .filter(|number| (1..=SETS_MAX).contains(number))
        .ok_or_else(|| format!("i={text} is not from 1 to {SETS_MAX}"))
}

/// RFC 8617 §4.1.1: `instance [CFWS] ";" authres-payload`: the instance, and the payload.
fn results(value: &[u8]) -> Result<(u8, &str), String> {
    let text = std::str::from_utf8(value).map_err(|_| "it is not UTF-8".to_owned())?;
    let no_instance = || "it does not begin with i=".to_owned();
    let rest = without_cfws(text).strip_prefix('i').ok_or_else(no_instance)?;
    let rest = without_cfws(rest).strip_prefix('=').ok_or_else(no_instance)?;
    let rest = without_cfws(rest);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    let instance = number(digits)?;
    let payload = without_cfws(rest).strip_prefix(';').ok_or("no `;` follows its i=")?;
    Ok((instance, payload.trim()))
}

/// Behind white space and comments (RFC 5322 §3.2.2).
fn without_cfws(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', '\t', '\r', '\n']);
        if !text.starts_with('(') {
            return text;
        }
        let (mut depth, mut escaped, mut end) = (0_u32, false, text.len());
        for (at, c) in text.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = at + 1;
                break;
            }
        }
        text = &text[end..];
    }
}
