//! Manual pages and completions, by the programs that read them: man-db, groff, mandoc; bash, zsh, fish.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nanova_tests::agent;
use tempfile::TempDir;

/// `cargo package-nanova --pages`, once.
fn share() -> &'static Path {
    static SHARE: OnceLock<TempDir> = OnceLock::new();
    let made = SHARE.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_package-nanova"));
        command.arg("--pages").arg(home.path()).env("SOURCE_DATE_EPOCH", "1795780800");
        assert!(command.status().unwrap().success());
        home
    });
    made.path()
}

fn manuals() -> Vec<PathBuf> {
    let folders = ["man1", "man5", "man7"].map(|folder| share().join("man").join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files
}

/// What a program says, on both outputs.
fn said(command: &mut Command) -> String {
    let output = command.current_dir(share().join("man")).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn sh(script: &str) -> String {
    said(Command::new("sh").args(["-c", script]).env("LC_ALL", "C.UTF-8"))
}

#[test]
fn every_subcommand_every_tool_and_every_file_that_people_edit_has_a_page() {
    let names: BTreeSet<String> =
        manuals().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let front = said(Command::new(std::path::absolute(agent::binary()).unwrap()).arg("--help"));
    let subcommands = front.lines().filter_map(|line| line.strip_prefix("  nanova ")?.split_whitespace().next());
    for subcommand in subcommands.filter(|word| !word.starts_with('-')) {
        assert!(names.contains(&format!("nanova-{subcommand}.1")), "{subcommand}: {names:?}");
    }
    for name in ["nanova.1", "nanova-host.1", "xenstore-read.1", "nanova-commands.d.5", "nanova-disable.5", "vm-data.7"]
    {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    // Pages name pages that are there.
    for path in manuals() {
        let text = fs::read_to_string(&path).unwrap().replace("\\-", "-");
        for (before, behind) in text.match_indices('(').map(|(at, _)| text.split_at(at)) {
            let name =
                before.rsplit(|letter: char| !(letter.is_alphanumeric() || "-.".contains(letter))).next().unwrap();
            let section = behind[1..].split(')').next().unwrap();
            if name.starts_with("nanova") && section.parse::<u8>().is_ok() {
                assert!(names.contains(&format!("{name}.{section}")), "{}: {name}({section})", path.display());
            }
        }
    }
}

#[test]
#[ignore = "needs mandoc, man-db and groff"]
fn those_who_read_manual_pages_have_nothing_to_say_of_ours() {
    for path in manuals() {
        let path = path.display();
        let is_link = fs::read_to_string(path.to_string()).unwrap().starts_with(".so ");
        let man = sh(&format!("MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z {path} 2>&1 >/dev/null"));
        assert_eq!(man, "", "{path}");
        if !is_link {
            assert_eq!(sh(&format!("mandoc -T lint -W style {path}")), "");
            assert!(sh(&format!("lexgrog {path}")).contains(" - "), "{path}");
        }
    }
    // As a person sees it: what is to be typed can be copied.
    let page = sh("MANWIDTH=200 man -l man1/nanova-agent.1 | col -b");
    assert!(page.contains("nanova agent --once --network files\n") && page.contains("--no-metrics"), "{page}");
    let data = sh("MANWIDTH=300 man -l man7/vm-data.7 | col -b");
    assert!(data.contains(r#"xenstore-write $D/data/host/1 '{"name":"resetnetwork","value":""}'"#), "{data}");
}

/// What each shell offers at the end of these lines has to be among and have to hold these words.
const OFFERED: [(&str, &[&str]); 8] = [
    ("nanova ", &["agent", "network", "xenstore", "status"]),
    ("nanova agent --lock", &["--lockdown"]),
    ("nanova agent --no-", &["--no-metrics", "--no-hotplug"]),
    ("nanova network --style net", &["netplan", "netifrc", "netctl"]),
    ("nanova agent --network ", &["files", "kernel", "both", "off"]),
    ("nanova agent -l ", &["error", "debug"]),
    ("nanova xenstore ch", &["chmod"]),
    ("nanova --xenb", &["--xenbus"]),
];

#[test]
#[ignore = "needs bash"]
fn bash_offers_what_may_follow() {
    for (line, words) in OFFERED {
        let script = format!(
            "set -u; . ../bash-completion/completions/nanova; read -ra COMP_WORDS <<<'{line}'
            [[ '{line}' != *' ' ]] || COMP_WORDS+=(''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _nanova; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let offered = said(Command::new("bash").args(["--norc", "-c", &script]));
        has(&offered, line, words);
    }
    assert_eq!(sh("bash -n ../bash-completion/completions/nanova-host"), "");
    let files = "cd man1; . ../../bash-completion/completions/nanova; COMP_WORDS=(nanova --root ''); COMP_CWORD=2
        compopt() { :; }; _nanova; echo ${COMPREPLY[@]}";
    assert!(said(Command::new("bash").args(["-c", files])).contains("nanova-agent.1"));
}

#[test]
#[ignore = "needs fish"]
fn fish_offers_what_may_follow() {
    let home = tempfile::tempdir().unwrap();
    for (line, words) in OFFERED {
        let script = format!("source ../fish/vendor_completions.d/nanova.fish; complete -C '{line}'");
        let mut fish = Command::new("fish");
        has(&said(fish.args(["--no-config", "-c", &script]).env("HOME", home.path())), line, words);
    }
    let host = "source ../fish/vendor_completions.d/nanova-host.fish; complete -C 'nanova-host web --ti'";
    has(&said(Command::new("fish").args(["--no-config", "-c", host]).env("HOME", home.path())), "host", &["--timeout"]);
}

#[test]
#[ignore = "needs zsh"]
fn zsh_offers_what_may_follow() {
    let home = tempfile::tempdir().unwrap();
    for (line, words) in OFFERED {
        // A terminal of its own; what is offered is listed there, also if it is one word.
        let script = format!(
            "zmodload zsh/zpty; zpty shell zsh -f -i
            say() {{ zpty -w shell \"$1\"; }}
            say 'PS1= PROMPT_EOL_MARK=; unsetopt zle_bracketed_paste; stty columns 200; LISTMAX=1000'
            say 'fpath=(../zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D; zstyle \":completion:*\" list-colors'
            say 'setopt no_always_last_prompt; list() {{ BUFFER=$LINE_; CURSOR=$#BUFFER; zle list-choices; }}; zle -N list; bindkey \"^X\" list'
            say 'LINE_=\"{line}\"'
            say 'echo re''ady'
            zpty -r shell text '*ready*'
            zpty -w -n shell $'\\x18'
            sleep 1; zpty -w shell ''; zpty -w -n shell $'\\x03'; say 'echo at the e''nd'
            zpty -r shell text '*the end*'; print -r -- $text"
        );
        let offered = said(Command::new("timeout").args(["20", "zsh", "-f", "-c", &script]).env("HOME", home.path()));
        let listed: Vec<&str> = words.iter().copied().filter(|word| !offered.contains(word)).collect();
        assert_eq!(listed, [""; 0], "{line}: {offered}");
    }
    assert_eq!(sh("zsh -n ../zsh/site-functions/_nanova; zsh -n ../zsh/site-functions/_nanova-host"), "");
}

/// One word a line, perhaps with what it is for; nothing is offered that does not begin as the line ends.
fn has(offered: &str, line: &str, words: &[&str]) {
    let first = |line: &str| line.split(['\t', ' ']).next().unwrap_or_default().to_owned();
    let offered: BTreeSet<String> = offered.lines().map(first).collect();
    for word in words {
        assert!(offered.contains(*word), "{line}: {word} is not in {offered:?}");
    }
    let begun = line.rsplit(' ').next().unwrap_or_default();
    assert!(line == "host" || offered.iter().all(|word| word.starts_with(begun)), "{line}: {offered:?}");
}
