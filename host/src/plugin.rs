//! As a plugin of XAPI's: one argument is an XML-RPC call, standard output its response, the exit code 0.
//!
//! `/etc/xapi.d/plugins/agent.py` stands in the place of nova's own (os-xenapi), function for function: a success is
//! the guest's response as it is, whatever it says, and a failure's text begins with the word that nova looks for.
//! `/etc/xapi.d/plugins/nanova` has functions of our own, for a VM of a uuid; a success is JSON.
//!
//! XAPI logs what it is given, and the arguments are in dom0's list of processes: there is no function here that takes
//! a password in clear. `password` makes one and gives it sealed to a public key of who has called. `keyinit` and
//! `sealed` hand sealed requests on: only who has called them and the guest can read what is in these
//! (`core/src/secret/SEALED.md`), so that is the way for a password.

use std::collections::BTreeMap;
use std::mem::take;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use dxr::{MethodCall, MethodResponse, TryFromValue, Value};
use nanova_core::secret::group::GROUP;
use nanova_core::secret::host::seal_to;
use nanova_core::secret::with_wiped_stack;
use serde_json::json;

use crate::answer::Answer;
use crate::connection::Connection;
use crate::conversation::Ordered;
use crate::fault::Fault;
use crate::guests::{Guest, running};
use crate::inject::{File, Inject};
use crate::interrupt::Interrupt;
use crate::letter::Letter;
use crate::password::Passwords;
use crate::random::random;
use crate::request::Request;
use crate::runner::{Job, Patience, run};
use crate::sealing::Speech;
use crate::{list, network, password, told};

/// How long an answer is waited for if the caller says nothing.
const TIMEOUT: u32 = 30;

/// The plugins that this program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugin {
    /// `agent.py`
    Nova,
    /// `nanova`
    Ours,
}

type Arguments = BTreeMap<String, String>;

/// Which plugin it is called as, and the call; none if it is called as a program.
pub(crate) fn called_as(words: &[std::ffi::OsString]) -> Option<(Plugin, &str)> {
    let [name, call] = words else { return None };
    let plugin = match Path::new(name).file_name()?.to_str()? {
        "agent.py" => Plugin::Nova,
        "nanova" => Plugin::Ours,
        _ => return None,
    };
    Some((plugin, call.to_str()?))
}

/// Serves the call; returns the response.
pub(crate) fn serve(plugin: Plugin, call: &str) -> String {
    let response = match parse(call) {
        Err(why) => failure(&["XENAPI_PLUGIN_FAILURE", "", "ValueError", &why]),
        Ok((function, arguments)) => match perform(plugin, &function, &arguments) {
            None => failure(&["UNKNOWN_XENAPI_PLUGIN_FUNCTION", &function]),
            Some(Ok(value)) => structure([("Status", text("Success")), ("Value", text(&value))]),
            Some(Err(fault)) => {
                let (class, text) = described(plugin, &fault);
                failure(&["XENAPI_PLUGIN_FAILURE", &function, class, &text])
            }
        },
    };
    MethodResponse { value: response }.to_xml().unwrap_or_default()
}

/// The function and its arguments. What is wrong is told without them: they may be secret.
fn parse(call: &str) -> Result<(String, Arguments), String> {
    let call = MethodCall::from_xml(call).map_err(|_| "the argument is no XML-RPC call".to_owned())?;
    let [_session, arguments] = &call.params[..] else { return Err("a call has a session and a struct".into()) };
    let arguments = Arguments::try_from_value(arguments);
    Ok((call.name.into_owned(), arguments.map_err(|_| "the arguments are no struct of strings")?))
}

fn structure<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn failure(words: &[&str]) -> Value {
    let words = words.iter().map(|word| text(word)).collect();
    structure([("Status", text("Failure")), ("ErrorDescription", Value::Array(words))])
}

/// A text that XML can have: what a guest says may have characters that it cannot (XML 1.0, production 2).
fn text(text: &str) -> Value {
    let is_none = |c| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    Value::String(text.replace(is_none, "\u{fffd}"))
}

