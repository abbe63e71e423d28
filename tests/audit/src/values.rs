//! What can be in a register when an instruction is reached: a search backwards over the paths that lead there, through
//! functions that were called on the way, and on to the callers where a function is given the value.
//!
//! Guarantees: every path is followed to a constant, or the search says where it could not. That a function leaves
//! certain registers, and its callers' part of the stack, as they were is taken from the calling convention; not so of
//! what the compiler's outliner made, which is looked through.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::machine::{Flow, Instruction, Place, Value};
use crate::program::{Function, Program};

/// How often a search may start another one.
const DEPTH_MAX: usize = 40;

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// With the instructions that put them there.
    pub(crate) constants: BTreeMap<u64, BTreeSet<u64>>,
    /// Where something else was put there.
    pub(crate) unknown: BTreeSet<u64>,
    /// Places that were reached at a function's beginning.
    at_start: BTreeSet<Place>,
}

impl Found {
    fn from_start(place: Place) -> Found {
        Found { at_start: BTreeSet::from([place]), ..Found::default() }
    }

    fn not_known(at: u64) -> Found {
        Found { unknown: BTreeSet::from([at]), ..Found::default() }
    }

    fn take(&mut self, other: Found) {
        for (constant, from) in other.constants {
            self.constants.entry(constant).or_default().extend(from);
        }
        self.unknown.extend(other.unknown);
        self.at_start.extend(other.at_start);
    }
}

/// One search under way.
#[derive(Debug)]
struct Walk {
    /// The function that it ends at the beginning of; otherwise it goes on to callers.
    within: Option<u64>,
    depth: usize,
    found: Found,
    waiting: Vec<(u64, Place)>,
}

impl Walk {
    fn constant(&mut self, constant: u64, from: u64) {
        self.found.constants.entry(constant).or_default().insert(from);
    }

    fn cannot_tell(&mut self, at: u64) {
        self.found.unknown.insert(at);
    }
}

/// Searches in one program.
#[derive(Debug)]
pub(crate) struct Search<'p> {
    program: &'p Program,
    /// What functions have left in a place.
    left: RefCell<BTreeMap<(u64, Place), Found>>,
}

