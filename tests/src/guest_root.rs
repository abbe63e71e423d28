//! A guest's root directory to throw away: as much of a Debian-like /etc as the commands touch.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The accounts of a fresh installation: root is locked.
pub const SHADOW: &str = "\
root:*:19000:0:99999:7:::
daemon:*:19000:0:99999:7:::
bin:*:19000:0:99999:7:::
admin:$y$j9T$eJXkQmBYyn7JDt5Jm1gpF.$1A0GSMGWGGYQ/k2n5cCbmTMCkPHhNQkHmjXfjJfE6y4:19001:0:99999:7:::
";

const FILES: [(&str, &str, u32); 5] = [
    ("etc/shadow", SHADOW, 0o640),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n", 0o644),
    ("etc/hostname", "guest\n", 0o644),
    ("etc/motd", "Welcome.\n", 0o644),
    ("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n", 0o644),
];

/// The directory; it goes when this is dropped.
#[derive(Debug)]
pub struct GuestRoot {
    directory: TempDir,
}

impl GuestRoot {
    /// A fresh one.
    pub fn new() -> io::Result<GuestRoot> {
        let directory = tempfile::tempdir()?;
        for folder in ["etc", "root", "run", "tmp", "var/log"] {
            fs::create_dir_all(directory.path().join(folder))?;
        }
        for (path, contents, mode) in FILES {
            let path = directory.path().join(path);
            fs::write(&path, contents)?;
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        Ok(GuestRoot { directory })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where a path of the guest is.
    pub fn join(&self, guest_path: &str) -> PathBuf {
        self.directory.path().join(guest_path.trim_start_matches('/'))
    }

    /// What is in a file of the guest. Panics if there is none.
    pub fn text(&self, guest_path: &str) -> String {
        let bytes = fs::read(self.join(guest_path)).unwrap_or_else(|error| panic!("{guest_path}: {error}"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The mode of a file of the guest.
    pub fn mode(&self, guest_path: &str) -> u32 {
        fs::symlink_metadata(self.join(guest_path)).expect("the file is there").permissions().mode() & 0o7777
    }

    /// The fields of root's line in /etc/shadow.
    pub fn shadow_of_root(&self) -> Vec<String> {
        let shadow = self.text("/etc/shadow");
        let line = shadow.lines().find(|line| line.starts_with("root:")).expect("there is a line for root");
        line.split(':').map(str::to_owned).collect()
    }

    /// Every file below it, relative, sorted.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.directory.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("our own directory").flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                } else if let Ok(path) = entry.path().strip_prefix(self.directory.path()) {
                    found.push(path.display().to_string());
                }
            }
        }
        // Whoever stages files holds the one; it is empty, and stays. The other is the flight recorder's.
        found.retain(|file| file != "run/nanova.lock" && !file.starts_with("run/nanova/"));
        found.sort();
        found
    }
}
