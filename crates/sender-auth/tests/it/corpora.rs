//! The fuzzer's corpora, and each of their files with octets changed, cut and doubled.

use sender_auth::check;

fn replay(target: &str, check: fn(&[u8]) -> Result<(), String>) {
    let dir = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        files += 1;
        assert_eq!(check(&bytes), Ok(()), "{}", path.display());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] = changed[at].wrapping_add(u8::try_from(at % 255 + 1).unwrap());
            assert_eq!(check(&changed), Ok(()), "{} at {at}", path.display());
            assert_eq!(check(&bytes[..at]), Ok(()), "{} up to {at}", path.display());
            let doubled = [&bytes[..at], &bytes[at / 2..]].concat();
            assert_eq!(check(&doubled), Ok(()), "{} doubled at {at}", path.display());
        }
    }
    assert!(files >= 3, "the corpus is there");
}

#[test]
fn spf_records() {
    replay("spf_record", check::check_spf_record);
}

#[test]
fn dmarc_records() {
    replay("dmarc_record", check::check_dmarc_record);
}

#[test]
fn fields() {
    replay("auth_results", check::check_auth_results);
}

#[test]
fn reports() {
    replay("dmarc_report", check::check_dmarc_report);
}