/// A failure's class, and its text: nova looks for its words in the last line.
fn described(plugin: Plugin, fault: &Fault) -> (&'static str, String) {
    let (class, word) = match fault {
        Fault::Silent(_) => ("TimedOut", "TIMEOUT: "),
        Fault::Gone(_) => ("Gone", "REBOOT: "),
        Fault::Guest(text) if text.contains("injects no files") => ("NotImplemented", "NOT IMPLEMENTED: "),
        Fault::Guest(_) => ("AgentRefused", ""),
        _ => ("Failed", ""),
    };
    match plugin {
        Plugin::Nova => ("PluginError", format!("{word}{fault}")),
        Plugin::Ours => (class, fault.to_string()),
    }
}

/// What the function comes to; none if there is no such function.
fn perform(plugin: Plugin, function: &str, arguments: &Arguments) -> Option<Result<String, Fault>> {
    let asks = Asks { arguments, patience: patience(arguments) };
    match plugin {
        Plugin::Nova => asks.nova(function),
        Plugin::Ours => asks.ours(function),
    }
}

fn patience(arguments: &Arguments) -> Patience {
    // As much as fits a moment, as on the command line.
    let seconds = arguments.get("timeout").and_then(|text| text.parse::<u32>().ok()).unwrap_or(TIMEOUT);
    Patience { timeout: Duration::from_secs(seconds.into()), follow: false }
}

/// A call's arguments, and how long to wait.
struct Asks<'a> {
    arguments: &'a Arguments,
    patience: Patience,
}

