//! A page of help taken apart.
//!
//! It is written for people, by rules: a line that begins with two blanks and `-` is an option, with what it takes;
//! behind two blanks more stands what it is for; a line with more blanks goes on with that. `a|b` are the words that an
//! option takes. One that begins with two blanks and a letter is a word to be typed: a subcommand, a tool.

use anyhow::{Context, Result, anyhow};
use nanova_core::cli::CommandLine;

/// What an option takes that is no list of words.
const LEVELS: &str = "error|warn|info|debug|trace";
const STYLES: &str = "ifupdown|netplan|networkd|keyfile|ifcfg|suse|netifrc|netctl|none";
const HANDOVERS: &str = "klibc|networkd|keyfile|netplan|ifupdown";

/// An option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opt {
    /// How it may be called: `-l`, `--loglevel`.
    pub(super) names: Vec<String>,
    /// What it takes, as the page says it; behind `=` in brackets if it need not.
    pub(super) value: String,
    /// What it is for.
    pub(super) about: String,
}

impl Opt {
    /// Whether another word has to follow.
    pub(super) fn takes_a_word(&self) -> bool {
        !self.value.is_empty() && !self.value.starts_with('[')
    }

    /// The words that it takes, as far as they are known.
    pub(super) fn choices(&self) -> Vec<&str> {
        let value = match self.value.as_str() {
            "LEVEL" => LEVELS,
            "STYLE" => STYLES,
            "STYLE[,…]" => HANDOVERS,
            value => value,
        };
        let words = value.split('|').filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
        if value.contains('|') { words.filter(|word| !word.is_empty()).collect() } else { Vec::new() }
    }

    /// Whether it takes a file, or a folder.
    pub(super) fn takes_a_file(&self) -> bool {
        ["PATH", "FILE", "DIR", "PIDFILE"].iter().any(|word| self.value.split('|').any(|value| value == *word))
    }
}

/// A word to be typed, with what may follow it and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// It.
    pub(super) name: String,
    /// What follows: `[-p] PATH…`
    pub(super) rest: String,
    /// What it is for.
    pub(super) about: String,
}

/// What a page of help says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Guide {
    /// The subcommand; none is the program itself.
    pub(super) name: String,
    /// What the program's own page says it is for.
    pub(super) about: String,
    /// How it is called: the first line.
    pub(super) call: String,
    pub(super) options: Vec<Opt>,
    pub(super) words: Vec<Word>,
    /// The lines that are nothing of these.
    pub(super) others: Vec<String>,
}

/// All that there are: the program's own page first, then its subcommands'.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    pub(super) nanova: Vec<Guide>,
    pub(super) host: Vec<Guide>,
}

impl Programs {
    /// Those of core, as it is built into this program, and of nanova-host, whose page is given.
    pub(super) fn of_this_build(host: &str) -> Result<Programs> {
        let front = Guide::read("", help(&["nanova", "--help"])?);
        let mut nanova = vec![front.clone()];
        for line in &front.words {
            // `nanova agent    what it is for`
            let name = line.rest.split_whitespace().next().unwrap_or_default();
            if line.name != "nanova" || !name.bytes().all(|byte| byte.is_ascii_lowercase()) || name.is_empty() {
                continue;
            }
            let page = help(&["nanova", "help", name])?;
            let mut guide = Guide::read(name, page);
            guide.about.clone_from(&line.about);
            // What has no page of its own is shown on the front page.
            if page.starts_with("nanova:") {
                guide = Guide { name: name.to_owned(), about: line.about.clone(), ..Guide::default() };
            }
            nanova.push(guide);
        }
        let mut end = Guide::read("poweroff", help(&["poweroff", "--help"])?);
        end.about = "end a system that nanova is the first process of".to_owned();
        nanova.push(end);
        Ok(Programs { nanova, host: vec![Guide::read("", host)] })
    }

    /// The guide of a subcommand.
    pub(super) fn of(&self, name: &str) -> Option<&Guide> {
        self.nanova.iter().find(|guide| guide.name == name)
    }

    /// The xenstore tools.
    pub(super) fn tools(&self) -> Vec<&str> {
        self.of("xenstore").into_iter().flat_map(|guide| &guide.words).map(|word| word.name.as_str()).collect()
    }
}

