//! SHA256SUMS over all that was made, its signature, and what a person reads.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::options::Options;
use crate::stage::Release;
use crate::tools;

/// Writes the sums, dates the files, signs, prints what there is.
pub(crate) fn write(options: &Options, release: &Release) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(&options.output)? {
        names.push(entry?.file_name().into_string().ok().context("a file of a strange name")?);
    }
    names.sort();
    let mut sums = String::new();
    for name in &names {
        let file = options.output.join(name);
        let bytes = fs::read(&file)?;
        tools::date(&file, release.time)?;
        println!("{:>9} bytes  {name}", bytes.len());
        sums.push_str(&format!("{}  {name}\n", tools::sha256(&bytes)));
    }
    let file = tools::write(&options.output, "SHA256SUMS", sums.as_bytes(), 0o644)?;
    tools::date(&file, release.time)?;
    if let Some(key) = &options.key {
        // The comment would have the time in it.
        let comment = format!("nanova {}", release.version);
        let mut minisign = Command::new("minisign");
        minisign.arg("-S").arg("-s").arg(key).arg("-m").arg(&file).args(["-t", &comment]).stdout(Stdio::null());
        let status = minisign.status().context("cannot start minisign; the package that has it is to be installed")?;
        ensure!(status.success(), "minisign: {status}");
    }
    let signed = if options.key.is_some() { "SHA256SUMS and its signature" } else { "SHA256SUMS, not signed" };
    println!("{}: {} files, {signed}", options.output.display(), names.len());
    Ok(())
}
