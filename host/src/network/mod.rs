//! A guest's network: what `vm-data` says of it, shown, edited, written. What is written was judged by the guest's own
//! reader before.

mod document;
mod judge;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use crate::connection::Connection;
use crate::fault::Fault;
use crate::guests::Guest;
use crate::op::{Op, printable_json};
use crate::told::print;
use document::Document;
use judge::judge;

/// What every toolstack's guest has below its home if XAPI made it (`xenopsd/xc/domain.ml`), and no other.
const XAPI: &str = "unique-domain-id";
/// The name that the host gives a guest.
const HOSTNAME: &str = "vm-data/hostname";

/// Prints what vm-data says.
pub(crate) fn show(connection: &mut Connection, guests: &[Guest]) -> Result<(), Fault> {
    for guest in guests {
        let head = if guests.len() > 1 { format!("{guest}:\n") } else { String::new() };
        print(&(head + &read(connection, guest)?.pretty()))?;
    }
    Ok(())
}

/// What vm-data says of one.
pub(crate) fn shown(connection: &mut Connection, guest: &Guest) -> Result<String, Fault> {
    Ok(read(connection, guest)?.pretty())
}

/// Reads a file, judges it, and writes it for each guest.
pub(crate) fn write_file(connection: &mut Connection, guests: &[Guest], file: &std::path::Path) -> Result<(), Fault> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Fault::here(format!("cannot read {}: {error}", file.display())))?;
    let document = Document::parse(&text)?;
    judge(&document)?;
    guests.iter().try_for_each(|guest| write(connection, guest, &document).map(|written| tell(guest, &written)))
}

/// The same of a text, for one; nothing is printed.
pub(crate) fn write_text(connection: &mut Connection, guest: &Guest, text: &str) -> Result<Written, Fault> {
    let document = Document::parse(text)?;
    judge(&document)?;
    write(connection, guest, &document)
}

/// Has a person edit what vm-data says. Returns whether it was changed.
pub(crate) fn edit(connection: &mut Connection, guests: &[Guest]) -> Result<bool, Fault> {
    let [guest] = guests else { return Err(Fault::Usage("one guest's network is edited at a time".into())) };
    let before = read(connection, guest)?.pretty();
    let after = edited(&before)?;
    connection.forget_interrupt()?;
    if after == before {
        eprintln!("nanova-host: nothing was changed");
        return Ok(false);
    }
    let document = Document::parse(&after)?;
    judge(&document)?;
    tell(guest, &write(connection, guest, &document)?);
    Ok(true)
}

/// What an editor makes of a text.
fn edited(text: &str) -> Result<String, Fault> {
    let wrong = |error: std::io::Error| Fault::here(format!("cannot have it edited: {error}"));
    let name = std::env::temp_dir().join(format!("nanova-host-{}.json", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(wrong)?;
    let editor = ["VISUAL", "EDITOR"].iter().find_map(std::env::var_os).unwrap_or_else(|| "vi".into());
    let mut words = editor.to_string_lossy().split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter();
    let status = Command::new(words.next().unwrap_or_else(|| "vi".into())).args(words).arg(&name).status();
    let text = std::fs::read_to_string(&name);
    let _ = std::fs::remove_file(&name);
    match status.map_err(wrong)?.success() {
        true => text.map_err(wrong),
        false => Err(Fault::here("the editor failed; nothing was changed")),
    }
}

fn read(connection: &mut Connection, guest: &Guest) -> Result<Document, Fault> {
    let names = connection.list(&guest.path("vm-data/networking"))?;
    let nodes = names.iter().map(|name| Op::read(guest.path(&format!("vm-data/networking/{name}"))));
    let replies = connection.ask_all([Op::read(guest.path(HOSTNAME))].into_iter().chain(nodes))?;
    let mut texts = replies.into_iter().map(|reply| Some(String::from_utf8_lossy(&reply.ok()?).into_owned()));
    let hostname = texts.next().flatten().filter(|name| !name.is_empty());
    let interfaces = names.into_iter().zip(texts).filter_map(|(name, text)| Some((name, text?))).collect();
    Ok(Document { is_nameless: hostname.is_none(), hostname, interfaces })
}

/// What was written below a guest's home.
pub(crate) struct Written {
    /// Nodes and their values.
    pub(crate) nodes: Vec<(String, String)>,
    /// Nodes that are no more.
    pub(crate) gone: Vec<String>,
    /// XAPI makes vm-data anew at every start, from what its own database has.
    pub(crate) is_of_xapi: bool,
}

/// Writes it, and removes the interfaces that are no more in it, and the name that it is to have no more.
fn write(connection: &mut Connection, guest: &Guest, document: &Document) -> Result<Written, Fault> {
    let old = connection.list(&guest.path("vm-data/networking"))?;
    let gone = old.iter().filter(|name| !document.interfaces.contains_key(*name));
    let mut gone: Vec<String> = gone.map(|name| format!("vm-data/networking/{name}")).collect();
    if document.is_nameless && connection.ask(Op::read(guest.path(HOSTNAME)))?.is_ok() {
        gone.push(HOSTNAME.to_owned());
    }
    let nodes = document.nodes();
    let new = nodes.iter().map(|(node, value)| Op::write(guest.path(node), *value));
    for reply in connection.ask_all(new.chain(gone.iter().map(|node| Op::remove(guest.path(node)))))? {
        reply.map_err(|why| Fault::here(format!("xenstored refuses to write the network of {guest}: {why}")))?;
    }
    let is_of_xapi = connection.ask(Op::read(guest.path(XAPI)))?.is_ok();
    let owned = nodes.iter().map(|(node, value)| (node.clone(), (*value).to_owned())).collect();
    let written = Written { nodes: owned, gone, is_of_xapi };
    if is_of_xapi {
        return Ok(written);
    }
    // dom0's, and the guest may read them; with XAPI they are the guest's, as their parents are.
    let parents = ["vm-data".to_owned(), "vm-data/networking".to_owned()];
    let all = parents.iter().chain(written.nodes.iter().map(|(node, _)| node));
    let replies = connection.ask_all(all.map(|node| Op::readable(guest.path(node), guest.domid)))?;
    // There is no such directory where there is no interface.
    let refused = replies.into_iter().filter_map(Result::err).find(|why| why.name() != "ENOENT");
    refused.map_or(Ok(written), |why| {
        Err(Fault::here(format!("xenstored refuses to let {guest} read its network: {why}")))
    })
}

/// Says how it is kept where XAPI owns it.
fn tell(guest: &Guest, written: &Written) {
    if !written.is_of_xapi {
        return;
    }
    eprintln!("nanova-host: vm-data of {guest} is XAPI's, and lost at its next start, unless XAPI is told:");
    for node in &written.gone {
        eprintln!("  xe vm-param-remove uuid={} param-name=xenstore-data param-key={node}", guest.uuid);
    }
    for (node, value) in &written.nodes {
        let value = printable_json(value).replace('\'', r"'\''");
        eprintln!("  xe vm-param-set uuid={} xenstore-data:{node}='{value}'", guest.uuid);
    }
}
