//! The first instructions of the process, its arguments and environment, and the end after a bug.
//!
//! The kernel enters `_start` with the stack pointer at `argc`, followed by the arguments' addresses and a null, the
//! environment's and a null (System V ABI, "Process Initialization"; Linux `fs/binfmt_elf.c`, `create_elf_tables`).

use core::arch::naked_asm;
use core::ffi::{CStr, c_char};

use nanova_core::platform::Level;

/// What the kernel hands to a new process.
#[derive(Clone, Copy)]
pub(crate) struct Environment {
    argc: usize,
    argv: *const *const c_char,
}

impl Environment {
    /// The arguments; the first is the name that the program was called by.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &'static [u8]> + use<> {
        self.words().map(CStr::to_bytes)
    }

    /// The same, as another program would be given them.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'static CStr> + use<> {
        let (argc, argv) = (self.argc, self.argv);
        (0..argc).map(move |place| {
            // SAFETY: `argv` holds `argc` addresses of strings that the kernel placed on the stack and terminated; the
            // stack of the first thread lives as long as the process, and nothing writes to that part of it.
            unsafe { CStr::from_ptr(*argv.add(place)) }
        })
    }

    /// The value of an environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&'static [u8]> {
        self.variables().find_map(|variable| variable.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }

    /// The variables, each `name=value`.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &'static CStr> + use<> {
        // SAFETY: behind `argc` addresses and a null comes the environment, ended by a null.
        let mut next = unsafe { self.argv.add(self.argc + 1) };
        core::iter::from_fn(move || {
            // SAFETY: `next` has not passed the null that ends the list, as it only moves from one non-null entry to
            // the next.
            let variable = unsafe { *next };
            if variable.is_null() {
                return None;
            }
            // SAFETY: the entry is not null, so there is another behind it, and it is the address of a terminated
            // string.
            unsafe {
                next = next.add(1);
                Some(CStr::from_ptr(variable))
            }
        })
    }
}

/// The entry point.
///
/// # Safety
/// Called by the kernel only, once, with the stack pointer at `argc`.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    // The stack pointer is a multiple of 16 here, and so it is before the call, as functions expect.
    naked_asm!("xor ebp, ebp", "mov rdi, rsp", "call {enter}", "ud2", enter = sym enter)
}

/// The entry point.
///
/// # Safety
/// Called by the kernel only, once, with the stack pointer at `argc`.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!("mov x29, xzr", "mov x30, xzr", "mov x0, sp", "b {enter}", enter = sym enter)
}

/// # Safety
/// `stack` is the stack pointer that the kernel entered the process with.
unsafe extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: the kernel placed `argc` there, and the arguments behind it.
    let environment = unsafe { Environment { argc: *stack, argv: stack.add(1).cast() } };
    super::stdio::ensure_open();
    super::stdio::keep_others_here();
    super::syscall::exit(crate::main(environment))
}

/// A panic is a bug. The process ends with a status of its own, so that a supervisor starts it again; requests that
/// wait are served then. Where the bug is, a release build says in addresses, which `cargo audit-scope --where` reads:
/// the places and messages of all panics that could be would take 15 KB, and name the directories of the machine that
/// built it.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(debug_assertions)]
    let place = info;
    #[cfg(not(debug_assertions))]
    let (place, _) = (super::trace::Trace::here(), info);
    crate::record::line(Level::Error, format_args!("panic at{place}"));
    crate::output::complain(format_args!("a bug in nanova; please report it, with the log's last lines:{place}"));
    if rustix::process::getpid() == rustix::process::Pid::INIT {
        #[cfg(all(feature = "recorder", feature = "init"))]
        crate::record::leave_behind();
        // Nobody starts a first process again, and the kernel panics when it ends.
        rustix::fs::sync();
        let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
    }
    super::syscall::exit(70)
}

/// Named by core's unwind tables in unoptimised builds; nothing ever unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
