//! Gets a PostgreSQL where there is none. As root: the distribution's package, by its own package
//! manager. As an ordinary user on Debian and Ubuntu: the same packages, downloaded by apt (which checks
//! their signatures) and unpacked into the user's cache directory; nothing of the system is changed.
//!
//! A crate that downloads binaries was the alternative: it would add a second source of trust and a
//! hundred dependencies for what the distribution already offers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::Uid;

use super::installation::{Installation, checked, expand, run};
use super::{Error, on_path};

/// Package managers that root may use: the program, its arguments, and whether `update` goes first.
const MANAGERS: [(&str, &[&str], bool); 4] = [
    ("apt-get", &["install", "--yes", "--no-install-recommends", "postgresql"], true),
    ("dnf", &["install", "--assumeyes", "postgresql-server", "postgresql"], false),
    ("apk", &["add", "postgresql", "postgresql-client"], false),
    ("zypper", &["--non-interactive", "install", "postgresql-server", "postgresql"], false),
];

/// The command that installs PostgreSQL here.
pub(super) fn remedy() -> &'static str {
    if cfg!(target_os = "macos") {
        return "brew install postgresql@17";
    }
    match MANAGERS.iter().find(|(program, ..)| on_path(program).is_some()) {
        Some(("apt-get", ..)) => "sudo apt-get install postgresql",
        Some(("dnf", ..)) => "sudo dnf install postgresql-server postgresql",
        Some(("apk", ..)) => "sudo apk add postgresql postgresql-client",
        Some(("zypper", ..)) => "sudo zypper install postgresql-server postgresql",
        _ => "your system's package manager (package postgresql)",
    }
}

/// Installs or unpacks PostgreSQL.
///
/// # Errors
/// `missing` itself where no way is known; the package manager's message when it fails.
pub(super) fn provide(missing: Error, say: &mut dyn FnMut(&str)) -> Result<(), Error> {
    if Uid::effective().is_root() {
        let Some(manager) = MANAGERS.iter().find(|(program, ..)| on_path(program).is_some()) else {
            return Err(missing);
        };
        return install(manager, say).map_err(not_provided);
    }
    if on_path("apt-get").is_none() || on_path("dpkg-deb").is_none() {
        return Err(missing);
    }
    let Some(cache) = cache_directory() else {
        return Err(missing);
    };
    unpack(&cache, say).map_err(not_provided)
}

fn not_provided(source: Error) -> Error {
    Error::NotProvided { source: Box::new(source), remedy: remedy().to_owned() }
}

fn install(manager: &(&str, &[&str], bool), say: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let (program, arguments, update) = manager;
    say(&format!("No PostgreSQL found: installing it with `{program} {}`", arguments.join(" ")));
    if *update {
        run(Command::new(program).arg("update").stdin(Stdio::null()))?;
    }
    run(Command::new(program)
        .args(*arguments)
        .stdin(Stdio::null())
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Only the programs are wanted: Debian's start-up scripts start no service in run level 1.
        .env("RUNLEVEL", "1"))?;
    Ok(())
}

/// `$XDG_CACHE_HOME/shardway/postgresql`, by default under `~/.cache`.
fn cache_directory() -> Option<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
        Some(path) if path.is_absolute() => path,
        _ => PathBuf::from(std::env::var_os("HOME")?).join(".cache"),
    };
    Some(base.join("shardway").join("postgresql"))
}

/// The PostgreSQL that an earlier run has unpacked for this user, newest last.
pub(super) fn unpacked() -> Option<Installation> {
    // Root never unpacks, and must not run what lies in somebody's cache.
    if Uid::effective().is_root() {
        return None;
    }
    installation_in(&cache_directory()?.join("root"))
}

fn installation_in(root: &Path) -> Option<Installation> {
    let text = root.to_str()?;
    let mut libraries = Vec::new();
    for directory in ["usr/lib", "lib"].map(|name| root.join(name)) {
        let entries = directory.read_dir().into_iter().flatten().flatten();
        // Debian's multiarch directory, as in x86_64-linux-gnu.
        let multiarch = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().contains("-linux-");
        libraries.extend(entries.filter(multiarch).map(|entry| entry.path()));
        libraries.push(directory);
    }
    libraries.retain(|path| path.is_dir());
    expand(&format!("{text}/usr/lib/postgresql/*/bin"))
        .into_iter()
        .filter_map(|programs| Installation::at(&programs, libraries.clone()))
        .max_by_key(Installation::major)
}

