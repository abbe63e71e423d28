//! What is written as root's password is what the host's user typed, or nothing is written: no wrong key, no damage on
//! the way and no odd shadow file makes anything else of it.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use base64ct::{Base64, Encoding};
use nanova_tests::agent::{Agent, binary};
use nanova_tests::guest_root::SHADOW;
use nanova_tests::nova::{Answer, Digest, Exchange, PRIME, crypt, encrypt, uuid};
use nanova_tests::scene::{Scene, base64, wait_until};
use nanova_tests::xenstored::{Options, Quotas};
use serde_json::{Value, json};

const BOTH: [Digest; 2] = [Digest::Md5, Digest::Sha256];

fn assert_failed(answer: &Answer, message: &str, what: &str) {
    assert_eq!((answer.code.as_str(), answer.message.as_str()), ("500", message), "{what}");
}

fn assert_is(scene: &Scene, password: &str) -> Result<()> {
    let field = &scene.root.shadow_of_root()[1];
    assert_eq!(&crypt(password, field)?, field, "{password:?}");
    Ok(())
}

#[test]
fn without_a_key_there_is_no_password() -> Result<()> {
    let mut scene = Scene::new()?;
    for argument in [json!(""), json!(base64([7; 16])), json!(7), json!("!"), Value::Null] {
        assert_failed(&scene.host.ask("password", argument.clone())?, "Password without key exchange", "no keyinit");
    }
    assert_eq!(scene.root.text("/etc/shadow"), SHADOW);
    Ok(())
}

#[test]
fn a_key_is_good_for_one_password() -> Result<()> {
    let mut scene = Scene::new()?;
    for digest in BOTH {
        let secret = scene.host.exchange_keys()?;
        scene.host.ask("password", encrypt(b"first\n", &secret, digest)?)?.ok()?;
        let second = scene.host.ask("password", encrypt(b"second\n", &secret, digest)?)?;
        assert_failed(&second, "Password without key exchange", "used");
        assert_is(&scene, "first")?;
        // One that failed has used it up as well: an attacker gets one guess.
        let secret = scene.host.exchange_keys()?;
        assert_failed(&scene.host.ask("password", base64([7; 16]))?, "Invalid password data received", "a guess");
        let right = scene.host.ask("password", encrypt(b"second\n", &secret, digest)?)?;
        assert_failed(&right, "Password without key exchange", "used by the guess");
        assert_is(&scene, "first")?;
    }
    Ok(())
}

#[test]
fn the_last_exchange_counts() -> Result<()> {
    let mut scene = Scene::new()?;
    let old = scene.host.exchange_keys()?;
    let new = scene.host.exchange_keys()?;
    assert_failed(
        &scene.host.ask("password", encrypt(b"old\n", &old, Digest::Sha256)?)?,
        "Invalid password data received",
        "the old key",
    );
    assert_ne!(old, new);
    // An exchange that fails leaves no key from before.
    scene.host.exchange_keys()?;
    assert_eq!(scene.host.ask("keyinit", "1")?.code, "500");
    assert_failed(&scene.host.ask("password", base64([7; 16]))?, "Password without key exchange", "no key is left");
    assert_eq!(scene.root.text("/etc/shadow"), SHADOW);
    Ok(())
}

#[test]
fn a_wrong_key_or_a_damaged_message_is_refused() -> Result<()> {
    let mut scene = Scene::new()?;
    for round in 0..30 {
        let secret = scene.host.exchange_keys()?;
        let digest = BOTH[round % 2];
        let message = encrypt(b"a password of two blocks\n", &secret, digest)?;
        let mut bytes = Base64::decode_vec(&message).context("openssl's base64")?;
        let argument = match round % 3 {
            0 => encrypt(b"a password of two blocks\n", &format!("{secret}0"), digest)?,
            1 => {
                bytes.truncate(16);
                base64(bytes)
            }
            _ => {
                // In the last block: in the one before it, the same bit of the password would flip.
                let place = 16 + round / 2;
                bytes[place] ^= 1 << (round % 8);
                base64(bytes)
            }
        };
        assert_failed(&scene.host.ask("password", argument)?, "Invalid password data received", &format!("{round}"));
    }
    assert_eq!(scene.root.text("/etc/shadow"), SHADOW);
    Ok(())
}

