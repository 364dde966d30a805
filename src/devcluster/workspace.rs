//! The directory that a cluster lives in, and the watchdog that clears it away. In: where to put it and
//! who runs the servers. Out: a directory that disappears, with every process in it, when the
//! [`Workspace`] is dropped or this process dies, however it dies.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::account::Account;
use super::installation::{Installation, run};
use super::{Error, Locale, Options};

/// `sun_path` holds 108 bytes, the last of them zero, and the socket's name is `/.s.PGSQL.65535`.
const SOCKET_DIRECTORY_MAX: usize = 107 - "/.s.PGSQL.65535".len();

/// Room for a server's name in the path of its socket directory.
const SERVER_NAME_MAX: usize = 24;

/// Waits until its standard input ends, which happens when the process at the other end closes it or dies;
/// then kills the processes whose pid files are in the directory, and removes the directories.
/// A pid counts only when the process's command line names the directory: pids are reused.
const WATCHDOG: &str = r#"
directory=$1 sockets=$2 remove=yes
trap '' INT TERM HUP
while IFS= read -r line; do
    if [ "$line" = keep ]; then remove=no; fi
done
ours() {
    if [ -r "/proc/$1/cmdline" ]; then tr '\0' ' ' <"/proc/$1/cmdline"; else ps -o command= -p "$1"; fi 2>/dev/null |
        grep -qF "$directory"
}
living() {
    for file in "$directory"/*.pid "$directory"/*/data/postmaster.pid; do
        if [ -r "$file" ] && read -r pid <"$file" && [ -n "$pid" ] && ours "$pid"; then echo "$pid"; fi
    done
}
for signal in QUIT QUIT QUIT QUIT QUIT QUIT QUIT QUIT QUIT QUIT KILL KILL; do
    pids=$(living)
    [ -n "$pids" ] || break
    kill -"$signal" $pids 2>/dev/null
    sleep 0.3
done
if [ "$remove" = yes ]; then
    rm -rf -- "$directory"
    [ -z "$sockets" ] || rm -rf -- "$sockets"
fi
"#;

/// A cluster's directory. Servers hold it by `Arc`, so it outlives the last of them.
#[derive(Debug)]
pub(super) struct Workspace {
    pub installation: Installation,
    pub account: Account,
    pub options: Options,
    pub cancelled: Arc<AtomicBool>,
    directory: PathBuf,
    /// A short directory for sockets, where `directory` is too long for them.
    sockets: Option<PathBuf>,
    /// Where initialised data directories are kept for copying.
    templates: Option<PathBuf>,
    keep: bool,
    watchdog: Mutex<Child>,
}

impl Workspace {
    pub fn create(
        installation: Installation,
        options: Options,
        parent: &Path,
        cancelled: Arc<AtomicBool>,
    ) -> Result<Self, Error> {
        let account = Account::for_servers()?;
        let _ = std::fs::create_dir_all(parent);
        let parent = [parent, &std::env::temp_dir(), Path::new("/tmp"), Path::new("/var/tmp")]
            .into_iter()
            .find(|parent| account.can_enter(parent))
            .ok_or_else(|| Error::Unreachable { user: account.name().to_owned(), path: parent.to_path_buf() })?
            .canonicalize()
            .map_err(Error::io("find", parent))?;
        let directory = fresh_directory(&parent)?;
        let too_long = directory.as_os_str().len() + 1 + SERVER_NAME_MAX > SOCKET_DIRECTORY_MAX;
        let sockets = if too_long { Some(fresh_directory(Path::new("/tmp"))?) } else { None };
        let watchdog = watch(&directory, sockets.as_deref())?;
        let templates = if options.own_identity { None } else { template_directory(&parent, &account) };
        let keep = options.keep;
        let workspace = Self {
            installation,
            account,
            options,
            cancelled,
            directory,
            sockets,
            templates,
            keep,
            watchdog: Mutex::new(watchdog),
        };
        if keep {
            workspace.tell_watchdog("keep");
        }
        Ok(workspace)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn keeps(&self) -> bool {
        self.keep
    }

    /// Fails when the user has interrupted the start.
    pub fn proceed(&self) -> Result<(), Error> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Makes a server's directory and the one for its socket.
    pub fn server_directories(&self, name: &str) -> Result<(PathBuf, PathBuf), Error> {
        let own = self.directory.join(name);
        let sockets = self.sockets.as_ref().map_or_else(|| own.clone(), |sockets| sockets.join(name));
        for directory in [&own, &sockets] {
            std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
            self.account.own(directory)?;
        }
        Ok((own, sockets))
    }

    /// One of PostgreSQL's programs, under the account that runs servers.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.installation.command(program);
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        self.account.apply(command);
        // A terminal's Ctrl-C goes to its foreground group; servers stop when they are told to.
        command.current_dir(&self.directory).stdin(Stdio::null()).process_group(0);
    }

