//! Python and Node environments under `target/`, made once and kept.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{expect_success, repository_file, set_up, target_directory};

const PYTHON_PACKAGES: [&str; 2] = ["psycopg[binary]>=3.2,<4", "asyncpg>=0.29,<1"];
const NODE_PACKAGES: [&str; 2] = ["pg@8", "postgres@3"];

const PYTHON_REMEDY: &str = "The driver tests need Python 3 with its venv module. Install it with: \
    `sudo apt-get install python3 python3-venv` (Debian, Ubuntu), `sudo dnf install python3` (Fedora), `brew install python` (macOS)";
const NODE_REMEDY: &str = "The driver tests need Node.js with npm. Install it with: \
    `sudo apt-get install nodejs npm` (Debian, Ubuntu), `sudo dnf install nodejs npm` (Fedora), `brew install node` (macOS)";

/// A virtual environment with psycopg and asyncpg.
pub struct PythonEnv {
    python: PathBuf,
}

impl PythonEnv {
    /// The environment with the drivers; made by the first test that asks.
    pub fn get() -> Self {
        Self::with("python", &PYTHON_PACKAGES)
    }

    /// An environment named `name` with these packages, in pip's notation.
    pub fn with(name: &str, packages: &[&str]) -> Self {
        let directory = prepared(name, packages, |directory| {
            set_up(Command::new("python3").args(["-m", "venv"]).arg(directory), PYTHON_REMEDY);
            let python = directory.join("bin/python");
            let mut pip = Command::new(python);
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
            set_up(&mut pip, "pip could not install the drivers; is the package index reachable?");
        });
        Self { python: directory.join("bin/python") }
    }

    /// A script of the repository, to be run.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg("-B").arg(repository_file(script));
        command
    }

    /// Runs a script of the repository with arguments (a URL, as a rule).
    pub fn output(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(script);
        command.args(arguments);
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Like [`output`](Self::output); panics with everything printed when the script fails.
    pub fn run(&self, script: &str, arguments: &[&str]) -> String {
        let text = expect_success(script, &self.output(script, arguments));
        println!("{text}");
        text
    }
}

/// A directory with `node_modules` for node-postgres and Postgres.js.
pub struct NodeEnv {
    directory: PathBuf,
}

impl NodeEnv {
    pub fn get() -> Self {
        Self::with("node", &NODE_PACKAGES)
    }

    /// A directory named `name` with these packages, in npm's notation.
    pub fn with(name: &str, packages: &[&str]) -> Self {
        let directory = prepared(name, packages, |directory| {
            set_up(Command::new("node").arg("--version"), NODE_REMEDY);
            std::fs::create_dir_all(directory).expect("target/ can be written to");
            std::fs::write(directory.join("package.json"), "{\"private\": true}\n").expect("target/ can be written to");
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]).args(packages);
            set_up(npm.current_dir(directory), NODE_REMEDY);
        });
        Self { directory }
    }

    /// Runs a script of the repository, which finds its packages in the directory that `NODE_PACKAGES` names:
    /// an ES module looks for them beside itself otherwise.
    pub fn output(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("node");
        command.arg(repository_file(script)).args(arguments).env("NODE_PACKAGES", &self.directory);
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}. {NODE_REMEDY}"))
    }

    /// Like [`output`](Self::output); panics with everything printed when the script fails.
    pub fn run(&self, script: &str, arguments: &[&str]) -> String {
        let text = expect_success(script, &self.output(script, arguments));
        println!("{text}");
        text
    }
}

/// The directory `name`, made by `make` unless an earlier run finished it with the same packages. Test
/// binaries and threads take turns by a lock on a file, which the system drops with its holder.
fn prepared(name: &str, packages: &[&str], make: impl FnOnce(&Path)) -> PathBuf {
    let directory = target_directory().join(name);
    let lock = File::create(target_directory().join(format!("{name}.lock"))).expect("target/ can be written to");
    lock.lock().expect("the file system of target/ knows locks");
    let marker = directory.join("complete");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&marker).ok().as_deref() != Some(&wanted) {
        let _ = std::fs::remove_dir_all(&directory);
        make(&directory);
        std::fs::write(&marker, wanted).expect("target/ can be written to");
    }
    directory
}
