//! Runs the fuzz targets of fuzz/, for people with the nightly compiler and cargo-fuzz. Without
//! them nothing is lost for `./test`: each crate's tests replay the committed corpora.

use std::path::Path;
use std::process::Command;

use crate::ChoreError;

/// Seconds for each target where nothing else is said.
const SECONDS: u64 = 60;
/// Where new inputs go: the committed corpora are chosen by people.
const FOUND: &str = "fuzz/target/found";
/// Octets of one input.
const INPUT_BYTES_MAX: u32 = 65_536;

/// What the words after `fuzz` ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One target; all where there is none.
    pub target: Option<String>,
    /// Seconds for each.
    pub seconds: u64,
}

impl Plan {
    /// Reads the words after `fuzz`.
    ///
    /// # Errors
    /// Where they are something else than `[TARGET] [--seconds N]`.
    pub fn parse(words: &[&str]) -> Result<Self, ChoreError> {
        let mut plan = Self { target: None, seconds: SECONDS };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--seconds" => {
                    let number = words.next().and_then(|number| number.parse().ok());
                    plan.seconds = number.filter(|seconds| *seconds > 0).ok_or_else(|| {
                        ChoreError::Other("write a number of seconds after --seconds".to_owned())
                    })?;
                }
                name if !name.starts_with('-') && plan.target.is_none() => {
                    plan.target = Some(name.to_owned());
                }
                other => {
                    return Err(ChoreError::Other(format!(
                        "fuzz takes [TARGET] [--seconds N], not {other}"
                    )));
                }
            }
        }
        Ok(plan)
    }
}

/// The targets that fuzz/Cargo.toml lists.
///
/// # Errors
/// Where it cannot be read.
pub fn targets(manifest: &str) -> Result<Vec<String>, ChoreError> {
    let table: toml::Table =
        manifest.parse().map_err(|error| ChoreError::Other(format!("fuzz/Cargo.toml: {error}")))?;
    let bins = table.get("bin").and_then(toml::Value::as_array);
    let name = |bin: &toml::Value| Some(bin.get("name")?.as_str()?.to_owned());
    Ok(bins.into_iter().flatten().filter_map(name).collect())
}

/// Fuzzes; true where no target found anything.
///
/// # Errors
/// Where the words, the target, the compiler or cargo-fuzz are missing or wrong.
pub fn run(root: &Path, words: &[&str]) -> Result<bool, ChoreError> {
    let plan = Plan::parse(words)?;
    let path = root.join("fuzz/Cargo.toml");
    let manifest = std::fs::read_to_string(&path).map_err(|source| ChoreError::File {
        what: "read",
        path: path.display().to_string(),
        source,
    })?;
    let mut targets = targets(&manifest)?;
    if let Some(target) = &plan.target {
        if !targets.contains(target) {
            let names = targets.join(", ");
            return Err(ChoreError::Other(format!("no target {target}; there are {names}")));
        }
        targets.retain(|each| each == target);
    }
    ask_for_tools()?;
    let mut clean = true;
    for target in targets {
        println!("fuzz: {target} for {} s", plan.seconds);
        let found = root.join(FOUND).join(&target);
        std::fs::create_dir_all(&found).map_err(|source| ChoreError::File {
            what: "make",
            path: found.display().to_string(),
            source,
        })?;
        let status = Command::new("cargo")
            .current_dir(root)
            .args(["+nightly", "fuzz", "run", &target])
            // SQLite has two constants of one name, which is no bug of anybody's.
            .env("ASAN_OPTIONS", "detect_odr_violation=0")
            .arg(&found)
            .arg(root.join("fuzz/corpus").join(&target))
            .arg("--")
            .arg(format!("-max_total_time={}", plan.seconds))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .status()
            .map_err(|source| ChoreError::Program {
                program: "cargo +nightly fuzz".to_owned(),
                mend: MEND.to_owned(),
                source,
            })?;
        clean &= status.success();
    }
    Ok(clean)
}

const MEND: &str = "fuzzing needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`; \
                    ./test needs neither";

fn ask_for_tools() -> Result<(), ChoreError> {
    let asked = Command::new("cargo").args(["+nightly", "fuzz", "--version"]).output();
    match asked {
        Ok(output) if output.status.success() => Ok(()),
        Ok(_) | Err(_) => Err(ChoreError::Other(MEND.to_owned())),
    }
}
