//! The command line of `nanova-initramfs`.
//!
//! Guarantees: what comes out of [`parse`] is complete and consistent; files are not looked at yet.
//! Refuses: unknown options, options that say nothing without another, a path in the image that is not absolute, and
//! an `--exec` the kernel's command line syntax cannot carry.

use crate::compress::Compression;
use crate::tree;
use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Build a bootable initramfs whose only program is nanova.

usage: nanova-initramfs [options]        (from the sources: cargo initramfs)
       nanova-initramfs --install-hooks DESTDIR

  --output FILE          the image (default: nanova.cpio, .cpio.gz or .cpio.zst in the current directory)
  --compress none|gzip|zstd
                         default: by FILE's ending (.cpio, .gz, .zst), else gzip
  --agent FILE           a nanova binary to use as it is (default: the installed one; from the sources: build it)
  --kernel-modules DIR   where kernel modules are: /lib/modules/VERSION, /lib/modules, or a root that contains that
  --kernel VERSION       which kernel's, if DIR holds more than one
  --module NAME          a module to load, with all it needs (repeatable; default: xen-netfront and xen-blkfront)
  --add HOSTPATH:PATH    a file or a directory of this machine, at PATH in the image (repeatable)
  --exec 'PATH ARGS'     the program to run, unless the kernel command line has another nanova.exec=

  --install-hooks DESTDIR
                         install nanova's part for dracut, initramfs-tools, mkinitcpio and mkinitfs below DESTDIR
";

/// What the caller wants done.
#[derive(Debug)]
pub(crate) enum Task {
    /// Print [`HELP`].
    Help,
    /// Write an image.
    Build(Build),
    /// Write the hooks of other builders below a directory.
    InstallHooks(PathBuf),
}

/// An image to write.
#[derive(Debug)]
pub(crate) struct Build {
    /// The file to write.
    pub(crate) output: PathBuf,
    /// How to compress it.
    pub(crate) compression: Compression,
    /// A given binary; `None` builds one.
    pub(crate) agent: Option<PathBuf>,
    /// Kernel modules, if any.
    pub(crate) modules: Option<Modules>,
    /// Files of the build machine.
    pub(crate) additions: Vec<Addition>,
    /// The default program.
    pub(crate) exec: Option<String>,
}

/// Which kernel modules to take from where.
#[derive(Debug)]
pub(crate) struct Modules {
    /// A modules directory or a root above it.
    pub(crate) directory: PathBuf,
    /// The kernel's version, where the directory does not say.
    pub(crate) kernel: Option<String>,
    /// Names as the user wrote them.
    pub(crate) names: Vec<String>,
}

/// One `--add`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Addition {
    /// Where it is on this machine.
    pub(crate) host: PathBuf,
    /// Where it goes, in [`tree`]'s form.
    pub(crate) path: String,
}

/// Reads the arguments.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Task, lexopt::Error> {
    let (mut output, mut compression, mut agent, mut exec) = (None, None, None, None);
    let (mut directory, mut kernel, mut names, mut additions) = (None, None, Vec::new(), Vec::new());
    let mut hooks: Option<PathBuf> = None;
    let mut others = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Task::Help),
            Long("install-hooks") => {
                hooks = Some(parser.value()?.into());
                continue;
            }
            Long("output") => output = Some(PathBuf::from(parser.value()?)),
            Long("compress") => compression = Some(parser.value()?.parse()?),
            Long("agent") => agent = Some(parser.value()?.into()),
            Long("kernel-modules") => directory = Some(parser.value()?.into()),
            Long("kernel") => kernel = Some(parser.value()?.string()?),
            Long("module") => names.push(parser.value()?.string()?),
            Long("add") => additions.push(addition(parser.value()?)?),
            Long("exec") => exec = Some(program(parser.value()?.string()?)?),
            other => return Err(other.unexpected()),
        }
        others = true;
    }
    if let Some(destination) = hooks {
        return match others {
            false => Ok(Task::InstallHooks(destination)),
            true => Err("--install-hooks goes with no other option: it writes no image".into()),
        };
    }
    let modules = match directory {
        Some(directory) => Some(Modules { directory, kernel, names }),
        None if kernel.is_none() && names.is_empty() => None,
        None => return Err("--kernel and --module need --kernel-modules DIR: where the modules are".into()),
    };
    let (output, compression) = name_and_compression(output, compression);
    Ok(Task::Build(Build { output, compression, agent, modules, additions, exec }))
}