impl Asks<'_> {
    fn get(&self, name: &str) -> Result<&str, Fault> {
        self.arguments
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Fault::here(format!("the argument '{name}' is missing")))
    }

    fn nova(&self, function: &str) -> Option<Result<String, Fault>> {
        let speech = match function {
            "version" => self.plain("version", Ok("agent".into())),
            "key_init" => self.plain("keyinit", self.get("pub").map(str::to_owned)),
            "password" => self.plain("password", self.get("enc_pass").map(str::to_owned)),
            "resetnetwork" => self.plain("resetnetwork", Ok(String::new())),
            "agentupdate" => self.plain("agentupdate", self.update("url", "md5sum")),
            "inject_file" => self.file("b64_path", "b64_contents"),
            _ => return None,
        };
        let guest = || {
            let domid = self.get("dom_id")?.parse().map_err(|_| Fault::here("'dom_id' is no domain id"))?;
            Ok(Guest { domid, uuid: self.get("id")?.to_owned(), name: String::new() })
        };
        let asked = speech.and_then(|speech| self.ask(&mut connect()?, guest()?, speech));
        Some(asked.map(|(_, mut answer)| take(&mut answer.text)))
    }

    fn ours(&self, function: &str) -> Option<Result<String, Fault>> {
        let speech = match function {
            "list" => return Some(connect().and_then(|mut connection| list::json(&mut connection))),
            "network" => return Some(self.network()),
            "password" => return Some(self.password()),
            "version" => self.plain("version", Ok("agent".into())),
            "features" => self.plain("features", Ok(String::new())),
            "call" => self.call(),
            "keyinit" => self.keyinit(),
            "sealed" => self.plain("sealed", self.get("value").map(str::to_owned)),
            "update" => self.once("agentupdate", self.update("url", "sum")),
            "inject" => self.file("path", "contents"),
            "shutdown" => Ok(Speech::Plain(Box::new(Ordered("poweroff")))),
            "reboot" => Ok(Speech::Plain(Box::new(Ordered("reboot")))),
            _ => return None,
        };
        Some(speech.and_then(|speech| {
            let mut connection = connect()?;
            let guest = self.guest(&mut connection)?;
            succeeded(self.ask(&mut connection, guest, speech)?, [])
        }))
    }

    /// What vm-data says of the network; or, given one, writes that and has the guest set it. What XAPI is to be told
    /// so that it stays is in the answer.
    fn network(&self) -> Result<String, Fault> {
        let mut connection = connect()?;
        let guest = self.guest(&mut connection)?;
        let Some(text) = self.arguments.get("network") else { return network::shown(&mut connection, &guest) };
        let written = network::write_text(&mut connection, &guest, text)?;
        let asked = self.ask(&mut connection, guest, self.plain("resetnetwork", Ok(String::new()))?)?;
        let xapi = written.is_of_xapi.then(|| {
            let nodes: BTreeMap<_, _> = written.nodes.into_iter().collect();
            json!({ "set": nodes, "removed": written.gone })
        });
        succeeded(asked, [("xenstore_data", xapi.unwrap_or_default())])
    }

    /// Generates a password, sets it, and gives it to who has called, sealed to the public key in the arguments.
    fn password(&self) -> Result<String, Fault> {
        let password = Rc::new(password::generate()?);
        let random = random()?;
        let sealed = with_wiped_stack(|| seal_to(self.get("public").ok()?, &random, &password).map(Box::new));
        let text = "'public' is to be the base64 of a public key of ffdhe2048; nothing was changed";
        let Some((public, sealed)) = sealed.map(|sealed| *sealed) else { return Err(Fault::here(text)) };
        let mut connection = connect()?;
        let guest = self.guest(&mut connection)?;
        let nanova = !password::nanovas(&mut connection, std::slice::from_ref(&guest))?.is_empty();
        let asked = self.ask(&mut connection, guest, Passwords::Same(password).change(nanova)?)?;
        succeeded(asked, [("public", json!(public.as_str())), ("password", json!(sealed.as_str()))])
    }

    fn guest(&self, connection: &mut Connection) -> Result<Guest, Fault> {
        of_uuid(running(connection)?, self.get("uuid")?)
    }

    fn plain(&self, name: &str, value: Result<String, Fault>) -> Result<Speech, Fault> {
        Ok(Speech::plain(Request::text(name, &value?)))
    }

    fn once(&self, name: &str, value: Result<String, Fault>) -> Result<Speech, Fault> {
        Ok(Speech::once(name, Request::text(name, &value?)))
    }

    /// Begins a session between the guest and who has called.
    fn keyinit(&self) -> Result<Speech, Fault> {
        let value = json!({ "group": GROUP, "public": self.get("public")? });
        Ok(Speech::plain(Request::json("keyinit", &value.to_string())))
    }

    /// Any command; a value that is a JSON object is sent as one.
    fn call(&self) -> Result<Speech, Fault> {
        let (name, value) = (self.get("name")?, self.get("value").unwrap_or(""));
        Ok(Speech::once(name, Request::of_typed(name, value)))
    }

    fn update(&self, url: &str, sum: &str) -> Result<String, Fault> {
        Ok(format!("{},{}", self.get(url)?, self.get(sum)?))
    }

    /// A file whose path and contents are base64.
    fn file(&self, path: &str, contents: &str) -> Result<Speech, Fault> {
        let decoded = |name: &str| {
            let bytes = Base64::decode_vec(self.get(name)?);
            bytes.map_err(|_| Fault::here(format!("the argument '{name}' is no base64")))
        };
        let path = String::from_utf8(decoded(path)?).map_err(|_| Fault::here("the path is no UTF-8"))?;
        Ok(Inject::speech(Rc::new(File::new(path, decoded(contents)?)), Rc::default()))
    }

    fn ask(&self, connection: &mut Connection, guest: Guest, speech: Speech) -> Result<(Guest, Answer), Fault> {
        let mut outcome = Err(Fault::here("the guest was not asked"));
        let conversation = speech.conversation(Letter::room(&guest, connection.payload_max()));
        run(connection, vec![Job { guest: guest.clone(), conversation }], self.patience, &mut |guest, told| {
            outcome = told.map(|answer| (guest.clone(), answer));
        })?;
        outcome
    }
}

