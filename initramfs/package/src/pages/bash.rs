//! bash: a function that knows the subcommand and the word before.

use std::fmt::Write;

use super::help::{Guide, Opt};
use super::option_words;

/// What completes a program with these guides: its own, and its subcommands'.
pub(super) fn script(program: &str, guides: &[Guide]) -> String {
    let function = format!("_{}", program.replace('-', "_"));
    let mut out = format!(
        "# bash completion of {program}; made by cargo package-nanova.\n{function}() {{\n    local current=${{COMP_WORDS[COMP_CWORD]}} \
         before=${{COMP_WORDS[COMP_CWORD-1]}} command='' word\n    COMPREPLY=()\n"
    );
    let (front, subcommands) = guides.split_first().expect("a program has a page");
    let names = subcommands.iter().map(|guide| guide.name.as_str()).filter(|name| *name != "poweroff");
    let names: Vec<&str> = if subcommands.is_empty() { words(front) } else { names.collect() };
    // Writing to a text does not fail.
    let _ = writeln!(
        out,
        "    for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n        case $word in\n        {}) command=$word ;;\n        esac\n    done",
        names.join(" | ")
    );
    let _ = writeln!(out, "    case $before in");
    let mut done: Vec<&str> = Vec::new();
    for option in guides.iter().flat_map(|guide| &guide.options).filter(|option| option.takes_a_word()) {
        let fresh: Vec<&str> = option.names.iter().map(String::as_str).filter(|name| !done.contains(name)).collect();
        if !fresh.is_empty() {
            let _ = writeln!(out, "    {}) {}; return ;;", fresh.join(" | "), value(option));
        }
        done.extend(fresh);
    }
    let _ = writeln!(out, "    esac\n    case $command in");
    for guide in subcommands.iter().filter(|guide| guide.name != "poweroff") {
        let mut offered = option_words(guide);
        offered.extend(option_words(front));
        offered.extend(words(guide));
        offered.push("--help");
        let _ = writeln!(out, "    {}) word='{}' ;;", guide.name, offered.join(" "));
    }
    let mut offered = names;
    offered.extend(option_words(front));
    offered.extend(["--help", "--version"]);
    offered.extend((!subcommands.is_empty()).then_some("help"));
    let _ = writeln!(out, "    *) word='{}' ;;\n    esac", offered.join(" "));
    let _ =
        writeln!(out, "    COMPREPLY=($(compgen -W \"$word\" -- \"$current\"))\n}}\ncomplete -F {function} {program}");
    out
}

/// The words that may be typed by themselves.
fn words(guide: &Guide) -> Vec<&str> {
    let is_program = |name: &&str| !name.starts_with("nanova");
    guide.words.iter().map(|word| word.name.as_str()).filter(is_program).collect()
}

fn value(option: &Opt) -> String {
    let choices = option.choices().join(" ");
    match (option.takes_a_file(), choices.is_empty()) {
        (true, _) => {
            format!(
                "compopt -o filenames; COMPREPLY=($(compgen -W '{choices}' -- \"$current\") $(compgen -f -- \"$current\"))"
            )
        }
        (false, false) => format!("COMPREPLY=($(compgen -W '{choices}' -- \"$current\"))"),
        (false, true) => ":".to_owned(),
    }
}
