//! The RFC index, and the settings page beside it.

use xtask::tree::Tree;

use crate::{found, found_in};

const CODE: (&str, &str) = ("crates/net/src/a.rs", "// RFC 5321 §4.1: a\n// RFC 2119 words\n");
const TEST: (&str, &str) = ("crates/net/tests/it/a.rs", "");

#[track_caller]
fn index(rows: &str, expected: &[&str]) {
    let rows = format!("# number\ttitle\tstatus\twhere\ttests\n{rows}");
    let expected: Vec<_> =
        expected.iter().map(|rest| format!("rfc-index rfc/index.tsv:{rest}")).collect();
    assert_eq!(found(&[CODE, TEST, ("rfc/index.tsv", &rows)]), expected);
}

const RIGHT: &str = "5321\tSMTP\tyes\tcrates/net/src/a.rs\tcrates/net/tests/it\n";

#[test]
fn a_whole_index_is_right() {
    index(&format!("{RIGHT}2119\tWords\tno: they bind documents\t-\t-\n"), &[]);
}

#[test]
fn a_cited_rfc_needs_a_row() {
    index(RIGHT, &["0 2119"]);
    index("", &["0 2119", "0 5321"]);
}

#[test]
fn named_files_exist() {
    index(
        "5321\tSMTP\tyes\tcrates/net/src/b.rs crates/net/src/a.rs\tcrates/smtp/tests\n\
         2119\tWords\tyes\tcrates/net\t-\n",
        &["2 5321", "2 5321"],
    );
}

#[test]
fn a_row_says_how_far_and_why() {
    let right = format!("{RIGHT}2119\tWords\t");
    index(&format!("{right}partly\tcrates/net\t-\n"), &["3 2119"]);
    index(&format!("{right}partly: the loud ones\tcrates/net\t-\n"), &[]);
    index(&format!("{right}no: \t-\t-\n"), &["3 2119"]);
    index(&format!("{right}nearly\tcrates/net\t-\n"), &["3 2119"]);
    index(&format!("{right}yes\t-\t-\n"), &["3 2119"]);
}

#[test]
fn a_row_has_five_columns_and_is_alone() {
    index(&format!("{RIGHT}2119\tWords\n"), &["3 -", "0 2119"]);
    index(&format!("{RIGHT}{RIGHT}2119\tWords\tno: b\t-\t-\n"), &["3 5321"]);
}

#[test]
fn the_settings_page_is_what_config_says() {
    let page = config::reference_page();
    let tree = Tree::of(&[("docs/settings.md", &page)]);
    assert!(found_in(&tree).is_empty());
    let stale = tree.with("docs/settings.md", &page.replace("50 MiB", "51 MiB"));
    assert_eq!(found_in(&stale), ["settings docs/settings.md:0 -"]);
}

#[test]
fn every_setting_is_read_by_somebody() {
    let reads: String = config::Config::settings()
        .iter()
        .map(|setting| format!("config.{}.{};\n", setting.section, setting.name))
        .collect();
    let path = "crates/restante/src/main.rs";
    assert!(found(&[(path, &reads)]).is_empty());
    let without = reads.replace("queue.lifetime;", "");
    assert_eq!(
        found(&[(path, &without)]),
        ["settings crates/config/src/settings.rs:0 queue.lifetime"]
    );
}

#[test]
fn the_index_is_filled_in_from_the_code() {
    let many = "// RFC 5321 one, RFC 1122 two\n";
    let tree = Tree::of(&[
        CODE,
        ("crates/net/tests/it/a.rs", "// RFC 2119\n"),
        ("crates/peers/src/a.rs", "// RFC 5321\n"),
        ("crates/net/tests/it/b.rs", ""),
        ("crates/smtp/tests/it/main.rs", ""),
        ("crates/smtp/src/a.rs", many),
        ("crates/smtp/src/b.rs", many),
        ("crates/smtp/src/c.rs", many),
        ("crates/smtp/src/d.rs", many),
        (
            "rfc/index.tsv",
            "# old\n5321\tSMTP\tyes\tgone.rs\t-\n2119\tWords\tyes\t-\t-\n99\tA\tno: old\tx\ty\n",
        ),
    ]);
    let index = xtask::rfc::index(&tree);
    let rows: Vec<_> = index.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        rows,
        [
            "99\tA\tno: old\t-\t-",
            "1122\tTITLE\tSTATUS\tcrates/smtp/src/a.rs crates/smtp/src/b.rs crates/smtp/src/c.rs \
             crates/smtp/src/d.rs\tcrates/smtp/tests/it",
            "2119\tWords\tyes\tcrates/net/src/a.rs\tcrates/net/tests/it/a.rs",
            "5321\tSMTP\tyes\tcrates/net/src/a.rs crates/smtp/src\tcrates/net/tests/it crates/smtp/tests/it",
        ]
    );
    // Filled in once more it is the same.
    assert_eq!(xtask::rfc::index(&tree.with("rfc/index.tsv", &index)), index);
}
