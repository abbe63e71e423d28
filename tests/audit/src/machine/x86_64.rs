//! Instructions of x86_64, by iced-x86.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register as R,
};

use super::{Convention, Flow, Instruction, Place, Register, Value};

/// rax; rbx, rbp and r12 to r15 (System V ABI, "Register Usage"); the return address.
pub(super) const CONVENTION: Convention = Convention { number: 0, kept: &[3, 5, 12, 13, 14, 15], pushed: 8 };

/// The stack pointer.
const RSP: Register = 4;

/// The instructions of a function.
pub(crate) fn decode(code: &[u8], address: u64) -> Vec<Instruction> {
    let mut infos = InstructionInfoFactory::new();
    Decoder::with_ip(64, code, address, DecoderOptions::NONE).iter().map(|one| instruction(&mut infos, &one)).collect()
}

fn register(register: R) -> Option<Register> {
    let full = register.full_register();
    (full.is_gpr64()).then(|| full.number() as Register)
}

fn instruction(infos: &mut InstructionInfoFactory, one: &iced_x86::Instruction) -> Instruction {
    let mut found = Instruction::new(one.ip(), one.len() as u64);
    found.flow = flow(one);
    found.is_system_call = matches!(one.mnemonic(), Mnemonic::Syscall | Mnemonic::Sysenter | Mnemonic::Int);
    found.is_idle = matches!(one.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
    found.stack = stack(one);
    found.names = names(one);
    let is_entry = one.mnemonic() == Mnemonic::Movsxd && one.memory_index_scale() == 4;
    found.reads_table = register(one.memory_base()).filter(|_| is_entry).map(|table| (4, table));
    // The kernel's answer is no number of a call; what it overwrites besides is listed by iced.
    for used in infos.info(one).used_registers() {
        let written = matches!(
            used.access(),
            OpAccess::Write | OpAccess::ReadWrite | OpAccess::CondWrite | OpAccess::ReadCondWrite
        );
        let Some(number) = register(used.register()).filter(|number| written && *number != RSP) else { continue };
        let place = Place::Register(number);
        if !found.writes.iter().any(|(known, _)| *known == place) {
            found.writes.push((place, value(one, number)));
        }
    }
    if let Some(stored) = stored(one) {
        found.writes.push(stored);
    }
    found
}

/// How far the stack pointer moves up.
fn stack(one: &iced_x86::Instruction) -> Option<i64> {
    if one.op_count() == 0 || one.op0_kind() != OpKind::Register || one.op0_register() != R::RSP {
        // A call's return address is gone again when it returns.
        let calls = matches!(one.flow_control(), FlowControl::Call | FlowControl::IndirectCall);
        return Some(if calls { 0 } else { i64::from(one.stack_pointer_increment()) });
    }
    match one.mnemonic() {
        Mnemonic::Add if is_immediate(one.op1_kind()) => Some(one.immediate(1).cast_signed()),
        Mnemonic::Sub if is_immediate(one.op1_kind()) => Some(-one.immediate(1).cast_signed()),
        Mnemonic::Lea if one.memory_base() == R::RSP && one.memory_index() == R::None => {
            Some(one.memory_displacement64().cast_signed())
        }
        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Push => Some(i64::from(one.stack_pointer_increment())),
        _ => None,
    }
}

fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate64
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate32to64
    )
}

fn flow(one: &iced_x86::Instruction) -> Flow {
    match one.flow_control() {
        FlowControl::UnconditionalBranch => Flow::Jump(one.near_branch_target()),
        FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => Flow::Branch(one.near_branch_target()),
        FlowControl::Call if one.mnemonic() != Mnemonic::Syscall => Flow::Call(one.near_branch_target()),
        FlowControl::IndirectCall if one.is_ip_rel_memory_operand() => Flow::CallThrough(one.memory_displacement64()),
        FlowControl::IndirectCall => Flow::CallAnywhere,
        FlowControl::IndirectBranch if one.is_ip_rel_memory_operand() => Flow::JumpThrough(one.memory_displacement64()),
        FlowControl::IndirectBranch if one.op0_kind() == OpKind::Memory && one.memory_base() == R::None => {
            Flow::Table(one.memory_displacement64())
        }
        FlowControl::IndirectBranch => Flow::JumpAnywhere,
        FlowControl::Return => Flow::Return,
        FlowControl::Interrupt | FlowControl::Exception => Flow::Stop,
        _ => Flow::Next,
    }
}

