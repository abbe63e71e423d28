//! Other programs, and files written as everybody would write them.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

/// The workspace that this program was built in.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this package is in the workspace")
}

/// A program whose output has nothing of this machine's language and time zone, and is made by that time.
pub(crate) fn command(program: impl AsRef<OsStr>, time: u64) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").env("TZ", "UTC").env("SOURCE_DATE_EPOCH", time.to_string());
    command
}

/// Runs it; what it printed. It has to succeed.
pub(crate) fn run(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}; the package that has it is to be installed"))?;
    let said = [&output.stdout[..], &output.stderr].concat();
    ensure!(output.status.success(), "{program}: {}\n{}", output.status, String::from_utf8_lossy(&said));
    Ok(output.stdout)
}

/// Debian's cargo, whose compiler can build its libraries for a triple that the pinned one has none for.
pub(crate) fn debian_cargo(triple: &str) -> Result<Command> {
    ensure!(
        Path::new("/usr/bin/cargo").is_file(),
        "this compiler has no libraries for {triple}, and Debian's is not there"
    );
    eprintln!("note: {triple} is built by /usr/bin/rustc: the pinned compiler has no libraries for it");
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo.current_dir(workspace()).env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
    cargo.env_remove("RUSTUP_TOOLCHAIN");
    Ok(cargo)
}

/// Whether there is such a program.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Writes a file below a folder: with this mode whatever the umask, in folders that everybody may read.
pub(crate) fn write(folder: &Path, path: &str, bytes: &[u8], mode: u32) -> Result<PathBuf> {
    let file = folder.join(path);
    let mut made = folder.to_owned();
    fs::create_dir_all(&made)?;
    for part in Path::new(path).parent().into_iter().flat_map(Path::components) {
        made.push(part);
        fs::create_dir_all(&made)?;
        fs::set_permissions(&made, Permissions::from_mode(0o755))?;
    }
    fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(&file, Permissions::from_mode(mode))?;
    Ok(file)
}

/// Makes a folder below another one, which everybody may read.
pub(crate) fn directory(folder: &Path, path: &str) -> Result<()> {
    let made = folder.join(path);
    fs::create_dir_all(&made)?;
    // Those on the way were made by somebody else's umask.
    for above in made.ancestors().take_while(|above| above.starts_with(folder)) {
        fs::set_permissions(above, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Copies a folder: what is executable gets mode 755, all else 644.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let name = path.file_name().context("a file without a name")?.to_string_lossy().into_owned();
        if path.is_dir() {
            copy(&path, &to.join(name))?;
            continue;
        }
        let mode = if fs::metadata(&path)?.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
        write(to, &name, &fs::read(&path)?, mode)?;
    }
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    Ok(())
}

/// Gives a finished file or folder that time.
pub(crate) fn date(file: &Path, time: u64) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
    File::open(file)?.set_times(FileTimes::new().set_modified(time))?;
    Ok(())
}

/// Gives a folder and all that is below it that time.
pub(crate) fn date_all(folder: &Path, time: u64) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { date_all(&path, time)? } else { date(&path, time)? }
    }
    date(folder, time)
}

/// A tar archive of one file or folder below a folder: sorted, root's, of that time; the same bytes for the same files.
pub(crate) fn tar(folder: &Path, name: &str, time: u64) -> Result<Vec<u8>> {
    let date = format!("--mtime=@{time}");
    let mut tar = command("tar", time);
    tar.args(["--create", "--format=ustar", "--sort=name", "--owner=root:0", "--group=root:0", &date]);
    run(tar.arg("--directory").arg(folder).arg(name))
}

/// The same compressed; no name and no time in its header.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// A SHA-256 sum as sha256sum prints it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
