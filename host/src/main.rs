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
//! | `password`, `prompt` | root's password: exchanged and encrypted; asked for |
//! | `inject` | a file, in one request |
//! | `network/` | vm-data: shown, edited, judged, written |
//! | `plugin` | the same as a plugin of XAPI's |
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
mod inject;
mod interrupt;
mod letter;
mod list;
mod network;
mod op;
mod password;
mod plugin;
mod prompt;
mod runner;
mod told;

use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;

use args::{Act, Args, Command, NetworkAct};
use connection::Connection;
use conversation::{Conversation, Once, Ordered};
use fault::Fault;
use guests::Guest;
use inject::{File, Inject};
use interrupt::Interrupt;
use password::Passwords;
use runner::{Job, Patience};
use told::Teller;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some((plugin, call)) = plugin::called_as(&words) {
        println!("{}", plugin::serve(plugin, call));
        return ExitCode::SUCCESS;
    }
    match args::parse(words.into_iter().skip(1)).and_then(|args| run(&args)) {
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
    match command {
        Command::Status => list::status(&mut connection, &guests)?,
        Command::Network(NetworkAct::Show) => return network::show(&mut connection, &guests).map(|()| 0),
        Command::Network(NetworkAct::File(file)) => network::write_file(&mut connection, &guests, file)?,
        Command::Network(NetworkAct::Edit) if !network::edit(&mut connection, &guests)? => return Ok(0),
        _ => {}
    }
    let jobs = jobs(&mut connection, guests.clone(), command)?;
    let patience = Patience { timeout: args.timeout, follow: args.follow };
    runner::run(&mut connection, jobs, patience, &mut |guest, outcome| teller.tell(guest, &outcome))?;
    if matches!(command, Command::Network(_)) {
        list::addresses(&mut connection, &guests)?;
    }
    Ok(teller.code())
}

/// A conversation, or why there is none.
type Said = Result<Box<dyn Conversation>, Fault>;

/// What is said to each.
fn jobs(connection: &mut Connection, guests: Vec<Guest>, command: &Command) -> Result<Vec<Job>, Fault> {
    let mut say: Box<dyn FnMut(&Guest) -> Said> = match command {
        Command::Password(from) => {
            let nanovas = password::nanovas(connection, &guests)?;
            let mut passwords = Passwords::of(*from)?;
            Box::new(move |guest| Ok(Box::new(passwords.change(nanovas.contains(&guest.domid))?)))
        }
        Command::Inject(local, path) => {
            let file = Rc::new(File::read(local, path)?);
            let room = connection.payload_max();
            Box::new(move |guest| Ok(Box::new(Inject::new(file.clone(), room.saturating_sub(guest.home().len())))))
        }
        command => {
            let command = command.clone();
            Box::new(move |_| simple(&command))
        }
    };
    guests.into_iter().map(|guest| Ok(Job { conversation: say(&guest)?, guest })).collect()
}

fn simple(command: &Command) -> Said {
    Ok(match command {
        Command::Version | Command::Status => Box::new(Once::new("version", "agent")),
        Command::Features => Box::new(Once::new("features", "")),
        Command::Shutdown => Box::new(Ordered("poweroff")),
        Command::Reboot => Box::new(Ordered("reboot")),
        Command::Update(url, sum) => Box::new(Once::new("agentupdate", format!("{url},{sum}"))),
        Command::Call(name, value) => Box::new(Once::new(name, argument(value))),
        Command::Network(_) => Box::new(Once::new("resetnetwork", "")),
        Command::Password(_) | Command::Inject(..) => return Err(Fault::here("it is said otherwise")),
    })
}

/// What a person writes as an argument: an object as it is, anything else as text.
fn argument(value: &str) -> serde_json::Value {
    let object = serde_json::from_str(value).ok().filter(serde_json::Value::is_object);
    object.unwrap_or_else(|| value.into())
}
