//! Instructions of aarch64, by yaxpeax-arm.

use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::{InstDecoder, Instruction as Decoded, Opcode, Operand, ShiftStyle};

use super::{Convention, Flow, Instruction, Place, Register, Value};

/// x8; x19 to x29 (AAPCS64, "General-purpose registers"); the return address is in a register.
pub(super) const CONVENTION: Convention =
    Convention { number: 8, kept: &[19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29], pushed: 0 };

/// As the stack pointer, or as zero.
const SP: u16 = 31;
/// Where a call leaves its return address.
const LR: Register = 30;

/// The instructions of a function.
pub(crate) fn decode(code: &[u8], address: u64) -> Vec<Instruction> {
    let decoder = InstDecoder::default();
    let (words, mut found) = (code.chunks_exact(4), Vec::<Instruction>::new());
    for (place, word) in words.enumerate() {
        let address = address + 4 * place as u64;
        let one = match decoder.decode(&mut U8Reader::new(word)) {
            Ok(decoded) => instruction(&decoded, address, found.last()),
            // Nothing that a compiler makes of this program but what it puts where nobody comes.
            Err(_) => Instruction { flow: Flow::Stop, ..Instruction::new(address, 4) },
        };
        found.push(one);
    }
    found
}

fn instruction(one: &Decoded, address: u64, last: Option<&Instruction>) -> Instruction {
    let mut found = Instruction::new(address, 4);
    found.flow = flow(one, address);
    found.is_system_call = matches!(one.opcode, Opcode::SVC);
    found.is_idle = matches!(one.opcode, Opcode::HINT);
    found.stack = stack(one);
    found.names = names(one, address, last);
    found.reads_table = match (one.opcode, one.operands[1]) {
        (Opcode::LDRB, Operand::RegRegOffset(table, ..)) => Some((1, table as Register)),
        (Opcode::LDRH, Operand::RegRegOffset(table, ..)) => Some((2, table as Register)),
        (Opcode::LDRSW, Operand::RegRegOffset(table, ..)) => Some((4, table as Register)),
        _ => None,
    };
    found.writes = writes(one);
    found
}

fn flow(one: &Decoded, address: u64) -> Flow {
    let target = one.operands.iter().find_map(|operand| match operand {
        Operand::PCOffset(offset) => Some(address.wrapping_add_signed(*offset)),
        _ => None,
    });
    match (one.opcode, target) {
        (Opcode::B, Some(to)) => Flow::Jump(to),
        (Opcode::BL, Some(to)) => Flow::Call(to),
        (Opcode::Bcc(_) | Opcode::CBZ | Opcode::CBNZ | Opcode::TBZ | Opcode::TBNZ, Some(to)) => Flow::Branch(to),
        (Opcode::BR, _) => Flow::JumpAnywhere,
        (Opcode::BLR, _) => Flow::CallAnywhere,
        (Opcode::RET, _) => Flow::Return,
        (Opcode::UDF | Opcode::BRK | Opcode::HLT, _) => Flow::Stop,
        _ => Flow::Next,
    }
}

fn general(operand: Operand) -> Option<u16> {
    match operand {
        Operand::Register(_, number) if number != SP => Some(number),
        Operand::RegisterOrSP(_, number) if number != SP => Some(number),
        _ => None,
    }
}

fn is_sp(operand: Operand) -> bool {
    matches!(operand, Operand::RegisterOrSP(_, SP))
}

fn immediate(operand: Operand) -> Option<u64> {
    match operand {
        Operand::Immediate(number) => Some(u64::from(number)),
        Operand::Imm64(number) => Some(number),
        Operand::Imm16(number) => Some(u64::from(number)),
        Operand::ImmShift(number, shift) => Some(u64::from(number) << shift),
        _ => None,
    }
}

/// How far the stack pointer moves up.
fn stack(one: &Decoded) -> Option<i64> {
    for operand in one.operands {
        match operand {
            Operand::RegPreIndex(SP, by, true) | Operand::RegPostIndex(SP, by) => return Some(i64::from(by)),
            _ => {}
        }
    }
    if !is_sp(one.operands[0]) || stores(one.opcode) {
        return Some(0);
    }
    let by = immediate(one.operands[2]).filter(|_| is_sp(one.operands[1]))?.cast_signed();
    match one.opcode {
        Opcode::ADD => Some(by),
        Opcode::SUB => Some(-by),
        _ => None,
    }
}

/// A constant address: of a page and what is added to it in the next instruction, or near this one.
fn names(one: &Decoded, address: u64, last: Option<&Instruction>) -> Option<u64> {
    match (one.opcode, one.operands) {
        (Opcode::ADR, [_, Operand::PCOffset(offset), ..]) => Some(address.wrapping_add_signed(offset)),
        (Opcode::ADRP, [_, Operand::PCOffset(offset), ..]) => Some((address & !0xfff).wrapping_add_signed(offset)),
        (Opcode::ADD, [_, second, third, _]) => {
            let register = Place::Register(general(second)? as Register);
            let last = last.filter(|last| last.writes.first().is_some_and(|(place, _)| *place == register))?;
            Some(last.names?.wrapping_add(immediate(third)?))
        }
        (Opcode::MOVZ, [_, second, ..]) => immediate(second),
        _ => None,
    }
}

