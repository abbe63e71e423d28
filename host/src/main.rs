//! `nanova-host`: speaks with the agents in Xen guests from dom0, as OpenStack's nova did, without OpenStack.
//!
//! | file | is |
//! |---|---|
//! | `args`, `help.txt` | what a person types |
//! | `op`, `connection`, `interrupt` | one request of xenstored's; the way there; Ctrl-C |
//! | `guests` | who runs, and who is meant |
//! | `request`, `letter`, `exchange` | what a guest gets, and its way until the answer |
//! | `answer`, `conversation` | what a guest says, and what is said next |
//! | `sealing` | sealed requests around it, where the agent knows them |
//! | `runner` | many conversations at once |
//! | `told`, `fault` | how outcomes are shown, and what went wrong |
//! | `password`, `prompt`, `random` | root's password: sealed, or exchanged and encrypted; asked for; made |
//! | `inject`, `progress` | a file, in one request or in parts; how far it is |
//! | `recorded` | what an agent's flight recorder has |
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
mod progress;
mod prompt;
mod random;
mod recorded;
mod request;
mod runner;
mod sealing;
mod told;

use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;

use args::{Act, Args, Command, NetworkAct};
use connection::Connection;
use conversation::Ordered;
use fault::Fault;
use guests::Guest;
use inject::{File, Inject};
use interrupt::Interrupt;
use letter::Letter;
use password::Passwords;
use progress::Progress;
use recorded::Recorded;
use request::Request;
use runner::{Job, Patience};
use sealing::Speech;
use told::{Teller, print};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some((plugin, call)) = plugin::called_as(&words) {
        return match print(&format!("{}\n", plugin::serve(plugin, call))) {
            Ok(()) => ExitCode::SUCCESS,
            Err(fault) => ExitCode::from(fault.code()),
        };
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
        Act::Help => print(include_str!("help.txt"))?,
        Act::Version => print(concat!("nanova-host ", env!("CARGO_PKG_VERSION"), "\n"))?,
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
    let mut progress = Rc::default();
    let jobs = jobs(&mut connection, guests.clone(), command, &mut progress)?;
    let patience = Patience { timeout: args.timeout, follow: args.follow };
    let ended = runner::run(&mut connection, jobs, patience, &mut |guest, outcome| {
        progress.clear();
        teller.tell(guest, &outcome);
    });
    progress.clear();
    ended?;
    if matches!(command, Command::Network(_)) {
        list::addresses(&mut connection, &guests)?;
    }
    Ok(teller.code())
}

/// Decides what is said to a guest.
type Say = Box<dyn FnMut(&Guest) -> Result<Speech, Fault>>;

/// What is said to each.
fn jobs(
    connection: &mut Connection,
    guests: Vec<Guest>,
    command: &Command,
    progress: &mut Rc<Progress>,
) -> Result<Vec<Job>, Fault> {
    let mut say: Say = match command {
        Command::Password(from) => {
            let nanovas = password::nanovas(connection, &guests)?;
            let mut passwords = Passwords::of(*from)?;
            Box::new(move |guest| passwords.change(nanovas.contains(&guest.domid)))
        }
        Command::Inject(local, path) => {
            let file = Rc::new(File::read(local, path)?);
            *progress = Rc::new(Progress::of(file.len() as u64 * guests.len() as u64));
            let progress = progress.clone();
            Box::new(move |_| Ok(Inject::speech(file.clone(), progress.clone())))
        }
        command => {
            let command = command.clone();
            Box::new(move |_| simple(&command))
        }
    };
    let max = connection.payload_max();
    let mut job = |guest: Guest| {
        let conversation = say(&guest)?.conversation(Letter::room(&guest, max));
        Ok(Job { guest, conversation })
    };
    guests.into_iter().map(&mut job).collect()
}

fn simple(command: &Command) -> Result<Speech, Fault> {
    let plain = |name, value| Speech::plain(Request::text(name, value));
    Ok(match command {
        Command::Version | Command::Status => plain("version", "agent"),
        Command::Features => plain("features", ""),
        Command::Shutdown => Speech::Plain(Box::new(Ordered("poweroff"))),
        Command::Reboot => Speech::Plain(Box::new(Ordered("reboot"))),
        Command::Record => Recorded::speech(),
        Command::Update(url, sum) => Speech::once("agentupdate", Request::text("agentupdate", &format!("{url},{sum}"))),
        Command::Call(name, value) => Speech::once(name, Request::of_typed(name, value)),
        Command::Network(_) => plain("resetnetwork", ""),
        Command::Password(_) | Command::Inject(..) => return Err(Fault::here("it is said otherwise")),
    })
}
