//! `cargo xen-test`: nanova on a real Xen hypervisor. The work is in `nanova_tests::xen`.
//!
//! Exit status: 0 when every case passed, 1 when one failed or the test could not run, 2 for a wrong command line.

use std::process::ExitCode;

use nanova_tests::xen::{options, suite};

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => return complain(&format!("{error}; --help tells more"), 2),
    };
    if options.help {
        print!("{}", options::HELP);
        return ExitCode::SUCCESS;
    }
    let chosen = match suite::choose(&options.words, options.all, options.xen) {
        Ok(chosen) => chosen,
        Err(error) => return complain(&format!("{error:#}"), 2),
    };
    if options.list {
        print!("{}", suite::list(&chosen));
        return ExitCode::SUCCESS;
    }
    match suite::run(&chosen, &options) {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(report.counts().1 > 0))
        }
        Err(error) => complain(&format!("{error:#}"), 1),
    }
}

fn complain(message: &str, status: u8) -> ExitCode {
    eprintln!("xen-test: {message}");
    ExitCode::from(status)
}