    /// Makes an initialised data directory, from a template where there is one.
    pub fn initialise(&self, data: &Path) -> Result<(), Error> {
        let Some(templates) = &self.templates else {
            return self.initdb(data);
        };
        let template = templates.join(self.template_name());
        if !template.join("PG_VERSION").exists() {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let fresh = templates.join(format!("new-{}-{number}", std::process::id()));
            self.initdb(&fresh)?;
            // Fails when another process was faster: then its template serves.
            if std::fs::rename(&fresh, &template).is_err() {
                let _ = std::fs::remove_dir_all(&fresh);
            }
        }
        let mut copy = Command::new("cp");
        self.prepare(&mut copy);
        run(copy.args(["-R", "-p"]).arg(&template).arg(data))?;
        Ok(())
    }

    /// Everything that shapes a data directory, as one number.
    fn template_name(&self) -> String {
        let Options { user, password, database, locale, .. } = &self.options;
        let text = format!("{}\0{user}\0{password}\0{database}\0{locale:?}", self.installation.version());
        format!("{}-{:016x}", self.installation.major(), xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
    }

    fn initdb(&self, data: &Path) -> Result<(), Error> {
        self.proceed()?;
        let Options { user, password, database, locale, .. } = &self.options;
        let password_file = data.with_extension("password");
        std::fs::write(&password_file, password).map_err(Error::io("write", &password_file))?;
        self.account.own(&password_file)?;
        let mut initdb = self.command("initdb");
        initdb.args(["--no-sync", "--encoding=UTF8", "--auth=scram-sha-256", "--username", user]);
        initdb.arg("--pwfile").arg(&password_file).arg("-D").arg(data).args(locale.initdb_arguments());
        let result = run(&mut initdb);
        let _ = std::fs::remove_file(&password_file);
        result?;
        if database != "postgres" {
            self.create_database(data, database)?;
        }
        Ok(())
    }

    /// Single-user mode: no port, no waiting, and the database becomes part of the template.
    fn create_database(&self, data: &Path, database: &str) -> Result<(), Error> {
        let mut single = self.command("postgres");
        single.args(["--single", "-F", "-D"]).arg(data).arg("postgres");
        single.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = "postgres --single".to_owned();
        let not_runnable = |source| Error::NotRunnable { program: program.clone(), source };
        let mut child = single.spawn().map_err(not_runnable)?;
        if let Some(mut input) = child.stdin.take() {
            let statement = format!("CREATE DATABASE \"{}\"\n", database.replace('"', "\"\""));
            input.write_all(statement.as_bytes()).map_err(not_runnable)?;
        }
        let output = child.wait_with_output().map_err(not_runnable)?;
        super::installation::checked(program, &output)?;
        Ok(())
    }

    /// Leaves the directory where it is when the workspace is dropped or this process dies.
    fn tell_watchdog(&self, line: &str) {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = watchdog.stdin.as_mut() {
            let _ = writeln!(input, "{line}");
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let watchdog = self.watchdog.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The end of its input is the watchdog's signal: it clears away and ends.
        drop(watchdog.stdin.take());
        let _ = watchdog.wait();
    }
}

impl Locale {
    fn initdb_arguments(&self) -> Vec<String> {
        // Messages stay untranslated: tests compare them.
        let mut arguments = vec!["--lc-messages=C".to_owned()];
        match self {
            Locale::C => arguments.push("--locale=C".to_owned()),
            Locale::CUtf8 if cfg!(target_os = "macos") => arguments.push("--locale=C".to_owned()),
            Locale::CUtf8 => arguments.push("--locale=C.UTF-8".to_owned()),
            Locale::Icu(name) => {
                arguments.extend(["--locale=C.UTF-8".to_owned(), "--locale-provider=icu".to_owned()]);
                arguments.push(format!("--icu-locale={name}"));
            }
            Locale::Named(name) => arguments.push(format!("--locale={name}")),
        }
        arguments
    }
}

/// A new directory that no other process has; `create_dir` decides races.
fn fresh_directory(parent: &Path) -> Result<PathBuf, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("shardway-{}-{number}", std::process::id()));
        match std::fs::create_dir(&directory) {
            Ok(()) => {
                let permissions = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(&directory, permissions).map_err(Error::io("open", &directory))?;
                return Ok(directory);
            }
            // Left behind by an earlier process with this pid.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", &directory)(error)),
        }
    }
}

/// The directory of templates beside the clusters, unless somebody else made it: a data directory from
/// another user's hands could hold anything.
fn template_directory(parent: &Path, account: &Account) -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let directory = parent.join(format!("shardway-initdb-{}", account.uid()));
    if std::fs::create_dir(&directory).is_ok() {
        account.own(&directory).ok()?;
    }
    let metadata = directory.symlink_metadata().ok()?;
    (metadata.is_dir() && metadata.uid() == account.uid() && metadata.mode() & 0o022 == 0).then_some(directory)
}

fn watch(directory: &Path, sockets: Option<&Path>) -> Result<Child, Error> {
    Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "shardway-watchdog"])
        .arg(directory)
        .arg(sockets.unwrap_or(Path::new("")))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|source| Error::NotRunnable { program: "/bin/sh".to_owned(), source })
}