/// Downloads the packages that `apt-get install postgresql` would, and unpacks them into `cache/root`.
fn unpack(cache: &Path, say: &mut dyn FnMut(&str)) -> Result<(), Error> {
    say(&format!(
        "No PostgreSQL found: downloading the distribution's packages with apt-get and unpacking them into {} \
         (nothing is installed; `{}` would install it for everybody)",
        cache.display(),
        remedy()
    ));
    let packages = cache.join("packages");
    std::fs::create_dir_all(&packages).map_err(Error::io("create", &packages))?;
    let apt = Apt { cache: cache.to_path_buf(), own_lists: false };
    let (apt, wanted) = match apt.wanted() {
        Ok(wanted) if !wanted.is_empty() => (apt, wanted),
        // A fresh image has no package lists, and an ordinary user may not fetch the system's: fetch
        // them into the cache.
        _ => {
            let apt = Apt { own_lists: true, ..apt };
            run(apt.command().arg("update"))?;
            let wanted = apt.wanted()?;
            (apt, wanted)
        }
    };
    run(apt.command().arg("download").args(&wanted).current_dir(&packages))?;
    // Unpacked beside and renamed at the end, so that an interrupted run leaves nothing half done.
    let fresh = cache.join(format!("root-{}", std::process::id()));
    let entries = packages.read_dir().map_err(Error::io("list", &packages))?;
    for package in entries.flatten().map(|entry| entry.path()) {
        if package.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&fresh))?;
        }
    }
    let root = cache.join("root");
    // Fails when another run was faster; then that one serves.
    if std::fs::rename(&fresh, &root).is_err() {
        let _ = std::fs::remove_dir_all(&fresh);
    }
    let _ = std::fs::remove_dir_all(&packages);
    Ok(())
}

struct Apt {
    cache: PathBuf,
    /// Package lists of our own instead of the system's.
    own_lists: bool,
}

impl Apt {
    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.args(["-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User="]).stdin(Stdio::null());
        if self.own_lists {
            for (option, directory) in [("Dir::State::Lists", "lists"), ("Dir::Cache", "apt")] {
                let path = self.cache.join(directory);
                let _ = std::fs::create_dir_all(path.join("partial"));
                command.args(["-o", &format!("{option}={}", path.display())]);
            }
        }
        command
    }

    /// Names (with versions) of PostgreSQL's package and of those it needs that aren't installed.
    fn wanted(&self) -> Result<Vec<String>, Error> {
        let output = self
            .command()
            .args(["install", "--simulate", "--no-install-recommends", "postgresql"])
            .env("LC_ALL", "C")
            .output()
            .map_err(|source| Error::NotRunnable { program: "apt-get".to_owned(), source })?;
        Ok(to_install(&checked("apt-get install --simulate".to_owned(), &output)?))
    }
}

/// The `Inst name (version ...)` lines of `apt-get --simulate`; updates of installed packages (with the old
/// version in brackets) are left out.
fn to_install(simulated: &str) -> Vec<String> {
    simulated
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
            let version = rest.strip_prefix('(')?.split_whitespace().next()?;
            Some(format!("{name}={version}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_a_simulated_installation() {
        let simulated = "Reading package lists...\n\
            Inst libpq5 (15.18-0+deb12u1 Debian-Security:12/stable-security [amd64])\n\
            Inst openssl [3.0.1] (3.0.2 Debian:12.1/stable [amd64])\n\
            Inst postgresql-15 (15.18-0+deb12u1 Debian:12/stable [amd64]) []\n\
            Conf libpq5 (15.18-0+deb12u1 Debian:12/stable [amd64])\n";
        assert_eq!(to_install(simulated), ["libpq5=15.18-0+deb12u1", "postgresql-15=15.18-0+deb12u1"]);
    }
}
