//! What is shipped: one file that needs nothing else, with no code in it that is not ours or a reviewed crate's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nanova_tests::agent::{SIZE_MAX, binary, build, cargo, target_dir};
use nanova_tests::scene::Scene;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};

/// The shortest path that could be told from noise in a binary.
const PATH_MIN: usize = 4;

/// The release build with its symbols, in a directory of its own so that the one that is shipped stays as it is.
fn unstripped() -> Result<PathBuf> {
    build(cargo().env("CARGO_PROFILE_RELEASE_STRIP", "false"), &target_dir().join("unstripped"), &[])
}

#[test]
fn it_asks_for_no_loader_and_no_library() -> Result<()> {
    let bytes = fs::read(binary())?;
    let header = FileHeader64::<Endianness>::parse(&*bytes)?;
    let endian = header.endian()?;
    assert_eq!(header.e_type(endian), elf::ET_EXEC, "at a fixed address: nothing relocates it before it runs");
    let mut stacks = 0;
    for segment in header.program_headers(endian, &*bytes)? {
        let (kind, flags) = (segment.p_type(endian), segment.p_flags(endian));
        let (writable, executable) = (flags.0 & elf::PF_W.0 != 0, flags.0 & elf::PF_X.0 != 0);
        assert!(kind != elf::PT_INTERP && kind != elf::PT_DYNAMIC, "{kind:?}");
        assert!(!(writable && executable), "a segment is writable and executable");
        let in_file = segment.p_filesz(endian) > 0;
        assert!(kind != elf::PT_LOAD || !(writable && in_file), "a part of the file can be written in memory");
        let len = segment.p_memsz(endian);
        assert!(kind != elf::PT_LOAD || !writable || len <= 4096, "more than a page of variables: {len} bytes");
        if kind == elf::PT_GNU_STACK {
            stacks += 1;
            assert!(!executable, "the stack is executable");
        }
    }
    assert_eq!(stacks, 1, "without it the kernel makes the stack executable");
    Ok(())
}

#[test]
fn nothing_of_it_can_be_written_while_it_runs() -> Result<()> {
    let scene = Scene::new()?;
    scene.agent.wait_until_serving();
    let maps = fs::read_to_string(format!("/proc/{}/maps", scene.agent.pid()))?;
    let file = fs::canonicalize(binary())?;
    let ours: Vec<&str> = maps.lines().filter(|line| line.ends_with(file.to_str().unwrap_or_default())).collect();
    let may: Vec<&str> = ours.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    // Code is three segments (agent/release.ld).
    assert_eq!(may, ["r--p", "r-xp", "r-xp", "r-xp"], "{maps}");
    Ok(())
}

#[test]
fn it_is_small() -> Result<()> {
    let size = fs::metadata(binary())?.len();
    println!("size: {size} bytes, {:.1} KiB of {}", size as f64 / 1024.0, SIZE_MAX / 1024);
    assert!(size <= SIZE_MAX, "{size}");
    Ok(())
}

#[test]
fn every_symbol_is_defined_and_none_is_a_libcs() -> Result<()> {
    let bytes = fs::read(unstripped()?)?;
    let file = object::File::parse(&*bytes)?;
    let names: Vec<&str> =
        file.symbols().filter(|symbol| !symbol.is_undefined()).filter_map(|symbol| symbol.name().ok()).collect();
    assert!(names.contains(&"_start") && names.contains(&"memcpy"), "there are no symbols to look at");
    // The first entry of every table is an undefined one without a name.
    let undefined: Vec<&str> = file
        .symbols()
        .filter(|symbol| symbol.is_undefined())
        .filter_map(|symbol| symbol.name().ok())
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(undefined, Vec::<&str>::new());
    let foreign =
        ["malloc", "calloc", "realloc", "__libc", "_Unwind", "pthread", "__rust_alloc", "__rdl_alloc", "printf"];
    let found: Vec<_> = names.iter().filter(|name| foreign.iter().any(|word| name.contains(word))).collect();
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}

/// What a function takes of the stack: objdump's text of its beginning. Where a frame is large it is taken page by
/// page, in a loop to an end that was computed before, or in steps.
fn frame(function: &str) -> u64 {
    let amount = |line: &str, register: &str| {
        let (amount, _) =
            line.split_once("sub")?.1.trim_start().strip_prefix("$0x")?.split_once(&format!(",%{register}"))?;
        u64::from_str_radix(amount, 16).ok().filter(|amount| *amount < 1 << 20)
    };
    let steps = function.lines().filter_map(|line| amount(line, "rsp")).sum::<u64>();
    steps + function.lines().filter_map(|line| amount(line, "r11")).sum::<u64>()
}

#[test]
#[cfg(target_arch = "x86_64")]
#[ignore = "needs objdump (Debian: binutils)"]
fn no_frame_is_larger_than_16_kib() -> Result<()> {
    let output = Command::new("objdump").args(["-dC", "--no-show-raw-insn"]).arg(unstripped()?).output()?;
    let text = String::from_utf8(output.stdout)?;
    let named = |function: &'_ str| {
        let (head, body) = function.split_once(">:\n").unwrap_or((function, ""));
        (frame(body), head.split_once('<').map_or("", |(_, name)| name).to_owned())
    };
    let mut frames: Vec<(u64, String)> = text.split("\n\n").map(named).collect();
    frames.sort_by(|one, other| other.cmp(one));
    println!("largest frames:");
    for (size, name) in frames.iter().take(8) {
        println!("  {size} {name}");
    }
    // The largest that is known of: a reset's.
    let known = frames.iter().find(|(_, name)| name.ends_with("reset::apply")).map_or(0, |(size, _)| *size);
    assert!(known > 4096, "frames are read otherwise than they are written");
    assert!(frames[0].0 <= 16 * 1024, "{frames:?}", frames = &frames[0]);
    Ok(())
}

#[test]
fn it_does_not_tell_who_built_it_where() -> Result<()> {
    let bytes = fs::read(binary())?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    // With something behind it, because root's home is a directory of the guest as well.
    let home = std::env::var("HOME").map(|home| home + "/.").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_default();
    let places = [workspace.to_str().unwrap_or_default(), &home, &cargo, ".cargo/", "index.crates.io", "/rustc/"];
    for place in places.into_iter().filter(|place| place.len() >= PATH_MIN) {
        let found = bytes.windows(place.len()).any(|window| window == place.as_bytes());
        assert!(!found, "{place} is named in the binary");
    }
    Ok(())
}
