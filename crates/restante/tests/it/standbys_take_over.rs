//! A second server follows, and takes over.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use drill::imap_wire::{ImapWire, Keep};
use drill::server::{Installation, free_port_base};

use crate::harness::{ALICE, BOB, LIMIT, Smtp, message, receipt_id, tool, until};
use crate::second::{
    PORT, Proxy, Second, assert_same, deliver, load, noise, segment, server, trouble_of,
};

#[test]
fn it_has_everything_and_takes_over_when_the_server_is_gone() {
    let mut house = server(&[]);
    // Small segments, so that there are several.
    house.set("journal", "segment_bytes = \"64 KiB\"\ninline_body_bytes_max = \"16 KiB\"");
    house.start();
    house.deliver(&[ALICE], &message("before", "before"));
    let mut second = Second::of(&house, "second", house.address(PORT));
    for number in 0..20 {
        let text = format!("{}{}", message("while", &format!("while{number}")), noise(6000));
        house.deliver(&[ALICE, BOB], &text);
    }
    // One that has a file of its own.
    let large = format!("{}{}", message("large", "large"), noise(400_000));
    house.deliver(&[ALICE], &large);
    second.catch_up(&house);
    assert_same(&house, &second);

    // Nothing but following is done there.
    for refused in [&["serve"][..], &["account", "add", "eve@example.test"]] {
        let words = second.command(refused).unwrap_err();
        assert!(words.contains("standby"), "{refused:?}: {words}");
    }
    // Not while the server is there.
    let told = second.command(&["standby", "promote"]).unwrap_err();
    assert!(told.contains("stop that server first"), "{told}");
    let numbers = house.restante(&["metrics"]);
    assert!(numbers.contains("restante_standby_linked{standby=\"second\"} 1"), "{numbers}");

    let validity = |installation: &Installation| {
        let (address, password) = (installation.address(143), &installation.password);
        let mut imap = ImapWire::sign_in(address, ALICE, password, LIMIT).unwrap();
        let said = imap.command("STATUS INBOX (UIDVALIDITY UIDNEXT)", Keep::Lines).unwrap().text;
        said.lines().find(|line| line.contains("UIDVALIDITY")).unwrap().to_owned()
    };
    let before = validity(&house.installation);
    house.kill();
    let mut promoted = second.promote(&house);
    promoted.start();
    assert_eq!(validity(&promoted.installation), before);
    let there = promoted.mailbox(ALICE);
    assert_eq!(there.len(), 22);
    assert!(there.iter().any(|text| text.contains(&noise(400_000)[..60])));
    // It is a server like any other, with the operator's act in its record.
    let mut smtp = Smtp::connect(promoted.installation.address(25));
    smtp.say("EHLO outside.test");
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    smtp.send(&[ALICE], &message("after", "after"));
    drop(smtp);
    assert_eq!(promoted.mailbox(ALICE).len(), 23);
    let audit = promoted.installation.checked(&["audit"]).unwrap();
    assert!(audit.contains("promoted this standby to be the server: a drill"), "{audit}");
    promoted.verify();
}

#[test]
fn a_link_that_is_cut_anywhere_goes_on_where_it_was() {
    let mut house = server(&[]);
    house.start();
    for number in 0..30 {
        let text = format!("{}{}", message("early", &format!("early{number}")), noise(20_000));
        house.deliver(&[ALICE], &text);
    }
    let large = format!("{}{}", message("large", "large"), noise(600_000));
    house.deliver(&[ALICE], &large);
    // The greeting goes through, too, and is not to be cut.
    let proxy = Proxy::cutting(house.address(PORT), 9_000, 12);
    let mut second = Second::of(&house, "second", proxy.address);
    until("twelve cuts", || (proxy.cuts.load(Ordering::Relaxed) >= 12).then_some(()));
    for number in 0..5 {
        house.deliver(&[BOB], &message("late", &format!("late{number}")));
        proxy.cut();
    }
    second.catch_up(&house);
    assert_same(&house, &second);
    // A standby that is killed goes on as well, and so does one whose server is started anew.
    second.kill();
    house.deliver(&[BOB], &message("killed", "killed"));
    house.stop();
    house.start();
    second.run(&[]);
    second.catch_up(&house);
    assert_same(&house, &second);
    second.stop();
}

