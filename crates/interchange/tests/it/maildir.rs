use interchange::{Keywords, UidList, file_flags, file_name, folder_of_directory, unique_name};
use mail_types::{Flags, Keyword, SystemFlag};

#[test]
fn flags_stand_behind_the_last_colon() {
    let keywords = Keywords::read("0 $Label1\n1 work\n30 never\nno line\n");
    let flags = file_flags("1700000000.M1P2.host,S=12:2,FRSabz", &keywords);
    assert!(flags.has(SystemFlag::Flagged) && flags.has(SystemFlag::Seen));
    assert!(flags.has(SystemFlag::Answered) && !flags.has(SystemFlag::Deleted));
    let words: Vec<&str> = flags.keywords().iter().map(Keyword::as_str).collect();
    assert_eq!(words, ["$Label1", "work"]);
    assert_eq!(unique_name("a.b:2,S"), "a.b");
    assert_eq!(unique_name("a.b;2,S"), "a.b");
    assert_eq!(unique_name("a.b:1,S"), "a.b:1,S");
    assert!(file_flags("a.b", &keywords).is_empty());
}

#[test]
fn names_are_written_as_they_are_read() {
    let mut flags = Flags::from_iter([SystemFlag::Seen, SystemFlag::Draft]);
    flags.insert_keyword(Keyword::new("$Forwarded").unwrap());
    flags.insert_keyword(Keyword::new("later").unwrap());
    let (mut keywords, mut left_out) = (Keywords::default(), Vec::new());
    let name = file_name("1.2.host", &flags, &mut keywords, &mut left_out);
    assert_eq!(name, "1.2.host:2,DPSa");
    assert_eq!(keywords.write(), "0 later\n");
    assert_eq!(file_flags(&name, &Keywords::read(&keywords.write())), flags);
    assert!(left_out.is_empty());
    for number in 0..30 {
        let flags = Flags::from_parts(0, vec![Keyword::new(&format!("k{number}")).unwrap()]);
        file_name("1", &flags, &mut keywords, &mut left_out);
    }
    assert_eq!(left_out.len(), 5, "25 letters were left");
}

#[test]
fn folders_are_behind_dots() {
    assert_eq!(folder_of_directory(".Sent.2024"), Some(vec!["Sent", "2024"]));
    assert_eq!(folder_of_directory("cur"), None);
    assert_eq!(folder_of_directory("..x"), None);
    assert_eq!(folder_of_directory("."), None);
}

#[test]
fn uid_lists_of_both_versions() {
    let list = UidList::read("3 V1700000000 N4 G1\n1 :a.host\n3 W120 S100 :b.host:2,S\nbad\n");
    assert_eq!((list.uid("a.host"), list.uid("b.host"), list.uid("c")), (Some(1), Some(3), None));
    let list = UidList::read("1 1700000000 4\n7 a.host\n");
    assert_eq!(list.uid("a.host"), Some(7));
}
