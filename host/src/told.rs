//! How outcomes are shown: what a guest answered on standard output, what went wrong on standard error.

use std::io::{self, Write};

use serde_json::json;

use crate::answer::Answer;
use crate::fault::Fault;
use crate::guests::Guest;
use crate::op::{printable, printable_json};

/// Prints a text.
pub(crate) fn print(text: &str) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Fault::here(format!("cannot print: {error}")))
}

/// Shows outcomes, and remembers the worst.
pub(crate) struct Teller {
    /// One JSON object a line.
    json: bool,
    /// Each line says whose it is.
    named: bool,
    worst: u8,
}

impl Teller {
    /// For one guest, or for several.
    pub(crate) fn new(json: bool, named: bool) -> Teller {
        Teller { json, named, worst: 0 }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.worst
    }

    /// Shows what came of a guest.
    pub(crate) fn tell(&mut self, guest: &Guest, outcome: &Result<Answer, Fault>) {
        let code = match outcome {
            Ok(answer) if answer.is_success() => 0,
            Ok(_) => 1,
            Err(fault) => fault.code(),
        };
        self.worst = self.worst.max(code);
        let (out, err) = if self.json { (Some(json_line(guest, outcome)), None) } else { self.lines(guest, outcome) };
        let printed = out.map_or(Ok(()), |line| print(&format!("{line}\n")));
        // Nobody reads it any more: that is no reason to stop half way; but a password that was made for nobody to know
        // is no success.
        self.worst = self.worst.max(printed.as_ref().map_or_else(Fault::code, |()| 0));
        let fault = printed.err().map(|fault| fault.to_string());
        for line in err.iter().chain(&fault).flat_map(|text| text.lines()) {
            let _ = writeln!(io::stderr().lock(), "nanova-host: {line}");
        }
    }

    fn lines(&self, guest: &Guest, outcome: &Result<Answer, Fault>) -> (Option<String>, Option<String>) {
        let name = if self.named { format!("{guest}: ") } else { String::new() };
        match outcome {
            Ok(answer) if answer.is_success() && answer.message.is_empty() && !self.named => (None, None),
            Ok(answer) if answer.is_success() && answer.message.is_empty() => (Some(format!("{name}done")), None),
            Ok(answer) if answer.is_success() => (Some(shown(&answer.message, &name)), None),
            Ok(answer) => {
                let code = printable(answer.code.as_bytes());
                let text = format!("the agent answered {code}: {}", answer.message);
                (None, Some(shown(&text, &format!("{guest}: "))))
            }
            Err(fault) => (None, Some(format!("{guest}: {fault}"))),
        }
    }
}

/// A message as lines, each with its guest: one could look like another guest's. Nothing else of it reaches the
/// terminal.
fn shown(message: &str, name: &str) -> String {
    message.lines().map(|line| format!("{name}{}", printable(line.as_bytes()))).collect::<Vec<_>>().join("\n")
}

/// One JSON object.
pub(crate) fn json_line(guest: &Guest, outcome: &Result<Answer, Fault>) -> String {
    let mut line = json!({ "id": guest.domid, "uuid": guest.uuid, "name": guest.name });
    match outcome {
        Ok(answer) => {
            line["returncode"] = json!(answer.code);
            line["message"] = json!(answer.message);
        }
        Err(fault) => line["error"] = json!(fault.to_string()),
    }
    printable_json(&line.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Guest {
        Guest { domid: 7, uuid: "u".into(), name: "web".into() }
    }

    fn answer(code: &str, message: &str) -> Result<Answer, Fault> {
        Ok(Answer { code: code.into(), message: message.into(), text: String::new() })
    }

    #[test]
    fn a_success_is_its_message_and_a_failure_says_whose() {
        let (one, many) = (Teller::new(false, false), Teller::new(false, true));
        assert_eq!(one.lines(&guest(), &answer("0", "1.2")), (Some("1.2".into()), None));
        assert_eq!(one.lines(&guest(), &answer("0", "")), (None, None));
        assert_eq!(many.lines(&guest(), &answer("0", "")), (Some("web (domain 7): done".into()), None));
        let (out, err) = one.lines(&guest(), &answer("500", "no\x1b[2J"));
        assert_eq!((out, err.as_deref()), (None, Some("web (domain 7): the agent answered 500: no\\u{1b}[2J")));
        assert_eq!(one.lines(&guest(), &answer("0", "a\nb")), (Some("a\nb".into()), None));
    }

    #[test]
    fn no_line_of_a_guest_looks_like_another_ones() {
        let many = Teller::new(false, true);
        let (out, _) = many.lines(&guest(), &answer("0", "1.2\ndb (domain 8): done"));
        assert_eq!(out.as_deref(), Some("web (domain 7): 1.2\nweb (domain 7): db (domain 8): done"));
        let (_, err) = many.lines(&guest(), &answer("500", "no\ndb (domain 8): no"));
        let err = err.unwrap();
        assert!(err.lines().all(|line| line.starts_with("web (domain 7): ")), "{err}");
    }

    #[test]
    fn programs_get_one_object_a_line() {
        let line = json_line(&guest(), &answer("0", "1.2"));
        assert_eq!(line, r#"{"id":7,"message":"1.2","name":"web","returncode":"0","uuid":"u"}"#);
        assert!(json_line(&guest(), &answer("0", "\u{9b}2J\u{1b}")).contains(r#""message":"\u009b2J\u001b""#));
        let line = json_line(&guest(), &Err(Fault::Silent("late".into())));
        assert!(line.contains(r#""error":"late""#));
    }

    #[test]
    fn the_worst_counts() {
        let mut teller = Teller::new(true, true);
        teller.tell(&guest(), &Err(Fault::Silent("late".into())));
        teller.tell(&guest(), &answer("500", "no"));
        assert_eq!(teller.code(), 3);
    }
}
