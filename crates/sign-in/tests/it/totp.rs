//! Codes of an authenticator are those of the RFC, for a minute and a half, and for nothing else.

use mail_types::Timestamp;
use sign_in::{totp_code, totp_step, totp_text};

#[test]
fn codes_of_rfc_6238() {
    // RFC 6238 appendix B, the last six of its eight digits.
    let secret = b"12345678901234567890";
    for (secs, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ] {
        assert_eq!(totp_code(secret, secs / 30), code);
        let now = Timestamp(secs * 1000);
        assert_eq!(totp_step(secret, code, now), Some(secs / 30));
        assert_eq!(
            totp_step(secret, &format!("{} {}", &code[..3], &code[3..]), now),
            Some(secs / 30)
        );
        assert_eq!(totp_step(secret, code, Timestamp((secs + 90) * 1000)), None);
        assert_eq!(totp_step(secret, "", now), None);
    }
    assert_eq!(totp_text(b"foobar"), "MZXW6YTBOI");
}
