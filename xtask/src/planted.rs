//! Plants known bugs and sees their tests fail: a fault test that stays green with its bug planted
//! proves nothing.
//!
//! Each planted/NAME.patch begins with a line `# red: PACKAGE FILTER`: the package and the nextest
//! filter (part of a test's name) that must go red. The tree is copied to target/planted/tree and
//! built in target/planted/target, as cargo takes two copies of a workspace in one target directory
//! for the same one. Patches are applied one after the other and taken back; both are kept between
//! runs, so that only what a patch changes is built.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Instant, SystemTime};

use crate::ChoreError;
use crate::tree::Tree;

/// What nextest says when it ran tests and some failed.
const NEXTEST_TESTS_FAILED: i32 = 100;
/// What `cargo test` says then.
const CARGO_TESTS_FAILED: i32 = 101;

/// A patch with the test it must turn red.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// The patch file's name without its ending.
    pub name: String,
    /// The package whose tests are run.
    pub package: String,
    /// Part of the names of the tests to run.
    pub filter: String,
    /// The whole patch file.
    pub patch: String,
}

impl Planted {
    /// Reads a patch file.
    ///
    /// # Errors
    /// Where the first line does not name package and filter.
    pub fn parse(name: &str, patch: &str) -> Result<Self, ChoreError> {
        let first = patch.lines().next().unwrap_or_default();
        let words = first.strip_prefix("# red:").unwrap_or_default();
        match words.split_whitespace().collect::<Vec<_>>().as_slice() {
            [package, filter] => Ok(Self {
                name: name.to_owned(),
                package: (*package).to_owned(),
                filter: (*filter).to_owned(),
                patch: patch.to_owned(),
            }),
            _ => Err(ChoreError::Other(format!(
                "planted/{name}.patch: write `# red: PACKAGE FILTER` in its first line"
            ))),
        }
    }
}

/// What became of one planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its test failed, as it must.
    Red,
    /// Its test passed, or none ran.
    Green,
    /// The patch does not fit the tree.
    DoesNotApply,
    /// The tree with the bug does not compile.
    DoesNotCompile,
}

impl Outcome {
    const fn words(self) -> &'static str {
        match self {
            Self::Red => "red, as it must be",
            Self::Green => "GREEN: the test does not see the bug",
            Self::DoesNotApply => "DOES NOT APPLY: bring the patch up to date",
            Self::DoesNotCompile => "DOES NOT COMPILE: bring the patch up to date",
        }
    }
}

/// Plants the bugs of these names, or all, and prints a table. True where each turned red.
///
/// # Errors
/// Where there is no such patch, or files cannot be copied.
pub fn run(root: &Path, names: &[&str]) -> Result<bool, ChoreError> {
    let tree = Tree::of_directory(root)?;
    let chosen = chosen(&tree, names)?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |target| root.join(target));
    let garden = Garden::lay_out(root, &tree, &target)?;
    let mut all_red = true;
    for planted in &chosen {
        let start = Instant::now();
        let (outcome, said) = garden.try_out(planted)?;
        if outcome != Outcome::Red {
            all_red = false;
            println!("{said}");
        }
        println!(
            "{:<40} {:<14} {:>4} s  {}",
            planted.name,
            planted.package,
            start.elapsed().as_secs(),
            outcome.words()
        );
    }
    println!("planted: {} bugs", chosen.len());
    Ok(all_red)
}

fn chosen(tree: &Tree, names: &[&str]) -> Result<Vec<Planted>, ChoreError> {
    let mut all = Vec::new();
    for (path, text) in tree.texts() {
        let name = path.strip_prefix("planted/").and_then(|name| name.strip_suffix(".patch"));
        if let Some(name) = name {
            all.push(Planted::parse(name, text)?);
        }
    }
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|each| each.name == **name)) {
        return Err(ChoreError::Other(format!("there is no planted/{unknown}.patch")));
    }
    all.retain(|each| names.is_empty() || names.contains(&each.name.as_str()));
    Ok(all)
}

/// A copy of the tree for bugs to be planted in.
pub struct Garden {
    place: PathBuf,
    tree: PathBuf,
    has_nextest: bool,
}

impl Garden {
    /// Copies the tree to a place below `target`, where it is built as well. Files that are the
    /// same stay as they are, so that a second run builds only what changed.
    ///
    /// # Errors
    /// Where files cannot be read or written.
    pub fn lay_out(root: &Path, tree: &Tree, target: &Path) -> Result<Self, ChoreError> {
        let place = target.join("planted");
        let copy = place.join("tree");
        // A garden of its own git, so that `git apply` works in it and not in the repository above.
        make_directory(&copy.join(".git"))?;
        let cargo = Command::new("cargo").args(["nextest", "--version"]).output();
        let has_nextest = cargo.is_ok_and(|output| output.status.success());
        let garden = Self { place, tree: copy, has_nextest };
        garden.git(&["init", "--quiet"])?;
        for stale in Tree::of_directory(&garden.tree)?.files() {
            if !tree.has(stale.0) {
                remove(&garden.tree.join(stale.0))?;
            }
        }
        for (path, content) in tree.files() {
            garden.put(path, content)?;
            same_mode(&root.join(path), &garden.tree.join(path))?;
        }
        Ok(garden)
    }

