use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use message::{casemap, fold};
use proptest::prelude::*;

#[track_caller]
fn same(a: &str, b: &str) {
    assert_eq!(fold(a), fold(b), "{a} and {b}");
}

#[test]
fn case_and_form_do_not_count() {
    same("GRÜSSE", "grüße");
    same("Straße", "STRASSE");
    same("ΟΔΥΣΣΕΥΣ", "οδυσσευς");
    same("ПРИВЕТ", "привет");
    same("caf\u{e9}", "CAFE\u{301}");
    same("\u{212b}", "\u{e5}");
    same("ｱﾊﾟｰﾄ", "アパート");
    same("ＡＢＣ　１２", "abc 12");
    same("ﬁne", "fine");
    same("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}");
    same("soft\u{ad}ly", "softly");
    same("zero\u{200b}width\u{feff}", "zerowidth");
    same("I\u{307}stanbul", "\u{130}stanbul");
    same("a \t\r\n b\u{a0}c", "a b c");
    same("Ω", "\u{2126}");
}

#[test]
fn accents_and_parts_of_characters_count() {
    for (text, key) in [("café", "cafe"), ("がく", "か"), ("각", "가"), ("日本", "曰本")]
    {
        assert!(!fold(text).contains(&fold(key)), "{key} in {text}");
    }
    assert!(fold("東京都庁").contains(&fold("京都")));
    assert!(fold("きょうは良い天気です").contains(&fold("良い天気")));
    assert!(fold("대한민국").contains(&fold("한민")));
}

/// RFC 5051 §2, and Unicode's data for the characters whose titlecase is not their upper case.
#[test]
fn casemap_is_titlecase_decomposed() {
    for (text, key) in [
        ("abc XYZ", "ABC XYZ"),
        ("\u{e9}", "E\u{301}"),
        ("\u{c9}", "E\u{301}"),
        ("ß", "ß"),
        ("\u{1c6}", "Dz\u{30c}"),
        ("\u{1c4}", "Dz\u{30c}"),
        ("\u{1fb3}", "\u{391}\u{345}"),
        ("\u{10d0}", "\u{10d0}"),
        ("ﬁ", "fi"),
    ] {
        assert_eq!(casemap(text), key, "{text}");
    }
}

/// As it is said, without any short cut.
fn slow_fold(text: &str) -> String {
    let is_hidden = |c: char| {
        let others = "\u{ad}\u{34f}\u{61c}\u{feff}\u{3164}\u{ffa0}";
        others.contains(c) || matches!(c, '\u{115f}'..='\u{1160}' | '\u{200b}'..='\u{200f}')
    };
    let visible: String = text.chars().filter(|&c| !is_hidden(c)).collect();
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(&visible);
    let cased: String = decomposed
        .replace('ẞ', "ß")
        .chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect();
    let composed = ComposingNormalizerBorrowed::new_nfkc().normalize(&cased);
    let mut out = String::new();
    for c in composed.chars().map(|c| if c.is_whitespace() { ' ' } else { c }) {
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn folding_twice_is_folding_once(text in any::<String>()) {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn short_cuts_lead_there(
        text in "([a-zA-Z \t]{1,3}|[À-ž]{1,3}|[Α-ώ]{1,2}|[Ѐ-ӿ]{1,2}|[ß\u{300}-\u{308}]{1,2}|\
                 [ぁ-ヺ\u{3099}ｦ-ﾟ]{1,3}|[一-三가-갛ᄀ-ᅡᆨ]{1,3}|[\u{a0}-\u{c0}ﬁＡ-Ｚ\u{200b}]{1,2}){0,6}"
    ) {
        prop_assert_eq!(fold(&text), slow_fold(&text));
    }

    /// What is found in a text is found in the folded one, cut where both sides are ASCII.
    #[test]
    fn a_piece_is_found(before in "[a-z \t\n]{0,5}", piece in "\\PC{0,20}", behind in "[a-z ]{0,5}") {
        let piece = format!("x{piece}x");
        let text = format!("{before}{piece}{behind}");
        prop_assert!(fold(&text).contains(&fold(&piece)));
    }
}

/// Every character of scripts that have case or forms: folding is stable, and case does not count.
#[test]
fn every_character_folds_stably() {
    let scripts = ['\0'..='\u{33ff}', '\u{a000}'..='\u{ac20}', '\u{f900}'..='\u{10fff}']
        .into_iter()
        .chain(['\u{1d100}'..='\u{1d800}', '\u{1e000}'..='\u{1f260}']);
    for c in scripts.flatten() {
        let once = fold(&c.to_string());
        assert_eq!(fold(&once), once, "{:x}", u32::from(c));
        if c as u32 <= 0x300 || (0x370..0x1000).contains(&(c as u32)) {
            assert_eq!(once, slow_fold(&c.to_string()), "{:x}", u32::from(c));
        }
        let upper: String = c.to_uppercase().collect();
        let lower: String = upper.to_lowercase();
        assert_eq!(fold(&upper), fold(&lower), "{:x}", u32::from(c));
    }
}
