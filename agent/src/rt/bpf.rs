//! Programs of classic BPF, which the kernel runs over system calls and packets. Layout and values: Linux,
//! `include/uapi/linux/filter.h`, `bpf_common.h`.

use core::marker::PhantomData;

/// One instruction (`struct sock_filter`).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) if_true: u8,
    pub(super) if_false: u8,
    pub(super) value: u32,
}

/// `struct sock_fprog`
#[repr(C)]
pub(super) struct Program<'a> {
    len: u16,
    instructions: *const Instruction,
    lives: PhantomData<&'a [Instruction]>,
}

impl Program<'_> {
    pub(super) fn of(instructions: &[Instruction]) -> Program<'_> {
        Program { len: instructions.len() as u16, instructions: instructions.as_ptr(), lives: PhantomData }
    }
}

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`
pub(super) const LOAD: u16 = 0x20;
pub(super) const JUMP_IF_EQUAL: u16 = 0x15;
pub(super) const RETURN: u16 = 0x06;

/// One that does not jump.
pub(super) const fn plain(code: u16, value: u32) -> Instruction {
    Instruction { code, if_true: 0, if_false: 0, value }
}