/// A constant address that an instruction holds.
fn names(one: &iced_x86::Instruction) -> Option<u64> {
    if one.op_count() == 2 && is_immediate(one.op1_kind()) {
        return Some(one.immediate(1));
    }
    if one.op_count() == 1 && is_immediate(one.op0_kind()) {
        return Some(one.immediate(0));
    }
    let has_memory = (0..one.op_count()).any(|operand| one.op_kind(operand) == OpKind::Memory);
    let fixed = has_memory && (one.is_ip_rel_memory_operand() || one.memory_displ_size() >= 4);
    fixed.then(|| one.memory_displacement64())
}

/// What this instruction writes to the register.
fn value(one: &iced_x86::Instruction, number: Register) -> Value {
    let first = register(one.op0_register());
    if first != Some(number) || one.op0_kind() != OpKind::Register {
        return Value::Unknown;
    }
    // Numbers of system calls fill 32 bits; a write to fewer leaves something.
    if one.op0_register().size() < 4 {
        return Value::Unknown;
    }
    let second = || register(one.op1_register()).filter(|_| one.op1_kind() == OpKind::Register).map(Place::Register);
    match one.mnemonic() {
        Mnemonic::Mov if is_immediate(one.op1_kind()) => Value::Constant(one.immediate(1)),
        Mnemonic::Mov => match second() {
            Some(Place::Register(RSP)) => Value::Unknown,
            Some(place) => Value::Same(place),
            None => loaded(one).map_or(Value::Unknown, Value::Same),
        },
        Mnemonic::Xor if one.op0_register() == one.op1_register() => Value::Constant(0),
        Mnemonic::Pop => Value::Same(Place::Stack(0)),
        Mnemonic::Inc => Value::Plus(Place::Register(number), 1),
        Mnemonic::Dec => Value::Plus(Place::Register(number), u64::MAX),
        Mnemonic::Add if is_immediate(one.op1_kind()) => Value::Plus(Place::Register(number), one.immediate(1)),
        Mnemonic::Lea if one.memory_index() == R::None => match register(one.memory_base()) {
            Some(RSP) | None => Value::Unknown,
            Some(base) => Value::Plus(Place::Register(base), one.memory_displacement64()),
        },
        mnemonic if format!("{mnemonic:?}").starts_with("Cmov") => {
            second().map_or(Value::Unknown, |other| Value::Either(Place::Register(number), other))
        }
        _ => Value::Unknown,
    }
}

/// The word of the stack that an instruction reads.
fn loaded(one: &iced_x86::Instruction) -> Option<Place> {
    let on_stack = one.op1_kind() == OpKind::Memory && one.memory_base() == R::RSP && one.memory_index() == R::None;
    on_stack.then(|| Place::Stack(one.memory_displacement64().cast_signed()))
}

/// What an instruction writes to the stack. A push moves the pointer first.
fn stored(one: &iced_x86::Instruction) -> Option<(Place, Value)> {
    let of = |operand: u32| match one.op_kind(operand) {
        OpKind::Register if one.op_register(operand).size() >= 4 => {
            register(one.op_register(operand)).map_or(Value::Unknown, |number| Value::Same(Place::Register(number)))
        }
        kind if is_immediate(kind) => Value::Constant(one.immediate(operand)),
        _ => Value::Unknown,
    };
    if one.mnemonic() == Mnemonic::Push {
        return Some((Place::Stack(-8), of(0)));
    }
    let to_stack = one.op_count() > 0
        && one.op0_kind() == OpKind::Memory
        && one.memory_base() == R::RSP
        && one.memory_index() == R::None;
    let writes = !matches!(one.mnemonic(), Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Call | Mnemonic::Jmp);
    (to_stack && writes).then(|| {
        let value = if one.mnemonic() == Mnemonic::Mov { of(1) } else { Value::Unknown };
        (Place::Stack(one.memory_displacement64().cast_signed()), value)
    })
}
