//! The labels of new files (SELinux). A file that takes another one's place takes over its label; one that is new has
//! what its directory gives, which may be wrong: sshd may not read an authorized_keys with the label of root's home.
//! The guest's policy knows the right one, and the guest's own restorecon(8) sets it, as an errand.
//!
//! Nobody waits for that: a file is there, and the host may have its answer, some hundredths of a second before the
//! label is. restorecon changes the label's type, which is what access depends on, and leaves types alone that the
//! policy gives into an administrator's hands (customizable_types(5)).

use core::ffi::CStr;

use nanova_core::platform::{Ended, Errand, GuestPath, Level, Log};
use nanova_core::wire::errno::Errno;

use crate::paths::exists;
use crate::program::{become_unheard, may_run};
use crate::rt::process::Side;
use crate::system::System;
use crate::unlabelled::{PATHS_MAX, Unlabelled};

/// Where the kernel says whether its policy is enforced, if it has one: since Linux 3.0, and before.
const SIGNS: [&str; 2] = ["/sys/fs/selinux/enforce", "/selinux/enforce"];
/// The program; the oldest distributions have it in /sbin alone. It passes over what is gone again (`-i`).
const PROGRAMS: [&CStr; 2] = [c"/usr/sbin/restorecon", c"/sbin/restorecon"];
const OPTIONS: [&CStr; 2] = [c"-i", c"--"];
/// How long it may take: it reads the file contexts of the whole policy, which takes a moment.
const SECONDS: u32 = 60;

impl System<'_> {
    /// Has what is new at a path labelled, soon, where the guest's files have labels.
    #[inline(never)]
    pub(crate) fn label(&mut self, path: GuestPath<'_>) {
        if self.confined || !SIGNS.into_iter().any(exists) {
            return;
        }
        let why = match self.locked {
            true => "no program is run",
            false if self.unlabelled.add(path.as_str()) => return,
            false => "too many files are new",
        };
        self.log(Level::Warn, format_args!("{path} has no label of its own: {why}; run restorecon on it"));
    }

    /// Has labelled what waits for it, unless that is being done for others.
    #[inline(never)]
    pub(crate) fn go_on_labelling(&mut self) {
        if !matches!(self.children.take_ended(Errand::Labels), None | Some(Ended::Exit(0))) {
            self.not_labelled(format_args!("restorecon failed, or is not there"));
        }
        if self.unlabelled.is_empty() {
            return;
        }
        match self.children.fork_for(Errand::Labels) {
            Ok(Side::Child) => become_restorecon(&self.unlabelled),
            Ok(Side::Parent(child)) => self.children.begun(Errand::Labels, child, SECONDS, None),
            Err(Errno::BUSY) => return,
            Err(error) => self.not_labelled(format_args!("{error}")),
        }
        self.unlabelled.clear();
    }

    fn not_labelled(&mut self, why: core::fmt::Arguments<'_>) {
        self.log(Level::Warn, format_args!("new files have no label of their own: {why}; run restorecon on them"));
    }
}

/// In the new process.
fn become_restorecon(new: &Unlabelled) -> ! {
    let program = PROGRAMS.into_iter().find(|program| may_run(program)).unwrap_or(PROGRAMS[0]);
    let mut words = heapless::Vec::<&CStr, { 3 + PATHS_MAX }>::new();
    for word in [program].into_iter().chain(OPTIONS).chain(new.paths()) {
        // There is room: it is for as many paths as are taken.
        let _ = words.push(word);
    }
    become_unheard(&words)
}
