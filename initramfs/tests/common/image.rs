//! Making images with the real program, and reading them with the cpio library.

use cpio::newc;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A static program of a few hundred bytes, in place of the agent.
pub(crate) fn agent(home: &Path) -> PathBuf {
    compile(home, "void _start(void) { for (;;) ; }", &["-static", "-nostdlib"], "agent")
}

/// Runs the C compiler.
pub(crate) fn compile(home: &Path, text: &str, options: &[&str], name: &str) -> PathBuf {
    let (source, program) = (home.join("source.c"), home.join(name));
    std::fs::write(&source, text).unwrap();
    let mut cc = Command::new("cc");
    assert!(cc.args(options).arg("-o").arg(&program).arg(source).status().unwrap().success());
    program
}

/// `cargo initramfs` with these arguments, in `home`.
pub(crate) fn initramfs<S: AsRef<std::ffi::OsStr>>(home: &Path, arguments: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nanova-initramfs")).current_dir(home).args(arguments).output().unwrap()
}

/// What an archive that is not compressed says: path -> mode and content.
pub(crate) fn entries(archive: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let bytes = std::fs::read(archive).unwrap();
    let (mut rest, mut found) = (bytes.as_slice(), BTreeMap::new());
    loop {
        let mut reader = newc::Reader::new(rest).unwrap();
        if reader.entry().is_trailer() {
            return found;
        }
        let (name, mode) = (reader.entry().name().to_owned(), reader.entry().mode());
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        assert!(found.insert(name, (mode, content)).is_none());
        rest = reader.finish().unwrap();
    }
}
