use message::{Limits, SortFacts, Threads, thread_ordered_subject, thread_references};

fn read(headers: &[String]) -> Vec<SortFacts> {
    headers.iter().map(|header| SortFacts::read(header.as_bytes(), &Limits::default())).collect()
}

fn written(threads: &Threads) -> String {
    let mut out = Vec::new();
    threads.write(&mut out, |at| at as u32 + 1);
    String::from_utf8(out).unwrap()
}

/// `id refs subject minute`, one message a line; `-` for none.
fn headers(lines: &str) -> Vec<String> {
    let mut headers = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, references, subject, minute] = *words else { panic!("{line}") };
        let mut header = format!("Date: 1 Jan 2020 00:{minute} +0000\r\n");
        if id != "-" {
            header.push_str(&format!("Message-ID: <{id}@x>\r\n"));
        }
        if references != "-" {
            let ids: Vec<_> = references.split(',').map(|id| format!("<{id}@x>")).collect();
            header.push_str(&format!("References: {}\r\n", ids.join(" ")));
        }
        header.push_str(&format!("Subject: {}\r\n", subject.replace(['_', '-'], " ")));
        headers.push(header);
    }
    headers
}

fn by_references(lines: &str) -> String {
    let facts = read(&headers(lines));
    let facts: Vec<_> = facts.iter().map(SortFacts::by_ref).collect();
    written(&thread_references(&facts))
}

fn by_subject(lines: &str) -> String {
    let facts = read(&headers(lines));
    let facts: Vec<_> = facts.iter().map(SortFacts::by_ref).collect();
    written(&thread_ordered_subject(&facts))
}

/// RFC 5256 §5: the example `(2)(3 6 (4 23)(44 7 96))`, its numbers 1 to 8 here.
#[test]
fn the_tree_of_rfc_5256_section_5() {
    let lines = "
        b - first 01
        c - second 02
        f c a 03
        d c,f b 04
        w c,f,d c 05
        rr c,f d 06
        g c,f,rr e 07
        zz c,f,rr,g f 08";
    assert_eq!(by_references(lines), "(1)(2 3 (4 5)(6 7 8))");
    // The second example: `((3)(5))`, a parent that is not there.
    assert_eq!(by_references("a p a 01\nb p b 02"), "((1)(2))");
}

#[test]
fn dummies_are_pruned() {
    assert_eq!(by_references("a x a 01"), "(1)");
    assert_eq!(by_references("a x,y,z a 01\nb x,q b 02"), "((1)(2))");
    assert_eq!(by_references("a x,y,z a 01\nb a b 02\nc a,k,l c 03"), "(1 (2)(3))");
    assert_eq!(by_references("a - a 01\nb a,gone b 02\nc a,gone c 03"), "(1 (2)(3))");
}

#[test]
fn loops_duplicates_and_changed_minds() {
    assert_eq!(by_references("a a a 01"), "(1)");
    assert_eq!(by_references("a b a 01\nb a b 02"), "(2 1)");
    assert_eq!(by_references("a b,c a 01\nb c,a b 02\nc a,b c 03"), "(2 3 1)");
    // Of two with one Message-ID only the first has it.
    assert_eq!(by_references("a - a 01\na - b 02\nc a c 03"), "(1 3)(2)");
    // What a message says itself counts more than what others say of it.
    assert_eq!(by_references("c a,b c 01\na - a 02\nb - b 03"), "(2)(3 1)");
    assert_eq!(by_references("- - a 01\n- - b 02"), "(1)(2)");
}

#[test]
fn threads_and_siblings_are_in_the_order_of_their_dates() {
    assert_eq!(by_references("a - a 09\nb - b 01\nc a c 05\nd a d 03"), "(2)(1 (4)(3))");
    assert_eq!(by_references("a - a 01\nb - b 01"), "(1)(2)");
    // A dummy counts as its first child.
    assert_eq!(by_references("a p a 09\nb p b 02\nc - c 05"), "((2)(1))(3)");
}

