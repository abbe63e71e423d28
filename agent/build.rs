//! Links the binary without a C library: its own `_start`, static, at a fixed address.
//!
//! These flags are for the binary alone, so they stand here: in `.cargo/config.toml` they would reach build scripts and
//! procedural macros, too. The address is fixed, as a static-PIE binary would have to relocate itself before its first
//! instruction of Rust.

fn main() {
    #[cfg(feature = "lockdown")]
    lockdown::write_filter();
    println!("cargo::rerun-if-changed=build.rs");
    // A debug build has variables of core's own; all that it needs of a script is what is thrown away.
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let script = if release { "release.ld" } else { "discard.ld" };
    println!("cargo::rerun-if-changed={script}");
    // Room for what the flight recorder's texts are found by; .cargo/rustc fills it.
    let id = if release { format!("0x{}", "00".repeat(20)) } else { "none".into() };
    println!("cargo::rustc-link-arg-bins=-Wl,--build-id={id}");
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/{script}", env!("CARGO_MANIFEST_DIR"));
    for flag in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,-z,noexecstack",
        // What is to be read-only after relocation: there is none, and nobody who would do it. Its padding is up to a
        // page.
        "-Wl,-z,norelro",
        // GNU ld would fill pages between code and constants: up to 8 KB of zeros.
        "-Wl,-z,noseparate-code",
    ] {
        println!("cargo::rustc-link-arg-bins={flag}");
    }
}

/// The filter of system calls of `nanova agent --lockdown`.
#[cfg(feature = "lockdown")]
mod lockdown {
    use std::collections::BTreeMap;
    use std::env::var;
    use std::path::Path;

    use seccompiler::SeccompCmpArgLen::Dword;
    use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
    use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule};

    /// Which parts the profiles have whose calls are listed; any other build is taken for one with all parts.
    const PROFILES: [(&str, &[&str]); 3] = [
        ("commands", &["commands", "lockdown"]),
        ("report", &["report", "lockdown"]),
        ("early-boot", &["init", "commands", "inject", "network", "dhcp", "report", "hotplug", "lockdown"]),
    ];
    /// Parts that come with others.
    const SHARED: [&str; 2] = ["errands", "notes"];
    const EPERM: u32 = 1;
    /// `SIGCHLD`: a child with memory, descriptors and namespaces like its parent's.
    const A_FORK: u64 = 17;
    const AF_UNIX: u64 = 1;
    const AF_INET: u64 = 2;
    const AF_NETLINK: u64 = 16;
    const AF_PACKET: u64 = 17;
    const SOCK_DGRAM: u64 = 2;
    /// The type without its flags.
    const SOCK_TYPE: u64 = 0xf;

    /// Writes it where the agent includes it from, as an array of instructions.
    pub(super) fn write_filter() {
        println!("cargo::rerun-if-changed=syscalls");
        let machine = var("CARGO_CFG_TARGET_ARCH").expect("cargo says for which machine");
        let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("syscalls");
        let read =
            |path: String| std::fs::read_to_string(lists.join(&path)).unwrap_or_else(|why| panic!("{path}: {why}"));
        let locked = read("locked.txt".to_owned());
        let all = read(format!("{machine}/{}.txt", profile()));
        let calls = all.lines().filter_map(|line| line.split_once(' '));
        let left = calls.filter(|(_, name)| !locked.lines().any(|locked| locked == *name));
        let rules = left.map(|(number, name)| (number.parse().expect("a number"), rules_for(name))).collect();
        let text: String = compile(rules, &machine)
            .iter()
            .map(|it| {
                format!(
                    "Instruction {{ code: {}, if_true: {}, if_false: {}, value: {} }},\n",
                    it.code, it.jt, it.jf, it.k
                )
            })
            .collect();
        let path = Path::new(&var("OUT_DIR").expect("cargo says where to write")).join("lockdown.rs");
        std::fs::write(path, format!("[\n{text}]\n")).expect("cargo's directory can be written");
    }

    fn has(feature: &str) -> bool {
        var(format!("CARGO_FEATURE_{}", feature.to_uppercase().replace('-', "_"))).is_ok()
    }

    /// Whose list of system calls this build's is.
    fn profile() -> &'static str {
        let count = std::env::vars().filter(|(name, _)| name.starts_with("CARGO_FEATURE_")).count();
        let shared = SHARED.into_iter().filter(|part| has(part)).count();
        let is_this = |parts: &[&str]| parts.len() + shared == count && parts.iter().all(|part| has(part));
        PROFILES.into_iter().find(|(_, parts)| is_this(parts)).map_or("full", |(name, _)| name)
    }

    /// When a call is allowed: no rule for always.
    fn rules_for(name: &str) -> Vec<SeccompRule> {
        match name {
            "clone" => vec![all_of(vec![is(0, A_FORK)])],
            "socket" => sockets(),
            _ => Vec::new(),
        }
    }

    /// xenstored, syslog and the service manager; the kernel; DHCP, by raw packets and, with an address, from server to
    /// server. No stream to anybody.
    fn sockets() -> Vec<SeccompRule> {
        let mut rules = vec![all_of(vec![is(0, AF_UNIX)])];
        if has("network") || has("report") || has("hotplug") {
            rules.push(all_of(vec![is(0, AF_NETLINK)]));
        }
        if has("dhcp") {
            let datagrams = SeccompCondition::new(1, Dword, MaskedEq(SOCK_TYPE), SOCK_DGRAM).expect("an argument");
            rules.push(all_of(vec![is(0, AF_PACKET)]));
            rules.push(all_of(vec![is(0, AF_INET), datagrams]));
        }
        rules
    }

    fn all_of(conditions: Vec<SeccompCondition>) -> SeccompRule {
        SeccompRule::new(conditions).expect("a rule has a condition")
    }

    fn is(argument: u8, value: u64) -> SeccompCondition {
        SeccompCondition::new(argument, Dword, Eq, value).expect("a call has six arguments")
    }

    fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, machine: &str) -> BpfProgram {
        let machine = machine.try_into().expect("a machine that the agent is built for");
        let filter = SeccompFilter::new(rules, SeccompAction::Errno(EPERM), SeccompAction::Allow, machine);
        filter.and_then(BpfProgram::try_from).expect("the list makes a filter")
    }
}
