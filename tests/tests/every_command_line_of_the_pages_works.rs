//! What stands in the pages to be typed is typed here, as it stands there: in dom0's part of an embedded xenstored, and
//! where the sources are. (What is for root in a guest is typed in a system to throw away: initramfs/package/tests.)
//! What no machine of a test's can do has a reason, and is held against what can be known of it: subcommands, options,
//! packages, tests and files that it names have to be there.
//!
//! nanova_tests::pages has the rule that says what is typed where.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nanova_tests::pages::{self, Line, Place, workspace};
use nanova_tests::scene::Scene;
use nanova_tests::xenstored::{Options, Xenstored};
use nanova_tests::{agent, dom0};

/// What a fence may hold that is not typed.
const NOT_TYPED: &[&str] = &["text", "json", "ini", "yaml", "toml", "c", "rust", "python"];

/// Lines that are not typed by a test, by how they begin, and why.
const NOT_RUN: &[(Place, &str, &str)] = &[
    (Place::Sources, "cargo test --workspace", "it is what runs this"),
    (Place::Sources, "cargo package-nanova  ", "initramfs/package's tests make all that there is"),
    (Place::Sources, "cargo package-nanova --only", "initramfs/package's tests make all that there is"),
    (Place::Sources, "cargo build --release --package nanova --no-default-features", "`.ci/run profiles` builds it"),
    (Place::Sources, "cargo audit-scope --profile commands", "`.ci/run audit` does, for each profile; a minute"),
    (Place::Sources, "git checkout v1.0.0", "a tag of the maintainers'"),
    (Place::Sources, ".ci/run packages", "it installs packages on this machine"),
    (Place::Sources, ".ci/reproduce", "six builds: `.ci/run reproduce`"),
    (
        Place::Sources,
        "cargo initramfs --output modules",
        "the modules of this kernel need not be here; initramfs/tests",
    ),
    (Place::Elsewhere, "update-initramfs -u", REAL_BUILDERS),
    (Place::Elsewhere, "dracut --force", REAL_BUILDERS),
    (Place::Elsewhere, "mkinitcpio -P", REAL_BUILDERS),
    (Place::Elsewhere, "mkinitfs", REAL_BUILDERS),
    (Place::Elsewhere, "lsinitramfs /boot/initrd.img-", REAL_BUILDERS),
    (Place::Elsewhere, "xl create -c", "a Xen; `cargo xen-test` starts its guests so"),
    (Place::Elsewhere, "systemctl daemon-reload", SYSTEMD),
    (Place::Elsewhere, "systemctl enable --now nanova", SYSTEMD),
    (Place::Elsewhere, "systemctl disable --now nanova", SYSTEMD),
    (Place::Elsewhere, "rm /etc/systemd/system/nanova.service", SYSTEMD),
    (Place::Elsewhere, "systemctl is-enabled nanova", SYSTEMD),
    (Place::Elsewhere, "systemctl status xe-linux-distribution", OLD_ONES),
    (Place::Elsewhere, "systemctl list-dependencies --reverse xe-linux-distribution", OLD_ONES),
    (Place::Elsewhere, "systemctl status xen-guest-agent", OLD_ONES),
    (Place::Elsewhere, "systemctl cat nova-agent", OLD_ONES),
    (Place::Elsewhere, "systemctl enable --now nova-agent", OLD_ONES),
    (Place::Elsewhere, "apt remove nanova", OLD_ONES),
    (Place::Elsewhere, "apt install xe-guest-utilities", OLD_ONES),
    (Place::Elsewhere, "apt install xen-guest-agent", OLD_ONES),
    (Place::Elsewhere, "update-rc.d nova-agent", OLD_ONES),
    (Place::Elsewhere, "service nova-agent", OLD_ONES),
];
const REAL_BUILDERS: &str = "a distribution's builder and kernel: initramfs/tests/real_builders_take_nanova_in.rs";
const SYSTEMD: &str = "a running systemd: initramfs/tests/systemd_starts_the_agent_before_the_network.rs";
const OLD_ONES: &str = "the old agents: initramfs/package/tests/dpkg_keeps_the_agent_enabled_and_running.rs";

