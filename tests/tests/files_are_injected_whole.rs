//! `injectfile` and `file_inject`: the file is there, whole, with the right mode and owner; what was there before is
//! kept beside it; and nothing is left of an attempt that failed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use nanova_tests::agent::{Agent, binary};
use nanova_tests::host::Host;
use nanova_tests::nova::Answer;
use nanova_tests::scene::{Scene, base64, path_and_contents};
use rustix::fs::{FlockOperation, XattrFlags, getxattr, setxattr};
use serde_json::json;

/// An ordinary user where the tests run as root.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Injects in the one form or the other, by turns.
fn inject(scene: &mut Scene, path: &str, contents: impl AsRef<[u8]>) -> Result<Answer> {
    let contents = contents.as_ref();
    if path.len().is_multiple_of(2) {
        return scene.host.ask("injectfile", path_and_contents(path, contents));
    }
    scene.host.ask("file_inject", json!({ "b64_path": base64(path), "b64_file": base64(contents) }))
}

fn inject_both(scene: &mut Scene, path: &str, contents: &[u8]) -> Result<[Answer; 2]> {
    let one = scene.host.ask("injectfile", path_and_contents(path, contents))?;
    let other = scene.host.ask("file_inject", json!({ "b64_path": base64(path), "b64_file": base64(contents) }))?;
    Ok([one, other])
}