#[test]
fn noise_never_becomes_a_password() -> Result<()> {
    // The agent before this one set about one of three hundred as root's password, and died of six in a hundred.
    // Room for many answers: where there is room for few only, each waits for one to be old enough.
    let quotas = Quotas { node_size: 1 << 20, ..Quotas::default() };
    let mut scene = Scene::with(Options { quotas, ..Options::default() })?;
    let exchange = Exchange::new()?;
    for _ in 0..1000 {
        assert_eq!(scene.host.ask("keyinit", exchange.public())?.code, "D0");
        let noise = format!("{}{}", uuid()?, uuid()?).replace('-', "");
        let noise: Vec<u8> = noise
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(&String::from_utf8_lossy(two), 16))
            .collect::<Result<_, _>>()?;
        assert_failed(&scene.host.ask("password", base64(&noise))?, "Invalid password data received", "noise");
    }
    assert_eq!(scene.root.text("/etc/shadow"), SHADOW);
    Ok(())
}

#[test]
fn what_decrypts_well_must_be_a_password_still() -> Result<()> {
    let mut scene = Scene::new()?;
    let invalid = "Invalid password data received";
    let empty = "the password is empty; send one of at least one character";
    let too_long = "the password is too long; send one of at most 511 bytes";
    let control = "the password has a control character in it; of these only a tab may be";
    let (just_too_long, long) = ("x".repeat(512), "x".repeat(600));
    let plain: [(&[u8], &str); 13] = [
        (b"", empty),
        (b"\n", empty),
        (b"\n\n", control),
        (b"two\nlines\n", control),
        (b"two newlines\n\n", control),
        (b"return\r\n", control),
        (b"nul\0here\n", control),
        (b"\x1b[31mred\n", control),
        (b"del\x7f\n", control),
        (b"c1 \xc2\x85\n", control),
        (b"not utf-8 \xff\xfe\n", invalid),
        (just_too_long.as_bytes(), too_long),
        (long.as_bytes(), too_long),
    ];
    for (plain, why) in plain {
        for digest in BOTH {
            let secret = scene.host.exchange_keys()?;
            let answer = scene.host.ask("password", encrypt(plain, &secret, digest)?)?;
            assert_failed(&answer, why, &String::from_utf8_lossy(plain));
        }
    }
    for argument in [json!(""), json!(base64([1; 15])), json!(base64([1; 17])), json!(5), json!({}), Value::Null] {
        scene.host.exchange_keys()?;
        assert_failed(&scene.host.ask("password", argument.clone())?, "Invalid password data received", "no blocks");
    }
    for argument in ["!", "A", "AAAA=", "AAAAAAAAAAAAAAAAAAAAAA="] {
        scene.host.exchange_keys()?;
        assert_failed(&scene.host.ask("password", argument)?, "Couldn't decode base64 data", argument);
    }
    assert_eq!(scene.root.text("/etc/shadow"), SHADOW);
    Ok(())
}

