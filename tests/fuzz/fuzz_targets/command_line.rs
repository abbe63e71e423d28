//! Command lines, of nanova and of all its other names: parsed or refused with words that say why.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::cli::{CommandLine, OPERANDS_MAX, Program, UsageError};

fn check<T>(result: Result<Option<T>, UsageError<'_>>) -> Option<T> {
    result.unwrap_or_else(|error| {
        assert!(!error.to_string().is_empty());
        None
    })
}

fuzz_target!(|input: &[u8]| {
    let arguments = input.split(|byte| matches!(byte, 0 | b'\n'));
    let mut line = CommandLine::new(arguments);
    let program = match line.program() {
        Ok((program, _)) => program,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    match program {
        Program::Agent(called) => check(line.agent(called)).into_iter().for_each(|options| {
            let _ = options.reports();
        }),
        Program::Network => check(line.network()).into_iter().for_each(|options| {
            let _ = options.wanted();
        }),
        Program::Xenstore(tool) => check(line.xenstore(tool)).into_iter().for_each(|call| {
            assert!(call.operands.len() <= OPERANDS_MAX);
        }),
        Program::Record => drop(check(line.record())),
        Program::End(how) => drop(check(line.end(how))),
        Program::Help | Program::SelfTest | Program::Init => {}
    }
    assert!(!line.page(program).is_empty() && (0..=77).contains(&line.exit_code(77)));
});