impl<'p> Search<'p> {
    pub(crate) fn new(program: &'p Program) -> Search<'p> {
        Search { program, left: RefCell::default() }
    }

    /// What can be in this register when the instruction is reached.
    pub(crate) fn register(&self, at: u64, register: u8) -> Found {
        self.before(at, Place::Register(register), None, 0)
    }

    /// What can be in a place before an instruction.
    fn before(&self, at: u64, place: Place, within: Option<u64>, depth: usize) -> Found {
        let mut walk = Walk { within, depth, found: Found::default(), waiting: vec![(at, place)] };
        if depth > DEPTH_MAX {
            walk.cannot_tell(at);
            return walk.found;
        }
        let mut seen = BTreeSet::new();
        while let Some((at, place)) = walk.waiting.pop() {
            if seen.insert((at, place)) {
                self.step(at, place, &mut walk);
            }
        }
        walk.found
    }

    /// Back to all that can come before.
    fn step(&self, at: u64, place: Place, walk: &mut Walk) {
        let before = self.program.before.get(&at).map(Vec::as_slice).unwrap_or_default();
        let is_start = self.program.functions.contains_key(&at);
        if is_start && walk.within == Some(at) {
            walk.found.at_start.insert(place);
        } else if is_start && walk.within.is_none() {
            self.callers(at, place, walk);
        } else if before.is_empty() {
            // Reached in a way that is not known.
            walk.cannot_tell(at);
        }
        for one in before.iter().filter_map(|at| self.program.instructions.get(at)) {
            self.through(one, place, walk);
        }
    }

    /// On to where a function is called, if all such places are known.
    fn callers(&self, start: u64, place: Place, walk: &mut Walk) {
        let callers = self.program.callers.get(&start);
        if self.program.passed_on.contains(&start) || start == self.program.entry || callers.is_none() {
            walk.cannot_tell(start);
        }
        for caller in callers.into_iter().flatten() {
            let is_call = self.program.instructions.get(caller).is_some_and(|one| matches!(one.flow, Flow::Call(_)));
            walk.waiting.push((*caller, if is_call { self.before_call(place) } else { place }));
        }
    }

    /// A place as a called function sees it, and as its caller does.
    fn in_call(&self, place: Place) -> Place {
        raised(place, self.program.convention.pushed)
    }

    fn before_call(&self, place: Place) -> Place {
        raised(place, -self.program.convention.pushed)
    }

    /// What the place has behind this instruction, by what it had before.
    fn through(&self, one: &Instruction, place: Place, walk: &mut Walk) {
        match one.flow {
            Flow::Call(to) => return self.through_call(one, to, place, walk),
            Flow::CallAnywhere | Flow::CallThrough(_) if self.is_kept(place) => {
                return walk.waiting.push((one.address, place));
            }
            Flow::CallAnywhere | Flow::CallThrough(_) => return walk.cannot_tell(one.address),
            _ => {}
        }
        // In terms of the stack pointer that was.
        let place = match (place, one.stack) {
            (Place::Stack(_), None) => return walk.cannot_tell(one.address),
            (place, moved) => raised(place, moved.unwrap_or_default()),
        };
        match one.writes.iter().find(|(written, _)| overlap(*written, place)) {
            Some((written, _)) if *written != place => walk.cannot_tell(one.address),
            Some((_, value)) => self.value(one, *value, walk),
            // Nobody has written there.
            None if matches!(place, Place::Stack(above) if above < 0) => walk.cannot_tell(one.address),
            None => walk.waiting.push((one.address, place)),
        }
    }

    fn value(&self, one: &Instruction, value: Value, walk: &mut Walk) {
        match value {
            Value::Constant(constant) => walk.constant(constant, one.address),
            Value::Same(place) => walk.waiting.push((one.address, place)),
            Value::Either(first, second) => walk.waiting.extend([(one.address, first), (one.address, second)]),
            Value::Plus(place, more) => {
                let of = self.before(one.address, place, walk.within, walk.depth + 1);
                of.constants.keys().for_each(|constant| walk.constant(constant.wrapping_add(more), one.address));
                walk.found.unknown.extend(of.unknown);
                // What a function makes of what it is given is not followed.
                walk.found.unknown.extend(of.at_start.iter().map(|_| one.address));
            }
            Value::Unknown => walk.cannot_tell(one.address),
        }
    }

    /// Whether a call leaves it as it was.
    fn is_kept(&self, place: Place) -> bool {
        match place {
            Place::Register(register) => self.program.convention.kept.contains(&register),
            Place::Stack(above) => above >= 0,
        }
    }

    fn through_call(&self, one: &Instruction, to: u64, place: Place, walk: &mut Walk) {
        let Some(function) = self.program.functions.get(&to) else { return walk.cannot_tell(one.address) };
        if self.is_kept(place) && !is_outlined(function) {
            return walk.waiting.push((one.address, place));
        }
        let mut left = self.left_by(function, self.in_call(place), walk.depth + 1);
        let at_start = std::mem::take(&mut left.at_start);
        walk.waiting.extend(at_start.into_iter().map(|place| (one.address, self.before_call(place))));
        walk.found.take(left);
    }

    /// What a function leaves in a place: a constant, or what was in some place when it began.
    fn left_by(&self, function: &Function, place: Place, depth: usize) -> Found {
        if let Some(known) = self.left.borrow().get(&(function.start, place)) {
            return known.clone();
        }
        let mut found = Found::default();
        if depth > DEPTH_MAX {
            found.unknown.insert(function.start);
            return found;
        }
        for one in self.program.body(function) {
            // Behind the instruction, what is left; before it, where that is from.
            let mut left = match one.flow {
                // It takes what the call has put on the stack, which is above the place all the while.
                Flow::Return => Found::from_start(place),
                Flow::JumpAnywhere if self.program.goes_on(one) => continue,
                Flow::JumpAnywhere if self.is_kept(place) => Found::from_start(place),
                Flow::JumpAnywhere => Found::not_known(one.address),
                Flow::Jump(to) | Flow::Branch(to) if self.program.leaves(one, to) => {
                    self.program.functions.get(&to).map_or_else(Found::default, |to| self.left_by(to, place, depth + 1))
                }
                _ => continue,
            };
            for place in std::mem::take(&mut left.at_start) {
                found.take(self.before(one.address, place, Some(function.start), depth + 1));
            }
            found.take(left);
        }
        self.left.borrow_mut().insert((function.start, place), found.clone());
        found
    }
}

fn raised(place: Place, by: i64) -> Place {
    match place {
        Place::Stack(above) => Place::Stack(above + by),
        register => register,
    }
}

/// What the compiler's outliner made keeps to no convention.
fn is_outlined(function: &Function) -> bool {
    function.name.starts_with("OUTLINED_FUNCTION_")
}

/// Whether a write to one changes the other.
fn overlap(written: Place, place: Place) -> bool {
    match (written, place) {
        (Place::Stack(written), Place::Stack(place)) => (written - place).abs() < 8,
        (written, place) => written == place,
    }
}

#[cfg(test)]
mod tests {
    use object::Architecture;

    use super::*;