fn help(words: &[&str]) -> Result<&'static str> {
    let mut line = CommandLine::new(words.iter().map(|word| word.as_bytes()));
    let (program, _) = line.program().map_err(|error| anyhow!("{words:?}: {error}"))?;
    Ok(line.page(program))
}

impl Guide {
    /// Takes a page apart.
    pub(super) fn read(name: &str, page: &str) -> Guide {
        let mut guide = Guide { name: name.to_owned(), ..Guide::default() };
        let mut lines = page.lines();
        guide.call = lines.next().unwrap_or_default().to_owned();
        guide.options.extend(bracketed(&guide.call));
        // Whether a line that is further in goes on with an option, or with a word.
        let mut last = None;
        for line in lines {
            let indent = line.len() - line.trim_start().len();
            let (spec, about) = split(line.trim_start());
            match last {
                Some(is_option) if indent > 8 || (indent > 6 && !spec.starts_with('-')) => {
                    let about = if is_option {
                        guide.options.last_mut().map(|option| &mut option.about)
                    } else {
                        guide.words.last_mut().map(|word| &mut word.about)
                    };
                    about.into_iter().for_each(|text| {
                        if !text.is_empty() {
                            text.push(' ');
                        }
                        text.push_str(line.trim());
                    });
                }
                _ if indent >= 2 && spec.starts_with('-') => {
                    guide.options.push(option(spec, about));
                    last = Some(true);
                }
                _ if indent == 2 => {
                    // What follows a subcommand is its own page's.
                    let own = bracketed(spec).into_iter().filter(|option| option.names[0].starts_with("--"));
                    guide.options.extend(own.filter(|_| !spec.starts_with("nanova ")));
                    guide.words.extend(words(spec, about));
                    last = Some(false);
                }
                _ => {
                    guide.others.push(line.to_owned());
                    last = None;
                }
            }
        }
        guide.split_second_options();
        guide
    }

    /// `-l LEVEL  …; -q, --quiet: none` are two options.
    fn split_second_options(&mut self) {
        let mut found = Vec::new();
        for option_there in &mut self.options {
            if let Some((about, second)) = option_there.about.clone().split_once("; -")
                && let Some((spec, second)) = second.split_once(": ")
            {
                option_there.about = about.to_owned();
                found.push(option(&format!("-{spec}"), second));
            }
        }
        self.options.extend(found);
        // What a list goes on with is not what it is about.
        let abouts = self.options.iter_mut().map(|option| &mut option.about);
        for about in abouts.chain(self.words.iter_mut().map(|word| &mut word.about)) {
            about.truncate(about.trim_end_matches(" with").trim_end_matches([',', ';']).len());
        }
    }
}

/// What stands before two blanks, and behind them.
fn split(line: &str) -> (&str, &str) {
    line.split_once("  ").map_or((line, ""), |(spec, about)| (spec.trim(), about.trim()))
}

fn option(spec: &str, about: &str) -> Opt {
    let (mut names, mut value) = (Vec::new(), String::new());
    for part in spec.split([',', ';']).map(str::trim) {
        let (name, takes) = part.split_once(' ').unwrap_or((part, ""));
        if !name.starts_with('-') {
            // `STYLE[,…]` has a comma of its own.
            value = format!("{value},{part}");
            continue;
        }
        let (name, optional) = name.split_once('[').unwrap_or((name, ""));
        names.push(name.to_owned());
        if !takes.is_empty() {
            value = takes.to_owned();
        }
        if !optional.is_empty() {
            value = format!("[{optional}");
        }
    }
    Opt { names, value, about: about.to_owned() }
}

/// The options in brackets of a line: `[--json | --openmetrics] [--watch]`.
fn bracketed(line: &str) -> Vec<Opt> {
    let inside = line.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    let words = inside.flat_map(|inside| inside.split('|')).map(str::trim).filter(|word| word.starts_with('-'));
    words.map(|word| option(word, "")).collect()
}

/// `shutdown, reboot` are two.
fn words(spec: &str, about: &str) -> Vec<Word> {
    let is_list = spec.split(", ").all(|word| !word.contains(' '));
    let specs: Vec<&str> = if is_list { spec.split(", ").collect() } else { vec![spec] };
    let word = |spec: &str| {
        let (name, rest) = spec.split_once(' ').unwrap_or((spec, ""));
        Word { name: name.to_owned(), rest: rest.to_owned(), about: about.to_owned() }
    };
    specs.into_iter().map(word).collect()
}

