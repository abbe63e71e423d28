//! Commands of a site's own: a program `/etc/nanova/commands.d/<name>` serves the command of that name.
//!
//! * It gets the value on standard input, a string as its text and an object as JSON; its standard output is the
//!   message.
//! * Exit status 0 is returncode "0", any other "500"; a line `returncode=<number>` in the output says another one.
//! * Only what root alone can have put there is run, for a minute at the most. Other commands are served meanwhile.
//! * Commands that are built in come first: they cannot be replaced. [`super::disabled`] takes any away.
//!
//! The value may be a secret: it is passed on, wiped, and shown nowhere.

use core::fmt::Write;

use zeroize::Zeroizing;

use crate::commands::response::{Code, MESSAGE_MAX, Response};
use crate::platform::{Ended, Errands, Files, GuestPath, Level, Log, Programs};
use crate::wire::errno::Errno;
use crate::wire::json::Value;
use crate::wire::text::{Bounded, Printable, text_at_start};

/// Where the programs are.
const DIRECTORY: GuestPath<'static> = GuestPath::literal("/etc/nanova/commands.d");
/// Most programs that are listed.
const LISTED_MAX: usize = 32;
/// Longest name.
const NAME_MAX: usize = 64;
/// How long a program may run: as long as nova waits for `resetnetwork`.
const SECONDS: u32 = 60;
/// A value is a part of a xenstore packet.
const VALUE_MAX: usize = 4096;

/// Letters in lower case, digits, `_` and `-`.
fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(good)
}

/// Calls `each` with the name of every program that would be run.
pub fn for_each<P: Files + Programs + Log>(platform: &mut P, each: &mut dyn FnMut(&str)) {
    let mut names = heapless::Vec::<heapless::String<NAME_MAX>, LISTED_MAX>::new();
    let listed = platform.names(DIRECTORY, &mut |name| {
        if let (true, Ok(name)) = (is_name(name), name.try_into()) {
            // As many as are listed; those behind them are served all the same.
            let _ = names.push(name);
        }
    });
    // Whether one is served does not depend on its being listed.
    if let Err(errno) = listed {
        platform.log(Level::Warn, format_args!("cannot list {DIRECTORY}: {errno}; its commands are left out"));
    }
    for name in &names {
        if let Some(path) = path_of(name)
            && GuestPath::new(path.as_str()).is_ok_and(|path| platform.is_program(path).is_ok())
        {
            each(name);
        }
    }
}

/// The path of a program.
pub type ProgramPath = Bounded<128>;

fn path_of(name: &str) -> Option<ProgramPath> {
    is_name(name).then(|| Bounded::of(format_args!("{DIRECTORY}/{name}")))
}

/// The program of this name, if there is such a command; the response, if it is not to be trusted.
#[inline(never)]
pub fn program<P: Programs + Log>(platform: &mut P, name: &str) -> Option<Result<ProgramPath, Response>> {
    let path = path_of(name)?;
    match platform.is_program(GuestPath::new(path.as_str()).ok()?) {
        Ok(()) => Some(Ok(path)),
        Err(Errno::NOENT) => None,
        Err(errno) => {
            let path = path.as_str();
            platform.log(Level::Warn, format_args!("{path} is not run: {errno}"));
            Some(Err(Response::failed(format_args!(
                "{path} is not run: it must be an executable file of root's, in directories of root's, that nobody \
                 else can write"
            ))))
        }
    }
}

/// Begins a program; or returns the response.
#[inline(never)]
pub fn begin<P: Errands>(platform: &mut P, path: &ProgramPath, value: Value<'_>) -> Result<(), Response> {
    let mut input = Zeroizing::new(Input { bytes: [0; VALUE_MAX], len: 0 });
    let written = match value {
        Value::Missing => Ok(()),
        Value::Text(text) => write!(input, "{text}"),
        Value::Number(text) | Value::Object(text) => input.write_str(text),
        Value::Other => Err(core::fmt::Error),
    };
    if written.is_err() {
        return Err(Response::failed(format_args!("Invalid arguments: a string, a number or an object is needed")));
    }
    let input = input.bytes.get(..input.len).unwrap_or_default();
    let begun = GuestPath::new(path.as_str())
        .map_err(|_| Errno::NAMETOOLONG)
        .and_then(|path| platform.begin_program(path, None, input, SECONDS));
    begun.map_err(|errno| {
        let path = path.as_str();
        match errno {
            Errno::BUSY => Response::failed(format_args!("cannot run {path}: two earlier programs cannot be ended")),
            Errno::AGAIN | Errno::NOMEM => Response::failed(format_args!(
                "cannot run {path}: the guest has no room for one more process, or no memory: {errno}"
            )),
            errno => Response::failed(format_args!("cannot run {path}: {errno}")),
        }
    })
}

