//! Debian's packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::run;

/// `sudo` must not ask for a password: nobody may be there to answer.
const SUDO_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Whether packages can be installed: `apt-get` is there, and so is the right to use it.
pub(crate) fn is_usable() -> bool {
    run::on_path("apt-get").is_some() && (is_root() || sudo_works())
}

/// Installs `packages`, with fresh lists if the old ones do not know them. Whether it worked.
pub(crate) fn install(packages: &[String]) -> bool {
    let mut install = apt_get(["install", "-y", "--no-install-recommends"]);
    install.args(packages);
    if run::run(&mut install).is_ok() {
        return true;
    }
    run::run(&mut apt_get(["update"])).is_ok() && run::run(&mut install).is_ok()
}

/// Downloads the newest `package` into the empty `folder`, with fresh lists if the old ones do not know it, and
/// installs nothing. Returns the file. Nobody needs to be root for it, except for fresh lists.
///
/// # Errors
///
/// When this is no Debian, or the package cannot be had.
pub(crate) fn download(package: &str, folder: &Path) -> Result<PathBuf> {
    if run::on_path("apt-get").is_none() {
        bail!("there is no apt-get");
    }
    let mut download = Command::new("apt-get");
    download
        .current_dir(folder)
        // Root would otherwise be warned that it downloads as itself.
        .args(["-q", "-o", "APT::Sandbox::User=root", "download", package])
        .stdin(std::process::Stdio::null());
    if run::run(&mut download).is_err() {
        if !is_usable() {
            bail!("Debian's package {package} cannot be downloaded");
        }
        run::run(&mut apt_get(["update"]))?;
        run::run(&mut download)?;
    }
    let files = std::fs::read_dir(folder)?;
    let mut packages = files.flatten().map(|file| file.path());
    packages
        .find(|file| file.extension().is_some_and(|it| it == "deb"))
        .with_context(|| format!("apt-get left no package in {}", folder.display()))
}

fn apt_get<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = if is_root() {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    command.args(arguments).stdin(std::process::Stdio::null());
    command
}

fn is_root() -> bool {
    run::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn sudo_works() -> bool {
    run::succeeds(
        Command::new("sudo").args(["-n", "true"]),
        SUDO_ANSWERS_WITHIN,
    )
}
