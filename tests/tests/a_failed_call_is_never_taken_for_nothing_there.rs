//! What the system refuses to tell is not taken for something that is not there: faults are injected into system calls
//! of the real agent (strace(1)), and its answers must say them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::Result;
use nanova_tests::agent::Agent;
use nanova_tests::guest_root::GuestRoot;
use nanova_tests::host::Host;
use nanova_tests::nova::{Answer, Digest, crypt};
use nanova_tests::scene::path_and_contents;
use nanova_tests::strace;
use nanova_tests::xenstored::{Options, Xenstored};

/// A guest whose agent has such faults injected.
struct Guest {
    host: Host,
    agent: Agent,
    root: GuestRoot,
    xenstored: Xenstored,
}

impl Guest {
    fn new(root: GuestRoot, strace_options: &[&str]) -> Result<Guest> {
        let xenstored = Xenstored::start(Options::default())?;
        let mut command: Command = strace::nanova(["-o", "/dev/null"].iter().chain(strace_options));
        command.args(["agent", "--network", "files", "--xenbus"]).arg(xenstored.guest_socket());
        command.arg("--root").arg(root.path());
        let agent = Agent::spawn(command);
        agent.wait_until_serving();
        Ok(Guest { host: Host::of(&xenstored)?, agent, root, xenstored })
    }

    fn inject(&mut self, path: &str, contents: &str) -> Result<Answer> {
        self.host.ask("injectfile", path_and_contents(path, contents))
    }
}

#[test]
#[ignore = "needs strace"]
fn a_sign_of_the_distribution_that_cannot_be_looked_at_is_an_error() -> Result<()> {
    for errno in ["EIO", "ENOMEM", "ENOSPC"] {
        let root = GuestRoot::new()?;
        // strace compares the path as the agent gives it, which is relative to its root.
        let fault = format!("inject=openat2:error={errno}");
        let mut guest = Guest::new(root, &["-P", "usr/sbin/netplan", "-e", "trace=openat2", "-e", &fault])?;
        let (home, mut host) = (guest.xenstored.home(), guest.xenstored.host());
        host.write(&format!("{home}/vm-data/hostname"), "web01")?;
        let network =
            r#"{"label":"public","mac":"02:00:00:00:00:01","ips":[{"ip":"192.0.2.5","netmask":"255.255.255.0"}]}"#;
        host.write(&format!("{home}/vm-data/networking/020000000001"), network)?;
        let answer = guest.host.ask("resetnetwork", "")?;
        assert_eq!(answer.code, "500", "{errno}: {}", answer.message);
        let expected = "cannot tell which files this guest has: cannot look at /usr/sbin/netplan: ";
        assert!(answer.message.contains(expected), "{}", answer.message);
        assert!(answer.message.contains(errno), "{}", answer.message);
        assert_eq!(guest.root.text("/etc/hostname"), "guest\n", "nothing is written");
    }
    Ok(())
}

#[test]
#[ignore = "needs strace"]
fn a_directory_that_cannot_be_synced_is_done_but_told() -> Result<()> {
    // The first fsync is /run's, where the recorder has a directory; of each command the first is the file's, the
    // second its directory's.
    let mut guest = Guest::new(GuestRoot::new()?, &["-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=3+2"])?;
    let told = |path: &str| {
        format!("done, but {path} may not survive a crash: its directory cannot be synced: input/output error (EIO)")
    };
    for contents in ["one\n", "two\n"] {
        let answer = guest.inject("/etc/motd", contents)?;
        assert_eq!((answer.code.as_str(), answer.message), ("0", told("/etc/motd")));
        assert_eq!(guest.root.text("/etc/motd"), contents);
    }
    let answer = guest.host.set_password("in force", Digest::Sha256)?;
    assert_eq!((answer.code.as_str(), answer.message), ("0", told("/etc/shadow")));
    let field = &guest.root.shadow_of_root()[1];
    assert_eq!(&crypt("in force", field)?, field);
    guest.agent.wait_for_log(&format!("[WARNING] {}", told("/etc/shadow")));
    assert!(guest.root.files().iter().all(|file| !file.contains(".nanova.new")), "{:?}", guest.root.files());
    Ok(())
}

#[test]
#[ignore = "needs strace"]
fn a_file_that_cannot_be_synced_is_not_done() -> Result<()> {
    // As above.
    let mut guest = Guest::new(GuestRoot::new()?, &["-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=2"])?;
    let answer = guest.inject("/etc/motd", "new\n")?;
    assert_eq!((answer.code.as_str(), guest.root.text("/etc/motd").as_str()), ("500", "Welcome.\n"));
    Ok(())
}

#[test]
fn a_list_of_disabled_commands_that_cannot_be_read_takes_all_away() -> Result<()> {
    type Make = fn(&GuestRoot) -> std::io::Result<()>;
    let unreadable: [(&str, Make); 4] = [
        ("a link that leads nowhere", |root| {
            fs::create_dir(root.join("/etc/nanova"))?;
            symlink("/mnt/list", root.join("/etc/nanova/disable"))
        }),
        ("a directory that is a link and leads nowhere", |root| symlink("/mnt/nanova", root.join("/etc/nanova"))),
        ("a link to itself", |root| {
            fs::create_dir(root.join("/etc/nanova"))?;
            symlink("disable", root.join("/etc/nanova/disable"))
        }),
        ("a directory", |root| fs::create_dir_all(root.join("/etc/nanova/disable"))),
    ];
    for (what, make) in unreadable {
        let mut scene = nanova_tests::scene::Scene::new()?;
        assert_eq!(scene.host.ask("version", "")?.code, "0", "{what}");
        make(&scene.root)?;
        for name in ["version", "injectfile", "resetnetwork", "features"] {
            assert_eq!(scene.host.ask(name, "")?.code, "404", "{what}: {name}");
        }
        scene.agent.wait_for_log("no command is served: cannot read /etc/nanova/disable");
    }
    // A link to a list is a list; a directory without one takes nothing away.
    let mut scene = nanova_tests::scene::Scene::new()?;
    fs::create_dir(scene.root.join("/etc/site"))?;
    symlink("site", scene.root.join("/etc/nanova"))?;
    assert_eq!(scene.host.ask("version", "")?.code, "0");
    fs::write(scene.root.join("/etc/list"), "features\n")?;
    symlink("/etc/list", scene.root.join("/etc/site/disable"))?;
    assert_eq!(scene.host.ask("version", "")?.code, "0");
    assert_eq!(scene.host.ask("features", "")?.code, "404");
    Ok(())
}