/// What is said when a program has ended, and has printed this.
#[inline(never)]
pub fn end(path: &ProgramPath, ended: Ended, printed: &[u8]) -> Response {
    let path = path.as_str();
    match ended {
        Ended::Exit(127) if printed.is_empty() => Response::failed(format_args!(
            "{path} cannot be executed: is its first line #! and a program that there is?"
        )),
        Ended::Exit(status) => response(status, printed),
        Ended::Signal(signal) => Response::failed(format_args!("{path} ended by signal {}", u64::from(signal))),
        Ended::Late => {
            let seconds = u64::from(SECONDS);
            Response::failed(format_args!("{path} was ended: it took more than {seconds} seconds"))
        }
    }
}

/// What is said when a program has ended by itself.
fn response(status: u8, output: &[u8]) -> Response {
    let mut response = Response { code: if status == 0 { Code::Done } else { Code::Failed }, message: Bounded::new() };
    let text = text_at_start(output);
    for line in text.lines() {
        if let Some(code) = line.strip_prefix("returncode=").and_then(Code::of_number) {
            response.code = code;
            continue;
        }
        let newline = if response.message.as_str().is_empty() { "" } else { "\n" };
        let _ = write!(response.message, "{newline}{}", Printable(line));
    }
    let kept = response.message.as_str().trim_end();
    let message = Bounded::<MESSAGE_MAX>::of(format_args!("{kept}"));
    response.message = message;
    response
}

/// What goes to a program.
struct Input {
    bytes: [u8; VALUE_MAX],
    len: usize,
}

impl zeroize::Zeroize for Input {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
    }
}

impl Write for Input {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.get_mut(self.len..).and_then(|room| room.get_mut(..text.len()));
        room.ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["kmsactivate", "site_command-2", "0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "a.b", "../x", "a/b", "a b", ".hidden", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn as_much_as_a_value_can_have_is_passed_on_and_wiped() {
        use zeroize::Zeroize;
        let mut input = Input { bytes: [0; VALUE_MAX], len: 0 };
        assert!(input.write_str("12").is_ok() && input.write_str(&"x".repeat(VALUE_MAX - 2)).is_ok());
        assert!(input.write_str("y").is_err() && input.write_str("").is_ok());
        assert_eq!((input.len, &input.bytes[..3], input.bytes[VALUE_MAX - 1]), (VALUE_MAX, &b"12x"[..], b'x'));
        input.zeroize();
        assert_eq!(input.bytes, [0; VALUE_MAX]);
    }

    #[test]
    fn status_and_output_become_code_and_message() {
        let said = |status, output: &str| {
            let response = response(status, output.as_bytes());
            (response.code.as_str().to_owned(), response.message.as_str().to_owned())
        };
        let expect = |code: &str, message: &str| (code.to_owned(), message.to_owned());
        assert_eq!(said(0, "registered\n"), expect("0", "registered"));
        assert_eq!(said(1, "no\n\n"), expect("500", "no"));
        assert_eq!(said(0, "a\nreturncode=42\nb\n"), expect("42", "a\nb"));
        assert_eq!(said(3, "returncode=0\n"), expect("0", ""));
        assert_eq!(said(0, "returncode=x\n"), expect("0", "returncode=x"));
        assert_eq!(said(0, "returncode=12345\x1b"), expect("0", "returncode=12345\\x1b"));
        assert_eq!(said(0, "a\n\nb\n"), expect("0", "a\n\nb"));
        assert_eq!(response(0, b"a\xffb").message.as_str(), "a", "what is text is shown");
    }
}
