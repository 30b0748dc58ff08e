//! Backups in a bucket of an S3-compatible server that is not ours, and encrypted ones.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{ALICE, House, RESTANTE, message, receipt_id, until, words};

const KEYS: &str = r#"{"identities":[{"name":"restante","credentials":
    [{"accessKey":"backup-key","secretKey":"backup-secret"}],
    "actions":["Admin","Read","Write","List"]}]}"#;

/// SeaweedFS, where ./test put it.
struct Store {
    child: Child,
    port: u16,
    _directory: TempDir,
}

/// So many ports that nobody listens on.
fn free_ports<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

impl Store {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let weed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python/bin/weed");
        std::fs::write(directory.path().join("keys.json"), KEYS).unwrap();
        let [port, s3, master, master_grpc, volume, volume_grpc, filer, filer_grpc] = free_ports();
        let child = Command::new(weed)
            .args(["server", "-s3", "-filer", "-dir=.", "-s3.config=keys.json"])
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=50"])
            .args([format!("-s3.port={port}"), format!("-s3.port.grpc={s3}")])
            .args([format!("-master.port={master}"), format!("-master.port.grpc={master_grpc}")])
            .args([format!("-volume.port={volume}"), format!("-volume.port.grpc={volume_grpc}")])
            .args([format!("-filer.port={filer}"), format!("-filer.port.grpc={filer_grpc}")])
            .current_dir(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let store = Self { child, port, _directory: directory };
        until("the S3 server", || {
            let made = Command::new("curl")
                .args(["-sf", "-X", "PUT", "--aws-sigv4", "aws:amz:us-east-1:s3"])
                .args(["--user", "backup-key:backup-secret"])
                .arg(format!("http://127.0.0.1:{port}/bucket"))
                .output()
                .unwrap();
            made.status.success().then_some(())
        });
        store
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A command that is given no data directory, with keys for the bucket in its environment.
fn asking(endpoint: &str, secret: &str, arguments: &[&str]) -> Output {
    Command::new(RESTANTE)
        .args(arguments)
        .args(if arguments.contains(&"--data") { &[][..] } else { &["--data", "/nowhere"] })
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "backup-key")
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", words(output)))
}

/// A line to the store that is cut for good after so many bytes have gone there.
fn cut_after(bytes: i64, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicI64::new(bytes));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut inside), Ok(mut outside)) = (stream, TcpStream::connect(to)) else {
                return;
            };
            let (mut back_in, mut back_out) =
                (inside.try_clone().unwrap(), outside.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back_out, &mut back_in));
            let left = Arc::clone(&left);
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(read @ 1..) = inside.read(&mut piece) {
                    if left.fetch_sub(read as i64, Ordering::Relaxed) < read as i64
                        || outside.write_all(&piece[..read]).is_err()
                    {
                        break;
                    }
                }
                for stream in [&inside, &outside] {
                    stream.shutdown(Shutdown::Both).ok();
                }
            });
        }
    });
    address
}