/// RFC 5256 §3 (5).
#[test]
fn threads_of_one_subject_are_one() {
    // Two that are no replies, or both: brothers under a dummy.
    assert_eq!(by_references("a - s 01\nb - s 02"), "((1)(2))");
    assert_eq!(by_references("a - Re:_s 01\nb - Re:_s 02\nc - Re:_s 03"), "((1)(2)(3))");
    // A reply below the original, whichever came first.
    assert_eq!(by_references("a - s 01\nb - Re:_s 02"), "(1 2)");
    assert_eq!(by_references("a - Re:_s 01\nb - s 02\nc - Re:_s 03"), "(2 (1)(3))");
    // A dummy takes all.
    assert_eq!(by_references("a p s 01\nb p t 02\nc - Re:_s 03"), "((1)(2)(3))");
    assert_eq!(by_references("a - s 01\nb p s 02\nc p t 03"), "((1)(2)(3))");
    assert_eq!(by_references("a p s 01\nb p t 02\nc q s 03\nd q u 04"), "((1)(2)(3)(4))");
    // Without subject nothing is gathered, and case does not count.
    assert_eq!(by_references("a - - 01\nb - - 02"), "(1)(2)");
    assert_eq!(by_references("a - S 01\nb - re:_s 02"), "(1 2)");
}

#[test]
fn ordered_subject() {
    assert_eq!(by_subject("a - s 03\nb - t 02\nc - Re:_s 01\nd - s 04"), "(3 (1)(4))(2)");
    assert_eq!(by_subject("a - s 01\nb - S 02"), "(1 2)");
    assert_eq!(by_subject(""), "");
    assert_eq!(by_references(""), "");
}

fn owned(id: String, references: String, sent: i64) -> SortFacts {
    SortFacts {
        sent: Some(sent),
        message_id: Some(id.into()),
        reference_lines: references.into(),
        ..SortFacts::default()
    }
}

/// Chains as long as a mailbox, from the front, from the back and in leaps; loops of all.
#[test]
fn hundred_thousand_in_one_thread() {
    const COUNT: usize = 100_000;
    let orders: [fn(usize) -> usize; 3] = [|at| at, |at| COUNT - 1 - at, |at| at * 7919 % COUNT];
    for order in orders {
        let chain: Vec<_> = (0..COUNT)
            .map(order)
            .map(|at| owned(format!("{at}@x"), format!("{}@x", at.wrapping_sub(1)), at as i64))
            .collect();
        let facts: Vec<_> = chain.iter().map(SortFacts::by_ref).collect();
        let threads = thread_references(&facts);
        assert!(threads.nodes.iter().all(|node| node.children <= 1));
        assert_eq!(threads.nodes.len(), COUNT);
        assert_eq!(written(&threads).matches('(').count(), 1);
        let ring: Vec<_> = (0..COUNT)
            .map(order)
            .map(|at| owned(format!("{at}@x"), format!("{}@x", (at + 1) % COUNT), at as i64))
            .collect();
        let facts: Vec<_> = ring.iter().map(SortFacts::by_ref).collect();
        assert_eq!(written(&thread_references(&facts)).matches('(').count(), 1);
    }
}

/// What would be quadratic if the way up were walked for each link: messages with one below them
/// that join the end of a long chain, and leave another one for it.
#[test]
fn long_chains_are_not_walked() {
    const COUNT: usize = 30_000;
    let mut all = Vec::new();
    for at in 0..COUNT {
        all.push(owned(format!("{at}@a"), format!("{}@a", at.wrapping_sub(1)), 0));
        all.push(owned(format!("{at}@b"), format!("{}@b", at.wrapping_sub(1)), 0));
    }
    let (end_a, end_b) = (format!("{}@a", COUNT - 1), format!("{}@b", COUNT - 1));
    for at in 0..COUNT {
        all.push(owned(format!("{at}@below"), format!("{end_a}\n{at}@moved"), 0));
    }
    for at in 0..COUNT {
        all.push(owned(format!("{at}@moved"), end_b.clone(), 0));
    }
    let facts: Vec<_> = all.iter().map(SortFacts::by_ref).collect();
    let threads = thread_references(&facts);
    assert_eq!(threads.nodes.len(), all.len());
    let widest = threads.nodes.iter().map(|node| node.children).max();
    assert_eq!(widest, Some(COUNT as u32));
}