/// The one follows from the other where only one is given.
fn name_and_compression(output: Option<PathBuf>, compression: Option<Compression>) -> (PathBuf, Compression) {
    match (output, compression) {
        (Some(output), Some(compression)) => (output, compression),
        (Some(output), None) => {
            let by_ending = output.extension().and_then(|ending| Compression::of_ending(ending.to_str()?));
            (output, by_ending.unwrap_or(Compression::Gzip))
        }
        (None, compression) => {
            let compression = compression.unwrap_or(Compression::Gzip);
            (format!("nanova.cpio{}", compression.ending()).into(), compression)
        }
    }
}

/// `HOSTPATH:PATH`. The last `:/` divides: PATH is absolute, and a host path may hold colons.
fn addition(value: OsString) -> Result<Addition, lexopt::Error> {
    let value = value.string()?;
    let Some((host, path)) = value.rsplit_once(":/").filter(|(host, _)| !host.is_empty()) else {
        return Err(format!("--add {value}: write HOSTPATH:PATH, with PATH absolute, e.g. --add ./app:/bin/app").into());
    };
    let path = tree::normalise(&format!("/{path}")).map_err(|error| format!("--add {value}: {error}"))?;
    Ok(Addition { host: host.into(), path })
}

/// A program for /etc/nanova/cmdline. The kernel's syntax has quotes around a value and no escape within.
fn program(value: String) -> Result<String, lexopt::Error> {
    if !value.starts_with('/') {
        return Err(format!("--exec '{value}': start with the program's absolute path in the image").into());
    }
    if value.contains('"') || value.chars().any(char::is_control) {
        return Err(format!(
            "--exec {value:?}: the kernel command line can carry neither double quotes nor control characters in a \
             value; put such arguments into a script and --add that"
        )
        .into());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Task, String> {
        parse(lexopt::Parser::from_args(arguments)).map_err(|error| error.to_string())
    }

    fn build(arguments: &[&str]) -> Build {
        match parsed(arguments) {
            Ok(Task::Build(build)) => build,
            other => panic!("{arguments:?} gave {other:?}"),
        }
    }

    #[test]
    fn compression_follows_the_output_s_ending_and_the_name_follows_the_compression() {
        assert_eq!(build(&[]).output, PathBuf::from("nanova.cpio.gz"));
        assert_eq!(build(&["--compress", "zstd"]).output, PathBuf::from("nanova.cpio.zst"));
        assert_eq!(build(&["--compress=none"]).output, PathBuf::from("nanova.cpio"));
        assert_eq!(build(&["--output", "a.cpio"]).compression, Compression::None);
        assert_eq!(build(&["--output", "a.zst"]).compression, Compression::Zstd);
        assert_eq!(build(&["--output", "initrd.img"]).compression, Compression::Gzip);
        assert_eq!(build(&["--output", "a.cpio", "--compress", "gzip"]).compression, Compression::Gzip);
    }

    #[test]
    fn an_addition_is_divided_at_its_last_colon_before_a_slash() {
        let additions = build(&["--add", "a:b:/c", "--add", "/x:/y//z/"]).additions;
        assert_eq!(additions[0], Addition { host: "a:b".into(), path: "c".into() });
        assert_eq!(additions[1], Addition { host: "/x".into(), path: "y/z".into() });
        for wrong in ["a", "a:b", ":/b", "a:/../b"] {
            assert!(parsed(&["--add", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for wrong in [
            &["--module", "loop"][..],
            &["--kernel", "6.1"],
            &["--install-hooks", "/x", "--exec", "/bin/app"],
            &["--compress", "xz"],
            &["--exec", "app"],
            &["--exec", "/bin/sh -c \"x\""],
            &["image"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }
}
