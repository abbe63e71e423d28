//! Sealed requests of any bytes in a session, and any value of its keyinit: each ends in an answer that is valid JSON
//! within its bound; what the session did not seal is answered unsealed and runs nothing, what it did is answered
//! sealed, to that counter, and once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::commands::response::RESPONSE_MAX;
use nanova_core::engine::dispatch::{Dispatched, Dispatcher};
use nanova_core::secret::host::{HostExchange, HostSession};
use nanova_core::test_platform::FakePlatform;
use nanova_core::test_xenstore::FakeXenstore;

struct Guest(Dispatcher, FakePlatform);

impl Guest {
    /// Code and message; none of what has its answer later.
    fn ask(&mut self, request: &[u8]) -> Option<(String, String)> {
        let handled = self.0.handle::<FakeXenstore, _>(&mut request.to_vec(), &mut self.1);
        let Dispatched::Answered(response) = handled else { return None };
        let mut json = Default::default();
        self.0.write(&response, &mut json);
        assert!(json.len() <= RESPONSE_MAX);
        let answer: serde_json::Value = serde_json::from_slice(&json).expect("an answer is JSON");
        let field = |name: &str| answer[name].as_str().expect("a text").to_owned();
        Some((field("returncode"), field("message")))
    }

    fn keyinit(&mut self) -> HostSession {
        let exchange = HostExchange::new(&[7; 32]);
        let request = format!(r#"{{"name":"keyinit","value":{}}}"#, exchange.value());
        let (code, message) = self.ask(request.as_bytes()).expect("it is answered");
        assert_eq!(code, "D0");
        exchange.agree(&message).unwrap_or_else(|_| panic!("it is a public key"))
    }
}

fuzz_target!(|input: &[u8]| {
    let [choice, rest @ ..] = input else { return };
    let mut guest = Guest(Dispatcher::new(), FakePlatform::with(&[("/etc/shadow", "root:*:1:0:99999:7:::\n")]));
    if choice & 3 == 0 {
        let value = String::from_utf8_lossy(rest);
        let _ = guest.ask(format!(r#"{{"name":"keyinit","value":{value}}}"#).as_bytes());
        return;
    }
    let mut session = guest.keyinit();
    if choice & 3 == 1 {
        // Not sealed by it.
        let text = serde_json::Value::from(String::from_utf8_lossy(rest));
        let before = guest.1.nodes.clone();
        let (code, _) = guest.ask(format!(r#"{{"name":"sealed","value":{text}}}"#).as_bytes()).expect("an answer");
        assert!(["401", "500"].contains(&code.as_str()));
        assert_eq!(guest.1.nodes, before);
        return;
    }
    let Some((counter, sealed)) = session.seal(rest) else { return };
    let Some((code, message)) = guest.ask(&sealed) else { return };
    assert_eq!(code, "0");
    let mut room = [0; RESPONSE_MAX];
    let opened = session.open(counter, &message, &mut room).expect("it is sealed for this session");
    let answer: serde_json::Value = serde_json::from_slice(opened).expect("what is in it is JSON");
    assert!(answer["returncode"].is_string() && answer["message"].is_string());
    assert_eq!(guest.ask(&sealed).expect("an answer").0, "500", "once");
});
