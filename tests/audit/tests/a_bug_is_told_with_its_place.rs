//! A panic of the release binary says where it is, in addresses that lead to the line. There is no command that panics,
//! so a copy of the binary is changed: its first function jumps to a place that the compiler has made for a panic.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};
use nanova_audit::binary::{PanicSite, examine};
use nanova_audit::build::{Build, Profile, workspace};
use nanova_audit::locate::locate;
use object::{Object, ObjectSegment, ObjectSymbol};
use tempfile::TempDir;

/// A call on x86_64, and a jump.
const CALL_LENGTH: u64 = 5;
const JUMP: u8 = 0xe9;

struct Broken {
    build: Build,
    site: PanicSite,
    _home: TempDir,
    program: PathBuf,
}

impl Broken {
    /// A copy that panics in a crate of others': nothing of ours can, in this profile.
    fn new() -> Result<Broken> {
        let profile = Profile::all(workspace())?.into_iter().find(|profile| profile.name == "commands");
        let build = Build::of(&profile.context("a profile")?, None)?;
        let panics = examine(&build.binary, &build.workspace)?.panics;
        let site = panics.into_iter().find(|site| site.package == "base64ct").context("no panic to try")?;
        let home = tempfile::tempdir()?;
        let program = home.path().join("nanova");
        fs::write(&program, bent(&fs::read(&build.binary)?, &site)?)?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        Ok(Broken { build, site, _home: home, program })
    }

    /// What is said of the bug leads to its line.
    fn assert_told(&self, output: &Output) -> Result<()> {
        let said = String::from_utf8(output.stderr.clone())?;
        let (_, addresses) = said.split_once("with the log's last lines: ").with_context(|| said.clone())?;
        let addresses: Vec<u64> =
            addresses.split_whitespace().map(|word| Ok(u64::from_str_radix(word, 16)?)).collect::<Result<_>>()?;
        assert!(addresses.contains(&(self.site.address + CALL_LENGTH)), "{said} not {:#x}", self.site.address);
        let text = locate(&self.build, &addresses)?;
        println!("{said}{text}");
        assert!(text.contains(&self.site.place) && text.contains(&self.site.function), "{text}\nnot {:?}", self.site);
        Ok(())
    }
}

/// The program with a jump to the panic at the beginning of `enter`.
fn bent(file: &[u8], site: &PanicSite) -> Result<Vec<u8>> {
    let elf = object::File::parse(file)?;
    let is_first = |name: &str| name.contains("5start5enter");
    let first = elf.symbols().find(|symbol| symbol.name().is_ok_and(is_first)).context("the first function")?.address();
    let is_in =
        |segment: &object::Segment<'_, '_>| (segment.address()..segment.address() + segment.size()).contains(&first);
    let segment = elf.segments().find(is_in).context("its segment")?;
    let place = usize::try_from(segment.file_range().0 + first - segment.address())?;
    let distance = i32::try_from(site.address.cast_signed() - (first + CALL_LENGTH).cast_signed())?;
    let mut bent = file.to_vec();
    bent[place] = JUMP;
    bent[place + 1..place + 5].copy_from_slice(&distance.to_le_bytes());
    Ok(bent)
}

fn run(program: &Path, before: &[&str]) -> Result<Output> {
    let words: Vec<&str> = before.iter().copied().chain([program.to_str().context("a path")?]).collect();
    Ok(Command::new(words[0]).args(&words[1..]).output()?)
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_addresses_of_a_panic_lead_to_its_line() -> Result<()> {
    let broken = Broken::new()?;
    let output = run(&broken.program, &[])?;
    assert_eq!(output.status.code(), Some(70));
    broken.assert_told(&output)
}

#[test]
#[cfg(target_arch = "x86_64")]
#[ignore = "needs root"]
fn so_it_is_of_a_first_process_and_that_restarts() -> Result<()> {
    let broken = Broken::new()?;
    let output = run(&broken.program, &["unshare", "--pid", "--fork"])?;
    assert_ne!(output.status.code(), Some(70), "the kernel ends a namespace whose first process reboots");
    broken.assert_told(&output)
}