/// Options in the pages' text that are other programs', and whose.
const OPTIONS_OF_OTHERS: &[(&str, &str)] = &[
    ("--allow-untrusted", "apk"),
    ("--system-extension-image", "Talos' imager"),
    ("--add", "dracut, and cargo initramfs"),
    ("--bless", "the benches"),
    ("--runs", "the benches"),
    ("--ignore-missing", "sha256sum"),
    ("--port", "a program of the reader's"),
    ("--target-dir", "cargo"),
    ("--ignored", "cargo test"),
    ("--include-ignored", "cargo test"),
    ("--nocapture", "cargo test"),
    ("--test", "cargo"),
    ("--bench", "cargo"),
    ("--workspace", "cargo"),
    ("--release", "cargo"),
    ("--package", "cargo"),
    ("--target", "cargo, and audit-scope"),
    ("--no-default-features", "cargo"),
    ("--features", "cargo, and audit-scope"),
    ("--locked", "cargo"),
    ("--list", ".ci/run, and xen-test"),
    ("--every", ".ci/mutants, .ci/faults"),
    ("--sum", ".ci/fuzz"),
    ("--keep", ".ci/fuzz, and xen-test"),
    ("--self-test", "nanova's own, for its successor; no help has it"),
    ("--quiet", "nanova, systemd-run"),
    ("--wait", "nanova, systemd-run"),
    ("--pipe", "systemd-run"),
    ("--root", "nanova, systemctl"),
    ("--now", "systemctl"),
];

fn lines(place: Place) -> Vec<Line> {
    pages::all().iter().flat_map(pages::Page::command_lines).filter(|line| line.place == place).collect()
}

fn why_not(line: &Line) -> Option<&'static str> {
    let why = NOT_RUN.iter().find(|(place, begins, _)| *place == line.place && line.text.starts_with(begins));
    why.map(|(_, _, why)| *why)
}

/// What is typed, where only some is.
fn typed(place: Place) -> Vec<Line> {
    lines(place).into_iter().filter(|line| why_not(line).is_none()).collect()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of ours is text")
}

/// A program that is a script.
fn program(folder: &Path, name: &str, script: &str) -> Result<()> {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}\n"))?;
    Ok(fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?)
}

/// Types these lines in a shell for each page, in this folder, with the programs of another one before all others.
/// Fails with the line that failed and what was said.
fn type_in(lines: &[Line], folder: &Path, programs: &Path) -> Result<()> {
    let pages: BTreeSet<&str> = lines.iter().map(|line| line.page.as_str()).collect();
    for page in pages {
        let mut script = String::from("set -eu\n");
        for line in lines.iter().filter(|line| line.page == page) {
            script.push_str(&format!("echo '>> line {}' >&2\n{}\n", line.number, line.text));
        }
        let search = format!("{}:{}", programs.display(), std::env::var("PATH")?);
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(folder).env("PATH", search).stdin(Stdio::null());
        let output = shell.output()?;
        if !output.status.success() {
            let said = [&output.stdout[..], &output.stderr].concat();
            bail!("{page}: {}\n{}", output.status, String::from_utf8_lossy(&said));
        }
    }
    Ok(())
}

#[test]
fn every_fence_says_what_it_holds() {
    let mut wrong = Vec::new();
    for page in pages::all() {
        for fence in page.fences() {
            if fence.place().is_none() && !NOT_TYPED.contains(&fence.is) {
                wrong.push(format!("{}:{}: '{}'", page.name, fence.number, fence.is));
            }
        }
    }
    assert_eq!(wrong, [""; 0], "sh guest, sh dom0, sh sources, sh elsewhere, or one of {NOT_TYPED:?}");
    for place in [Place::Guest, Place::Dom0, Place::Sources, Place::Elsewhere] {
        assert!(lines(place).len() > 5, "{place:?} has {} lines", lines(place).len());
    }
}

#[test]
fn what_no_test_types_has_a_reason_and_each_reason_is_of_a_line() {
    let elsewhere: Vec<_> = lines(Place::Elsewhere).into_iter().filter(|line| why_not(line).is_none()).collect();
    assert_eq!(elsewhere, []);
    let all: Vec<Line> = pages::all().iter().flat_map(pages::Page::command_lines).collect();
    let is_of_none = |(place, begins, _): &&(Place, &str, &str)| {
        !all.iter().any(|line| line.place == *place && line.text.starts_with(begins))
    };
    assert_eq!(NOT_RUN.iter().find(is_of_none), None, "no page has such a line any more");
}

