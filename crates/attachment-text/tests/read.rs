//! What programs of others have written is read; what strangers make of it does no harm.

#![allow(clippy::unwrap_used)]

use attachment_text::{Kind, Limits, Unreadable, text_of};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/files/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn text(name: &str) -> String {
    let kind = Kind::of("application/octet-stream", name).unwrap();
    text_of(kind, file(name), &Limits::default()).unwrap()
}

#[track_caller]
fn has(text: &str, all: &[&str]) {
    for wanted in all {
        assert!(text.contains(wanted), "no {wanted:?} in {text:?}");
    }
}

#[test]
fn a_pdf_of_reportlab_is_read() {
    // Helvetica, predefined CMaps for Chinese and Japanese, a subset with ToUnicode, Times.
    let text = text("letter.pdf");
    let lines = ["Quarterly zeppelin maintenance", "Grüße aus Köln", "年度报告已经完成"];
    has(&text, &lines);
    has(&text, &["請求書を送ります", "Счёт embedded subset", "kerned line one\nsecond line"]);
}

#[test]
fn office_documents_are_read() {
    has(&text("paper.docx"), &["Budget for the observatory", "A paragraph with bold marmalade"]);
    has(&text("paper.docx"), &["会议记录 서울에서", "cell alpha", "cell & omega", "headerword"]);
    has(&text("table.xlsx"), &["Turbines", "windmill", "4711.5", "合计"]);
    has(&text("slides.pptx"), &["Keynote about lighthouses", "speaker whispers"]);
    has(&text("letter.odt"), &["Archive of hedgehogs\n", "Second 第二段"]);
    let names = text_of(Kind::Zip, file("paper.docx"), &Limits::default()).unwrap();
    has(&names, &["word/document.xml"]);
}

#[test]
fn a_file_that_needs_a_password_says_so() {
    let read = text_of(Kind::Pdf, file("locked.pdf"), &Limits::default());
    assert_eq!(read, Err(Unreadable::Encrypted));
    let compound = [&[0xd0, 0xcf, 0x11, 0xe0][..], &[0; 600]].concat();
    assert_eq!(text_of(Kind::Docx, compound, &Limits::default()), Err(Unreadable::Encrypted));
}

#[test]
fn a_zip_bomb_is_not_unpacked() {
    let limits = Limits { unpacked_bytes_max: 1000, ..Limits::default() };
    let read = text_of(Kind::Docx, file("paper.docx"), &limits);
    assert_eq!(read, Err(Unreadable::UnpacksToTooMuch));
    let limits = Limits { bytes_max: 1000, ..Limits::default() };
    assert_eq!(text_of(Kind::Pdf, file("letter.pdf"), &limits), Err(Unreadable::TooLarge));
    let limits = Limits { text_bytes_max: 10, ..Limits::default() };
    assert!(text_of(Kind::Docx, file("paper.docx"), &limits).unwrap().len() <= 10);
}

#[test]
fn files_that_are_cut_or_have_wrong_octets_do_not_break_it() {
    for name in ["letter.pdf", "paper.docx", "table.xlsx", "letter.odt"] {
        let whole = file(name);
        let kind = Kind::of("application/octet-stream", name).unwrap();
        for at in 0..64 {
            let cut = whole.len() * at / 64;
            // Any answer is right but a panic.
            text_of(kind, whole[..cut].to_vec(), &Limits::default()).ok();
            let mut wrong = whole.clone();
            wrong[cut] ^= 0xff;
            text_of(kind, wrong, &Limits::default()).ok();
        }
        for other in Kind::ALL {
            text_of(other, whole.clone(), &Limits::default()).ok();
        }
    }
}

#[test]
fn the_name_counts_before_the_type() {
    let of = Kind::of;
    assert_eq!(of("application/octet-stream", "Rechnung.PDF"), Some(Kind::Pdf));
    assert_eq!(of("application/pdf", "no-ending"), Some(Kind::Pdf));
    assert_eq!(of("text/html", "page.html"), None);
    assert_eq!(of("image/png", "picture.png"), None);
    for kind in Kind::ALL {
        assert_eq!(Kind::from_code(kind.code()), Some(kind));
    }
}

#[test]
fn the_corpus_is_read_as_every_kind() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/attachment_text");
    let limits =
        Limits { text_bytes_max: 1 << 16, unpacked_bytes_max: 1 << 20, ..Limits::default() };
    for entry in std::fs::read_dir(corpus).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for kind in Kind::ALL {
            let read = text_of(kind, bytes[1..].to_vec(), &limits);
            assert!(read.is_err() || read.is_ok_and(|text| text.len() <= limits.text_bytes_max));
        }
    }
}
