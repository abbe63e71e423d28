//! `cargo nanova-record`: what an agent's flight recorder has kept.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use nanova_core::record::{FORM_AT, HEADER_LEN, IN_ORDER, MAGIC};
use nanova_record::elf::Elf;
use nanova_record::options::{self, Options};
use nanova_record::records::{Frames, Reader, Record, from_console};
use nanova_record::show::{Filter, json, line, timeline};

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => return complain(&format!("{error}; --help tells more"), 2),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&format!("{error:#}"), 1),
    }
}

fn complain(message: &str, status: u8) -> ExitCode {
    eprintln!("nanova-record: {message}");
    ExitCode::from(status)
}

fn run(options: &Options) -> Result<()> {
    if options.help {
        print!("{}", options::HELP);
        return Ok(());
    }
    let mut input: Box<dyn Read> = match &options.file {
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?),
        None => Box::new(std::io::stdin()),
    };
    let mut bytes = vec![0; HEADER_LEN];
    input.read_exact(&mut bytes).context("there is not even a header")?;
    if !bytes.starts_with(&MAGIC) {
        input.read_to_end(&mut bytes)?;
        bytes = from_console(&String::from_utf8_lossy(&bytes)).context("there are no records of nanova's in there")?;
        input = Box::new(std::io::empty());
    }
    let in_order = bytes[FORM_AT] == IN_ORDER;
    if !in_order {
        input.read_to_end(&mut bytes)?;
    }
    let frames = Frames::read(&bytes)?;
    let elf = match &options.elf {
        Some(path) => Elf::read(path, &frames.build_id)?,
        None => Elf::find(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), &frames.build_id)?,
    };
    if frames.lost > 0 {
        eprintln!("nanova-record: {} records had no room and are not there", frames.lost);
    }
    let (mut reader, mut filter, mut shown) = (Reader::new(&elf), Filter::new(options), Vec::new());
    show(reader.read_all(&frames), &mut filter, options, &mut shown)?;
    if in_order {
        let mut room = [0; 4096];
        loop {
            match input.read(&mut room)? {
                0 => break,
                len => show(reader.read(&room[..len]), &mut filter, options, &mut shown)?,
            }
        }
    }
    if reader.malformed > 0 {
        eprintln!("nanova-record: {} bytes are no records", reader.malformed);
    }
    timeline(&shown).iter().try_for_each(|line| print(line))
}

/// Shows records; for a timeline they are all needed first.
fn show(records: Vec<Record>, filter: &mut Filter<'_>, options: &Options, shown: &mut Vec<Record>) -> Result<()> {
    for record in records.into_iter().filter(|record| filter.wants(record)) {
        match record {
            record if options.timeline => shown.push(record),
            record if options.json => print(&json(&record)?)?,
            record => print(&line(&record))?,
        }
    }
    Ok(())
}

fn print(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