#[test]
fn every_password_that_somebody_can_type_is_set() -> Result<()> {
    let mut scene = Scene::new()?;
    let longest = "x".repeat(511);
    for password in [
        "a",
        " ",
        "tab\there",
        "\t",
        " leading and trailing ",
        "exactly16bytes..",
        "fifteen bytes..",
        "a:colon:and\\backslash",
        "$6$rounds=1000$salt$hash",
        "'\"`$(touch /tmp/x)%s%n",
        "pässwörd ☃ 😀",
        "!",
        "*",
        &longest,
    ] {
        for digest in BOTH {
            assert_eq!(scene.host.set_password(password, digest)?.ok()?, "", "{password}");
            assert_is(&scene, password)?;
        }
        // Newer hosts might leave the newline out.
        let secret = scene.host.exchange_keys()?;
        assert_eq!(scene.host.ask("password", encrypt(password.as_bytes(), &secret, Digest::Sha256)?)?.code, "0");
        assert_is(&scene, password)?;
    }
    assert!(scene.root.text("/etc/shadow").ends_with(SHADOW.split_once('\n').context("lines")?.1), "the others' lines");
    Ok(())
}

#[test]
fn a_site_may_refuse_the_weaker_halves_of_the_protocol() -> Result<()> {
    let mut scene = Scene::new()?;
    fs::create_dir_all(scene.root.join("/etc/nanova"))?;
    let disable = scene.root.join("/etc/nanova/disable");
    fs::write(&disable, "md5 # hosts are new enough\n")?;
    let answer = scene.host.set_password("of an old host", Digest::Md5)?;
    let message =
        "the password's key was derived with MD5, which /etc/nanova/disable forbids; use OpenSSL 1.1.0 or newer";
    assert_failed(&answer, message, "MD5");
    assert_eq!(scene.root.text("/etc/shadow"), SHADOW);
    scene.host.set_password("of a new one", Digest::Sha256)?.ok()?;
    assert_is(&scene, "of a new one")?;

    fs::write(&disable, "keyinit-107\n")?;
    let answer = scene.host.ask("keyinit", Exchange::new()?.public())?;
    let message = "the key exchange over 107 bits is disabled here (keyinit-107 in /etc/nanova/disable)";
    assert_failed(&answer, message, "the group of 107 bits");
    fs::remove_file(&disable)?;
    scene.host.set_password("as before", Digest::Md5)?.ok()?;
    assert_is(&scene, "as before")
}

