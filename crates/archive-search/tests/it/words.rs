use archive_search::{Wanted, write_words};

fn words(text: &str) -> String {
    let mut out = String::new();
    write_words(&message::fold(text), &mut out);
    out.trim_end().to_owned()
}

#[test]
fn letters_stand_together_and_marks_count_for_nothing() {
    assert_eq!(words("Invoice no. 4711-B, CAFÉ Straße"), "invoice no 4711 b cafe strasse");
    assert_eq!(words("Άλφα Привет"), "αλφα привет");
    let long = "x".repeat(500);
    assert_eq!(words(&long).len(), archive_search::WORD_OCTETS_MAX);
}

#[test]
fn neighbours_without_spaces_are_words() {
    assert_eq!(words("会议室"), "会议 议室 室");
    assert_eq!(words("iPhone手机 4号"), "iphone 手机 机 4 号");
    assert_eq!(words("カフェ"), "カフ フェ ェ");
    assert_eq!(words("서울에서"), "서울 울에 에서 서");
}

/// Whether a query's words follow each other in a text's.
fn finds(text: &str, query: &str) -> bool {
    let text = words(text);
    let text: Vec<&str> = text.split(' ').collect();
    let wanted = Wanted::of(query, false).unwrap();
    text.windows(wanted.words.len()).any(|run| {
        run.iter().zip(&wanted.words).enumerate().all(|(at, (there, word))| {
            let last = at + 1 == wanted.words.len();
            if last && wanted.open { there.starts_with(word.as_str()) } else { *there == word }
        })
    })
}

#[test]
fn any_part_of_a_run_is_found() {
    let text = "关于2026年度的会议室预订，请回复";
    for part in ["会议", "会议室", "议室", "室", "年度", "2026年度", "于2026年", "复", "预订"]
    {
        assert!(finds(text, part), "{part}");
    }
    for other in ["议会", "室会", "预复"] {
        assert!(!finds(text, other), "{other}");
    }
    assert!(finds("anna@example.org", "anna@exam"));
}