/// What is kept of a file, oldest first.
fn backups(scene: &Scene, path: &str) -> Vec<String> {
    let start = format!("{}.", path.trim_start_matches('/'));
    scene.root.files().into_iter().filter(|file| file.starts_with(&start) && file.ends_with(".bak~")).collect()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn a_new_file_is_for_root_alone_and_its_directories_for_all_to_read() -> Result<()> {
    let mut scene = Scene::new()?;
    for path in ["/etc/new", "/srv/a/b/c/new", "/new", "/opt/with blank/ünï/☃", "/srv/a/b/second"] {
        assert_eq!(inject(&mut scene, path, "contents\n")?.ok()?, "", "{path}");
        assert_eq!(scene.root.text(path), "contents\n");
        assert_eq!(scene.root.mode(path), 0o600, "{path}");
        let file = fs::metadata(scene.root.join(path))?;
        assert_eq!(file.uid(), rustix::process::geteuid().as_raw());
        assert!(backups(&scene, path).is_empty());
    }
    for directory in ["/srv", "/srv/a", "/srv/a/b", "/srv/a/b/c", "/opt", "/opt/with blank", "/opt/with blank/ünï"] {
        assert_eq!(scene.root.mode(directory), 0o755, "{directory}");
    }
    assert!(scene.root.files().iter().all(|file| !file.contains(".nanova.new")));
    Ok(())
}

#[test]
fn contents_are_bytes() -> Result<()> {
    let mut scene = Scene::new()?;
    let all: Vec<u8> = (0..=255).collect();
    let long = all.repeat(11);
    let contents: [&[u8]; 8] = [b"", b",", b",,a,b,\n", b"\0", b"a\0b", b"\xff\xfe\0", &all, &long];
    for (place, bytes) in contents.into_iter().enumerate() {
        for (form, path) in ["injectfile", "file_inject"].map(|form| (form, format!("/etc/{form}-{place}"))) {
            let argument = match form {
                "injectfile" => json!(path_and_contents(&path, bytes)),
                _ => json!({ "b64_path": base64(&path), "b64_file": base64(bytes) }),
            };
            assert_eq!(scene.host.ask(form, argument)?.ok()?, "", "{path}");
            assert_eq!(fs::read(scene.root.join(&path))?, bytes, "{path}");
        }
    }
    // The first comma splits, the others are contents.
    assert_eq!(scene.host.ask("injectfile", base64("/etc/commas,a,b,c"))?.ok()?, "");
    assert_eq!(scene.root.text("/etc/commas"), "a,b,c");
    // In the newer form a comma may be in the name.
    let argument = json!({ "b64_file": base64("x"), "more": [1, {}], "b64_path": base64("/etc/a,b") });
    assert_eq!(scene.host.ask("file_inject", argument)?.ok()?, "");
    assert_eq!(scene.root.text("/etc/a,b"), "x");
    Ok(())
}

#[test]
fn the_argument_may_be_escaped_and_broken_into_lines() -> Result<()> {
    let mut scene = Scene::new()?;
    let argument = path_and_contents("/etc/lines", b"\xfb\xef\xbe??>>~~");
    assert!(argument.contains('/') && argument.contains('+'), "{argument}");
    let broken: Vec<String> = argument.as_bytes().chunks(7).map(|line| String::from_utf8_lossy(line).into()).collect();
    let escape = |text: &str| text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>();
    for (place, form) in [
        argument.replace('/', r"\/"),
        argument.replace('+', r"\u002b").replace('/', r"\u002F"),
        escape(&argument),
        broken.join(r"\n"),
        broken.join(r"\r\n") + r"\n",
    ]
    .into_iter()
    .enumerate()
    {
        let answer = scene.host.ask_raw(format!(r#"{{"name":"injectfile","value":"{form}"}}"#))?;
        assert_eq!(answer.ok()?, "", "form {place}");
        assert_eq!(fs::read(scene.root.join("/etc/lines"))?, b"\xfb\xef\xbe??>>~~");
        fs::remove_file(scene.root.join("/etc/lines"))?;
    }
    let (path, file) = (escape(&base64("/etc/lines")), base64("x").replace('=', r"\u003d"));
    let body = format!(r#"{{"name":"file_inject","value":{{"b64\u005fpath":"{path}","b64_file":"{file}\n"}}}}"#);
    assert_eq!(scene.host.ask_raw(body)?.ok()?, "");
    assert_eq!(scene.root.text("/etc/lines"), "x");
    Ok(())
}

#[test]
fn an_existing_file_keeps_its_mode_whoever_it_is_of() -> Result<()> {
    replace_with_each_mode(None)
}

#[test]
#[ignore = "needs root"]
fn an_existing_file_keeps_mode_and_owner_and_its_old_contents_stay_beside_it() -> Result<()> {
    replace_with_each_mode(Some((1234, 4321)))
}

/// Replaces files of each mode, and of this owner and group.
fn replace_with_each_mode(owner: Option<(u32, u32)>) -> Result<()> {
    let mut scene = Scene::new()?;
    for mode in [0o644, 0o600, 0o755, 0o440, 0o6755, 0o1777, 0o666] {
        let path = format!("/etc/mode-{mode:o}");
        let file = scene.root.join(&path);
        fs::write(&file, "old\n")?;
        if let Some((owner, group)) = owner {
            std::os::unix::fs::chown(&file, Some(owner), Some(group))?;
        }
        fs::set_permissions(&file, Permissions::from_mode(mode))?;
        let old = fs::metadata(&file)?;
        let before = now();
        assert_eq!(inject(&mut scene, &path, "new\n")?.ok()?, "");
        let new = fs::metadata(&file)?;
        assert_eq!(fs::read(&file)?, b"new\n");
        assert_eq!((new.mode(), new.uid(), new.gid()), (old.mode(), old.uid(), old.gid()), "{mode:o}");
        let kept = backups(&scene, &path);
        assert_eq!(kept.len(), 1, "{kept:?}");
        let stamp: u64 = kept[0].trim_end_matches(".bak~").rsplit('.').next().unwrap_or_default().parse()?;
        assert!((before..=now()).contains(&stamp), "{}", kept[0]);
        let kept = fs::metadata(scene.root.join(&kept[0]))?;
        assert_eq!(
            (kept.ino(), kept.mode(), kept.uid()),
            (old.ino(), old.mode(), old.uid()),
            "it is the old file itself"
        );
        assert_eq!(fs::read(scene.root.join(&backups(&scene, &path)[0]))?, b"old\n");
    }
    Ok(())
}

#[test]
fn every_version_is_kept_however_quickly_they_follow() -> Result<()> {
    let mut scene = Scene::new()?;
    for version in 0..10 {
        inject(&mut scene, "/etc/motd", format!("version {version}\n"))?.ok()?;
    }
    let kept = backups(&scene, "/etc/motd");
    let mut contents: Vec<String> = kept.iter().map(|backup| scene.root.text(backup)).collect();
    contents.sort();
    let mut wanted: Vec<String> = (0..9).map(|version| format!("version {version}\n")).collect();
    wanted.insert(0, "Welcome.\n".to_owned());
    assert_eq!(contents, wanted);
    Ok(())
}

#[test]
fn a_file_that_holds_it_already_is_left_alone() -> Result<()> {
    let mut scene = Scene::new()?;
    let long = "line\n".repeat(500);
    for contents in ["Welcome.\n", "", &long] {
        let file = scene.root.join("/etc/motd");
        fs::write(&file, contents)?;
        let before = fs::metadata(&file)?;
        for answer in inject_both(&mut scene, "/etc/motd", contents.as_bytes())? {
            assert_eq!(answer.ok()?, "");
        }
        let after = fs::metadata(&file)?;
        assert_eq!((after.ino(), after.ctime_nsec()), (before.ino(), before.ctime_nsec()), "not even touched");
        assert!(backups(&scene, "/etc/motd").is_empty());
    }
    assert_eq!(scene.agent.log().matches("skipping /etc/motd (no changes)").count(), 6);
    // Almost the same is not the same.
    for contents in [long.clone() + "x", long[..long.len() - 1].to_owned(), String::new()] {
        inject(&mut scene, "/etc/motd", &contents)?.ok()?;
        assert_eq!(scene.root.text("/etc/motd"), contents);
    }
    Ok(())
}

#[test]
#[ignore = "needs a temporary directory with user attributes"]
fn extended_attributes_stay_with_the_file() -> Result<()> {
    let mut scene = Scene::new()?;
    let file = scene.root.join("/etc/motd");
    let (short, long) = ("user.nanova", "user.nanova.long");
    let value = [7; 900];
    setxattr(&file, short, b"kept \0 whole", XattrFlags::empty())?;
    setxattr(&file, long, &value, XattrFlags::empty())?;
    inject(&mut scene, "/etc/motd", "new\n")?.ok()?;
    let mut room = [0; 1024];
    let len = getxattr(&file, short, &mut room[..])?;
    assert_eq!(&room[..len], b"kept \0 whole");
    let len = getxattr(&file, long, &mut room[..])?;
    assert_eq!(room[..len], value);
    assert_eq!(scene.root.text("/etc/motd"), "new\n");
    // And root's password is set in a file that has some, too.
    let shadow = scene.root.join("/etc/shadow");
    setxattr(&shadow, short, b"label", XattrFlags::empty())?;
    scene.host.set_password("with attributes", nanova_tests::nova::Digest::Sha256)?.ok()?;
    assert!(scene.root.shadow_of_root()[1].starts_with("$6$"));
    let len = getxattr(&shadow, short, &mut room[..])?;
    assert_eq!(&room[..len], b"label");
    Ok(())
}

#[test]
fn a_symbolic_link_is_replaced_not_followed() -> Result<()> {
    let mut scene = Scene::new()?;
    let outside = tempfile::NamedTempFile::new()?;
    fs::write(&outside, "outside\n")?;
    for (name, target) in [("inside", "motd"), ("outside", outside.path().to_str().unwrap()), ("dangling", "nothing")] {
        let (path, link) = (format!("/etc/{name}"), scene.root.join(&format!("/etc/{name}")));
        symlink(target, &link)?;
        assert_eq!(inject(&mut scene, &path, "new\n")?.ok()?, "", "{name}");
        assert!(fs::symlink_metadata(&link)?.is_file());
        assert_eq!(scene.root.mode(&path), 0o600);
        assert_eq!(fs::read(&link)?, b"new\n");
        let kept = backups(&scene, &path);
        assert_eq!(kept.len(), 1);
        assert_eq!(fs::read_link(scene.root.join(&kept[0]))?.to_str(), Some(target), "the link itself is kept");
    }
    assert_eq!(scene.root.text("/etc/motd"), "Welcome.\n");
    assert_eq!(fs::read(&outside)?, b"outside\n");
    assert!(!scene.root.join("/etc/nothing").exists());
    Ok(())
}

#[test]
fn a_link_on_the_way_does_not_lead_out_of_the_root() -> Result<()> {
    let mut scene = Scene::new()?;
    let outside = tempfile::tempdir()?;
    let target = outside.path().to_str().unwrap();
    let up = format!("{}{target}", "../".repeat(40));
    for (name, to) in [("absolute", target), ("upwards", up.as_str())] {
        symlink(to, scene.root.join(name))?;
        // Below the root there is no such directory, so it cannot be made through the link.
        assert_eq!(inject(&mut scene, &format!("/{name}/file"), "x")?.code, "500");
        assert_eq!(inject(&mut scene, &format!("/{name}/deep/er/file"), "x")?.code, "500");
    }
    assert_eq!(fs::read_dir(outside.path())?.count(), 0);
    // With the same directory inside, the link leads there.
    fs::create_dir_all(scene.root.join(target))?;
    for name in ["absolute", "upwards"] {
        assert_eq!(inject(&mut scene, &format!("/{name}/{name}"), name)?.ok()?, "");
        assert_eq!(fs::read_to_string(scene.root.join(target).join(name))?, name);
    }
    assert_eq!(fs::read_dir(outside.path())?.count(), 0);
    // As it is on a merged /usr, or with /etc elsewhere.
    fs::create_dir_all(scene.root.join("/usr/lib"))?;
    symlink("usr/lib", scene.root.join("lib"))?;
    assert_eq!(inject(&mut scene, "/lib/a/b", "x")?.ok()?, "");
    assert_eq!(scene.root.text("/usr/lib/a/b"), "x");
    Ok(())
}

#[test]
fn what_is_no_path_of_a_file_is_refused() -> Result<()> {
    let mut scene = Scene::new()?;
    symlink("etc", scene.root.join("/dir"))?;
    fs::write(scene.root.join("/etc/file"), "x")?;
    let status = Command::new("mkfifo").arg(scene.root.join("/etc/fifo")).status()?;
    assert!(status.success());
    // Its note is there.
    scene.agent.wait_until_serving();
    let before = scene.root.files();
    let too_long = format!("/{}", "x".repeat(256));
    for (path, message) in [
        ("", "must be absolute"),
        ("etc/motd", "must be absolute"),
        ("./etc/motd", "must be absolute"),
        ("~/motd", "must be absolute"),
        ("/", "must name a file"),
        ("/etc/", "must name a file"),
        ("/etc//motd", "must name a file"),
        ("/etc/../motd", "must name a file"),
        ("/../../etc/motd", "must name a file"),
        ("/etc/./motd", "must name a file"),
        ("/etc/mo\ntd", "without control characters"),
        ("/etc/mo\0td", "without control characters"),
        ("/etc", "/etc is a directory or a device"),
        ("/etc/fifo", "/etc/fifo is a directory or a device"),
        ("/etc/file/below", "not a directory (ENOTDIR)"),
        ("/etc/file/below/it", "not a directory (ENOTDIR)"),
        (&too_long, "name too long (ENAMETOOLONG)"),
    ] {
        for answer in inject_both(&mut scene, path, b"x")? {
            assert_eq!(answer.code, "500", "{path:?}");
            assert!(answer.message.contains(message), "{path:?}: {}", answer.message);
        }
    }
    let answer = scene.host.ask("injectfile", base64(b"/etc/\xff\xfe,x"))?;
    assert_eq!((answer.code.as_str(), answer.message.contains("not UTF-8")), ("500", true), "{answer:?}");
    assert_eq!(scene.root.files(), before);
    assert!(fs::metadata(scene.root.join("/etc/fifo"))?.file_type().is_fifo());
    Ok(())
}

#[test]
fn what_is_no_argument_is_refused() -> Result<()> {
    let mut scene = Scene::new()?;
    // Its note is there.
    scene.agent.wait_until_serving();
    let before = scene.root.files();
    for (value, message) in [
        (json!("!!!!"), "Error doing base64 decoding of data"),
        (json!("A"), "Error doing base64 decoding of data"),
        (json!("AAA"), "Error doing base64 decoding of data"),
        (json!("L2V0Yy9tb3RkLHg"), "Error doing base64 decoding of data"),
        (json!("L2V0Yy9tb3RkLHg=\u{e9}"), "Error doing base64 decoding of data"),
        (json!(""), "Invalid arguments: no comma between path and contents"),
        (json!(base64("/etc/motd")), "Invalid arguments: no comma between path and contents"),
        (json!({}), "Invalid arguments: base64 of 'path,contents' is needed"),
    ] {
        let answer = scene.host.ask("injectfile", value.clone())?;
        assert_eq!((answer.code.as_str(), answer.message.as_str()), ("500", message), "{value}");
    }
    let needed = "Invalid arguments: an object with b64_path and b64_file is needed";
    let (path, file) = (base64("/etc/x"), base64("x"));
    for (value, message) in [
        (json!({ "b64_file": file }), needed),
        (json!({ "b64_path": path }), needed),
        (json!({ "b64_path": path, "b64_file": null }), needed),
        (json!({ "b64_path": 5, "b64_file": file }), needed),
        (json!({ "b64_path": [path], "b64_file": file }), needed),
        (json!(path_and_contents("/etc/x", "x")), needed),
        (json!({ "b64_path": "!", "b64_file": file }), "Error doing base64 decoding of data"),
        (json!({ "b64_path": path, "b64_file": "!" }), "Error doing base64 decoding of data"),
    ] {
        let answer = scene.host.ask("file_inject", value.clone())?;
        assert_eq!((answer.code.as_str(), answer.message.as_str()), ("500", message), "{value}");
    }
    assert_eq!(scene.root.files(), before);
    Ok(())
}

#[test]
fn two_agents_never_stage_files_at_once() -> Result<()> {
    let mut scene = Scene::new()?;
    fs::create_dir_all(scene.root.join("run"))?;
    let lock = fs::File::create(scene.root.join("run/nanova.lock"))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
    let argument = path_and_contents("/etc/motd", "new");
    scene.host.send("waits", json!({ "name": "injectfile", "value": argument }).to_string())?;
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(scene.host.answer("waits")?, None, "another nanova has files staged");
    rustix::fs::flock(&lock, FlockOperation::Unlock)?;
    assert_eq!(scene.host.wait_answer("waits")?.code, "0");
    // Nothing is kept longer than it takes.
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(())
}

#[test]
fn names_as_long_as_the_file_system_has_them() -> Result<()> {
    let mut scene = Scene::new()?;
    let path = format!("/etc/{}", "n".repeat(255));
    assert_eq!(inject(&mut scene, &path, "new\n")?.ok()?, "");
    assert_eq!(scene.root.text(&path), "new\n");
    // There is no room for the name of its backup, so it is not replaced.
    let answer = inject(&mut scene, &path, "newer\n")?;
    assert_eq!(answer.code, "500");
    assert!(answer.message.ends_with("name too long (ENAMETOOLONG)"), "{}", answer.message);
    assert_eq!(scene.root.text(&path), "new\n");
    let path = format!("/etc/{}", "n".repeat(255 - ".1234567890.bak~".len()));
    assert_eq!(inject(&mut scene, &path, "new\n")?.ok()?, "");
    assert_eq!(inject(&mut scene, &path, "newer\n")?.ok()?, "");
    assert_eq!((scene.root.text(&path).as_str(), backups(&scene, &path).len()), ("newer\n", 1));
    assert!(scene.root.files().iter().all(|file| !file.contains(".nanova.new")));
    Ok(())
}

#[test]
fn keys_as_nova_sends_them() -> Result<()> {
    let mut scene = Scene::new()?;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFLJ1pSoqQ1oJ4p2f+6T1yO1t2x0Y7mB2mJx user@host";
    let contents = format!("\n# The following ssh key was injected by Nova\n{key}\n");
    for answer in inject_both(&mut scene, "/root/.ssh/authorized_keys", contents.as_bytes())? {
        assert_eq!(answer.ok()?, "");
    }
    assert_eq!(scene.root.text("/root/.ssh/authorized_keys"), contents);
    assert_eq!((scene.root.mode("/root/.ssh"), scene.root.mode("/root/.ssh/authorized_keys")), (0o755, 0o600));
    Ok(())
}

/// Root may write everywhere, so where the tests are root the agent is somebody else: with a binary, a socket and a
/// root directory that this user can reach.
fn as_ordinary_user(scene: &mut Scene) -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    let program = directory.path().join("nanova");
    fs::copy(binary(), &program)?;
    let socket = scene.xenstored.guest_socket();
    if is_root() {
        for open in [directory.path(), socket.parent().expect("it has a directory"), &program] {
            fs::set_permissions(open, Permissions::from_mode(0o755))?;
        }
        fs::set_permissions(&socket, Permissions::from_mode(0o777))?;
        let files = scene.root.files().into_iter().map(|file| scene.root.join(&file));
        for path in files.chain(["", "etc", "run"].map(|directory| scene.root.join(directory))) {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))?;
        }
    }
    let mut command = Command::new(&program);
    command.arg("agent").arg("--xenbus").arg(&socket).arg("--root").arg(scene.root.path());
    if is_root() {
        use std::os::unix::process::CommandExt;
        command.uid(NOBODY).gid(NOBODY);
    }
    scene.agent = Agent::spawn(command);
    scene.host = Host::of(&scene.xenstored)?;
    Ok(directory)
}

#[test]
fn a_directory_that_cannot_be_written_to_is_an_error_that_says_so() -> Result<()> {
    let mut scene = Scene::new()?;
    let _program = as_ordinary_user(&mut scene)?;
    assert_eq!(inject(&mut scene, "/etc/motd", "can\n")?.ok()?, "");
    let before = scene.root.files();
    fs::set_permissions(scene.root.join("etc"), Permissions::from_mode(0o555))?;
    for (path, what) in [
        ("/etc/motd", "make a file beside /etc/motd"),
        ("/etc/new", "make a file beside /etc/new"),
        ("/etc/a/b/new", "make directory /etc/a"),
    ] {
        for answer in inject_both(&mut scene, path, b"cannot\n")? {
            assert_eq!(answer.code, "500");
            assert_eq!(answer.message, format!("cannot {what}: permission denied (EACCES)"));
        }
    }
    let answer = scene.host.set_password("cannot", nanova_tests::nova::Digest::Sha256)?;
    assert_eq!(answer.code, "500");
    assert!(answer.message.ends_with("permission denied (EACCES)"), "{}", answer.message);
    fs::set_permissions(scene.root.join("etc"), Permissions::from_mode(0o755))?;
    assert_eq!(scene.root.files(), before);
    assert_eq!(scene.root.text("/etc/motd"), "can\n");
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn an_owner_that_cannot_be_kept_is_an_error_and_the_old_file_stays() -> Result<()> {
    let mut scene = Scene::new()?;
    let _program = as_ordinary_user(&mut scene)?;
    let file = scene.root.join("/etc/motd");
    std::os::unix::fs::chown(&file, Some(1234), Some(1234))?;
    // Its note is there.
    scene.agent.wait_until_serving();
    let before = scene.root.files();
    let answer = inject(&mut scene, "/etc/motd", "new\n")?;
    assert_eq!(answer.code, "500");
    assert!(answer.message.starts_with("cannot keep owner, mode and attributes of /etc/motd"), "{}", answer.message);
    assert_eq!(scene.root.text("/etc/motd"), "Welcome.\n");
    assert_eq!(scene.root.files(), before);
    Ok(())
}