/// A success as JSON, with these members beside the answer's; anything else is a failure.
fn succeeded<const N: usize>(asked: (Guest, Answer), more: [(&str, serde_json::Value); N]) -> Result<String, Fault> {
    let (guest, answer) = asked;
    if !answer.is_success() {
        return Err(Fault::Guest(format!("the agent answered {}: {}", answer.code, answer.message)));
    }
    let mut line: serde_json::Value = serde_json::from_str(&told::json_line(&guest, &Ok(answer))).unwrap_or_default();
    more.into_iter().filter(|(_, value)| !value.is_null()).for_each(|(name, value)| line[name] = value);
    Ok(line.to_string())
}

/// The guest of a uuid: no id, no name, and not `all` of them, of which a caller would get any one.
fn of_uuid(guests: Vec<Guest>, uuid: &str) -> Result<Guest, Fault> {
    let is_it = |guest: &Guest| !uuid.is_empty() && guest.uuid.eq_ignore_ascii_case(uuid);
    let guest = guests.into_iter().find(is_it);
    guest.ok_or_else(|| Fault::here(format!("no running guest has the uuid '{uuid}'")))
}

fn connect() -> Result<Connection, Fault> {
    let interrupt = Interrupt::new().map_err(|error| Fault::here(format!("cannot take signals: {error}")))?;
    Connection::open(None, false, interrupt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_plugin_by_its_name_and_its_one_argument() {
        let words = |words: &[&str]| words.iter().map(std::ffi::OsString::from).collect::<Vec<_>>();
        assert_eq!(called_as(&words(&["/etc/xapi.d/plugins/agent.py", "<x>"])), Some((Plugin::Nova, "<x>")));
        assert_eq!(called_as(&words(&["/etc/xapi.d/plugins/nanova", "<x>"])), Some((Plugin::Ours, "<x>")));
        assert_eq!(called_as(&words(&["/usr/bin/nanova-host", "list"])), None);
        assert_eq!(called_as(&words(&["/etc/xapi.d/plugins/nanova"])), None);
    }

    #[test]
    fn a_vm_is_meant_by_its_uuid_and_by_nothing_else() {
        let guest = |domid, uuid: &str| Guest { domid, uuid: uuid.into(), name: "web".into() };
        let guests = || vec![guest(3, ""), guest(7, "7b3fd1ce")];
        assert_eq!(of_uuid(guests(), "7B3FD1CE").map(|guest| guest.domid), Ok(7));
        for none in ["all", "7", "web", ""] {
            assert!(of_uuid(guests(), none).unwrap_err().to_string().contains(none), "{none}");
        }
    }

    #[test]
    fn a_response_is_xml_whatever_the_guest_says() {
        let response = MethodResponse { value: failure(&["no\x1b[2J\0\u{ffff}\t\u{e9}"]) }.to_xml().unwrap();
        assert!(response.contains("no\u{fffd}[2J\u{fffd}\u{fffd}\t\u{e9}"), "{response}");
    }

    #[test]
    fn no_time_is_too_long_to_be_waited_for() {
        for (seconds, waited) in [("7", 7), ("4294967295", 4_294_967_295), ("18446744073709551615", 30), ("x", 30)] {
            let patience = patience(&Arguments::from([("timeout".into(), seconds.into())]));
            assert_eq!(patience.timeout.as_secs(), waited);
            assert!(std::time::Instant::now().checked_add(patience.timeout).is_some());
        }
    }

    #[test]
    fn nova_finds_its_words_in_the_last_line() {
        for (fault, word) in [
            (Fault::Silent("s".into()), "TIMEOUT:"),
            (Fault::Gone("g".into()), "REBOOT:"),
            (Fault::Guest("this agent injects no files".into()), "NOT IMPLEMENTED:"),
        ] {
            let (_, text) = described(Plugin::Nova, &fault);
            assert!(text.lines().last().unwrap().starts_with(word), "{text}");
        }
    }
}
