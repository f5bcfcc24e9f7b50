//! Debian's packages.

use std::process::Command;
use std::time::Duration;

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