#[test]
fn what_is_typed_in_dom0_works() -> Result<()> {
    let scene = Scene::with(Options { name: "web".to_owned(), ..Options::default() })?;
    scene.agent.wait_until_serving();
    let socket = scene.xenstored.host_socket();
    let home = tempfile::tempdir()?;
    let programs = home.path().join("bin");
    fs::create_dir_all(programs.join("links"))?;
    program(&programs, "nanova-host", &format!("exec {} --xenbus {} \"$@\"", path(dom0::binary()), path(&socket)))?;
    for tool in ["xenstore-read", "xenstore-write", "xenstore-ls", "xenstore-list", "xenstore-rm", "xenstore-exists"] {
        symlink(fs::canonicalize(agent::binary())?, programs.join("links").join(tool))?;
        let link = programs.join("links").join(tool);
        program(&programs, tool, &format!("exec {} --xenbus {} \"$@\"", path(&link), path(&socket)))?;
    }
    // As XAPI does it at the guest's next start.
    let xe = format!(
        "case $1 in
        vm-param-set) test \"$2\" = uuid={uuid}; pair=${{3#xenstore-data:}}; test \"$pair\" != \"$3\"
            exec xenstore-write {home}/\"${{pair%%=*}}\" \"${{pair#*=}}\" ;;
        vm-param-get) test \"$2 $3\" = 'uuid={uuid} param-name=networks' ;;
        *) exit 1 ;;
        esac",
        uuid = Options::default().uuid,
        home = scene.xenstored.home(),
    );
    program(&programs, "xe", &format!("set -e\n{xe}"))?;
    let kernel = take_shutdowns(&scene.xenstored);
    type_in(&typed(Place::Dom0), home.path(), &programs)?;
    kernel.store(true, std::sync::atomic::Ordering::Relaxed);
    // What was written is what the agent understands: its answer says nothing of what was left out.
    let log = scene.agent.log();
    assert!(!log.contains("left out"), "{log}");
    Ok(())
}

/// The guest's kernel, as far as it takes orders; until the flag is set.
fn take_shutdowns(xenstored: &Xenstored) -> std::sync::Arc<std::sync::atomic::AtomicBool> {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (node, mut client) = (format!("{}/control/shutdown", xenstored.home()), xenstored.host());
    let is_over = std::sync::Arc::new(AtomicBool::new(false));
    let over = is_over.clone();
    std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            if client.get(&node).ok().flatten().is_some_and(|order| !order.is_empty()) {
                let _ = client.write(&node, "");
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    is_over
}

/// The project's own programs for `cargo`'s words, built once; they work where they are called.
const OURS: &[(&str, &str, &str)] = &[
    ("demo", "nanova-tests", "demo"),
    ("initramfs", "nanova-initramfs", "nanova-initramfs"),
    ("audit-scope", "nanova-audit", "audit-scope"),
    ("package-nanova", "nanova-package", "package-nanova"),
    ("nanova-record", "nanova-record", "nanova-record"),
    ("xen-test", "nanova-tests", "xen-test"),
];

#[test]
fn what_is_typed_where_the_sources_are_works() -> Result<()> {
    let home = tempfile::tempdir()?;
    let programs = home.path().join("bin");
    fs::create_dir(&programs)?;
    let target = std::path::absolute(agent::target_dir())?;
    symlink(&target, home.path().join("target"))?;
    let ours: String = OURS
        .iter()
        .map(|(word, package, name)| {
            let build = format!("(cd {} && $CARGO build --quiet --package {package} --bin {name})", path(workspace()));
            format!("{word}) {build}; shift; exec {}/debug/{name} \"$@\" ;;\n", path(&target))
        })
        .collect();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let other = format!("*) cd {}; exec $CARGO --quiet \"$@\" ;;", path(workspace()));
    program(&programs, "cargo", &format!("set -e\nCARGO={cargo}\ncase $1 in\n{ours}{other}\nesac"))?;
    type_in(&typed(Place::Sources), home.path(), &programs)
}

#[test]
fn what_the_first_page_shows_is_what_the_demo_prints() -> Result<()> {
    let page = fs::read_to_string(workspace().join("README.md"))?;
    let (_, shown) = page.split_once("```text\nnanova, ").context("README shows the demo")?;
    let (shown, _) = shown.split_once("\n```").context("a fence ends")?;
    let mut cargo = agent::cargo();
    let demo =
        agent::executable(cargo.args(["build", "--quiet", "--package", "nanova-tests", "--bin", "demo", agent::TELL]))?;
    assert_eq!(without_numbers(&format!("nanova, {shown}")), without_numbers(&said(path(&demo), &[])?));
    Ok(())
}

#[test]
fn images_are_as_large_as_their_page_says() -> Result<()> {
    let page =
        fs::read_to_string(workspace().join("initramfs/README.md"))?.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, says) = page.split_once("Without modules the image has ").context("the page says how large")?;
    let numbers = says.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).take(3);
    let mut cargo = agent::cargo();
    let program = agent::executable(cargo.args(["build", "--quiet", "--package", "nanova-initramfs", agent::TELL]))?;
    let home = tempfile::tempdir()?;
    for (kib, ending) in numbers.zip(["cpio", "cpio.gz", "cpio.zst"]) {
        let image = home.path().join(format!("image.{ending}"));
        said(path(&program), &["--agent", path(agent::binary()), "--output", path(&image)])?;
        let size = fs::metadata(&image)?.len().div_ceil(1024);
        assert!(size.abs_diff(kib) * 20 <= kib, "{ending}: {size} KiB, and the page says {kib}");
    }
    Ok(())
}

