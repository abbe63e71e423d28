//! zsh: `_arguments` for each subcommand.

use std::fmt::Write;

use super::help::{Guide, Opt};

/// What completes a program with these guides: its own, and its subcommands'.
pub(super) fn script(program: &str, guides: &[Guide]) -> String {
    let function = format!("_{program}");
    let (front, subcommands) = guides.split_first().expect("a program has a page");
    let subcommands: Vec<&Guide> = subcommands.iter().filter(|guide| guide.name != "poweroff").collect();
    let described: Vec<(&str, &str)> = if subcommands.is_empty() {
        words(front)
    } else {
        subcommands.iter().map(|guide| (guide.name.as_str(), guide.about.as_str())).collect()
    };
    let mut out = format!(
        "#compdef {program}\n# Made by cargo package-nanova.\n\n{function}() {{\n    local curcontext=$curcontext state line\n"
    );
    // Writing to a text does not fail.
    let _ = writeln!(out, "    local -a commands common\n    commands=(");
    for (name, about) in described {
        let _ = writeln!(out, "        '{name}:{}'", quoted(about));
    }
    let _ = writeln!(
        out,
        "    )\n    common=(\n{}        '--help[this page]'\n        '--version[the version]'\n    )",
        specs(front)
    );
    out.push_str("    _arguments -C $common '1: :->command' '*:: :->rest'\n    case $state in\n    command) _describe command commands ;;\n");
    out.push_str("    rest)\n        case $line[1] in\n");
    for guide in subcommands {
        let _ = writeln!(
            out,
            "        {})\n            _arguments $common \\\n{}                {}\n            ;;",
            guide.name,
            continued(guide),
            rest(guide)
        );
    }
    let _ = writeln!(out, "        *) _files ;;\n        esac\n        ;;\n    esac\n}}\n\n{function} \"$@\"");
    out
}

fn words(guide: &Guide) -> Vec<(&str, &str)> {
    let words = guide.words.iter().filter(|word| !word.name.starts_with("nanova"));
    words.map(|word| (word.name.as_str(), word.about.as_str())).collect()
}

/// In single quotes, within an `_arguments` that takes brackets and colons for its own.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "'\\''").replace(':', "\\:");
    escaped.replace('[', "\\[").replace(']', "\\]")
}

fn specs(guide: &Guide) -> String {
    guide.options.iter().flat_map(spec).map(|spec| format!("        {spec}\n")).collect()
}

fn continued(guide: &Guide) -> String {
    guide.options.iter().flat_map(spec).map(|spec| format!("                {spec} \\\n")).collect()
}

/// What may stand behind a subcommand that is no option.
fn rest(guide: &Guide) -> String {
    let names: Vec<&str> = words(guide).into_iter().map(|(name, _)| name).collect();
    if names.is_empty() { "'*: : '".to_owned() } else { format!("'1:tool:({})' '*: : '", names.join(" ")) }
}

fn spec(option: &Opt) -> Vec<String> {
    let value = if !option.takes_a_word() {
        String::new()
    } else if option.takes_a_file() {
        format!(":{}:_files", quoted(&option.value))
    } else if option.choices().is_empty() {
        format!(":{}: ", quoted(&option.value))
    } else {
        format!(":{}:({})", quoted(&option.value), option.choices().join(" "))
    };
    let all = option.names.join(" ");
    let others = if option.names.len() > 1 { format!("({all})") } else { String::new() };
    // `--name=` is one word or two.
    let spec = |name: &String| {
        let joined = if !value.is_empty() && name.starts_with("--") { "=" } else { "" };
        format!("'{others}{name}{joined}[{}]{value}'", quoted(&option.about))
    };
    option.names.iter().map(spec).collect()
}
