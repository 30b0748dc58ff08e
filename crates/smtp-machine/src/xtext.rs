//! xtext (RFC 3461 §4): how DSN parameters and AUTH= carry text that has spaces or `=` in it.

/// A text that is not xtext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not xtext: printable characters, with +, = and others as + and two hexadecimal digits")]
pub struct XtextError;

/// Decodes xtext. Characters beyond ASCII (RFC 6533 §3 allows them with SMTPUTF8) stay as they are.
///
/// # Errors
/// [`XtextError`] for a space, a control, a bare `=` or `+`, or a decoded control.
pub fn decode(text: &str) -> Result<String, XtextError> {
    let mut decoded = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '+' => {
                let mut digit = || match chars.next() {
                    // RFC 3461 §4: hexadecimal digits are upper case.
                    Some(c @ ('0'..='9' | 'A'..='F')) => c.to_digit(16).ok_or(XtextError),
                    _ => Err(XtextError),
                };
                let code = digit()? * 16 + digit()?;
                match char::from_u32(code) {
                    Some(c @ ' '..='~') => decoded.push(c),
                    _ => return Err(XtextError),
                }
            }
            '=' => return Err(XtextError),
            c if c.is_ascii_graphic() || (!c.is_ascii() && !c.is_control()) => decoded.push(c),
            _ => return Err(XtextError),
        }
    }
    Ok(decoded)
}

/// Encodes text as xtext; characters beyond ASCII stay as they are.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && (!c.is_ascii_graphic() || matches!(c, '+' | '=')) {
            encoded.push_str(&format!("+{:02X}", u32::from(c)));
        } else {
            encoded.push(c);
        }
    }
    encoded
}
