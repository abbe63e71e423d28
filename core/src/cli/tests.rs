//! Command lines and what they mean.

use super::*;
use crate::network::reset::Permanence;
use crate::network::{DhcpMode, Handover, Target};
use crate::platform::Level;

/// What a command line comes to.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
enum Invocation<'a> {
    Help(&'static str),
    Plain(Program),
    Agent(AgentOptions<'a>),
    Network(NetworkOptions),
    Record(RecordOptions),
    Xenstore(XenstoreCall<'a>),
    End(End),
}

fn parse<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Result<(Common<'a>, Invocation<'a>), UsageError<'a>> {
    let mut line = CommandLine::new(arguments);
    let (program, help) = line.program()?;
    let invocation = match program {
        program if help => Some(Invocation::Help(line.page(program))),
        Program::Agent(called) => line.agent(called)?.map(Invocation::Agent),
        Program::Network => line.network()?.map(Invocation::Network),
        Program::Record => line.record()?.map(Invocation::Record),
        Program::Xenstore(tool) => line.xenstore(tool)?.map(Invocation::Xenstore),
        Program::End(how) => line.end(how)?.map(Invocation::End),
        program => Some(Invocation::Plain(program)),
    };
    let page = line.page(program);
    Ok((line.common, invocation.unwrap_or(Invocation::Help(page))))
}

/// A value that is none.
fn wrong(option: &'static str, value: &'static str, choices: &'static str) -> UsageError<'static> {
    UsageError::Value { option, value, choices }
}

const STYLES: &str = "ifupdown, netplan, networkd, keyfile, ifcfg, suse, netifrc, netctl, none";

fn parse_line(line: &'static str) -> Result<Invocation<'static>, UsageError<'static>> {
    parse(line.split(' ').map(str::as_bytes)).map(|(_, invocation)| invocation)
}

fn agent(line: &'static str) -> (Common<'static>, AgentOptions<'static>) {
    match parse(line.split(' ').map(str::as_bytes)) {
        Ok((common, Invocation::Agent(options))) => (common, options),
        other => panic!("{line}: {other:?}"),
    }
}

fn xenstore(line: &'static str) -> XenstoreCall<'static> {
    match parse_line(line) {
        Ok(Invocation::Xenstore(call)) => call,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_agent_with_every_option_of_the_contract() {
    let (common, options) = agent(
        "/usr/sbin/nanova -q agent --xenbus /x --root=/r -l debug -okmsg --network off --once --no-metrics \
         --metrics-interval=60 --wait 5",
    );
    assert_eq!((common.xenbus, common.root, common.log), (Some("/x"), "/r", LogTarget::Kmsg));
    assert_eq!(common.level, Some(Level::Debug));
    assert_eq!((options.network, options.once, options.metrics), (Target::Off, true, false));
    assert_eq!((options.metrics_interval, options.wait), (60, Some(5)));
    assert!(!options.background);
    assert_eq!(agent("nanova agent"), (Common::default(), AgentOptions::default()));
    assert_eq!(agent("nanova agent -q").0.level, None);
    assert_eq!(agent("nanova agent --logfile -").0.log, LogTarget::Stderr);
}

#[test]
fn nova_agent_as_old_service_files_call_it() {
    let (common, options) =
        agent("nova-agent -p /run/p.pid -o /var/log/nova-agent.log -l info /usr/share/nova-agent.py");
    assert!(options.background);
    assert_eq!(options.pidfile, Some("/run/p.pid"));
    assert_eq!(common.log, LogTarget::File("/var/log/nova-agent.log"));
    for foreground in [
        "nova-agent -n",
        "nova-agent --nofork",
        "nova-agent --no-fork true x",
        "nova-agent --no-fork=True",
        "nova-agent -nq",
    ] {
        assert!(!agent(foreground).1.background, "{foreground}");
    }
    assert_eq!(parse_line("nanova agent -n"), Err(UsageError::Option("-n", None)));
}

const VERSION: &str = concat!("nanova ", env!("CARGO_PKG_VERSION"), "\n");

#[test]
fn the_version_is_told_under_every_name() {
    for line in [
        "nanova --version",
        "nanova -V",
        "nanova agent --version",
        "nova-agent -l info --version",
        "xe-daemon --version",
        "nanova network --version",
        "xenstore-read --version",
        "reboot --version",
    ] {
        assert_eq!(parse_line(line), Ok(Invocation::Help(VERSION)), "{line}");
    }
    assert_eq!(parse_line("nanova agent --fly --version"), Err(UsageError::Option("--fly", None)));
}

#[test]
fn the_tools_own_names_know_one_failure() {
    for (name, codes) in [("xenstore-read", [0, 1, 1, 1]), ("xenstore", [0, 1, 1, 1]), ("nanova", [0, 1, 2, 77])] {
        let line = CommandLine::new([name.as_bytes()].into_iter());
        assert_eq!([0, 1, 2, 77].map(|code| line.exit_code(code)), codes, "{name}");
    }
}

#[test]
fn nova_agents_words_are_its_predecessors() {
    // Python's bool: whatever is not empty is true.
    for word in ["True", "true", "False", "0", "no", "-1", "-", " "] {
        let words = ["nova-agent", "--no-fork", word, "-o", "/l", "-l", "warning"];
        let Ok((common, Invocation::Agent(options))) = parse(words.iter().map(|word| word.as_bytes())) else {
            panic!("{word}")
        };
        assert_eq!((options.background, common.log), (false, LogTarget::File("/l")), "{word}");
    }
    for (words, background) in [(&["--no-fork", ""][..], true), (&["--no-fork="], true), (&["--no-fork"], false)] {
        let words = [&["nova-agent"], words].concat();
        let Ok((_, Invocation::Agent(options))) = parse(words.iter().map(|word| word.as_bytes())) else {
            panic!("{words:?}")
        };
        assert_eq!(options.background, background, "{words:?}");
    }
    // It took none in its first versions.
    let (common, options) = agent("nova-agent --no-fork -o /l -l info");
    assert_eq!((common.log, common.level, options.background), (LogTarget::File("/l"), Some(Level::Info), false));
    let (common, options) = agent("nova-agent --level debug --pidfile /p --logfile - --quiet --syspython x.py -S");
    assert_eq!((common.level, options.pidfile, options.reset_network), (None, Some("/p"), false));
    for (line, resets) in [
        ("nova-agent -o - -n -l info /usr/share/nova-agent/nova-agent.py resetnetwork", true),
        ("nova-agent x.py resetnetwork -n", true),
        ("nova-agent resetnetwork x.py", false),
        ("nova-agent -p resetnetwork x.py", false),
    ] {
        assert_eq!(agent(line).1.reset_network, resets, "{line}");
    }
    assert_eq!(parse_line("nanova agent resetnetwork"), Err(UsageError::Option("resetnetwork", None)));
    assert_eq!(parse_line("nanova agent --pidfile /p"), Err(UsageError::Option("--pidfile", None)));
}

#[test]
fn an_option_without_a_value_takes_none() {
    for (line, option) in [
        ("nanova agent --once=5", "--once"),
        ("nanova agent --no-metrics=", "--no-metrics"),
        ("nanova agent --quiet=1 --once", "--quiet"),
        ("nova-agent --nofork=true", "--nofork"),
        ("nanova network --dry-run=no", "--dry-run"),
        ("nanova xenstore read --socket=x a", "--socket"),
        ("reboot --force=1", "--force"),
    ] {
        assert_eq!(parse_line(line), Err(UsageError::NoValue(option)), "{line}");
    }
    assert_eq!(parse_line("nanova agent --fly=5"), Err(UsageError::Option("--fly", None)));
}

#[test]
fn the_xenstore_tools_under_all_their_names() {
    for line in ["nanova xenstore ls -fp /tool", "xenstore-ls -f -p /tool", "/usr/bin/xenstore ls /tool -pf"] {
        let call = xenstore(line);
        assert_eq!((call.tool, call.full, call.permissions), (Tool::Ls, true, true), "{line}");
        assert_eq!(call.operands, ["/tool"]);
    }
    assert!(xenstore("xenstore-read -p a").prefix);
    assert_eq!(xenstore("xenstore-watch -n3 a b").events, Some(3));
    assert_eq!(xenstore("nanova xenstore write a -- -1").operands, ["a", "-1"]);
    assert!(xenstore("xenstore-ls").operands.is_empty());
    let call = xenstore("xenstore-chmod -ru a n0 r7");
    assert!(call.recursive && call.upwards);
}

#[test]
fn the_first_process_and_the_end() {
    assert_eq!(parse_line("/init quiet splash"), Ok(Invocation::Plain(Program::Init)));
    assert_eq!(parse_line("nanova init"), Ok(Invocation::Plain(Program::Init)));
    let end = |how, force| Ok(Invocation::End(End { how, force }));
    assert_eq!(parse_line("/sbin/poweroff"), end(EndKind::PowerOff, false));
    assert_eq!(parse_line("reboot -f"), end(EndKind::Reboot, true));
    assert_eq!(parse_line("halt -p"), end(EndKind::Halt, false));
    assert_eq!(parse_line("halt now"), Err(UsageError::Option("now", None)));
}

#[test]
fn the_network_with_what_the_hooks_give() {
    let line = "nanova network --network files --handover keyfile,networkd,keyfile --wait 10";
    let Ok(Invocation::Network(options)) = parse_line(line) else { panic!("{line}") };
    assert_eq!(options.handover, [Handover::Keyfile, Handover::Networkd]);
    assert_eq!((options.network, options.wait, options.dry_run), (Target::Files, Some(10), false));
    for (line, mode) in [
        ("nanova network", DhcpMode::Off),
        ("nanova network --dhcp auto", DhcpMode::Auto),
        ("nanova network --dhcp=always", DhcpMode::Always),
        ("nanova network --dhcp off", DhcpMode::Off),
        ("nanova agent", DhcpMode::Off),
        ("nanova agent --dhcp auto", DhcpMode::Auto),
        ("nanova agent --dhcp always", DhcpMode::Always),
    ] {
        match parse_line(line) {
            Ok(Invocation::Network(options)) => assert_eq!(options.dhcp, mode, "{line}"),
            Ok(Invocation::Agent(options)) => assert_eq!(options.dhcp, mode, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    assert_eq!(parse_line("nanova network --dhcp on"), Err(wrong("--dhcp", "on", "auto, always, off")));
    assert_eq!(parse_line("nanova agent --dhcp on"), Err(wrong("--dhcp", "on", "auto, always, off")));
    assert_eq!(parse_line("nanova report --dhcp auto"), Err(UsageError::Option("--dhcp", None)));
    assert_eq!(
        parse_line("nanova network --handover dhcp"),
        Err(wrong("--handover", "dhcp", "klibc, networkd, keyfile, netplan, ifupdown"))
    );
    assert_eq!(parse_line("nanova network --network off"), Err(wrong("--network", "off", "files, kernel, both")));
}

#[test]
fn help_is_about_what_is_asked() {
    let cases = [
        ("nanova --help", "nanova: the guest agent"),
        ("nanova help", "nanova: the guest agent"),
        ("nanova agent -h", "nanova agent [options]"),
        ("nova-agent --help", "nanova agent [options]"),
        ("nanova help report", "nanova report [options]"),
        ("xe-daemon -h", "nanova report [options]"),
        ("nanova network --network files --help", "nanova network [options]"),
        ("xenstore-rm --help", "nanova xenstore TOOL"),
        ("nanova help status", "nanova status [--json]"),
        ("nanova init --help", "nanova init "),
        ("nanova help init", "nanova init "),
        ("poweroff --help", "poweroff, reboot, halt"),
    ];
    for (line, beginning) in cases {
        let Ok(Invocation::Help(page)) = parse_line(line) else { panic!("{line}") };
        assert!(page.starts_with(beginning), "{line}: {page}");
        assert!(page.ends_with('\n') && page.lines().all(|line| line.chars().count() <= 100), "{page}");
    }
    for (line, option) in [("nanova agent -h", "--no-metrics"), ("nanova network -h", " netplan networkd keyfile")] {
        assert!(matches!(parse_line(line), Ok(Invocation::Help(page)) if page.contains(option)), "{line}");
    }
    assert_eq!(parse_line("nanova help fly"), Err(UsageError::Unknown("fly", None)));
    assert_eq!(parse_line("nanova --self-test"), Ok(Invocation::Plain(Program::SelfTest)));
}

#[test]
fn what_of_the_network_is_written_where() {
    let network = |line: &'static str| match parse_line(line) {
        Ok(Invocation::Network(options)) => options,
        other => panic!("{line}: {other:?}"),
    };
    let options = network("nanova network --dry-run");
    assert!(options.dry_run && options.wanted().handover.is_empty());
    assert_eq!((options.wanted().target, options.wanted().permanence), (Target::Both, Permanence::Detected));
    // An initramfs hands over and leaves /etc alone, unless it is told a style.
    let options = network("nanova network --network kernel --handover klibc");
    assert_eq!((options.wanted().target, options.wanted().permanence), (Target::Kernel, Permanence::Nothing));
    assert_eq!(options.wanted().handover, [Handover::Klibc]);
    let options = network("nanova network --handover netplan --style suse");
    let Permanence::As(manager) = options.wanted().permanence else { panic!("{options:?}") };
    assert_eq!((manager.name, options.style.map(|style| style.name)), ("suse", Some("suse")));
    assert_eq!(parse_line("nanova network --style fly"), Err(wrong("--style", "fly", STYLES)));
    assert_eq!(parse_line("nanova network --wait"), Err(UsageError::LacksValue("--wait")));
    assert_eq!(network("nanova network --wait=7").wait, Some(7));
}

#[test]
fn a_report_is_asked_for_unless_only_what_is_pending_is_served() {
    for (line, reports) in [
        ("nanova agent", true),
        ("nanova agent --once", false),
        ("nanova agent --no-metrics", false),
        ("nanova report --once", true),
    ] {
        assert_eq!(agent(line).1.reports(), reports, "{line}");
    }
}

#[test]
fn what_is_wrong_first_is_told_and_behind_help_nothing_is_read() {
    assert_eq!(parse_line("nanova agent --fly --help"), Err(UsageError::Option("--fly", None)));
    assert_eq!(parse_line("nanova agent --fly --wait soon"), Err(UsageError::Option("--fly", None)));
    assert!(matches!(parse_line("nanova agent --help --fly"), Ok(Invocation::Help(_))));
}

#[test]
fn words_of_all_forms() {
    // The value of a letter stands behind it, in the same word or the next; the value of a name behind `=`, too.
    for line in
        ["nanova agent -lerror", "nanova agent -l error", "nanova agent --loglevel=error", "nanova -l error agent"]
    {
        assert_eq!(agent(line).0.level, Some(Level::Error), "{line}");
    }
    let (common, options) = agent("nova-agent -nqp /p -o - --root /r");
    assert_eq!((options.background, common.level, options.pidfile), (false, None, Some("/p")));
    assert_eq!((common.log, common.root, common.sockets_only), (LogTarget::Stderr, "/r", false));
    for (name, target) in [("kmsg", LogTarget::Kmsg), ("syslog", LogTarget::Syslog), ("/x", LogTarget::File("/x"))] {
        let words = ["nanova", "agent", "-o", name];
        let (common, _) = parse(words.iter().map(|word| word.as_bytes())).unwrap();
        assert_eq!(common.log, target);
    }
    let sockets = |line: &'static str| parse(line.split(' ').map(str::as_bytes)).unwrap().0.sockets_only;
    assert!(sockets("xenstore-read -s a") && sockets("nanova xenstore read --socket a") && !sockets("xenstore-read a"));
    // A single dash is a word, and behind two all are.
    assert_eq!(xenstore("xenstore-write - x -- --help -R").operands, ["-", "x", "--help", "-R"]);
}

#[test]
fn xe_daemon_as_old_service_files_call_it() {
    let (common, options) = agent("xe-daemon -p /run/xe.pid -i 10 -d -B");
    assert_eq!((options.pidfile, options.metrics_interval, options.commands), (Some("/run/xe.pid"), 10, false));
    assert_eq!(common.level, Some(Level::Debug));
    assert!(!options.background && options.reports());
    assert_eq!(parse_line("nanova report -p /run/xe.pid"), Err(UsageError::Option("-p", None)));
    assert_eq!(parse_line("xe-daemon --no-metrics"), Err(UsageError::Option("--no-metrics", None)));
}

#[test]
fn a_letter_is_an_option_of_the_tools_that_have_it() {
    let letters =
        [("read", "pR"), ("write", "R"), ("ls", "fp"), ("list", "p"), ("rm", "t"), ("chmod", "ru"), ("mkdir", "")];
    for (tool, own) in letters {
        for letter in "pRftru".chars() {
            let words = ["xenstore", tool, &format!("-{letter}"), "a", "n0"].map(str::to_owned);
            let parsed = parse(words.iter().map(|word| word.as_bytes()));
            assert_eq!(parsed.is_ok(), own.contains(letter), "{tool} -{letter}: {parsed:?}");
        }
    }
    assert!(xenstore("xenstore-ls -p").permissions);
    assert!(!xenstore("xenstore-ls -p").prefix && xenstore("xenstore-list -p a").prefix);
    assert!(xenstore("xenstore-rm -t a").tidy && xenstore("xenstore-read -R a").raw);
}

#[test]
fn what_makes_no_sense_is_named() {
    let cases = [
        ("nanova", UsageError::Nothing),
        ("nanova fly", UsageError::Unknown("fly", None)),
        ("nanova xenstore", UsageError::Nothing),
        (
            "nanova xenstore fly",
            UsageError::Operands("a tool is read, write, ls, list, exists, rm, mkdir, chmod or watch"),
        ),
        ("nanova agent --fly", UsageError::Option("--fly", None)),
        ("nanova agent --wait", UsageError::LacksValue("--wait")),
        ("nanova agent --wait soon", wrong("--wait", "soon", "a number")),
        ("nanova agent -l loud", wrong("-l", "loud", "error, warn, info, debug, trace")),
        ("nanova agent --network some", wrong("--network", "some", "files, kernel, both, off")),
        ("nanova agent now", UsageError::Option("now", None)),
        ("xenstore-read", UsageError::Operands("a path is needed")),
        ("xenstore-write a", UsageError::Operands("write needs pairs of a path and a value")),
        ("xenstore-chmod a", UsageError::Operands("chmod needs a path and modes such as n0 r7")),
        ("xenstore-read -t a", UsageError::Option("-t", None)),
    ];
    for (line, error) in cases {
        assert_eq!(parse_line(line), Err(error), "{line}");
    }
    assert_eq!(parse([&b"nanova"[..], b"\xff"].into_iter()), Err(UsageError::NotText));
    assert!(matches!(parse([&b"\xff"[..], b"-V"].into_iter()), Ok((_, Invocation::Help(VERSION)))));
    let many = std::iter::once(&b"xenstore-read"[..]).chain(std::iter::repeat_n(&b"a"[..], OPERANDS_MAX + 1));
    assert_eq!(parse(many), Err(UsageError::TooMany));
}

/// What a person reads.
fn said(line: &'static str) -> std::string::String {
    parse_line(line).unwrap_err().to_string()
}

#[test]
fn a_slip_of_the_hand_gets_the_word_that_is_meant() {
    for (line, says) in [
        ("nanova agnet", "there is no subcommand 'agnet'; is 'agent' meant?"),
        ("nanova netwrok", "there is no subcommand 'netwrok'; is 'network' meant?"),
        ("nanova agent --lock-down", "option '--lock-down' is not known here; is '--lockdown' meant?"),
        ("nanova agent --no-metric", "option '--no-metric' is not known here; is '--no-metrics' meant?"),
        ("nanova network --loglevl debug", "option '--loglevl' is not known here; is '--loglevel' meant?"),
        ("nanova agent --lockdownxy", "option '--lockdownxy' is not known here; is '--lockdown' meant?"),
        // Nothing is like these.
        ("nanova agent --lockdownxyz", "option '--lockdownxyz' is not known here"),
        ("nanova fly", "there is no subcommand 'fly'"),
        ("nanova agent --fly", "option '--fly' is not known here"),
        ("nanova agent -z", "option '-z' is not known here"),
        ("nanova agent -l loud", "'loud' is no value of '-l': error, warn, info, debug, trace"),
        ("nanova agent --lockdown=maybe", "'maybe' is no value of '--lockdown': kill"),
        ("nanova agent --wait", "option '--wait' needs a value"),
    ] {
        assert_eq!(said(line), says);
    }
}

#[test]
fn an_error_names_the_page_that_says_it_rightly() {
    for (line, named) in [
        ("nanova agent --fly", "nanova agent"),
        ("nanova fly", "nanova"),
        ("nova-agent --fly", "nova-agent"),
        ("nanova network --fly", "nanova network"),
        ("nanova record --fly", "nanova record"),
        ("nanova status --fly", "nanova status"),
        ("nanova xenstore ls --fly", "nanova xenstore"),
        ("xenstore-ls --fly", "nanova xenstore"),
        ("nanova report --fly", "nanova report"),
        ("xe-daemon --fly", "xe-daemon"),
    ] {
        let mut line_of = CommandLine::new(line.split(' ').map(str::as_bytes));
        let _ = line_of.program();
        assert_eq!(line_of.page_name(), named, "{line}");
    }
}

#[test]
fn what_may_be_meant_is_what_pages_of_help_speak_of() {
    let mut spoken_of = std::collections::BTreeSet::new();
    for line in [
        "nanova -h",
        "nanova agent -h",
        "nanova report -h",
        "nanova network -h",
        "nanova record -h",
        "nanova xenstore -h",
        "halt -h",
    ] {
        let Ok(Invocation::Help(page)) = parse_line(line) else { panic!("{line}") };
        let words = page.split(|letter: char| !(letter.is_ascii_lowercase() || letter == '-'));
        spoken_of.extend(words.filter(|word| word.starts_with("--")));
    }
    let known = usage::OPTIONS.iter().copied().collect::<std::collections::BTreeSet<_>>();
    // The tools' own long one is on no page.
    assert_eq!(known.symmetric_difference(&spoken_of).copied().collect::<Vec<_>>(), ["--socket"]);
    let Ok(Invocation::Help(page)) = parse_line("nanova -h") else { panic!() };
    assert!(usage::SUBCOMMANDS.iter().all(|name| *name == "help" || page.contains(&format!("  nanova {name} "))));
}

#[test]
fn below_another_root_the_kernels_network_changes_only_if_that_is_asked_for() {
    for (line, target) in [
        ("nanova agent", Target::Both),
        ("nanova agent --root /", Target::Both),
        ("nanova agent --root /r", Target::Files),
        ("nanova agent --network kernel --root /r", Target::Kernel),
        ("nova-agent -n --root /r --network=both", Target::Both),
        ("nanova agent --root /r --network off", Target::Off),
    ] {
        assert_eq!(agent(line).1.network, target, "{line}");
    }
    let network = |line| match parse_line(line) {
        Ok(Invocation::Network(options)) => options.network,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(network("nanova network --root /r --dry-run"), Target::Files);
    assert_eq!(network("nanova network --root /r --network both --dhcp auto"), Target::Both);
    assert_eq!(network("nanova network --network files --dhcp auto"), Target::Files);
    for line in ["nanova agent --dhcp auto --root /r", "nanova network --root /r --network files --dhcp always"] {
        let wrong = UsageError::Operands("with --root, --dhcp needs --network kernel or both");
        assert_eq!(parse_line(line), Err(wrong), "{line}");
    }
    assert_eq!(agent("nanova agent --root /r --dhcp off").1.network, Target::Files);
}

#[test]
fn quiet_is_without_a_log_unless_a_level_follows() {
    assert_eq!((agent("nanova agent -q").0.level, agent("nanova agent -q").0.quiet), (None, true));
    let common = agent("nanova agent -q -l warn").0;
    assert_eq!((common.level, common.quiet), (Some(Level::Warn), true));
    assert!(!agent("nanova agent -l warn").0.quiet);
}

#[test]
fn the_status_page_is_for_programs_too() {
    assert!(xenstore("nanova status --json").json && !xenstore("nanova status").json);
    assert!(parse_line("nanova xenstore ls --json").is_err());
    assert!(said("nanova status --jsn").starts_with("option '--jsn' is not known here; is '--json' meant?"));
}
