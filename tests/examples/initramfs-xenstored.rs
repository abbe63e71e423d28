//! The embedded xenstored inside an initramfs, where no Xen is: serves a guest with vm-data at a path, until it is
//! killed.
//!
//! `initramfs-xenstored SOCKET VM-DATA`: each line of the file VM-DATA is a key below vm-data, a blank, and its value.
//! The daemon's own sockets are below TMPDIR; SOCKET is a link to the guest's, and is there when everything is.

use std::io::{Error, Result};

use nanova_tests::xenstored::{Options, Xenstored};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(data)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: initramfs-xenstored SOCKET VM-DATA"));
    };
    let xenstored = Xenstored::start(Options::default())?;
    let mut host = xenstored.host();
    for (key, value) in std::fs::read_to_string(data)?.lines().filter_map(|line| line.split_once(' ')) {
        host.write(&format!("{}/vm-data/{key}", xenstored.home()), value).map_err(Error::other)?;
    }
    std::os::unix::fs::symlink(xenstored.guest_socket(), socket)?;
    loop {
        std::thread::park();
    }
}