    /// What the system calls of a program can be; `None` where that cannot be told.
    fn numbers(architecture: Architecture, code: &[(&str, &[u8])]) -> Vec<Option<Vec<u64>>> {
        let program = Program::assembled(architecture, code);
        let search = Search::new(&program);
        let calls = program.instructions.values().filter(|one| one.is_system_call);
        let found = calls.map(|one| search.register(one.address, program.convention.number));
        found.map(|found| found.unknown.is_empty().then(|| found.constants.into_keys().collect())).collect()
    }

    fn on_x86_64(code: &[(&str, &[u8])]) -> Vec<Option<Vec<u64>>> {
        numbers(Architecture::X86_64, code)
    }

    /// `syscall; ret`, and a function that ends the program.
    const SYSCALL: [u8; 3] = [0x0f, 0x05, 0xc3];

    #[test]
    fn a_constant_is_found_in_a_register_and_on_the_stack() {
        // push 39; pop rax
        assert_eq!(on_x86_64(&[("_start", &[&[0x6a, 39, 0x58][..], &SYSCALL].concat())]), [Some(vec![39])]);
        // mov ecx, 3; mov rax, rcx
        let moved = [&[0xb9, 3, 0, 0, 0, 0x48, 0x89, 0xc8][..], &SYSCALL].concat();
        assert_eq!(on_x86_64(&[("_start", &moved)]), [Some(vec![3])]);
        // mov eax, 1; test edi, edi; je +5; mov eax, 2
        let either = [&[0xb8, 1, 0, 0, 0, 0x85, 0xff, 0x74, 5, 0xb8, 2, 0, 0, 0][..], &SYSCALL].concat();
        assert_eq!(on_x86_64(&[("_start", &either)]), [Some(vec![1, 2])]);
    }

    #[test]
    fn what_a_function_is_given_is_looked_for_at_its_callers() {
        // mov edi, 3; call raw; mov edi, 4; call raw; ud2
        let start = [0xbf, 3, 0, 0, 0, 0xe8, 12, 0, 0, 0, 0xbf, 4, 0, 0, 0, 0xe8, 2, 0, 0, 0, 0x0f, 0x0b];
        // mov rax, rdi
        let raw = [&[0x48, 0x89, 0xf8][..], &SYSCALL].concat();
        assert_eq!(on_x86_64(&[("_start", &start), ("raw", &raw)]), [Some(vec![3, 4])]);
        // The same function by its address: mov esi, 0x1016
        let start = [&[0xbe, 0x1b, 0x10, 0, 0][..], &start].concat();
        assert_eq!(on_x86_64(&[("_start", &start), ("raw", &raw)]), [None], "anybody can call it");
    }

    #[test]
    fn what_the_outliner_made_is_looked_through() {
        // push rbx; mov ebx, 5; call outlined; mov rax, rbx
        let start = [&[0xbb, 5, 0, 0, 0, 0xe8, 6, 0, 0, 0, 0x48, 0x89, 0xd8][..], &SYSCALL].concat();
        // mov ebx, 6
        let body = [0xbb, 6, 0, 0, 0, 0xc3];
        assert_eq!(on_x86_64(&[("_start", &start), ("OUTLINED_FUNCTION_0", &body)]), [Some(vec![6])]);
        assert_eq!(on_x86_64(&[("_start", &start), ("ordinary", &body)]), [Some(vec![5])], "rbx is kept");
    }

    #[test]
    fn a_number_from_memory_cannot_be_told() {
        // mov rax, [rdi]
        assert_eq!(on_x86_64(&[("_start", &[&[0x48, 0x8b, 0x07][..], &SYSCALL].concat())]), [None]);
        // At an address in a register nobody knows what comes before: jmp rcx; (syscall)
        assert_eq!(on_x86_64(&[("_start", &[&[0xff, 0xe1][..], &SYSCALL].concat())]), [None]);
    }

    #[test]
    fn aarch64_is_understood_the_same_way() {
        let code = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        // mov w8, #57; svc #0; ret
        assert_eq!(
            numbers(Architecture::Aarch64, &[("_start", &code(&[0x5280_0728, 0xd400_0001, 0xd65f_03c0]))]),
            [Some(vec![57])]
        );
        // mov w0, #63; bl raw; udf — raw: mov x8, x0; svc #0; ret
        let (start, raw) = (code(&[0x5280_07e0, 0x9400_0002, 0]), code(&[0xaa00_03e8, 0xd400_0001, 0xd65f_03c0]));
        assert_eq!(numbers(Architecture::Aarch64, &[("_start", &start), ("raw", &raw)]), [Some(vec![63])]);
        // ldr x8, [x0]; svc #0; ret
        assert_eq!(
            numbers(Architecture::Aarch64, &[("_start", &code(&[0xf940_0008, 0xd400_0001, 0xd65f_03c0]))]),
            [None]
        );
    }
}