#[test]
fn what_was_acknowledged_is_at_the_standby_when_the_server_is_killed() {
    for kill_behind in [3, 40, 90] {
        let mut house = server(&["acknowledge = \"standby\""]);
        house.start();
        let mut second = Second::of(&house, "second", house.address(PORT));
        second.catch_up(&house);
        let (acked, gone) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let address = house.address(25);
        let senders: Vec<_> = (0..4)
            .map(|who| {
                let (acked, gone) = (Arc::clone(&acked), Arc::clone(&gone));
                std::thread::spawn(move || load(address, &acked, &gone, who))
            })
            .collect();
        until("messages under way", || {
            (acked.load(Ordering::Relaxed) >= kill_behind).then_some(())
        });
        house.kill();
        gone.store(true, Ordering::Relaxed);
        let ended: Vec<_> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        let mut promoted = second.promote(&house);
        promoted.start();
        let there = promoted.mailbox(ALICE);
        let count = |id: &String| {
            let field = format!("Message-ID: <{id}@outside.test>");
            there.iter().filter(|text| text.contains(&field)).count()
        };
        for (kept, tried) in &ended {
            for id in kept {
                assert_eq!(count(id), 1, "{id} was acknowledged");
            }
            for id in tried {
                assert!(count(id) <= 1, "{id} is there twice");
            }
        }
        promoted.verify();
    }
}

#[test]
fn mail_waits_for_a_standby_that_is_away_or_goes_on_without() {
    let mut house = server(&["acknowledge = \"standby\"", "away_after = \"1s\""]);
    house.start();
    let mut second = Second::of(&house, "second", house.address(PORT));
    second.catch_up(&house);
    let address = house.address(25);
    deliver(address, &message("both", "both")).unwrap();
    // It takes no more and says nothing: what comes is not acknowledged.
    second.signal("-STOP");
    let refused = deliver(address, &message("hangs", "hangs")).unwrap_err().to_string();
    assert!(refused.starts_with('4'), "{refused}");
    let refused = deliver(address, &message("away", "away")).unwrap_err().to_string();
    assert!(refused.starts_with('4'), "{refused}");
    assert!(house.log().contains("ALARM: no standby has what came last"), "{}", house.log());
    let status = house.restante_json(&["standby", "status"]);
    assert_eq!((&status["acknowledge"], &status["away"]), (&"standby".into(), &true.into()));
    // Nothing of what was refused from the beginning is anywhere.
    assert!(!house.mailbox(ALICE, "INBOX").iter().any(|text| text.contains("<away@")));
    second.signal("-CONT");
    until("mail to be taken again", || deliver(address, &message("again", "again")).ok());
    second.stop();
    until("the standby to be away", || deliver(address, &message("gone", "gone")).err());

    house.stop();
    house.set("standby", "when_away = \"go-on\"");
    house.start();
    deliver(address, &message("alone", "alone")).unwrap();
    assert!(house.log().contains("mail is acknowledged without it"), "{}", house.log());
    second.run(&[]);
    second.catch_up(&house);
    until("acknowledgements to wait again", || {
        (house.restante_json(&["standby", "status"])["away"] == false).then_some(())
    });
    assert_same(&house, &second);
}

