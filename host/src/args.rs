//! What a person types. No system call.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::{Long, Short, Value};

use crate::fault::Fault;

/// How long an answer is waited for; nova waits as long.
const TIMEOUT: Duration = Duration::from_secs(30);
/// And for a network that is set, as nova does.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(60);

/// How `list` is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a person.
    #[default]
    Table,
    /// For a program.
    Json,
    /// For a node exporter.
    OpenMetrics,
}

/// Where a password comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PasswordFrom {
    /// A person types it, unseen.
    #[default]
    Prompt,
    /// The first line of standard input.
    Stdin,
    /// It is made here, and printed.
    Generated,
}

/// What is done with vm-data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NetworkAct {
    /// Prints it.
    Show,
    /// An editor changes it.
    Edit,
    /// This file is it.
    File(PathBuf),
}

/// What is said to guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Its agent's version.
    Version,
    /// What its agent can do.
    Features,
    /// All that is known of it.
    Status,
    /// Stops it.
    Shutdown,
    /// Starts it anew.
    Reboot,
    /// Sets root's password.
    Password(PasswordFrom),
    /// Puts a file into it.
    Inject(PathBuf, String),
    /// Its network.
    Network(NetworkAct),
    /// Replaces its agent.
    Update(String, String),
    /// What its flight recorder has.
    Record,
    /// Any command.
    Call(String, String),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Prints the page of help.
    Help,
    /// Prints the version.
    Version,
    /// Shows the running guests; goes on as they come and go.
    List {
        /// How.
        form: Form,
        /// Whether to go on.
        watch: bool,
    },
    /// Speaks with guests.
    Guests(Vec<String>, Command),
}

/// The command line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Args {
    /// What to do.
    pub(crate) act: Act,
    /// For how long an answer is waited for.
    pub(crate) timeout: Duration,
    /// Whether a guest is asked again after a reboot.
    pub(crate) follow: bool,
    /// Answers for programs.
    pub(crate) json: bool,
    /// The wire is shown.
    pub(crate) verbose: bool,
    /// Where xenstored is.
    pub(crate) xenbus: Option<PathBuf>,
}

#[derive(Default)]
struct Options {
    words: Vec<OsString>,
    timeout: Option<Duration>,
    follow: bool,
    json: bool,
    openmetrics: bool,
    watch: bool,
    stdin: bool,
    generate: bool,
    show: bool,
    edit: bool,
    verbose: bool,
    xenbus: Option<PathBuf>,
    help: bool,
    version: bool,
}

/// Reads the words that follow the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Args, Fault> {
    let mut options = options(words)?;
    let act = act(&mut options)?;
    let usual = match &act {
        Act::Guests(_, Command::Network(_)) => NETWORK_TIMEOUT,
        Act::Guests(_, Command::Call(name, _)) if name == "resetnetwork" => NETWORK_TIMEOUT,
        _ => TIMEOUT,
    };
    Ok(Args {
        act,
        timeout: options.timeout.unwrap_or(usual),
        follow: options.follow,
        json: options.json,
        verbose: options.verbose,
        xenbus: options.xenbus,
    })
}

fn options(words: impl IntoIterator<Item = OsString>) -> Result<Options, Fault> {
    let wrong = |error: lexopt::Error| usage(&error.to_string());
    let mut parser = lexopt::Parser::from_args(words);
    let mut options = Options::default();
    while let Some(word) = parser.next().map_err(wrong)? {
        match word {
            Short('h') | Long("help") => options.help = true,
            Short('V') | Long("version") => options.version = true,
            Short('v') | Long("verbose") => options.verbose = true,
            Long("follow") => options.follow = true,
            Long("json") => options.json = true,
            Long("openmetrics") => options.openmetrics = true,
            Long("watch") => options.watch = true,
            Long("stdin") => options.stdin = true,
            Long("generate") => options.generate = true,
            Long("show") => options.show = true,
            Long("edit") => options.edit = true,
            Long("xenbus") => options.xenbus = Some(parser.value().map_err(wrong)?.into()),
            Long("timeout") => options.timeout = Some(seconds(&parser.value().map_err(wrong)?)?),
            Value(word) => {
                options.words.push(word);
                // What a command is told may begin with a dash.
                if options.words.len() > 1 && options.words.last().is_some_and(|word| word == "call") {
                    options.words.push(parser.value().map_err(wrong)?);
                    let argument = |word: &OsStr| !word.as_encoded_bytes().starts_with(b"--");
                    options.words.extend(parser.raw_args().map_err(wrong)?.next_if(argument));
                }
            }
            other => return Err(wrong(other.unexpected())),
        }
    }
    Ok(options)
}

fn seconds(value: &OsStr) -> Result<Duration, Fault> {
    let number = value.to_str().and_then(|text| text.parse::<u32>().ok()).filter(|number| *number > 0);
    let number =
        number.ok_or_else(|| usage(&format!("--timeout takes a number of seconds, not {}", value.display())))?;
    Ok(Duration::from_secs(number.into()))
}

fn usage(what: &str) -> Fault {
    Fault::Usage(format!("{what}; `nanova-host --help` says what there is"))
}

