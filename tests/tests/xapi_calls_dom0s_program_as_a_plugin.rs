//! `nanova-host` as XAPI's plugins `agent.py` and `nanova`: called as XAPI calls them, by Python's own XML-RPC library.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use nanova_core::secret::host::HostExchange;
use nanova_tests::dom0::{StandIn, binary};
use nanova_tests::nova::crypt;
use nanova_tests::scene::{Scene, base64};
use nanova_tests::xenstored::{Layout, Options, Xenstored};
use serde_json::{Value, json};

/// What XAPI does (`xapi_plugins.ml`): one argument, the response on standard output; then what a client makes of it.
const CALL: &str = r#"
import json, subprocess, sys, xmlrpc.client
plugin, function, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
call = xmlrpc.client.dumps(("OpaqueRef:0-1", arguments), function)
run = subprocess.run([plugin, call], stdout=subprocess.PIPE)
assert run.returncode == 0, run
((response,), _) = xmlrpc.client.loads(run.stdout)
print(json.dumps(response))
"#;

fn call(xenstored: &Xenstored, plugin: &str, function: &str, arguments: Value) -> Result<Value> {
    let directory = tempfile::tempdir()?;
    let plugin = directory.path().join(plugin);
    std::os::unix::fs::symlink(binary(), &plugin)?;
    let output = Command::new("/usr/bin/python3")
        .args(["-c", CALL, plugin.to_str().context("a path is text")?, function, &arguments.to_string()])
        .env("XENSTORED_PATH", xenstored.host_socket())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// nova's plugin, with what nova always gives.
fn nova(xenstored: &Xenstored, function: &str, mut arguments: Value) -> Result<Value> {
    arguments["id"] = json!("a-uuid-of-novas");
    arguments["dom_id"] = json!(xenstored.domid().to_string());
    call(xenstored, "agent.py", function, arguments)
}

/// The guest's response, as nova reads it.
fn response(value: &Value) -> Result<Value> {
    ensure!(value["Status"] == "Success", "{value}");
    Ok(serde_json::from_str(value["Value"].as_str().context("a success is text")?)?)
}

/// The last line of the last element, where nova looks.
fn last_line(value: &Value) -> String {
    let words = value["ErrorDescription"].as_array().and_then(|words| words.last()).and_then(Value::as_str);
    words.and_then(|text| text.lines().last()).unwrap_or_default().to_owned()
}

#[test]
fn novas_functions_give_the_guests_response_as_it_is() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let version = response(&nova(&scene.xenstored, "version", json!({}))?)?;
    assert_eq!(version, json!({ "returncode": "0", "message": env!("CARGO_PKG_VERSION") }));
    let keys = response(&nova(&scene.xenstored, "key_init", json!({ "pub": "1234567890123456789" }))?)?;
    assert_eq!(keys["returncode"], "D0");
    // A refusal of the agent's is nova's to judge.
    let password = response(&nova(&scene.xenstored, "password", json!({ "enc_pass": "AAAA" }))?)?;
    assert_eq!(password["returncode"], "500");
    let (path, contents) = ("L2V0Yy9tb3Rk", "aGVsbG8=");
    let arguments = json!({ "b64_path": path, "b64_contents": contents });
    assert_eq!(response(&nova(&scene.xenstored, "inject_file", arguments)?)?["returncode"], "0");
    assert_eq!(scene.root.text("/etc/motd"), "hello");
    Ok(())
}

#[test]
fn novas_failures_have_the_words_that_it_looks_for() -> Result<()> {
    let xenstored = Xenstored::start(Options::default())?;
    let silent = nova(&xenstored, "version", json!({ "timeout": "1" }))?;
    assert!(last_line(&silent).starts_with("TIMEOUT:"), "{silent}");
    assert_eq!(xenstored.host().list(&format!("{}/data/host", xenstored.home()))?, [""; 0]);
    let gone = call(&xenstored, "agent.py", "version", json!({ "id": "u", "dom_id": "99" }))?;
    assert!(last_line(&gone).starts_with("REBOOT:"), "{gone}");
    let _agent = StandIn::start(&xenstored, |_, _| Some(("0".into(), "version".into())))?;
    let file = nova(&xenstored, "inject_file", json!({ "b64_path": "L2E=", "b64_contents": "eA==" }))?;
    assert!(last_line(&file).starts_with("NOT IMPLEMENTED:"), "{file}");
    let unknown = nova(&xenstored, "frobnicate", json!({}))?;
    assert_eq!(unknown["ErrorDescription"], json!(["UNKNOWN_XENAPI_PLUGIN_FUNCTION", "frobnicate"]));
    Ok(())
}

#[test]
fn our_own_functions_find_a_vm_by_its_uuid() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let uuid = "7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a";
    let version = response(&call(&scene.xenstored, "nanova", "version", json!({ "uuid": uuid }))?)?;
    assert_eq!((&version["message"], &version["id"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(7)));
    assert_eq!(response(&call(&scene.xenstored, "nanova", "list", json!({}))?)?[0]["uuid"], uuid);
    let network = response(&call(&scene.xenstored, "nanova", "network", json!({ "uuid": uuid }))?)?;
    assert_eq!(network["networking"], json!({}));
    let refused = call(&scene.xenstored, "nanova", "call", json!({ "uuid": uuid, "name": "frobnicate" }))?;
    assert!(refused["ErrorDescription"][2] == "AgentRefused" && last_line(&refused).contains("404"), "{refused}");
    let nobody = call(&scene.xenstored, "nanova", "version", json!({ "uuid": "nobody" }))?;
    assert!(nobody["Status"] == "Failure" && last_line(&nobody).contains("'nobody'"), "{nobody}");
    Ok(())
}

