//! Under whose name servers run. In: the process's own user. Out: who runs `initdb` and `postgres`, and
//! whether that user can enter a directory.
//!
//! PostgreSQL refuses to run as root, so root hands its servers to `postgres` or `nobody`. The programs
//! are spawned directly with that user's ids: `su` would need a login shell and a terminal's manners.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User};

use super::Error;

/// The user that owns and runs the servers.
#[derive(Clone, Debug)]
pub(super) struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    /// The process is root and must change its ids for the servers.
    switch: bool,
}

impl Account {
    /// The process's own user, or for root the first of `postgres` and `nobody` that exists.
    pub fn for_servers() -> Result<Self, Error> {
        let uid = Uid::effective();
        if !uid.is_root() {
            return Ok(Self { name: format!("with id {uid}"), uid, gid: Gid::effective(), switch: false });
        }
        let user = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .ok_or(Error::NoAccount)?;
        Ok(Self { name: user.name, uid: user.uid, gid: user.gid, switch: true })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// Makes the command run under this account. The standard library also drops root's
    /// supplementary groups when it changes the user id.
    pub fn apply(&self, command: &mut Command) {
        if self.switch {
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
    }

    /// Hands a file or directory that this process has made to the account.
    pub fn own(&self, path: &Path) -> Result<(), Error> {
        if self.switch {
            nix::unistd::chown(path, Some(self.uid), Some(self.gid))
                .map_err(|errno| Error::io("hand over", path)(errno.into()))?;
        }
        Ok(())
    }

    /// Whether the account can enter the directory and each one above it. Looks at the owner's, group's
    /// and others' search bits; access control lists are not consulted.
    pub fn can_enter(&self, directory: &Path) -> bool {
        let Ok(directory) = directory.canonicalize() else {
            return false;
        };
        directory.ancestors().all(|ancestor| {
            ancestor.metadata().is_ok_and(|metadata| {
                let shift = match (metadata.uid() == self.uid.as_raw(), metadata.gid() == self.gid.as_raw()) {
                    (true, _) => 6,
                    (false, true) => 3,
                    (false, false) => 0,
                };
                metadata.is_dir() && (metadata.permissions().mode() >> shift) & 0o1 == 1
            })
        })
    }
}