fn act(options: &mut Options) -> Result<Act, Fault> {
    if options.help {
        return Ok(Act::Help);
    }
    if options.version && options.words.is_empty() {
        return Ok(Act::Version);
    }
    let mut words = Vec::new();
    for word in &options.words {
        words.push(word.to_str().ok_or_else(|| usage(&format!("{} is no text", word.display())))?);
    }
    if words == ["list"] {
        let form = match (options.json, options.openmetrics) {
            (false, false) => Form::Table,
            (true, false) => Form::Json,
            (false, true) => Form::OpenMetrics,
            (true, true) => return Err(usage("--json and --openmetrics are two forms; choose one")),
        };
        return Ok(Act::List { form, watch: options.watch });
    }
    // The guests come first; the last word that is a command's name, with as many words behind it as it takes, is it.
    let command = |at: usize| command(words.get(at)?, words.get(at + 1..)?, options).transpose();
    let found = (1..words.len()).find_map(|at| Some((at, command(at)?)));
    let (at, found) = found.ok_or_else(|| usage(&missing(&words)))?;
    let guests = words.iter().take(at).map(|word| (*word).to_owned()).collect();
    Ok(Act::Guests(guests, found?))
}

fn missing(words: &[&str]) -> String {
    match words {
        [] => "nothing to do".into(),
        [word] => format!("what of {word}? It takes a guest and a command"),
        [.., last] => format!("no command among the words, or not as many words as it takes; the last is '{last}'"),
    }
}

/// The command of this name, if it is one and has its words.
fn command(name: &str, rest: &[&str], options: &Options) -> Result<Option<Command>, Fault> {
    let owned = |word: &str| word.to_owned();
    Ok(Some(match (name, rest) {
        ("version", []) => Command::Version,
        ("features", []) => Command::Features,
        ("status", []) => Command::Status,
        ("shutdown", []) => Command::Shutdown,
        ("reboot", []) => Command::Reboot,
        ("password", []) => Command::Password(match (options.stdin, options.generate) {
            (false, false) => PasswordFrom::Prompt,
            (true, false) => PasswordFrom::Stdin,
            (false, true) => PasswordFrom::Generated,
            (true, true) => return Err(usage("--stdin and --generate are two sources; choose one")),
        }),
        ("password", [_, ..]) => {
            return Err(usage(
                "a password is no word of a command line, where everybody reads it; use --stdin or the prompt",
            ));
        }
        ("inject", [from, to]) => Command::Inject(PathBuf::from(from), owned(to)),
        ("network", []) if options.edit => Command::Network(NetworkAct::Edit),
        ("network", []) => Command::Network(NetworkAct::Show),
        ("network", [file]) => Command::Network(NetworkAct::File(PathBuf::from(file))),
        ("record", []) => Command::Record,
        ("update", [url, sum]) => Command::Update(owned(url), owned(sum)),
        ("call", [name]) => Command::Call(owned(name), String::new()),
        ("call", [name, value]) => Command::Call(owned(name), owned(value)),
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, Fault> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn guests(line: &str) -> (Vec<String>, Command) {
        match parsed(line).unwrap().act {
            Act::Guests(guests, command) => (guests, command),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn guests_come_first_then_a_command_with_its_words() {
        assert_eq!(guests("web version"), (vec!["web".into()], Command::Version));
        assert_eq!(guests("web db 7 status").0, ["web", "db", "7"]);
        assert_eq!(guests("all inject a b").1, Command::Inject("a".into(), "b".into()));
        assert_eq!(guests("7 call kmsactivate").1, Command::Call("kmsactivate".into(), String::new()));
        assert_eq!(guests("7 call x -5").1, Command::Call("x".into(), "-5".into()));
        assert_eq!(guests("7 record").1, Command::Record);
        assert_eq!(guests("7 password --stdin").1, Command::Password(PasswordFrom::Stdin));
        assert_eq!(guests("7 network --edit").1, Command::Network(NetworkAct::Edit));
        assert_eq!(guests("7 network").1, Command::Network(NetworkAct::Show));
        // A guest of a command's name.
        assert_eq!(guests("version version"), (vec!["version".into()], Command::Version));
    }

    #[test]
    fn a_network_may_take_longer() {
        assert_eq!(parsed("7 network f").unwrap().timeout, NETWORK_TIMEOUT);
        assert_eq!(parsed("7 call resetnetwork").unwrap().timeout, NETWORK_TIMEOUT);
        assert_eq!(parsed("7 version").unwrap().timeout, TIMEOUT);
        assert_eq!(parsed("--timeout 5 7 version").unwrap().timeout, Duration::from_secs(5));
    }

    #[test]
    fn what_makes_no_sense_is_said_and_no_password_is_shown() {
        for line in [
            "",
            "web",
            "version",
            "web frobnicate",
            "7 --timeout 0 version",
            "7 --timeout x version",
            "--what",
            "list --json --openmetrics",
            "7 password --stdin --generate",
            "7 inject a",
        ] {
            assert!(matches!(parsed(line), Err(Fault::Usage(_))), "{line}");
        }
        let fault = parsed("7 password hunter2").unwrap_err();
        assert!(!fault.to_string().contains("hunter2"));
    }

    #[test]
    fn lists_have_three_forms() {
        for (line, form) in
            [("list", Form::Table), ("list --json", Form::Json), ("list --openmetrics", Form::OpenMetrics)]
        {
            assert_eq!(parsed(line).unwrap().act, Act::List { form, watch: false });
        }
        assert_eq!(parsed("list --watch").unwrap().act, Act::List { form: Form::Table, watch: true });
        assert_eq!(parsed("--version").unwrap().act, Act::Version);
        assert_eq!(parsed("-h").unwrap().act, Act::Help);
    }
}
