//! Filters of system calls: programs of classic BPF that look at a call's number, and at the first arguments of some.
//! Each also holds for the children to come, and none can be taken back.
//!
//! Values: Linux, `include/uapi/linux/seccomp.h`, `audit.h`.

use rustix::io::Errno;

use super::bpf::{Instruction, Program};
#[cfg(feature = "lockdown")]
use super::bpf::{JUMP_IF_EQUAL, LOAD, RETURN, plain};
use super::syscall::{number, syscall};

/// Has the kernel judge every system call by this program from now on. The process has no_new_privs, or CAP_SYS_ADMIN.
pub(super) fn install(program: &[Instruction], flags: usize) -> Result<(), Errno> {
    const SET_MODE_FILTER: usize = 1;
    let program = Program::of(program);
    let address = core::ptr::from_ref(&program) as usize;
    // SAFETY: seccomp(2) reads the program, whose instructions live until it returns, and copies it.
    unsafe { syscall(number::SECCOMP, [SET_MODE_FILTER, flags, address, 0, 0]) }.map(drop)
}

/// `SECCOMP_RET_KILL_PROCESS`
#[cfg(feature = "lockdown")]
const KILL_PROCESS: u32 = 0x8000_0000;
/// `SECCOMP_RET_ERRNO` with EPERM
#[cfg(feature = "lockdown")]
const FAIL: u32 = 0x0005_0001;

/// What an agent may call that is locked down: made when the binary is built (`agent/build.rs`). Whatever else is
/// called fails with EPERM.
#[cfg(feature = "lockdown")]
const LOCKED_DOWN: &[Instruction] = &include!(concat!(env!("OUT_DIR"), "/lockdown.rs"));

/// Where `struct seccomp_data` has the call's number, and the lower halves of the first arguments; `SECCOMP_RET_ALLOW`.
#[cfg(feature = "lockdown")]
const NUMBER_AT: u32 = 0;
#[cfg(feature = "lockdown")]
const DOMAIN_AT: u32 = 16;
#[cfg(feature = "lockdown")]
const TYPE_AT: u32 = 24;
#[cfg(feature = "lockdown")]
const ALLOW: u32 = 0x7fff_0000;

/// From now on this process has no unix sockets but for datagrams, as for syslog: who takes connections, as root's
/// other services do, is out of its reach. What is not this machine's kind of call [`lock_down`] forbids.
#[cfg(feature = "lockdown")]
pub(crate) fn datagrams_alone(kill: bool) -> Result<(), Errno> {
    // `BPF_ALU | BPF_AND | BPF_K`; a type without its flags (`SOCK_TYPE_MASK`).
    const AND: u16 = 0x54;
    const TYPE: u32 = 0xf;
    const AF_UNIX: u32 = 1;
    const SOCK_DGRAM: u32 = 2;
    let unless = |value, if_false| Instruction { code: JUMP_IF_EQUAL, if_true: 0, if_false, value };
    install_logged(&[
        plain(LOAD, NUMBER_AT),
        unless(number::SOCKET as u32, 6),
        plain(LOAD, DOMAIN_AT),
        unless(AF_UNIX, 4),
        plain(LOAD, TYPE_AT),
        plain(AND, TYPE),
        Instruction { code: JUMP_IF_EQUAL, if_true: 1, if_false: 0, value: SOCK_DGRAM },
        plain(RETURN, if kill { KILL_PROCESS } else { FAIL }),
        plain(RETURN, ALLOW),
    ])
}

/// From now on this process makes the system calls of an agent that is locked down and no other: whatever else it tries
/// kills it, or fails and is a line of the kernel's audit, if the kernel can write one (since 4.14).
#[cfg(feature = "lockdown")]
pub(crate) fn lock_down(kill: bool) -> Result<(), Errno> {
    let mut program = [plain(RETURN, KILL_PROCESS); LOCKED_DOWN.len()];
    for (to, from) in program.iter_mut().zip(LOCKED_DOWN) {
        let fails = from.code == RETURN && from.value == FAIL;
        *to = if kill && fails { plain(RETURN, KILL_PROCESS) } else { *from };
    }
    install_logged(&program)
}

/// Has what is forbidden be a line of the kernel's audit, if it can write one.
#[cfg(feature = "lockdown")]
fn install_logged(program: &[Instruction]) -> Result<(), Errno> {
    const LOG: usize = 2;
    match install(program, LOG) {
        Err(Errno::INVAL) => install(program, 0),
        installed => installed,
    }
}
