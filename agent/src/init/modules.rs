//! Kernel modules of the image: /etc/nanova/modules has one path a line, dependencies first.

use nanova_core::platform::{Level, Log};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::mounts::read;
use crate::errno::errno;
use crate::paths::open;
use crate::record::{self, Done};
use crate::system::System;

/// Room for the list: some two hundred modules.
const LIST_MAX: usize = 8192;

/// Loads them. One that cannot be loaded (no such device, a variant for another CPU) is named, and the others follow.
#[inline(never)]
pub(super) fn load(system: &mut System<'_>) {
    let mut room = [0; LIST_MAX];
    for path in read("/etc/nanova/modules", &mut room).lines().filter(|path| !path.is_empty()) {
        let file = open(path, OFlags::RDONLY, 0);
        let loaded = file.and_then(|file| rustix::system::finit_module(file, c"", 0));
        record::done(Done::Loaded, path.as_bytes(), loaded.map_or_else(|error| errno(error).0, |()| 0));
        match loaded {
            Ok(()) => system.log(Level::Debug, format_args!("module {path} loaded")),
            Err(Errno::EXIST) => {}
            Err(error) => system.log(Level::Warn, format_args!("module {path} was not loaded: {}", errno(error))),
        }
    }
}
