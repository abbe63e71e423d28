//! fish: a line for each option, of all or of a subcommand.

use std::fmt::Write;

use super::help::{Guide, Opt};

/// What completes a program with these guides: its own, and its subcommands'.
pub(super) fn script(program: &str, guides: &[Guide]) -> String {
    let mut out = format!("# fish completion of {program}; made by cargo package-nanova.\ncomplete -c {program} -f\n");
    let (front, subcommands) = guides.split_first().expect("a program has a page");
    front.options.iter().for_each(|option| line(&mut out, program, "", option));
    // Writing to a text does not fail.
    let _ = writeln!(
        out,
        "complete -c {program} -s h -l help -d 'how it is called'\ncomplete -c {program} -s V -l version -d 'the version'"
    );
    let first = "-n __fish_use_subcommand ";
    for word in front.words.iter().filter(|word| !word.name.starts_with("nanova")) {
        let _ = writeln!(out, "complete -c {program} -a {} -d '{}'", word.name, quoted(&word.about));
    }
    for guide in subcommands.iter().filter(|guide| guide.name != "poweroff") {
        let _ = writeln!(out, "complete -c {program} {first}-a {} -d '{}'", guide.name, quoted(&guide.about));
        let seen = format!("-n '__fish_seen_subcommand_from {}' ", guide.name);
        guide.options.iter().for_each(|option| line(&mut out, program, &seen, option));
        for word in &guide.words {
            let _ = writeln!(out, "complete -c {program} {seen}-a {} -d '{}'", word.name, quoted(&word.about));
        }
    }
    out
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn line(out: &mut String, program: &str, when: &str, option: &Opt) {
    let _ = write!(out, "complete -c {program} {when}");
    for name in &option.names {
        let _ = match name.strip_prefix("--") {
            Some(long) => write!(out, "-l {long} "),
            None => write!(out, "-s {} ", name.trim_start_matches('-')),
        };
    }
    if option.takes_a_word() {
        out.push_str("-r ");
    }
    if option.takes_a_file() {
        out.push_str("-F ");
    }
    if !option.choices().is_empty() {
        let _ = write!(out, "-a '{}' ", option.choices().join(" "));
    }
    let _ = writeln!(out, "-d '{}'", quoted(&option.about));
}