#[test]
fn a_password_goes_sealed_through_xapi_from_who_calls_to_the_guest() -> Result<()> {
    let mut scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let uuid = "7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a";
    let ours = |scene: &Scene, function: &str, name: &str, value: &Value| {
        call(&scene.xenstored, "nanova", function, json!({ "uuid": uuid, name: value }))
    };
    let exchange = HostExchange::new(&[5; 32]);
    let half: Value = serde_json::from_str(&exchange.value())?;
    let theirs = response(&ours(&scene, "keyinit", "public", &half["public"])?)?;
    let message = theirs["message"].as_str().context("a message is text")?;
    let mut session = exchange.agree(message).ok().context("it is a public key")?;
    let mut seal = || -> Result<(u64, Value)> {
        let request = json!({ "name": "password", "value": "through XAPI" }).to_string();
        let (counter, request) = session.seal(request.as_bytes()).context("it is short")?;
        Ok((counter, serde_json::from_slice::<Value>(&request)?["value"].clone()))
    };
    let (first, second) = (seal()?, seal()?);
    let answer = response(&ours(&scene, "sealed", "value", &first.1)?)?;
    let message = answer["message"].as_str().context("a message is text")?;
    let mut room = vec![0; message.len()];
    let opened = session.open(first.0, message, &mut room).ok().context("it is the guest's")?;
    assert_eq!(serde_json::from_slice::<Value>(opened)?["returncode"], "0");
    let field = scene.root.shadow_of_root()[1].to_string();
    assert_eq!(crypt("through XAPI", &field)?, field);
    // Another session ends this one.
    scene.host.begin_session()?;
    let lost = ours(&scene, "sealed", "value", &second.1)?;
    assert!(lost["ErrorDescription"][2] == "AgentRefused" && last_line(&lost).contains("answered 401"), "{lost}");
    Ok(())
}

#[test]
fn a_password_is_made_and_goes_to_who_has_called_and_to_nobody_else() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let ours = |public: &Value| {
        let uuid = "7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a";
        call(&scene.xenstored, "nanova", "password", json!({ "uuid": uuid, "public": public }))
    };
    let before = scene.root.shadow_of_root()[1].to_string();
    // A number that is a key of nobody's, and none at all: nothing is changed for them.
    for bad in [base64([0; 256]), base64([255; 256]), base64([7; 255]), "no base64".into(), String::new()] {
        let refused = ours(&json!(bad))?;
        assert!(refused["Status"] == "Failure" && last_line(&refused).contains("nothing was changed"), "{refused}");
    }
    assert_eq!(scene.root.shadow_of_root()[1], before);
    let exchange = HostExchange::new(&[6; 32]);
    let half: Value = serde_json::from_str(&exchange.value())?;
    let answer = response(&ours(&half["public"])?)?;
    assert_eq!((&answer["returncode"], &answer["message"]), (&json!("0"), &json!("")));
    let text = |name: &str| answer[name].as_str().context("it is text");
    let session = exchange.agree(text("public")?).ok().context("it is a public key")?;
    let mut room = vec![0; text("password")?.len()];
    let password = session.open(1, text("password")?, &mut room).ok().context("it is ours")?;
    let password = std::str::from_utf8(password)?;
    assert_eq!(password.len(), 24);
    let field = scene.root.shadow_of_root()[1].to_string();
    assert_eq!(crypt(password, &field)?, field);
    assert!(!answer.to_string().contains(password));
    Ok(())
}

#[test]
fn a_network_is_set_through_xapi_and_what_xapi_is_to_be_told_is_in_the_answer() -> Result<()> {
    let network = r#"{"hostname": "web01", "networking": {"BC764E000001": {"label": "public",
        "mac": "bc:76:4e:00:00:01", "ips": [{"ip": "10.0.0.5", "netmask": "255.255.255.0", "enabled": "1"}]}}}"#;
    for layout in [Layout::Xapi, Layout::Xl] {
        let xenstored = Xenstored::start(Options { layout, ..Options::default() })?;
        let agent = StandIn::start(&xenstored, |_, _| Some(("0".into(), "left out: nothing".into())))?;
        let old = format!("{}/vm-data/networking/00163E000009", xenstored.home());
        xenstored.host().write(&old, "{}")?;
        let uuid = "7b3fd1ce-0f6b-4b0c-9d3c-2d4fb5ed8d2a";
        let ours = |network: &str| call(&xenstored, "nanova", "network", json!({ "uuid": uuid, "network": network }));
        let bad = ours(&network.replace("10.0.0.5", "10.0.0.555"))?;
        assert!(bad["Status"] == "Failure" && last_line(&bad).contains("10.0.0.555"), "{bad}");
        assert_eq!(agent.heard(), []);
        let answer = response(&ours(network)?)?;
        assert_eq!(agent.heard()[0].0, "resetnetwork");
        assert_eq!(answer["message"], "left out: nothing");
        assert_eq!(xenstored.host().get(&old)?, None);
        let told = &answer["xenstore_data"];
        match layout {
            Layout::Xapi => {
                assert_eq!(told["set"]["vm-data/hostname"], "web01");
                assert_eq!(told["removed"], json!(["vm-data/networking/00163E000009"]));
            }
            _ => assert!(told.is_null(), "{answer}"),
        }
    }
    Ok(())
}
