//! Command lines and what they mean.

use super::*;

fn parse_line(line: &'static str) -> Result<Invocation, UsageError<'static>> {
    parse(line.split(' ').map(str::as_bytes), &mut Options::default())
}

fn options(line: &'static str, wanted: Invocation) -> Options<'static> {
    let mut options = Options::default();
    assert_eq!(parse(line.split(' ').map(str::as_bytes), &mut options), Ok(wanted), "{line}");
    options
}

fn agent(line: &'static str) -> (Common<'static>, AgentOptions<'static>) {
    let options = options(line, Invocation::Agent);
    (options.common, options.agent)
}

fn xenstore(line: &'static str) -> XenstoreCall<'static> {
    options(line, Invocation::Xenstore).call
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
    for foreground in ["nova-agent -n", "nova-agent --nofork", "nova-agent --no-fork true x", "nova-agent -nq"] {
        assert!(!agent(foreground).1.background, "{foreground}");
    }
    assert_eq!(parse_line("nanova agent -n"), Err(UsageError::Option("-n")));
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
    assert_eq!(parse_line("/init quiet splash"), Ok(Invocation::Init));
    assert_eq!(parse_line("nanova init"), Ok(Invocation::Init));
    let end = |line| options(line, Invocation::End).end;
    assert_eq!(end("/sbin/poweroff"), End { how: EndKind::PowerOff, force: false });
    assert_eq!(end("reboot -f"), End { how: EndKind::Reboot, force: true });
    assert_eq!(end("halt -p"), End { how: EndKind::Halt, force: false });
    assert_eq!(parse_line("halt now"), Err(UsageError::Option("now")));
}

#[test]
fn the_network_with_what_the_hooks_give() {
    let line = "nanova network --network files --handover keyfile,networkd,keyfile --wait 10";
    let options = options(line, Invocation::Network).network;
    assert_eq!(options.handover, [Handover::Keyfile, Handover::Networkd]);
    assert_eq!((options.network, options.wait, options.dry_run), (Target::Files, Some(10), false));
    assert_eq!(parse_line("nanova network --handover dhcp"), Err(UsageError::Value("--handover")));
    assert_eq!(parse_line("nanova network --network off"), Err(UsageError::Value("--network")));
}

#[test]
fn help_and_version() {
    for (line, topic) in
        [("nanova --help", Topic::Nanova), ("nanova agent -h", Topic::Agent), ("xenstore-rm --help", Topic::Xenstore)]
    {
        assert_eq!(parse_line(line), Ok(Invocation::Help(topic)));
    }
    assert_eq!(parse_line("nanova --version"), Ok(Invocation::Version));
}

#[test]
fn what_makes_no_sense_is_named() {
    let cases = [
        ("nanova", UsageError::Nothing),
        ("nanova fly", UsageError::Unknown("fly")),
        ("nanova xenstore", UsageError::Nothing),
        ("nanova xenstore fly", UsageError::Unknown("fly")),
        ("nanova agent --fly", UsageError::Option("--fly")),
        ("nanova agent --wait", UsageError::Value("--wait")),
        ("nanova agent --wait soon", UsageError::Value("--wait")),
        ("nanova agent -l loud", UsageError::Value("-l")),
        ("nanova agent --network some", UsageError::Value("--network")),
        ("nanova agent now", UsageError::Option("now")),
        ("xenstore-read", UsageError::Operands(Tool::Read)),
        ("xenstore-write a", UsageError::Operands(Tool::Write)),
        ("xenstore-chmod a", UsageError::Operands(Tool::Chmod)),
        ("xenstore-read -t a", UsageError::Option("-t")),
    ];
    for (line, error) in cases {
        assert_eq!(parse_line(line), Err(error), "{line}");
    }
    let mut options = Options::default();
    assert_eq!(parse([&b"nanova"[..], b"\xff"].into_iter(), &mut options), Err(UsageError::NotText));
    let many = std::iter::once(&b"xenstore-read"[..]).chain(std::iter::repeat_n(&b"a"[..], OPERANDS_MAX + 1));
    assert_eq!(parse(many, &mut options), Err(UsageError::TooMany));
}
