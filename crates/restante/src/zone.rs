//! Words of zone files (RFC 1035 §5.1).

/// RFC 1035 §3.3: octets in a character-string.
const STRING_OCTETS: usize = 255;

/// A text as one or more character-strings in quotes.
pub fn txt(text: &str) -> String {
    let mut strings = Vec::new();
    let mut rest = text;
    loop {
        let mut end = rest.len().min(STRING_OCTETS);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (string, behind) = rest.split_at(end);
        strings.push(format!("\"{}\"", string.replace('\\', "\\\\").replace('"', "\\\"")));
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    match strings.as_slice() {
        [one] => one.clone(),
        several => format!("( {} )", several.join(" ")),
    }
}