#[test]
fn a_public_key_that_is_none_is_refused_and_the_agent_goes_on() -> Result<()> {
    let mut scene = Scene::new()?;
    let numbers = [0, 1, PRIME - 1, PRIME, PRIME + 1, u128::MAX].map(|number| number.to_string());
    let long = "9".repeat(3000);
    let texts = ["abc", "", " 5", "5 ", "-5", "+5", "0x5", "1e9", "5.0", "\u{665}", &long];
    let others = [Value::Null, json!([]), json!(true), json!(-5), json!(1.5), json!(0), json!(1)];
    let texts = numbers.iter().map(String::as_str).chain(texts).map(Value::from);
    for value in texts.chain(others) {
        let answer = scene.host.ask("keyinit", value.clone())?;
        assert_eq!(answer.code, "500", "{value}");
        assert!(answer.message.starts_with("Invalid public key"), "{}", answer.message);
    }
    // An object is the other exchange's.
    let answer = scene.host.ask("keyinit", json!({}))?;
    assert_eq!(
        (answer.code.as_str(), &*answer.message),
        ("500", "an object with group and public is needed; the only group is ffdhe2048")
    );
    for body in [r#"{"name":"keyinit"}"#.to_owned(), format!(r#"{{"name":"keyinit","value":{}}}"#, PRIME - 1)] {
        assert_eq!(scene.host.ask_raw(body)?.code, "500");
    }
    assert!(scene.agent.is_running());
    // Very old hosts write the number without quotes; some write zeros before it.
    let exchange = Exchange::new()?;
    for value in [exchange.public(), format!("\"{}\"", exchange.public()), format!("\"000{}\"", exchange.public())] {
        let answer = scene.host.ask_raw(format!(r#"{{"name":"keyinit","value":{value}}}"#))?;
        assert_eq!(answer.code, "D0", "{value}");
        let secret = exchange.secret(&answer.message)?;
        scene.host.ask("password", encrypt(value.as_bytes(), &secret, Digest::Md5)?)?.ok()?;
        assert_is(&scene, &value)?;
    }
    Ok(())
}

/// Sets a password with the shadow file as `prepare` has made it; returns the answer.
fn with_shadow(prepare: impl FnOnce(&Scene) -> Result<()>) -> Result<(Scene, Answer)> {
    let mut scene = Scene::new()?;
    prepare(&scene)?;
    let answer = scene.host.set_password("the new one", Digest::Sha256)?;
    assert!(!scene.root.join("/etc/.nanova.new").exists());
    Ok((scene, answer))
}

#[test]
fn a_guest_without_a_line_for_root_says_so() -> Result<()> {
    let (scene, answer) = with_shadow(|scene| Ok(fs::remove_file(scene.root.join("/etc/shadow"))?))?;
    let message = "there is no /etc/shadow in this guest; create it (pwconv) to have passwords set";
    assert_failed(&answer, message, "no file");
    assert!(!scene.root.join("/etc/shadow").exists());

    let (scene, answer) = with_shadow(|scene| Ok(fs::remove_dir_all(scene.root.join("/etc"))?))?;
    assert_failed(&answer, message, "no directory");
    assert!(!scene.root.join("/etc").exists());

    for shadow in ["", "\n", "root", "rooty:x:1::::::\n", "bin:*:1::::::\n#root:*:1::::::\n", " root:*:1::::::\n"] {
        let (scene, answer) = with_shadow(|scene| Ok(fs::write(scene.root.join("/etc/shadow"), shadow)?))?;
        let message = "/etc/shadow has no line for root; add one to have its password set";
        assert_failed(&answer, message, shadow);
        assert_eq!(scene.root.text("/etc/shadow"), shadow);
    }
    Ok(())
}

#[test]
fn a_shadow_that_is_no_file_is_left_alone() -> Result<()> {
    let outside = tempfile::NamedTempFile::new()?;
    fs::write(&outside, SHADOW)?;
    let (scene, answer) = with_shadow(|scene| {
        fs::remove_file(scene.root.join("/etc/shadow"))?;
        Ok(symlink(outside.path(), scene.root.join("/etc/shadow"))?)
    })?;
    let message = "/etc/shadow is a link to a file that is not there; is its file system mounted?";
    assert_failed(&answer, message, "a link, which leads out of the root for everybody but the guest");
    assert_eq!(fs::read_to_string(&outside)?, SHADOW);
    assert!(scene.root.join("/etc/shadow").is_symlink());

    let (_scene, answer) = with_shadow(|scene| {
        fs::remove_file(scene.root.join("/etc/shadow"))?;
        Ok(fs::create_dir(scene.root.join("/etc/shadow"))?)
    })?;
    assert_failed(&answer, "/etc/shadow is not a regular file", "a directory");
    Ok(())
}

#[test]
fn only_roots_hash_and_day_change_in_a_file_of_any_size() -> Result<()> {
    let users = |range: std::ops::Range<u32>| -> String {
        range.map(|n| format!("user{n}:$6$salt{n}$hash{n}/{}:19{n:03}:0:99999:7:::\n", "x".repeat(60))).collect()
    };
    for (before, after, newline) in [
        (String::new(), users(0..600), true),
        (users(0..600), String::new(), true),
        (users(0..600), String::new(), false),
        (users(0..300), users(300..600), false),
        (String::new(), "+::::::::\n# nis\n\n\n".to_owned(), true),
    ] {
        let mut shadow = format!("{before}root:!locked:1:2:3:4:5:6:7\n{after}");
        if !newline {
            shadow.pop();
        }
        let (scene, answer) = with_shadow(|scene| Ok(fs::write(scene.root.join("/etc/shadow"), &shadow)?))?;
        assert_eq!(answer.ok()?, "");
        let fields = scene.root.shadow_of_root();
        assert_eq!(fields[3..], ["2", "3", "4", "5", "6", "7"]);
        let line = format!("root:{}:{}:2:3:4:5:6:7", fields[1], fields[2]);
        assert_eq!(scene.root.text("/etc/shadow"), shadow.replace("root:!locked:1:2:3:4:5:6:7", &line));
        assert_is(&scene, "the new one")?;
    }
    Ok(())
}

#[test]
fn a_line_without_a_newline_and_one_with_too_few_fields() -> Result<()> {
    for shadow in
        ["root:*:19000:0:99999:7:::", "root:*", "root:", "root::", "root:*:19000", "bin:*:1::::::\nroot::0::::::"]
    {
        let (scene, answer) = with_shadow(|scene| Ok(fs::write(scene.root.join("/etc/shadow"), shadow)?))?;
        assert_eq!(answer.ok()?, "", "{shadow}");
        assert_is(&scene, "the new one")?;
        assert_eq!(scene.root.shadow_of_root().len(), 9, "{shadow}");
    }
    Ok(())
}

#[test]
fn the_mode_of_the_file_survives() -> Result<()> {
    // Others cannot read what is closed to them, or give files away.
    changed_with_modes(&[0o600], false)
}

#[test]
#[ignore = "needs root"]
fn mode_and_owner_of_the_file_survive() -> Result<()> {
    changed_with_modes(&[0o000, 0o400, 0o600, 0o640], true)
}

fn changed_with_modes(modes: &[u32], root: bool) -> Result<()> {
    for mode in modes {
        let (scene, answer) = with_shadow(|scene| {
            let shadow = scene.root.join("/etc/shadow");
            if root {
                std::os::unix::fs::chown(&shadow, Some(0), Some(42))?;
            }
            Ok(fs::set_permissions(&shadow, Permissions::from_mode(*mode))?)
        })?;
        assert_eq!(answer.ok()?, "");
        assert_eq!(scene.root.mode("/etc/shadow"), *mode);
        if root {
            let file = fs::metadata(scene.root.join("/etc/shadow"))?;
            assert_eq!((file.uid(), file.gid()), (0, 42));
        }
    }
    Ok(())
}

/// Another program that holds the lock of the account files.
struct LockHolder {
    child: Child,
}

impl LockHolder {
    /// Locks as shadow-utils do, and says so.
    const SCRIPT: &str = r#"
        use Fcntl qw(:DEFAULT :flock SEEK_SET);
        open(my $file, '>>', $ARGV[0]) or die $!;
        my $lock = pack('s s x4 q q l x4', F_WRLCK, SEEK_SET, 0, 0, 0);
        fcntl($file, F_SETLK, $lock) or die $!;
        $| = 1; print "locked\n";
        <STDIN>;
    "#;

    fn new(scene: &Scene) -> Result<LockHolder> {
        let mut child = Command::new("perl")
            .args(["-e", LockHolder::SCRIPT])
            .arg(scene.root.join("/etc/.pwd.lock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        assert_eq!(line, "locked\n");
        Ok(LockHolder { child })
    }

    fn release(mut self) -> Result<()> {
        self.child.stdin.take().context("a pipe")?.write_all(b"\n")?;
        assert!(self.child.wait()?.success());
        Ok(())
    }
}

#[test]
fn another_program_may_finish_its_own_change_first() -> Result<()> {
    let mut scene = Scene::new()?;
    let secret = scene.host.exchange_keys()?;
    let argument = encrypt(b"after the others\n", &secret, Digest::Sha256)?;
    let holder = LockHolder::new(&scene)?;
    let switches = |scene: &Scene| scene.agent.status_number("voluntary_ctxt_switches");
    let id = uuid()?;
    scene.host.send(&id, json!({ "name": "password", "value": argument }).to_string())?;
    scene.agent.wait_for_log("Received command 'password'");
    // It tries and waits by turns, so its going to sleep several times shows that it has met the lock.
    let before = switches(&scene);
    wait_until("it waits for the lock", || switches(&scene) >= before + 5);
    assert!(scene.host.answer(&id)?.is_none());
    // What the other program writes meanwhile is not lost.
    let others = SHADOW.replace("daemon:*:19000", "daemon:!:19500");
    fs::write(scene.root.join("/etc/shadow"), &others)?;
    holder.release()?;
    assert_eq!(scene.host.wait_answer(&id)?.ok()?, "");
    assert_is(&scene, "after the others")?;
    assert!(scene.root.text("/etc/shadow").ends_with(others.split_once('\n').context("lines")?.1));
    Ok(())
}

#[test]
#[ignore = "needs a quarter of a minute"]
fn a_lock_that_is_never_released_is_an_error() -> Result<()> {
    let mut scene = Scene::new()?;
    let holder = LockHolder::new(&scene)?;
    let answer = scene.host.set_password("never", Digest::Sha256)?;
    assert_failed(
        &answer,
        "another program is changing the accounts (/etc/.pwd.lock is locked); try again",
        "it is locked",
    );
    assert_eq!(scene.root.text("/etc/shadow"), SHADOW);
    holder.release()?;
    scene.host.set_password("now", Digest::Sha256)?.ok()?;
    assert_is(&scene, "now")
}

#[test]
#[ignore = "needs root"]
fn a_shadow_that_is_mounted_where_no_copy_can_lie_beside_it_is_left_as_it_is() -> Result<()> {
    let mut scene = Scene::new()?;
    fs::create_dir(scene.root.join("/persist"))?;
    fs::write(scene.root.join("/persist/shadow"), SHADOW)?;
    let script = format!(
        "cd {root}; mount --bind etc etc; mount -o remount,ro,bind etc; mount --bind persist/shadow etc/shadow
        exec {} agent --no-metrics --xenbus {} --root {root}",
        binary().display(),
        scene.xenstored.guest_socket().display(),
        root = scene.root.path().display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &script]);
    scene.agent = Agent::spawn(command);
    let answer = scene.host.set_password("nowhere", Digest::Sha256)?;
    assert_failed(&answer, "cannot make a file beside /etc/shadow: read-only file system (EROFS)", "no room");
    assert_eq!(scene.root.text("/persist/shadow"), SHADOW);
    Ok(())
}

/// Moves files of /etc elsewhere and leaves such links.
fn kept_elsewhere(scene: &Scene, links: &[(&str, &str)]) -> Result<()> {
    fs::create_dir_all(scene.root.join("/persist/etc"))?;
    for (name, link) in links {
        fs::rename(scene.root.join(&format!("/etc/{name}")), scene.root.join(&format!("/persist/etc/{name}")))?;
        symlink(link, scene.root.join(&format!("/etc/{name}")))?;
    }
    Ok(())
}

#[test]
fn a_shadow_that_is_kept_elsewhere_is_changed_there() -> Result<()> {
    for link in ["../persist/etc/shadow", "/persist/etc/shadow", "more", "/one/etc/shadow"] {
        let (mut scene, answer) = with_shadow(|scene| {
            kept_elsewhere(scene, &[("shadow", link), ("passwd", "/persist/etc/passwd")])?;
            fs::write(scene.root.join("/persist/etc/passwd"), "root::0:0:root:/root:/bin/bash\n")?;
            symlink("../persist/../persist/etc/shadow", scene.root.join("/etc/more"))?;
            Ok(symlink("persist", scene.root.join("/one"))?)
        })?;
        assert_eq!((answer.code.as_str(), answer.message.as_str()), ("0", ""), "{link}");
        // (Through the link it is read in the guest only: this one's root is a directory.)
        let is = |scene: &Scene, password: &str| -> Result<bool> {
            let shadow = scene.root.text("/persist/etc/shadow");
            let field = shadow.split(':').nth(1).context("a field")?;
            Ok(crypt(password, field)? == field)
        };
        assert!(is(&scene, "the new one")?);
        assert_eq!(fs::read_link(scene.root.join("/etc/shadow"))?.to_str(), Some(link));
        assert_eq!(scene.root.text("/persist/etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n");
        assert!(scene.root.join("/etc/passwd").is_symlink());
        assert_eq!(scene.root.mode("/persist/etc/shadow"), 0o640);
        let files = scene.root.files();
        assert!(files.iter().all(|file| !file.contains(".nanova") && !file.contains(".bak~")), "{files:?}");
        scene.host.set_password("and another", Digest::Md5)?.ok()?;
        assert!(is(&scene, "and another")?);
    }
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn a_link_of_a_users_leads_no_password_anywhere() -> Result<()> {
    let (scene, answer) = with_shadow(|scene| {
        kept_elsewhere(scene, &[("shadow", "/persist/etc/shadow")])?;
        Ok(lchown(scene.root.join("/etc/shadow"), Some(1234), None)?)
    })?;
    let message =
        "/etc/shadow is a symbolic link of user 1234: it is not followed; make it root's, where root alone may write";
    assert_failed(&answer, message, "a user's link");
    assert_eq!(scene.root.text("/persist/etc/shadow"), SHADOW);
    Ok(())
}

#[test]
#[ignore = "needs root"]
fn where_etc_is_read_only_a_shadow_that_is_kept_elsewhere_is_changed() -> Result<()> {
    let mut scene = Scene::new()?;
    kept_elsewhere(&scene, &[("shadow", "../persist/etc/shadow")])?;
    let (root, etc) = (scene.root.path(), scene.root.join("/etc"));
    let script = format!(
        "mount --bind {etc} {etc}; mount -o remount,ro,bind {etc}; exec {} agent --no-metrics --xenbus {} --root {}",
        binary().display(),
        scene.xenstored.guest_socket().display(),
        root.display(),
        etc = etc.display(),
    );
    // What an agent that was killed has left there.
    for name in [".nanova.new", ".nanova.new.1"] {
        fs::write(root.join("persist/etc").join(name), "half a file")?;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", &script]);
    scene.agent = Agent::spawn(command);
    scene.agent.wait_until_serving();
    assert_eq!(scene.host.ask("version", "")?.code, "0");
    assert!(scene.root.files().iter().all(|file| !file.contains(".nanova")), "{:?}", scene.root.files());
    scene.host.set_password("on a read-only root", Digest::Sha256)?.ok()?;
    assert_is(&scene, "on a read-only root")?;
    assert!(scene.root.files().iter().all(|file| !file.contains(".nanova")), "{:?}", scene.root.files());
    Ok(())
}

#[test]
fn a_password_of_passwds_own_does_not_go_on_being_valid() -> Result<()> {
    let mut scene = Scene::new()?;
    let others = "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
    for own in ["", "*", "!", "$6$salt$hash", "x"] {
        let (passwd, mode) = (scene.root.join("/etc/passwd"), 0o644);
        fs::write(&passwd, format!("root:{own}:0:0:root:/root:/bin/bash\n{others}"))?;
        let inode = fs::metadata(&passwd)?.ino();
        scene.host.set_password("new", Digest::Sha256)?.ok()?;
        assert_is(&scene, "new")?;
        assert_eq!(scene.root.text("/etc/passwd"), format!("root:x:0:0:root:/root:/bin/bash\n{others}"), "{own:?}");
        assert_eq!(scene.root.mode("/etc/passwd"), mode);
        // What is right already is not written.
        assert_eq!(fs::metadata(&passwd)?.ino() == inode, own == "x", "{own:?}");
    }
    // No copy of an old hash, and no hash where all may read it.
    assert!(scene.root.files().iter().all(|file| !file.contains(".bak~")), "{:?}", scene.root.files());
    Ok(())
}
