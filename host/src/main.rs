//! `nanova-host`: speaks with the agents in Xen guests from dom0, as OpenStack's nova did, without OpenStack.
//!
//! | file | is |
//! |---|---|
//! | `args`, `help.txt` | what a person types |
//! | `op`, `connection`, `interrupt` | one request of xenstored's; the way there; Ctrl-C |
//! | `guests` | who runs, and who is meant |
//! | `letter`, `exchange` | what a guest gets, and its way until the answer |
//! | `answer`, `conversation` | what a guest says, and what is said next |
//! | `runner` | many conversations at once |
//! | `told`, `fault` | how outcomes are shown, and what went wrong |
//! | `list/` | the running guests, in three forms |
//!
//! Decisions (`args`, `guests::choose`, `exchange`, `conversation`, `list`) make no system call and are tested in their
//! files; the program itself is tested in `tests/`.

#![forbid(unsafe_code)]

mod answer;
mod args;
mod connection;
mod conversation;
mod exchange;
mod fault;
mod guests;
mod interrupt;
mod letter;
mod list;
mod op;
mod runner;
mod told;

use std::process::ExitCode;

use args::{Act, Args, Command};
use connection::Connection;
use conversation::{Conversation, Once, Ordered};
use fault::Fault;
use interrupt::Interrupt;
use runner::{Job, Patience};
use told::Teller;

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)).and_then(|args| run(&args)) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            eprintln!("nanova-host: {fault}");
            ExitCode::from(fault.code())
        }
    }
}

fn run(args: &Args) -> Result<u8, Fault> {
    match &args.act {
        Act::Help => print!("{}", include_str!("help.txt")),
        Act::Version => println!("nanova-host {}", env!("CARGO_PKG_VERSION")),
        Act::List { form, watch } => return list::run(&mut connect(args)?, *form, *watch).map(|()| 0),
        Act::Guests(words, command) => return speak(args, words, command),
    }
    Ok(0)
}

fn connect(args: &Args) -> Result<Connection, Fault> {
    let interrupt = Interrupt::new().map_err(|error| Fault::here(format!("cannot take signals: {error}")))?;
    Connection::open(args.xenbus.as_deref(), args.verbose, interrupt)
}

fn speak(args: &Args, words: &[String], command: &Command) -> Result<u8, Fault> {
    let mut connection = connect(args)?;
    let guests = guests::meant_by(&mut connection, words)?;
    let mut teller = Teller::new(args.json, words.len() > 1 || words.iter().any(|word| word == "all"));
    if *command == Command::Status {
        list::status(&mut connection, &guests)?;
    }
    let mut jobs = Vec::new();
    for guest in guests {
        jobs.push(Job { guest, conversation: conversation(command)? });
    }
    let patience = Patience { timeout: args.timeout, follow: args.follow };
    runner::run(&mut connection, jobs, patience, &mut |guest, outcome| teller.tell(guest, &outcome))?;
    Ok(teller.code())
}

fn conversation(command: &Command) -> Result<Box<dyn Conversation>, Fault> {
    Ok(match command {
        Command::Version | Command::Status => Box::new(Once::new("version", "agent")),
        Command::Features => Box::new(Once::new("features", "")),
        Command::Shutdown => Box::new(Ordered("poweroff")),
        Command::Reboot => Box::new(Ordered("reboot")),
        Command::Update(url, sum) => Box::new(Once::new("agentupdate", format!("{url},{sum}"))),
        Command::Call(name, value) => Box::new(Once::new(name, argument(value))),
        Command::Password(_) | Command::Inject(..) | Command::Network(_) => {
            return Err(Fault::Usage("this build has no such command".into()));
        }
    })
}

/// What a person writes as an argument: an object as it is, anything else as text.
fn argument(value: &str) -> serde_json::Value {
    let object = serde_json::from_str(value).ok().filter(serde_json::Value::is_object);
    object.unwrap_or_else(|| value.into())
}