#[test]
fn the_old_server_serves_no_more_and_its_last_mail_is_not_lost() {
    let mut house = server(&[]);
    house.start();
    house.deliver(&[ALICE], &message("shared", "shared"));
    let mut second = Second::of(&house, "second", house.address(PORT));
    second.catch_up(&house);
    second.kill();
    // Acknowledged here, and not there.
    let alone = house.deliver(&[ALICE], &message("alone", "alone"));
    house.kill();
    let mut promoted = second.promote(&house);
    // Another machine: other addresses.
    let path = second.data.join("restante.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let base = free_port_base();
    let was = format!("port_base = {}", house.installation.port_base);
    assert!(text.contains(&was));
    std::fs::write(&path, text.replace(&was, &format!("port_base = {base}"))).unwrap();
    promoted.installation.port_base = base;
    promoted.start();

    // It comes back, and hears of it before it serves anybody.
    let serve = || {
        let log = house.installation.log_path();
        std::fs::remove_file(&log).unwrap();
        // One that serves after all is not waited for until it ends.
        assert!(house.installation.start().is_err(), "it serves");
        std::fs::read_to_string(log).unwrap()
    };
    let told = serve();
    assert!(told.contains("goes on in this server's place"), "{told}");
    assert!(told.contains("restante standby leftover"), "{told}");
    assert!(!told.contains("Restante is ready"), "{told}");
    // From now on it needs nobody to tell it.
    promoted.stop();
    assert!(serve().contains("goes on in this server's place"));
    let out = house.path().join("leftover");
    let out_text = out.display().to_string();
    let left = house.restante_json(&["standby", "leftover", "--out", &out_text]);
    let receipts: Vec<_> = left.as_array().unwrap().iter().map(|one| &one["receipt"]).collect();
    assert_eq!(receipts, [receipt_id(&alone)]);
    let file = out.join(format!("{}.eml", receipt_id(&alone)));
    assert!(std::fs::read_to_string(file).unwrap().contains("Message-ID: <alone@outside.test>"));
    promoted.verify();
}

#[test]
fn a_server_that_went_another_way_is_refused_and_nothing_is_overwritten() {
    let mut house = server(&[]);
    house.start();
    house.deliver(&[ALICE], &message("one", "one"));
    let mut second = Second::of(&house, "second", house.address(PORT));
    second.catch_up(&house);
    // The server is put back from an older copy.
    house.stop();
    let old = house.path().join("old");
    tool(Command::new("cp").arg("-a").arg(&house.installation.data).arg(&old));
    house.start();
    house.deliver(&[ALICE], &message("two", "two"));
    second.catch_up(&house);
    house.stop();
    until("the link to end", || (second.status()["linked"] == false).then_some(()));
    let mine = segment(&second.data, 1);
    std::fs::remove_dir_all(&house.installation.data).unwrap();
    std::fs::rename(&old, &house.installation.data).unwrap();
    house.start();
    let told = trouble_of(&second, "the standby has more than the server");
    assert!(told.contains("promote the standby"), "{told}");
    assert!(house.log().contains("ALARM: a standby and this server went different ways"));
    // And it goes on: now both have what the other has not.
    for number in 0..9 {
        house.deliver(&[ALICE], &message("other", &format!("other{number}")));
    }
    let told = trouble_of(&second, "went different ways before");
    assert!(told.contains("the other one follows it in an empty directory"), "{told}");
    assert!(segment(&second.data, 1) == mine, "something was overwritten");
    second.stop();
    // A token of another server leads nowhere.
    let mut stranger = server(&[]);
    stranger.start();
    let token = stranger.restante_json(&["standby", "invite"])["token"].clone();
    let from = house.address(PORT).to_string();
    let third = Second::none(house.path().join("third"));
    let token = token.as_str().unwrap();
    let told = third.command(&["standby", "--from", &from, "--token", token]).unwrap_err();
    assert!(told.contains("is not the server that made this token"), "{told}");
    assert!(!third.data.exists());
    // Who is forgotten follows no more.
    house.restante(&["standby", "forget", "second"]);
    second.run(&[]);
    let told = trouble_of(&second, "token");
    assert!(told.contains("restante standby invite"), "{told}");
}

#[test]
fn what_is_purged_is_gone_there_too() {
    let mut house = server(&[]);
    house.start();
    let secret = "XYLOPHONE-QUARTZ-JUMBLE";
    let small = house.deliver(&[ALICE], &format!("{}{secret}\n", message("small", "small")));
    let large = format!("{}{secret}\n{}", message("large", "large"), noise(400_000));
    let large = house.deliver(&[ALICE], &large);
    let mut second = Second::of(&house, "second", house.address(PORT));
    second.catch_up(&house);
    let there = |second: &Second| {
        let files = std::fs::read_dir(second.data.join("bodies")).unwrap();
        let bodies = files.filter(|file| file.as_ref().unwrap().path().is_file()).count();
        let text = segment(&second.data, 1);
        (text.windows(secret.len()).any(|words| words == secret.as_bytes()), bodies)
    };
    assert_eq!(there(&second), (true, 1));
    // One goes while it follows, the other while it is away.
    let purge = |receipt: &str| {
        let arguments =
            ["purge", receipt_id(receipt), "--from-mailboxes", "--reason", "wanted", "--yes"];
        house.restante(&arguments);
    };
    purge(&small);
    until("the small one to go", || (!there(&second).0).then_some(()));
    second.stop();
    purge(&large);
    second.run(&[]);
    until("the large one to go", || (there(&second).1 == 0).then_some(()));
    second.catch_up(&house);
    assert_eq!(there(&second).1, 0);
    house.kill();
    second.promote(&house).verify();
}
