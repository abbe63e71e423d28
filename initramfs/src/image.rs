//! The image: what is in it, where, and the file it becomes.
//!
//! Guarantees: /init is the agent; the kernel finds the console and the programs it runs for a shutdown; the output
//! file is complete or not there. What cannot work in the image is said at once, not at boot.
//!
//! The contract with `nanova init`:
//! * /etc/nanova/modules: one absolute path a line, to be loaded in this order. Not there: nothing to load.
//! * /etc/nanova/cmdline: one line in the kernel command line's syntax, of defaults the real command line wins over.
//! * /newroot: an empty directory to mount the real root on.

use crate::agent::{self, Agent};
use crate::modules::{self, Selection};
use crate::options::Build;
use crate::tree::{Kind, Tree};
use crate::{add, archive, print};
use anyhow::{Context, Result, ensure};
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Mount points and homes. /dev is needed before devtmpfs is mounted: the kernel opens /dev/console for /init.
const DIRECTORIES: [(&str, u32); 9] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("newroot", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
];

/// Nodes that are needed when devtmpfs is not there: path, mode, major, minor.
const DEVICES: [(&str, u32, u32, u32); 3] =
    [("dev/console", 0o600, 5, 1), ("dev/kmsg", 0o644, 1, 11), ("dev/null", 0o666, 1, 3)];

/// Other names of /init. The kernel runs the first two when the toolstack asks for a clean shutdown.
const NAMES: [&str; 4] = ["sbin/poweroff", "sbin/reboot", "sbin/halt", "sbin/nanova"];

/// Makes the image and says what it is.
pub(crate) fn build(wanted: &Build) -> Result<()> {
    let agent = agent::get(wanted.agent.as_deref())?;
    let modules = wanted.modules.as_ref().map(modules::select).transpose()?;
    let tree = assemble(wanted, &agent, modules.as_ref())?;
    let plain = archive::write(&tree)?;
    let plain_size = plain.len();
    let packed = wanted.compression.pack(plain)?;
    save(&wanted.output, &packed).with_context(|| format!("cannot write {}", wanted.output.display()))?;
    print(&summary(wanted, &agent, modules.as_ref(), plain_size, packed.len()))
}

fn assemble(wanted: &Build, agent: &Agent, modules: Option<&Selection>) -> Result<Tree> {
    let mut tree = base(agent)?;
    if let Some(modules) = modules {
        add_modules(&mut tree, modules, agent)?;
    }
    if let Some(exec) = &wanted.exec {
        // Quotes, because that is how the kernel command line carries a space.
        tree.insert("etc/nanova/cmdline", Kind::File(format!("nanova.exec=\"{exec}\"\n").into()), 0o644)?;
    }
    for addition in &wanted.additions {
        add::add(&mut tree, addition)?;
    }
    for problem in add::missing_interpreters(&tree) {
        eprintln!("warning: {problem}");
    }
    if let Some(program) = wanted.exec.as_deref().and_then(|exec| exec.split(' ').next())
        && !tree.finds(program)
    {
        eprintln!("warning: --exec {program}: it is not in the image; --add HOSTPATH:{program} brings it in");
    }
    Ok(tree)
}

/// What every image has.
fn base(agent: &Agent) -> Result<Tree> {
    let mut tree = Tree::default();
    for (path, mode) in DIRECTORIES {
        tree.insert(path, Kind::Directory, mode)?;
    }
    for (path, mode, major, minor) in DEVICES {
        tree.insert(path, Kind::Device { major, minor }, mode)?;
    }
    tree.insert("init", Kind::File(agent.bytes.clone()), 0o755)?;
    for path in NAMES {
        tree.insert(path, Kind::Link("/init".into()), 0o777)?;
    }
    Ok(tree)
}

fn add_modules(tree: &mut Tree, modules: &Selection, agent: &Agent) -> Result<()> {
    let mut list = String::new();
    for module in &modules.load {
        ensure!(
            module.elf.machine == agent.elf.machine,
            "the agent is for {}, kernel {} for {}; give the agent built for that with --agent",
            agent.elf.processor(),
            modules.kernel,
            module.elf.processor()
        );
        let path = format!("lib/modules/{}.ko", module.name);
        list.push_str(&format!("/{path}\n"));
        tree.insert(&path, Kind::File(module.bytes.clone()), 0o644)?;
    }
    for name in &modules.built_in {
        eprintln!("note: {name} is built into kernel {}; nothing to load", modules.kernel);
    }
    tree.insert("etc/nanova/modules", Kind::File(list.into()), 0o644)
}

/// Writes beside and renames: nobody boots half an image.
fn save(output: &Path, bytes: &[u8]) -> Result<()> {
    let directory = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".nanova-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(output)?;
    Ok(())
}

fn summary(wanted: &Build, agent: &Agent, modules: Option<&Selection>, plain: usize, packed: usize) -> String {
    let mut text = format!("{}: {}", wanted.output.display(), kib(plain));
    if packed != plain {
        text.push_str(&format!(", compressed {}", kib(packed)));
    }
    text.push_str(&format!(
        "\n  /init    {}, {}, {}\n",
        agent.origin.display(),
        agent.elf.processor(),
        kib(agent.bytes.len())
    ));
    if let Some(modules) = modules {
        let names: Vec<&str> = modules.load.iter().map(|module| module.name.as_str()).collect();
        let names = if names.is_empty() { "none to load".into() } else { names.join(" ") };
        text.push_str(&format!("  modules  {names} (kernel {})\n", modules.kernel));
    }
    for addition in &wanted.additions {
        text.push_str(&format!("  added    /{} from {}\n", addition.path, addition.host.display()));
    }
    if let Some(exec) = &wanted.exec {
        text.push_str(&format!("  exec     {exec}\n"));
    }
    text
}

fn kib(bytes: usize) -> String {
    format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_without_anything_else_costs_less_than_three_kib() {
        let tree = base(&agent_of(vec![])).unwrap();
        assert!(archive::write(&tree).unwrap().len() <= 3 * 1024);
    }

    #[test]
    fn what_is_added_cannot_take_the_place_of_init() {
        let mut tree = base(&agent_of(vec![])).unwrap();
        assert!(tree.insert("init", Kind::File(vec![]), 0o755).is_err());
        assert!(tree.insert("sbin/poweroff", Kind::File(vec![]), 0o755).is_err());
    }

    fn agent_of(bytes: Vec<u8>) -> Agent {
        let myself = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = crate::elf::read(&myself).unwrap().unwrap();
        Agent { origin: "x".into(), bytes, elf }
    }
}
