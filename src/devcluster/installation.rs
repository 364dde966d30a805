//! Finds PostgreSQL's programs. In: PATH, `pg_config` and the places where distributions put them. Out:
//! the newest [`Installation`] that has everything a cluster needs. Doesn't install: `provide` does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{Error, provide};

/// The oldest major version that is supported.
pub const OLDEST_MAJOR: u32 = 14;

/// What a cluster needs; distributions that split server and client packages may have only some.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_basebackup", "psql"];

/// Directories whose `*` stands for one version.
const PLACES: [&str; 8] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
];

/// One PostgreSQL: its programs and their version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Installation {
    programs: PathBuf,
    major: u32,
    minor: u32,
    version: String,
    /// Where the shared libraries of an unpacked, not installed, PostgreSQL are.
    libraries: Vec<PathBuf>,
}

impl Installation {
    /// The newest complete PostgreSQL of this system, or one that `find_or_install` unpacked earlier.
    ///
    /// # Errors
    /// [`Error::NoPostgres`] with the command that installs one.
    pub fn find() -> Result<Self, Error> {
        let found = candidates().into_iter().filter_map(|directory| Self::at(&directory, Vec::new()));
        let unpacked = provide::unpacked();
        found
            .chain(unpacked)
            .filter(|installation| installation.major >= OLDEST_MAJOR)
            // The first of equals wins: what is on PATH stands first.
            .reduce(|best, next| if (next.major, next.minor) > (best.major, best.minor) { next } else { best })
            .ok_or_else(|| Error::NoPostgres {
                searched:
                    "looked on PATH, asked pg_config, and looked where Debian, Ubuntu, Fedora and Homebrew put it"
                        .to_owned(),
                remedy: provide::remedy().to_owned(),
            })
    }

    /// Like [`find`](Self::find); where there is none, installs one (as root) or unpacks the
    /// distribution's packages into the user's cache directory. `say` is told first what is done.
    ///
    /// # Errors
    /// As `find` where no way is known; otherwise the package manager's own message.
    pub fn find_or_install(say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        match Self::find() {
            Err(missing @ Error::NoPostgres { .. }) => {
                provide::provide(missing, say)?;
                Self::find()
            }
            result => result,
        }
    }

    /// The installation whose programs are in `directory`, if it is complete.
    pub(super) fn at(directory: &Path, libraries: Vec<PathBuf>) -> Option<Self> {
        // Links are followed: `postgres` on PATH may be one, with its companions only beside the target.
        let postgres = directory.join("postgres").canonicalize().ok()?;
        let programs = postgres.parent()?.to_path_buf();
        if !PROGRAMS.iter().all(|program| programs.join(program).is_file()) {
            return None;
        }
        let mut installation = Self { programs, major: 0, minor: 0, version: String::new(), libraries };
        let output = installation.command("postgres").arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        (installation.major, installation.minor) = parse_version(&text)?;
        installation.version = text.trim().to_owned();
        Some(installation)
    }

    /// The directory of `postgres`, `initdb`, `psql` and the rest.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// As in 15 for 15.18.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// What `postgres --version` prints.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// One of PostgreSQL's programs, with the PG* variables of our environment taken out: they would
    /// silently point it at another server.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        if let Some(path) = self.library_path() {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }

    /// What a shell needs to run one of the programs: its path, and where its libraries are.
    pub fn shell_command(&self, program: &str) -> String {
        let path = self.programs.join(program);
        let libraries = self.libraries.iter().map(|path| path.display().to_string());
        match libraries.collect::<Vec<_>>().join(":") {
            libraries if libraries.is_empty() => path.display().to_string(),
            libraries => format!("LD_LIBRARY_PATH={libraries} {}", path.display()),
        }
    }

    fn library_path(&self) -> Option<OsString> {
        if self.libraries.is_empty() {
            return None;
        }
        let inherited = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let inherited = std::env::split_paths(&inherited).filter(|path| !path.as_os_str().is_empty());
        std::env::join_paths(self.libraries.iter().cloned().chain(inherited)).ok()
    }
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// When it can't be started or doesn't succeed; then with all it printed.
pub(super) fn run(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| Error::NotRunnable { program: program.clone(), source })?;
    checked(program, &output)
}

/// The output of a command that has ended, or its failure.
pub(super) fn checked(program: String, output: &Output) -> Result<String, Error> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let output_text = format!("{}{}", text, errors).trim_end().to_owned();
    Err(Error::Failed { program, status: output.status, output: output_text })
}

/// Every directory worth a look, PATH first.
fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        directories.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    directories.extend(PLACES.iter().flat_map(|place| expand(place)));
    directories.retain(|directory| directory.join("postgres").exists());
    directories
}

/// The directories a place stands for: `*` matches any text within one component.
pub(super) fn expand(place: &str) -> Vec<PathBuf> {
    let Some((before, after)) = place.split_once('*') else {
        return vec![PathBuf::from(place)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = Path::new(parent).read_dir() else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .collect()
}

/// The numbers in `postgres (PostgreSQL) 15.18 (Debian ...)`; a beta as in `17beta1` has minor 0.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    let number = |text: &str| -> Option<u32> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text.get(..end)?.parse().ok()
    };
    let major = number(rest)?;
    let minor = rest.split_whitespace().next()?.split_once('.').and_then(|(_, minor)| number(minor));
    Some((major, minor.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_postgres_prints() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some((15, 18)));
        assert_eq!(parse_version("postgres (PostgreSQL) 17beta1"), Some((17, 0)));
        assert_eq!(parse_version("postgres (PostgreSQL) 18.0"), Some((18, 0)));
        assert_eq!(parse_version("some other program 1.2"), None);
    }

    #[test]
    fn a_place_with_a_star_stands_for_each_directory_that_exists() {
        assert!(expand("/no/such/place/*/bin").is_empty());
        assert_eq!(expand("/usr/bin"), [PathBuf::from("/usr/bin")]);
        assert!(expand("/usr/b*").contains(&PathBuf::from("/usr/bin")));
    }
}
