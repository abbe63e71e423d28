//! Debian packages, unpacked below a scratch directory; nothing is installed.

use std::path::Path;
use std::process::Command;

/// The package that holds the current cloud kernel and its modules.
pub(crate) const KERNEL: &str =
    "$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: linux-image-/linux-image-/p' | head -n 1)";

/// Fetches a package and unpacks it into `home`.
pub(crate) fn unpack(home: &Path, package: &str) {
    let script = format!("p={package}; apt-get download -q $p >/dev/null 2>&1; dpkg-deb -x \"$p\"_*.deb .");
    let status = Command::new("sh").args(["-ec", &script]).current_dir(home).status();
    assert!(status.unwrap().success(), "apt-get cannot download {package}");
}
