//! A disk that fails or is full: 4xx and an alarm, never a 250 for nothing, and all is there after.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use drill::judge::{Evidence, judge};
use drill::load::{self, Load, Outcome};

use crate::harness::{
    ALICE, BOB, CAROL, House, LIMIT, PASSWORD, Smtp, as_root, message, tool, until,
};

#[test]
fn after_a_failed_sync_nothing_is_accepted_and_nothing_accepted_is_lost() {
    let mut house = House::made("127.0.0.1:1");
    // Each thread's thirtieth sync and all after it fail, as on a disk that has gone away.
    house.installation.wrapper =
        ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]
            .map(str::to_owned)
            .to_vec();
    house.installation.wrapper.push("-e".to_owned());
    house.installation.wrapper.push("inject=fsync,fdatasync:error=EIO:when=30+".to_owned());
    house.start();
    let outcome = run_load(&house, 500, 2048);
    assert!(outcome.messages > 0, "the fault came before the first message");
    assert!(outcome.messages < 500, "no sync failed: the test tests nothing");
    for refused in &outcome.refused {
        assert!(is_temporary(&refused.answer), "our own trouble is 4xx: {}", refused.answer);
    }
    assert!(house.log().to_lowercase().contains("error"), "no alarm in the log");
    let url = format!("https://{}/readyz", house.address(443));
    let mut curl = std::process::Command::new("curl");
    let ready = tool(curl.args(["-sSk", "-w", " %{http_code}", &url]));
    assert!(ready.ends_with(" 503") && ready.contains("not accepting mail"), "{ready}");
    house.kill();
    house.installation.wrapper.clear();
    house.start();
    judge_load(&house, &outcome);
    // A new start on a disk that works accepts again.
    house.deliver(&[ALICE], &message("Afterwards", "eio-1"));
}

#[test]
fn a_full_disk_refuses_for_a_while_and_accepts_when_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let small = Mount::tmpfs(directory.path(), "192m");
    let mut house = House::made_in(directory, "127.0.0.1:1");
    house.start();
    // Incompressible, so that two hundred megabytes cannot hold it.
    let outcome = run_load(&house, 4_000, 100 << 10);
    assert!(outcome.messages > 0, "nothing fits at all");
    assert!(outcome.messages < 4_000, "the disk was never full: the test tests nothing");
    for refused in &outcome.refused {
        assert!(is_temporary(&refused.answer), "a full disk is 4xx: {}", refused.answer);
    }
    small.resize("2g");
    until("mail accepted again after room was made", || {
        let mut smtp = Smtp::connect(house.address(25));
        smtp.say("EHLO outside.test");
        let mail = smtp.say("MAIL FROM:<stranger@outside.test>");
        let rcpt = smtp.say(&format!("RCPT TO:<{ALICE}>"));
        let data = smtp.say("DATA");
        let begun = [mail, rcpt, data].iter().all(|reply| reply.starts_with(['2', '3']));
        (begun && smtp.say("Subject: room\r\n\r\nroom\r\n.").starts_with("250")).then_some(())
    });
    judge_load(&house, &outcome);
    drop(house);
    drop(small);
}

fn run_load(house: &House, messages: u64, message_bytes: usize) -> Outcome {
    let mut plan = Load::new(house.address(25), [ALICE, BOB, CAROL].map(str::to_owned).to_vec());
    plan.messages = messages;
    plan.message_bytes = message_bytes;
    plan.compressible_percent = 0;
    plan.connections = 4;
    plan.reply_wait = LIMIT;
    load::run(&plan, &Arc::new(AtomicBool::new(false)), None).unwrap()
}

/// What was refused because a sync failed may be there all the same: once, as after a lost reply.
fn judge_load(house: &House, outcome: &Outcome) {
    let names = [ALICE, BOB, CAROL];
    let copy = |sent: &load::Sent| (names[sent.recipient as usize].to_owned(), sent.token);
    let mut evidence = Evidence::default();
    for sent in &outcome.acknowledged {
        evidence.acknowledged.insert(copy(sent), sent.answer.to_string());
    }
    evidence.uncertain.extend(outcome.uncertain.iter().chain(&outcome.refused).map(copy));
    for name in names {
        let wait = Duration::from_secs(60);
        let mut imap =
            drill::imap::Imap::sign_in(house.address(143), name, PASSWORD, wait).unwrap();
        for (token, count) in imap.tokens("INBOX").unwrap().tokens {
            evidence.found.insert((name.to_owned(), token), count);
        }
    }
    let verdict = judge(&evidence);
    assert!(verdict.is_clean(), "{verdict:#?}");
}

/// The load notes where it was refused before the reply: `dot: 451 4.3.0 …`.
fn is_temporary(answer: &str) -> bool {
    answer.split(": ").nth(1).is_some_and(|reply| reply.starts_with('4'))
}

/// A small file system in memory, as root or through sudo.
struct Mount(std::path::PathBuf);

impl Mount {
    fn tmpfs(path: &std::path::Path, size: &str) -> Self {
        tool(
            as_root("mount")
                .args(["-t", "tmpfs", "-o"])
                .arg(format!("size={size},mode=777"))
                .arg("tmpfs")
                .arg(path),
        );
        Self(path.to_owned())
    }

    fn resize(&self, size: &str) {
        tool(as_root("mount").arg("-o").arg(format!("remount,size={size}")).arg(&self.0));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failed test may have left a server in it.
        as_root("umount").arg("-l").arg(&self.0).status().ok();
    }
}