    /// Plants one bug, runs its tests, takes it out again. The text is what the tools said.
    ///
    /// # Errors
    /// Where a tool cannot be started, or the bug not be taken out again.
    pub fn try_out(&self, planted: &Planted) -> Result<(Outcome, String), ChoreError> {
        let patch = self.place.join(format!("{}.patch", planted.name));
        std::fs::write(&patch, &planted.patch).map_err(file_error("write", &patch))?;
        let patch = patch.display().to_string();
        let applied = self.git(&["apply", "--whitespace=nowarn", &patch])?;
        if !applied.status.success() {
            return Ok((Outcome::DoesNotApply, said(&applied)));
        }
        let result = self.touch(planted).and_then(|()| self.run_tests(planted));
        let undone = self.git(&["apply", "--whitespace=nowarn", "--reverse", &patch])?;
        if !undone.status.success() {
            return Err(ChoreError::Other(format!("cannot undo: {}", said(&undone))));
        }
        self.touch(planted)?;
        result
    }

    /// Cargo builds again what changed after the last build, by the time of change alone: it is
    /// set, so that no patch is judged by what was built of another.
    fn touch(&self, planted: &Planted) -> Result<(), ChoreError> {
        for path in planted.patch.lines().filter_map(|line| line.strip_prefix("+++ b/")) {
            let path = self.tree.join(path.split('\t').next().unwrap_or_default());
            // What a patch adds or removes is there only half of the time.
            if path.is_file() {
                let file = File::options().append(true).open(&path);
                let touched = file.and_then(|file| file.set_modified(SystemTime::now()));
                touched.map_err(file_error("touch", &path))?;
            }
        }
        Ok(())
    }

    fn run_tests(&self, planted: &Planted) -> Result<(Outcome, String), ChoreError> {
        let words: &[&str] = if self.has_nextest { &["nextest", "run"] } else { &["test"] };
        let built = self.cargo(words, &["-p", &planted.package, "--no-run"])?;
        if !built.status.success() {
            return Ok((Outcome::DoesNotCompile, said(&built)));
        }
        // One red test is enough.
        let fail_fast: &[&str] = if self.has_nextest { &["--fail-fast"] } else { &[] };
        let which = ["-p", &planted.package, &planted.filter];
        let ran = self.cargo(words, &[&which, fail_fast].concat())?;
        let failed = if self.has_nextest { NEXTEST_TESTS_FAILED } else { CARGO_TESTS_FAILED };
        let outcome = if ran.status.code() == Some(failed) { Outcome::Red } else { Outcome::Green };
        Ok((outcome, said(&ran)))
    }

    fn cargo(&self, words: &[&str], more: &[&str]) -> Result<Output, ChoreError> {
        let mut command = Command::new("cargo");
        command.current_dir(&self.tree).args(words).args(more);
        command.env("CARGO_TARGET_DIR", self.place.join("target"));
        command.env("CARGO_TERM_COLOR", "never");
        // The same few crates are built again and again, and nobody debugs them.
        command.env("CARGO_INCREMENTAL", "1").env("CARGO_PROFILE_DEV_DEBUG", "false");
        // A test that runs this must not lend its own nextest settings to the inner one.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NEXTEST")) {
            command.env_remove(name);
        }
        output(command, "install Rust from https://rustup.rs")
    }

    fn git(&self, words: &[&str]) -> Result<Output, ChoreError> {
        let mut command = Command::new("git");
        command.current_dir(&self.tree).args(words);
        // Inside a git hook these would point at the real repository.
        command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
        output(command, "install git")
    }

    fn put(&self, path: &str, content: &[u8]) -> Result<(), ChoreError> {
        let path = self.tree.join(path);
        if std::fs::read(&path).is_ok_and(|there| there == content) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            make_directory(parent)?;
        }
        std::fs::write(&path, content).map_err(file_error("write", &path))
    }
}

/// Scripts stay executable.
fn same_mode(from: &Path, to: &Path) -> Result<(), ChoreError> {
    let mode = std::fs::metadata(from).map_err(file_error("read", from))?.permissions();
    let there = std::fs::metadata(to).map_err(file_error("read", to))?.permissions();
    if mode == there {
        return Ok(());
    }
    std::fs::set_permissions(to, mode).map_err(file_error("change", to))
}

fn make_directory(path: &Path) -> Result<(), ChoreError> {
    std::fs::create_dir_all(path).map_err(file_error("make", path))
}

fn remove(path: &Path) -> Result<(), ChoreError> {
    std::fs::remove_file(path).map_err(file_error("remove", path))
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ChoreError {
    let path = path.display().to_string();
    move |source| ChoreError::File { what, path, source }
}

fn output(mut command: Command, mend: &str) -> Result<Output, ChoreError> {
    command.output().map_err(|source| ChoreError::Program {
        program: command.get_program().to_string_lossy().into_owned(),
        mend: mend.to_owned(),
        source,
    })
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