#[test]
fn a_bucket_holds_backups_as_a_directory_does() {
    let store = Store::start();
    let endpoint = store.endpoint();
    let mut house = House::made("127.0.0.1:1");
    let secret = house.path().join("secret");
    std::fs::write(&secret, "backup-secret\n").unwrap();
    house.set(
        "backup",
        &format!(
            "s3_endpoint = {endpoint:?}\ns3_key_id = \"backup-key\"\ns3_secret_file = {secret:?}"
        ),
    );
    house.start();
    let receipt = receipt_id(&house.deliver(&[ALICE], &message("Far away", "s3-1"))).to_owned();
    // More than one part.
    let large = format!("{}{}", message("Large", "s3-2"), "words of a line\n".repeat(1_200_000));
    house.deliver(&[ALICE], &large);
    let place = "s3://bucket/mail/one";
    let taken = house.restante_json(&["backup", "--to", place]);
    assert!(taken["damage"].as_array().unwrap().is_empty(), "{taken}");
    house.deliver(&[ALICE], &message("More", "s3-3"));
    let more = house.restante_json(&["backup", "--to", place]);
    assert_eq!(more["copied_files"], 1, "only what is new: {more}");

    let ask = |arguments: &[&str]| asking(&endpoint, "backup-secret", arguments);
    let listed = json(&ask(&["backup", "list", "--from", place, "--json"]));
    assert_eq!(listed["points"].as_array().unwrap().len(), 2, "{listed}");
    let checked = ask(&["backup", "check", "--from", place, "--json"]);
    assert!(json(&checked)["clean"] == true, "{}", words(&checked));
    let one = ask(&["backup", "extract", "--from", place, &receipt]);
    assert!(String::from_utf8_lossy(&one.stdout).contains("The body of s3-1."), "{}", words(&one));
    let rehearsed = ask(&["backup", "rehearse", "--from", place, "--json"]);
    assert!(json(&rehearsed)["clean"] == true, "{}", words(&rehearsed));

    let wrong = asking(&endpoint, "another", &["backup", "list", "--from", place]);
    assert!(words(&wrong).contains("s3_secret_file"), "{}", words(&wrong));
    let none = ask(&["backup", "list", "--from", "s3://no-such-bucket/x"]);
    assert!(!none.status.success(), "{}", words(&none));

    // The line is cut in the middle of an upload: what is there is good, and is the last one.
    house.stop();
    let to = SocketAddr::from(([127, 0, 0, 1], store.port));
    for bytes in [12_000, 9_000_000] {
        let cut = format!("http://{}", cut_after(bytes, to));
        let data = house.installation.data.clone();
        let line = |endpoint: &str| format!("s3_endpoint = {endpoint:?}");
        let path = data.join("restante.toml");
        let settings = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, settings.replace(&line(&endpoint), &line(&cut))).unwrap();
        let place = if bytes > 100_000 { "s3://bucket/mail/two" } else { place };
        let refused = house.installation.command(&["backup", "--to", place]).unwrap();
        std::fs::write(&path, settings).unwrap();
        assert!(!refused.status.success(), "{}", words(&refused));
        let checked = ask(&["backup", "check", "--from", place, "--json"]);
        match place {
            "s3://bucket/mail/two" => assert!(words(&checked).contains("holds no backup")),
            _ => assert!(json(&checked)["clean"] == true, "{}", words(&checked)),
        }
    }
}

#[test]
fn an_encrypted_backup_is_opened_by_its_identity_alone() {
    let house = House::new();
    let identity = house.path().join("identity");
    let made = house.restante_json(&["backup", "keygen", "--out", identity.to_str().unwrap()]);
    let recipient = made["recipient"].as_str().unwrap();
    let receipt = receipt_id(&house.deliver(&[ALICE], &message("Sealed", "s3-4"))).to_owned();
    let backup = house.path().join("sealed");
    let place = backup.to_str().unwrap();
    let taken = house.restante_json(&["backup", "--to", place, "--encrypt-to", recipient]);
    assert!(taken["encrypted"] == true, "{taken}");
    let ask = |arguments: &[&str]| asking("http://127.0.0.1:1", "x", arguments);
    let refused = ask(&["backup", "extract", "--from", place, &receipt]);
    assert!(words(&refused).contains("--identity"), "{}", words(&refused));
    let with = ["--identity", identity.to_str().unwrap()];
    let one = ask(&[&["backup", "extract", "--from", place, &receipt][..], &with].concat());
    assert!(String::from_utf8_lossy(&one.stdout).contains("The body of s3-4."), "{}", words(&one));
    let rehearsed = ask(&[&["backup", "rehearse", "--from", place, "--json"][..], &with].concat());
    assert!(json(&rehearsed)["clean"] == true, "{}", words(&rehearsed));
    let plain = house.installation.command(&["backup", "--to", place]).unwrap();
    assert!(words(&plain).contains("--encrypt-to"), "{}", words(&plain));
    // The tool of others opens a file of it.
    let files = std::fs::read_dir(backup.join("journal")).unwrap();
    let file = files.map(|file| file.unwrap().path()).next().unwrap();
    let opened = Command::new("age")
        .args(["-d", "-i", identity.to_str().unwrap()])
        .arg(file)
        .output()
        .unwrap();
    let body = b"The body of s3-4.";
    assert!(opened.stdout.windows(body.len()).any(|part| part == body), "{}", words(&opened));
}
