//! What an instruction does to what is followed: registers, and the stack's words. One meaning for both architectures.
//!
//! Guarantees: what is not understood is [`Value::Unknown`], never left out.

mod aarch64;
mod x86_64;

pub(crate) use aarch64::decode as decode_aarch64;
pub(crate) use x86_64::decode as decode_x86_64;

/// A register by its number; the halves of one are one.
pub(crate) type Register = u8;

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// In a register.
    Register(Register),
    /// On the stack, so many bytes above what the stack pointer is before an instruction.
    Stack(i64),
}

/// What is written to a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Constant(u64),
    /// What was in this place before.
    Same(Place),
    /// What was in there, and this added.
    Plus(Place, u64),
    /// One of two.
    Either(Place, Place),
    /// Of which this decoder knows nothing.
    Unknown,
}

/// Where the processor goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flow {
    Next,
    Jump(u64),
    /// There, or to the next instruction.
    Branch(u64),
    /// To an address out of a table that lies here, with eight bytes for each.
    Table(u64),
    /// To the address that lies here, in memory that nobody writes.
    JumpThrough(u64),
    /// The same, and back.
    CallThrough(u64),
    /// To an address in a register: out of a table that was read before, or another function at this one's end.
    JumpAnywhere,
    Call(u64),
    CallAnywhere,
    Return,
    /// Nowhere.
    Stop,
}

/// One instruction.
#[derive(Clone, Debug)]
pub(crate) struct Instruction {
    pub(crate) address: u64,
    pub(crate) length: u64,
    pub(crate) flow: Flow,
    pub(crate) writes: Vec<(Place, Value)>,
    /// How far the stack pointer moves up, if that can be told; what is below it is lost.
    pub(crate) stack: Option<i64>,
    /// Whether it enters the kernel.
    pub(crate) is_system_call: bool,
    /// Fills a gap.
    pub(crate) is_idle: bool,
    /// An address that it names as a constant: a function's or a table's.
    pub(crate) names: Option<u64>,
    /// Reads an entry of a table of distances: how many bytes each has, and where the table's address is.
    pub(crate) reads_table: Option<(u8, Register)>,
}

impl Instruction {
    fn new(address: u64, length: u64) -> Instruction {
        Instruction {
            address,
            length,
            flow: Flow::Next,
            writes: Vec::new(),
            stack: Some(0),
            is_system_call: false,
            is_idle: false,
            names: None,
            reads_table: None,
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.address + self.length
    }
}

/// What is of an architecture.
#[derive(Debug)]
pub(crate) struct Convention {
    /// The register with a system call's number.
    pub(crate) number: Register,
    /// Registers that a function leaves as they were.
    pub(crate) kept: &'static [Register],
    /// What a call puts on the stack.
    pub(crate) pushed: i64,
}

pub(crate) const X86_64: Convention = x86_64::CONVENTION;
pub(crate) const AARCH64: Convention = aarch64::CONVENTION;
