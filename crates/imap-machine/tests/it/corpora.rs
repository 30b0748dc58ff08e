//! Replays the corpora of the fuzz targets.

use crate::properties;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let dir = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let octets = std::fs::read(&path).unwrap();
        check(&octets);
        count += 1;
    }
    assert!(count >= 10, "{dir} has only {count} files");
}

#[test]
fn imap_commands() {
    replay("imap_commands", properties::imap_commands);
}

#[test]
fn imap_session() {
    replay("imap_session", properties::imap_session);
}

/// Cheap fuzzing on the way: the corpus with octets changed, cut and doubled.
#[test]
fn mutants() {
    let dir = format!("{}/../../fuzz/corpus/imap_session", env!("CARGO_MANIFEST_DIR"));
    let mut seed = 42_u64;
    let mut below = |limit: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (seed >> 33) as usize % limit.max(1)
    };
    let mut paths: Vec<_> =
        std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let octets = std::fs::read(&path).unwrap();
        for _ in 0..15 {
            let mut mutant = octets.clone();
            for _ in 0..=below(4) {
                let at = below(mutant.len());
                match below(4) {
                    0 => mutant[at] = b"{}[]()\"\\* \r\n0+&"[below(15)],
                    1 => drop(mutant.drain(at..at + below(mutant.len() - at))),
                    2 => mutant.insert(at, below(256) as u8),
                    _ => {
                        let again = mutant[at..].to_vec();
                        mutant.extend_from_slice(&again);
                    }
                }
                if mutant.is_empty() {
                    break;
                }
            }
            mutant.truncate(20_000);
            properties::imap_session(&mutant);
        }
    }
}

/// The fuzz targets are built by another compiler, and seldom: what the reference service is made of
/// must be named in them too.
#[test]
fn the_fuzz_targets_have_the_whole_service() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let targets = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/fuzz_targets");
    for file in std::fs::read_dir(here).unwrap() {
        let path = file.unwrap().path();
        if !std::fs::read_to_string(&path).unwrap().contains("\nimpl Service {") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for target in ["imap_commands", "imap_session"] {
            let text = std::fs::read_to_string(format!("{targets}/{target}.rs")).unwrap();
            assert!(text.contains(&format!("/{name}\"]")), "{target} lacks {name}");
        }
    }
}
