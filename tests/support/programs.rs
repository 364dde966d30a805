//! Programs of others that tests run beside Shardway, as Debian packages them.

use std::fs::File;
use std::process::{Command, Stdio};

use nix::unistd::Uid;
use shardway::devcluster::on_path;

use super::{expect_success, target_directory};

/// Installs the packages unless these programs are there, if it may; says how otherwise.
pub fn provide(programs: &[&str], packages: &[&str]) {
    let lock = File::create(target_directory().join("packages.lock")).expect("target/ can be written to");
    lock.lock().expect("the file system of target/ knows locks");
    if programs.iter().all(|program| on_path(program).is_some()) {
        return;
    }
    let install = format!("apt-get install --yes --no-install-recommends {}", packages.join(" "));
    assert!(
        Uid::effective().is_root() && on_path("apt-get").is_some(),
        "this test needs {}; on Debian and Ubuntu: sudo {install}",
        programs.join(", ")
    );
    for command in ["apt-get update", &install] {
        let mut words = command.split(' ');
        let mut apt = Command::new(words.next().expect("it has a program"));
        // Only the programs are wanted, not running services.
        apt.args(words).stdin(Stdio::null()).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        expect_success(command, &apt.output().expect("it is there"));
    }
}
