//! Every command with any argument, one request after the other, on a guest in memory: each ends in one answer that is
//! valid JSON within its bound, no file is left half written, and a password is in no line of the log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nanova_core::commands::Response;
use nanova_core::engine::dispatch::{Dispatched, Dispatcher};
use nanova_core::network::Target;
use nanova_core::platform::STAGED_NAME;
use nanova_core::test_platform::FakePlatform;
use nanova_core::test_xenstore::FakeXenstore;
use nanova_core::xenstore::Client;

fn check(response: &Response) {
    let mut json = Default::default();
    response.to_json(nanova_core::commands::response::RESPONSE_MAX, &mut json);
    let answer: serde_json::Value = serde_json::from_slice(&json).expect("an answer is JSON");
    assert!(answer["returncode"].is_string() && answer["message"].is_string(), "{answer}");
}

fuzz_target!(|input: &[u8]| {
    let mut platform = FakePlatform::with(&[
        ("/etc/shadow", "root:*:1:0:99999:7:::\n"),
        ("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        ("/etc/nanova/commands.d/site", "0 said\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n"),
    ]);
    let vm_data = r#"{"ips":[{"ip":"10.0.0.5","netmask":24}],"gateway":"10.0.0.1","dns":["9.9.9.9"]}"#;
    let store = FakeXenstore::with(&[("vm-data/hostname", "web01"), ("vm-data/networking/020000000001", vm_data)]);
    let (mut client, mut dispatcher) = (Client::new(store), Dispatcher::new());
    for request in input.split(|byte| *byte == 0x1e).take(8) {
        let mut request = request.to_vec();
        match dispatcher.handle(&mut request, &mut platform) {
            Dispatched::Answered(response) => check(&response),
            Dispatched::OverXenstore(_, run) => {
                let response = dispatcher.run(run, &mut client, &mut platform, Target::Both);
                check(&response.expect("this store answers"));
            }
            Dispatched::Begun => {
                let ended = (0..8).find_map(|_| dispatcher.go_on(false, &mut platform));
                check(&ended.or_else(|| dispatcher.go_on(true, &mut platform)).expect("what is ended has an answer"));
            }
            Dispatched::Later => panic!("nothing is under way"),
        }
        assert!(platform.nodes.keys().all(|path| !path.contains(STAGED_NAME)), "nothing is left behind");
        platform.time += 1;
    }
});