/// The text before the first line of a kind; for pages that say something of all.
pub(super) fn exit_codes(front: &Guide) -> Result<Vec<(String, String)>> {
    let line = front.others.iter().find_map(|line| line.strip_prefix("Exit codes: ")).context("no exit codes")?;
    Ok(line.split(", ").filter_map(|part| part.split_once(' ')).map(|(code, is)| (code.into(), is.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart_by_its_blanks() {
        let guide = Guide::read(
            "x",
            "nanova x [--json] [options]\n\n  -l, --level LEVEL  how much; -q, --quiet: none\n  --style STYLE   default; or\n         \
             more of it\n  --hand STYLE[,…]    files\n  --lock[=kill]  hard\nText.\n  read [-p] PATH…  reads\n",
        );
        let names = |option: &Opt| (option.names.join(" "), option.value.clone(), option.about.clone());
        let found: Vec<_> = guide.options.iter().map(names).collect();
        let option = |names: &str, value: &str, about: &str| (names.to_owned(), value.to_owned(), about.to_owned());
        let expected = [
            option("--json", "", ""),
            option("-l --level", "LEVEL", "how much"),
            option("--style", "STYLE", "default; or more of it"),
            option("--hand", "STYLE[,…]", "files"),
            option("--lock", "[=kill]", "hard"),
            option("-q --quiet", "", "none"),
        ];
        assert_eq!(found, expected);
        assert_eq!(guide.words, [Word { name: "read".into(), rest: "[-p] PATH…".into(), about: "reads".into() }]);
        assert_eq!(guide.others, ["", "Text."]);
    }

    fn option_names(guide: &Guide) -> Vec<String> {
        guide.options.iter().flat_map(|option| option.names.clone()).collect()
    }

    #[test]
    fn nanovas_own_pages_have_their_options() {
        let programs = Programs::of_this_build("nanova-host: x\n\n  version    it\n").unwrap();
        let names: Vec<_> = programs.nanova.iter().map(|guide| guide.name.as_str()).collect();
        for name in ["", "agent", "network", "report", "init", "status", "xenstore", "poweroff"] {
            assert!(names.contains(&name), "{names:?}");
        }
        let agent = option_names(programs.of("agent").unwrap());
        for name in ["--once", "--wait", "--no-metrics", "-p", "--lockdown", "--no-hotplug"] {
            assert!(agent.contains(&name.to_owned()), "{name}: {agent:?}");
        }
        assert!(option_names(programs.of("network").unwrap()).contains(&"--wait".to_owned()));
        assert!(programs.tools().contains(&"chmod"), "{:?}", programs.tools());
        let network = programs.of("network").unwrap();
        let style = network.options.iter().find(|option| option.names == ["--style"]).unwrap();
        assert!(style.choices().contains(&"netplan") && style.takes_a_word());
    }

    /// What shells offer is what the program takes.
    #[test]
    fn every_choice_is_taken_by_the_parser() {
        let programs = Programs::of_this_build("").unwrap();
        let mut tried = 0;
        for guide in
            programs.nanova.iter().filter(|guide| ["agent", "report", "network"].contains(&guide.name.as_str()))
        {
            let front = &programs.nanova[0].options;
            for option in guide.options.iter().chain(front) {
                let mut values: Vec<String> = option.choices().iter().map(|word| (*word).to_owned()).collect();
                if option.value.starts_with("SECONDS") {
                    values.push("5".to_owned());
                } else if values.is_empty() {
                    values.push(if option.takes_a_word() { "/x".to_owned() } else { String::new() });
                }
                for (name, value) in option.names.iter().flat_map(|name| values.iter().map(move |value| (name, value)))
                {
                    let mut words = vec!["nanova", guide.name.as_str(), name.as_str()];
                    words.extend(Some(value.as_str()).filter(|value| !value.is_empty()));
                    let mut line = CommandLine::new(words.iter().map(|word| word.as_bytes()));
                    let (program, _) = line.program().unwrap();
                    let taken = match program {
                        nanova_core::cli::Program::Agent(called) => line.agent(called).map(drop),
                        nanova_core::cli::Program::Network => line.network().map(drop),
                        _ => panic!("{words:?}"),
                    };
                    // What is said of nova-agent's options belongs to that name.
                    assert!(taken.is_ok(), "{words:?}: {}", taken.unwrap_err());
                    tried += 1;
                }
            }
        }
        assert!(tried > 60, "{tried}");
    }
}
