//! The parameters of MAIL and RCPT (RFC 5321 §4.1.2 `Mail-parameters`, `Rcpt-parameters`).

use mail_types::{DeliverBy, Priority};

use crate::command::CommandError;
use crate::envelope::{BodyType, HoldFor, MailParams, Notify, Orcpt, Ret};
use crate::xtext;

/// RFC 3461 §4.4.
const ENVID_OCTETS_MAX: usize = 100;
/// RFC 3461 §4.2.
const ORCPT_OCTETS_MAX: usize = 500;

/// Splits `KEYWORD[=value] …`, which one space separates from what stands before it.
fn split(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(' ').filter(|param| !param.is_empty()).map(|param| match param.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (param, None),
    })
}

/// Puts a value in its place once: a keyword given twice is an error.
fn once<T>(place: &mut Option<T>, value: T, keyword: &'static str) -> Result<(), CommandError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandError::ParamTwice(keyword)),
    }
}

/// Reads the parameters of MAIL.
pub(crate) fn mail(text: &str) -> Result<MailParams, CommandError> {
    let (mut size, mut body, mut smtputf8, mut requiretls) = (None, None, None, None);
    let (mut ret, mut envid, mut auth) = (None, None, None);
    let (mut hold, mut priority, mut by) = (None, None, None);
    for (keyword, value) in split(text) {
        let value_is = |known: &str| value.is_some_and(|value| value.eq_ignore_ascii_case(known));
        if keyword.eq_ignore_ascii_case("SIZE") {
            once(&mut size, octets(value)?, "SIZE")?;
        } else if keyword.eq_ignore_ascii_case("BODY") {
            let value = match () {
                () if value_is("7BIT") => BodyType::SevenBit,
                () if value_is("8BITMIME") => BodyType::EightBitMime,
                () => return Err(CommandError::ParamValue("BODY")),
            };
            once(&mut body, value, "BODY")?;
        } else if keyword.eq_ignore_ascii_case("SMTPUTF8") {
            // RFC 6531 §3.1: it takes no value.
            if value.is_some() {
                return Err(CommandError::ParamValue("SMTPUTF8"));
            }
            once(&mut smtputf8, (), "SMTPUTF8")?;
        } else if keyword.eq_ignore_ascii_case("REQUIRETLS") {
            // RFC 8689 §2: it takes no value.
            if value.is_some() {
                return Err(CommandError::ParamValue("REQUIRETLS"));
            }
            once(&mut requiretls, (), "REQUIRETLS")?;
        } else if keyword.eq_ignore_ascii_case("RET") {
            let value = match () {
                () if value_is("FULL") => Ret::Full,
                () if value_is("HDRS") => Ret::Headers,
                () => return Err(CommandError::ParamValue("RET")),
            };
            once(&mut ret, value, "RET")?;
        } else if keyword.eq_ignore_ascii_case("ENVID") {
            once(&mut envid, xtext_value(value, ENVID_OCTETS_MAX, "ENVID")?, "ENVID")?;
        } else if keyword.eq_ignore_ascii_case("HOLDFOR") {
            once(&mut hold, hold_for(value)?, "HOLDFOR")?;
        } else if keyword.eq_ignore_ascii_case("HOLDUNTIL") {
            // RFC 4865 §4: one of the two.
            let at = value.and_then(|value| value.parse().ok());
            let at = at.ok_or(CommandError::ParamValue("HOLDUNTIL"))?;
            once(&mut hold, HoldFor::Until(at), "HOLDUNTIL")?;
        } else if keyword.eq_ignore_ascii_case("MT-PRIORITY") {
            once(&mut priority, read_priority(value)?, "MT-PRIORITY")?;
        } else if keyword.eq_ignore_ascii_case("BY") {
            // RFC 2852 §4.
            let value: Option<DeliverBy> = value.and_then(|value| value.parse().ok());
            once(&mut by, value.ok_or(CommandError::ParamValue("BY"))?, "BY")?;
        } else if keyword.eq_ignore_ascii_case("AUTH") {
            // RFC 4954 §5: who first submitted it. Nobody is trusted to say so, hence it is checked
            // and dropped, as if AUTH=<> had been said.
            once(&mut auth, xtext_value(value, usize::MAX, "AUTH")?, "AUTH")?;
        } else {
            return Err(CommandError::unknown_param(keyword));
        }
    }
    let (body, smtputf8) = (body.unwrap_or_default(), smtputf8.is_some());
    let requiretls = requiretls.is_some();
    Ok(MailParams { size, body, smtputf8, requiretls, ret, envid, hold, priority, by })
}