/// The words of each line, with a `#` for each number, and without what is behind `$`.
fn without_numbers(text: &str) -> Vec<String> {
    let word = |word: &str| {
        let word = word.split('$').next().unwrap_or_default();
        let mut out = String::new();
        for letter in word.chars() {
            match letter.is_ascii_digit() {
                true if out.ends_with('#') => {}
                true => out.push('#'),
                false => out.push(letter),
            }
        }
        out
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.trim_end().lines().map(line).collect()
}

/// What cargo's words, and `.ci`'s, name and is not there.
fn missing_from_the_sources(words: &[&str]) -> Option<String> {
    let read = |file: &str| fs::read_to_string(workspace().join(file)).unwrap_or_default();
    let lacks = |what: &str, word: &str| Some(format!("there is no {what} '{word}'"));
    // Whoever writes something between braces or in capitals means something else.
    let is_word = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    match words {
        ["cargo", word, rest @ ..] => {
            let is_alias = read(".cargo/config.toml").contains(&format!("\n{word} = "));
            let known =
                ["build", "test", "bench", "clippy", "fmt", "check", "install", "vet", "deny", "modules", "run"];
            if !is_alias && !known.contains(word) {
                return lacks("command of cargo's", word);
            }
            for pair in rest.windows(2).filter(|pair| is_word(pair[1])) {
                let [option, name] = pair else { continue };
                let is_there = match *option {
                    "-p" | "--package" => read("Cargo.lock").contains(&format!("\nname = \"{name}\"\n")),
                    "--test" => ["tests", "initramfs", "initramfs/package", "host"]
                        .iter()
                        .any(|folder| workspace().join(folder).join(format!("tests/{name}.rs")).is_file()),
                    "--bench" => read("tests/Cargo.toml").contains(&format!("[[bench]]\nname = \"{name}\"")),
                    "--profile" => read(".ci/run").contains(&format!("\"{name} ")),
                    _ => true,
                };
                if !is_there {
                    return lacks(option, name);
                }
            }
            None
        }
        [".ci/run", steps @ ..] => {
            let script = read(".ci/run");
            let is_step =
                |step: &&&str| !is_word(step) || step.starts_with("--") || script.contains(&format!("step_{step}()"));
            steps.iter().find(|step| !is_step(step)).and_then(|step| lacks("step", step))
        }
        [script, ..] if script.starts_with(".ci/") && !workspace().join(script).is_file() => lacks("script", script),
        _ => None,
    }
}

/// Words of a line as a shell takes them apart, but for quotes; without a comment.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().take_while(|word| !word.starts_with('#') && !["&&", ";", "|"].contains(word)).collect()
}

