//! Going to the background, as nova-agent's old service files expect it.

use nanova_core::wire::text::Bounded;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::output::write_all;
use crate::paths::{nowhere, open};
use crate::pid::pid_number;
use crate::rt::process::{Side, fork};

/// Leaves the terminal; standard error, too, unless log lines go there. Returns in the new process; in the old one it
/// is `false`: exit.
pub(crate) fn detach(log_to_stderr: bool) -> Result<bool, Errno> {
    if let Side::Parent(_) = fork()? {
        return Ok(false);
    }
    rustix::process::setsid()?;
    let null = nowhere()?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    if !log_to_stderr {
        rustix::stdio::dup2_stderr(&null)?;
    }
    Ok(true)
}

/// Leaves this process's id in a file.
pub(crate) fn write_pidfile(path: &str) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW, 0o644)?;
    let id = Bounded::<16>::of(format_args!("{}\n", pid_number(rustix::process::getpid())));
    write_all(file, id.as_str().as_bytes())
}