/// RFC 4865 §4: `future-release-integer = %x31-39 *8DIGIT`.
fn hold_for(value: Option<&str>) -> Result<HoldFor, CommandError> {
    let digits = value.unwrap_or_default();
    let fits = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let secs = digits.parse().ok().filter(|_| fits && !digits.starts_with('0'));
    secs.map(HoldFor::Secs).ok_or(CommandError::ParamValue("HOLDFOR"))
}

/// RFC 6710 §10: `priority-value = (["-"] NZDIGIT) / "0"`.
fn read_priority(value: Option<&str>) -> Result<Priority, CommandError> {
    let digits = value.map(|value| value.strip_prefix('-').unwrap_or(value));
    let one = digits.is_some_and(|digits| digits.len() == 1) && value != Some("-0");
    let number = value.filter(|_| one).and_then(|value| value.parse().ok());
    number.and_then(Priority::new).ok_or(CommandError::ParamValue("MT-PRIORITY"))
}

/// Reads the parameters of RCPT.
pub(crate) fn rcpt(text: &str) -> Result<(Option<Notify>, Option<Orcpt>), CommandError> {
    let (mut notify, mut orcpt) = (None, None);
    for (keyword, value) in split(text) {
        if keyword.eq_ignore_ascii_case("NOTIFY") {
            once(&mut notify, read_notify(value)?, "NOTIFY")?;
        } else if keyword.eq_ignore_ascii_case("ORCPT") {
            once(&mut orcpt, read_orcpt(value)?, "ORCPT")?;
        } else {
            return Err(CommandError::unknown_param(keyword));
        }
    }
    Ok((notify, orcpt))
}

/// RFC 1870 §3: `size-value = 1*20DIGIT`. What does not fit is larger than any limit.
fn octets(value: Option<&str>) -> Result<u64, CommandError> {
    let digits = value.unwrap_or_default();
    let fits = (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if fits {
        Ok(digits.parse().unwrap_or(u64::MAX))
    } else {
        Err(CommandError::ParamValue("SIZE"))
    }
}

fn xtext_value(
    value: Option<&str>,
    octets_max: usize,
    keyword: &'static str,
) -> Result<String, CommandError> {
    let value = value.filter(|value| (1..=octets_max).contains(&value.len()));
    let decoded = value.and_then(|value| xtext::decode(value).ok());
    decoded.ok_or(CommandError::ParamValue(keyword))
}

/// RFC 3461 §4.1: `"NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )`; NEVER stands alone.
fn read_notify(value: Option<&str>) -> Result<Notify, CommandError> {
    let value = value.unwrap_or_default();
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        let flag = match () {
            () if word.eq_ignore_ascii_case("SUCCESS") => &mut success,
            () if word.eq_ignore_ascii_case("FAILURE") => &mut failure,
            () if word.eq_ignore_ascii_case("DELAY") => &mut delay,
            () => return Err(CommandError::ParamValue("NOTIFY")),
        };
        *flag = true;
    }
    Ok(Notify::On { success, failure, delay })
}

/// RFC 3461 §4.2: `"ORCPT=" original-recipient-address = addr-type ";" xtext`.
fn read_orcpt(value: Option<&str>) -> Result<Orcpt, CommandError> {
    let bad = CommandError::ParamValue("ORCPT");
    let value = value.filter(|value| value.len() <= ORCPT_OCTETS_MAX).ok_or(bad.clone())?;
    let (addr_type, address) = value.split_once(';').ok_or(bad.clone())?;
    let atom = addr_type.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if addr_type.is_empty() || !atom || address.is_empty() {
        return Err(bad);
    }
    let address = xtext::decode(address).map_err(|_| bad)?;
    Ok(Orcpt { addr_type: addr_type.to_ascii_lowercase(), address })
}