#[test]
fn what_pages_name_of_cargo_and_ci_is_there() {
    let mut wrong = Vec::new();
    for page in pages::all() {
        let typed = page.command_lines().into_iter().map(|line| (line.number, line.text));
        for (number, text) in page.spans().into_iter().chain(typed) {
            if let Some(why) = missing_from_the_sources(&words(&text)) {
                wrong.push(format!("{}:{number}: {text}: {why}", page.name));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(missing_from_the_sources(&["cargo", "no-such"]).is_some());
    assert!(missing_from_the_sources(&["cargo", "test", "-p", "nanova-tests", "--test", "no_such"]).is_some());
    assert!(missing_from_the_sources(&[".ci/run", "nothing"]).is_some());
}

/// All pages of help that there are, one behind the other.
fn help() -> Result<String> {
    let mut help = String::new();
    let nanova = path(agent::binary());
    let front = said(nanova, &["--help"])?;
    for word in subcommands(&front).chain(["help"]) {
        help.push_str(&said(nanova, &[word, "--help"]).unwrap_or_default());
    }
    for link in ["poweroff", "nova-agent", "xe-daemon"] {
        let home = tempfile::tempdir()?;
        symlink(fs::canonicalize(nanova)?, home.path().join(link))?;
        help.push_str(&said(path(&home.path().join(link)), &["--help"])?);
    }
    help.push_str(&front);
    for file in [
        "host/src/help.txt",
        "initramfs/src/options.rs",
        "initramfs/package/src/options.rs",
        "tests/audit/src/options.rs",
        "tests/record/src/options.rs",
        "tests/src/bin/xen-test.rs",
        "tests/src/xen/options.rs",
    ] {
        help.push_str(&fs::read_to_string(workspace().join(file)).unwrap_or_default());
    }
    Ok(help)
}

fn said(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output()?;
    anyhow::ensure!(output.status.success(), "{program} {words:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// The subcommands that the front page of help names.
fn subcommands(front: &str) -> impl Iterator<Item = &str> {
    front
        .lines()
        .filter_map(|line| line.strip_prefix("  nanova ")?.split_whitespace().next())
        .filter(|word| !word.starts_with('-'))
}

/// The long options that a text names.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
    words.filter(|word| word.len() > 3 && word.starts_with("--") && !word.starts_with("---"))
}

#[test]
fn every_option_and_subcommand_that_pages_name_is_in_a_page_of_help() -> Result<()> {
    let help = help()?;
    let known: BTreeSet<&str> = options(&help).chain(OPTIONS_OF_OTHERS.iter().map(|(option, _)| *option)).collect();
    let front = said(path(agent::binary()), &["--help"])?;
    let known_words: BTreeSet<&str> = subcommands(&front).chain(["help"]).collect();
    let (mut wrong, mut named) = (Vec::new(), BTreeSet::new());
    for page in pages::all() {
        let typed = page.command_lines().into_iter().filter(|line| line.place != Place::Elsewhere);
        for (number, text) in page.spans().into_iter().chain(typed.map(|line| (line.number, line.text))) {
            let is_mans =
                words(&text).first().is_some_and(|word| ["dpkg-deb", "apt", "rm", "strace", "xl"].contains(word));
            for option in options(&text).filter(|option| !known.contains(option) && !is_mans) {
                wrong.push(format!("{}:{number}: {option} in '{text}'", page.name));
            }
            named.extend(options(&text).map(str::to_owned));
            if let ["nanova", word, ..] = words(&text)[..] {
                let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase());
                if is_word && !known_words.contains(word) {
                    wrong.push(format!("{}:{number}: no subcommand '{word}' in '{text}'", page.name));
                }
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    let others = OPTIONS_OF_OTHERS.iter().map(|(option, _)| *option);
    let unused: Vec<&str> = others.filter(|option| !named.contains(*option)).collect();
    assert_eq!(unused, [""; 0], "no page has them any more");
    Ok(())
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() -> Result<()> {
    let pages = pages::all();
    let mut wrong = Vec::new();
    for page in &pages {
        for (number, link) in page.links() {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { workspace().join(&page.name) } else { page.folder().join(file) };
            let Ok(target) = fs::canonicalize(&target) else {
                wrong.push(format!("{}:{number}: {link}", page.name));
                continue;
            };
            if anchor.is_empty() {
                continue;
            }
            let target = target.strip_prefix(fs::canonicalize(workspace())?)?.to_owned();
            let target = pages.iter().find(|other| Path::new(&other.name) == target).context("a page")?;
            if !target.anchors().iter().any(|other| other == anchor) {
                wrong.push(format!("{}:{number}: {link}: no such heading", page.name));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    Ok(())
}

#[test]
fn every_page_is_reached_from_the_first_one() {
    let pages = pages::all();
    let (mut reached, mut waiting) = (BTreeSet::new(), vec!["README.md".to_owned()]);
    while let Some(name) = waiting.pop() {
        let Some(page) = pages.iter().find(|page| page.name == name) else { continue };
        if !reached.insert(name) {
            continue;
        }
        for (_, link) in page.links() {
            let target = page.folder().join(link.split('#').next().unwrap_or_default());
            let Ok(target) = fs::canonicalize(target) else { continue };
            let is_led_to = |other: &&pages::Page| {
                let other = workspace().join(&other.name);
                fs::canonicalize(&other).is_ok_and(|file| file == target || file.parent() == Some(&target))
            };
            waiting.extend(pages.iter().filter(is_led_to).map(|other| other.name.clone()));
        }
    }
    let lonely: Vec<&str> =
        pages.iter().map(|page| page.name.as_str()).filter(|name| !reached.contains(*name)).collect();
    assert_eq!(lonely, [""; 0]);
}
