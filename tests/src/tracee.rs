//! A running process that is made to try system calls, as somebody would who has taken it over.
//!
//! Nothing of this is in the agent: the release binary is stopped by ptrace(2) where it waits, the registers are those
//! of the call to try, one instruction is executed, and everything is as it was.

use anyhow::{Context, Result, ensure};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// The bytes of the instruction.
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// How far below the stack's end texts are put: beyond what a function may use without saying so.
const BELOW_STACK: u64 = 4096;

/// A process that is stopped, until this is dropped.
#[derive(Debug)]
pub struct Tracee {
    process: Pid,
    as_it_was: nix::libc::user_regs_struct,
    text: u64,
    is_there: bool,
}

impl Tracee {
    /// Stops it where it waits in a system call. It is a child of this thread's process, or this is root's.
    pub fn stop(process: u32) -> Result<Tracee> {
        let process = Pid::from_raw(process.cast_signed());
        ptrace::attach(process)?;
        waitpid(process, None)?;
        let as_it_was = ptrace::getregs(process)?;
        let word = ptrace::read(process, (as_it_was.rip - 2) as ptrace::AddressType)?.to_ne_bytes();
        ensure!(word[..2] == SYSCALL, "it does not wait in a system call");
        Ok(Tracee { process, as_it_was, text: as_it_was.rsp - BELOW_STACK, is_there: true })
    }

    /// Puts a text into its memory; returns where.
    pub fn put(&mut self, text: &str) -> Result<u64> {
        let mut bytes = [text.as_bytes(), &[0]].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        self.text -= bytes.len() as u64;
        for (place, word) in bytes.chunks_exact(8).enumerate() {
            let address = self.text + 8 * place as u64;
            ptrace::write(self.process, address as ptrace::AddressType, i64::from_ne_bytes(word.try_into()?))?;
        }
        Ok(self.text)
    }

    /// Makes it try a call with these arguments: what the kernel returns, or nothing if that was its end, by SIGSYS.
    pub fn call(&mut self, number: i64, arguments: &[u64]) -> Result<Option<i64>> {
        let argument = |place| arguments.get(place).copied().unwrap_or_default();
        let mut registers = self.as_it_was;
        registers.rip -= 2;
        registers.rax = number.cast_unsigned();
        // No call that was interrupted is to be begun again instead.
        registers.orig_rax = u64::MAX;
        (registers.rdi, registers.rsi, registers.rdx) = (argument(0), argument(1), argument(2));
        (registers.r10, registers.r8, registers.r9) = (argument(3), argument(4), argument(5));
        ptrace::setregs(self.process, registers)?;
        ptrace::step(self.process, None)?;
        match waitpid(self.process, None)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => Ok(Some(ptrace::getregs(self.process)?.rax.cast_signed())),
            WaitStatus::Signaled(_, Signal::SIGSYS, _) => {
                self.is_there = false;
                Ok(None)
            }
            other => Err(anyhow::anyhow!("{other:?}")).context("it is stopped after the call, or ended by it"),
        }
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if self.is_there {
            let _ = ptrace::setregs(self.process, self.as_it_was);
            let _ = ptrace::detach(self.process, None);
        }
    }
}