fn stores(opcode: Opcode) -> bool {
    let name = format!("{opcode:?}");
    // The exclusive stores write whether they could.
    name.starts_with("ST") && !name.starts_with("STX") && !name.starts_with("STLX")
}

fn writes_nothing(opcode: Opcode) -> bool {
    use Opcode as O;
    let branches =
        matches!(opcode, O::B | O::BR | O::BL | O::BLR | O::RET | O::Bcc(_) | O::CBZ | O::CBNZ | O::TBZ | O::TBNZ);
    branches || matches!(opcode, O::SVC | O::BRK | O::UDF | O::HINT | O::CCMP | O::CCMN | O::PRFM | O::MSR)
}

fn writes(one: &Decoded) -> Vec<(Place, Value)> {
    let mut found = Vec::new();
    let is_pair = matches!(one.opcode, Opcode::LDP | Opcode::STP | Opcode::LDPSW);
    let address = one.operands[if is_pair { 2 } else { 1 }];
    let on_stack = |more: i64| match address {
        // Stored at the new place of the pointer, or at the old one.
        Operand::RegPreIndex(SP, by, _) => Some(Place::Stack(i64::from(by) + more)),
        Operand::RegPostIndex(SP, _) => Some(Place::Stack(more)),
        _ => None,
    };
    if stores(one.opcode) {
        for (place, operand) in one.operands.iter().take(1 + usize::from(is_pair)).enumerate() {
            let plain = matches!(one.opcode, Opcode::STR | Opcode::STP | Opcode::STUR);
            let size =
                if matches!(operand, Operand::Register(yaxpeax_arm::armv8::a64::SizeCode::W, _)) { 4 } else { 8 };
            let value = match (plain, operand) {
                (true, Operand::Register(_, SP)) => Value::Constant(0),
                (true, operand) => general(*operand).map_or(Value::Unknown, |number| Value::Same(register(number))),
                _ => Value::Unknown,
            };
            found.extend(on_stack(size * place as i64).map(|place| (place, value)));
        }
    } else if !writes_nothing(one.opcode) {
        for (place, operand) in one.operands.iter().take(1 + usize::from(is_pair)).enumerate() {
            let Some(number) = general(*operand) else { continue };
            let loads = matches!(one.opcode, Opcode::LDR | Opcode::LDP | Opcode::LDUR);
            let size =
                if matches!(operand, Operand::Register(yaxpeax_arm::armv8::a64::SizeCode::W, _)) { 4 } else { 8 };
            let loaded = on_stack(size * place as i64).filter(|_| loads).map(Value::Same);
            found.push((register(number), loaded.unwrap_or_else(|| value(one))));
        }
    }
    // An address that moves on.
    for operand in one.operands {
        match operand {
            Operand::RegPreIndex(number, _, true)
            | Operand::RegPostIndex(number, _)
            | Operand::RegPostIndexReg(number, _)
                if number != SP =>
            {
                found.push((register(number), Value::Unknown));
            }
            _ => {}
        }
    }
    if matches!(one.opcode, Opcode::BL | Opcode::BLR) {
        found.push((Place::Register(LR), Value::Unknown));
    }
    found
}

fn register(number: u16) -> Place {
    Place::Register(number as Register)
}

/// What this instruction writes to the register.
fn value(one: &Decoded) -> Value {
    use Opcode as O;
    let [_, second, third, _] = one.operands;
    let wide = matches!(one.operands[0], Operand::Register(yaxpeax_arm::armv8::a64::SizeCode::X, _));
    match one.opcode {
        O::MOVZ => immediate(second).map_or(Value::Unknown, Value::Constant),
        O::MOVN => immediate(second)
            .map_or(Value::Unknown, |bits| Value::Constant(if wide { !bits } else { u64::from(!(bits as u32)) })),
        // The upper bits of a number of a system call are none.
        O::MOVK => Value::Unknown,
        // A move is an `orr` with zero.
        O::ORR if matches!(second, Operand::Register(_, SP)) => match third {
            Operand::RegShift(ShiftStyle::LSL, 0, _, source) if source != SP => Value::Same(register(source)),
            Operand::RegShift(ShiftStyle::LSL, 0, _, _) => Value::Constant(0),
            other => match general(other) {
                Some(source) => Value::Same(register(source)),
                None => immediate(other).map_or(Value::Unknown, Value::Constant),
            },
        },
        O::ADD | O::SUB => match (general(second), immediate(third)) {
            (Some(source), Some(more)) => {
                Value::Plus(register(source), if one.opcode == O::ADD { more } else { more.wrapping_neg() })
            }
            _ => Value::Unknown,
        },
        O::CSEL => match (general(second), general(third)) {
            (Some(first), Some(second)) => Value::Either(register(first), register(second)),
            _ => Value::Unknown,
        },
        _ => Value::Unknown,
    }
}
