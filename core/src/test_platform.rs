//! A platform in memory, whose every operation can be made to fail.

// For tests alone.
#![allow(missing_docs)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use crate::platform::{
    Addresses, Argv, COPY_NUMBER, Clock, Distrust, Download, Durability, Ended, Entropy, Errand, Errands, FileError,
    FileKind, Files, Found, GuestPath, Identity, KernelNet, Level, LinkTarget, Log, NOTE_WORDS, Notes, Programs,
    Recorded, STAGED_NAME, Sysfs, UPDATE_NAME, UPDATE_NUMBER,
};
use crate::wire::errno::Errno;
use crate::wire::net::Ip;
use crate::wire::netlink::{Message, PresentAddress, PresentRoute, Reply};
use crate::wire::text::Bounded;

/// What has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Directory,
    /// With where it leads.
    Symlink(&'static str),
    Device,
    File {
        contents: Vec<u8>,
        mode: u32,
    },
}

/// The platform.
pub struct FakePlatform {
    pub nodes: BTreeMap<String, Node>,
    pub log: Vec<(Level, String)>,
    pub time: u64,
    /// Which operation from now on fails, and how.
    pub fail: Option<(usize, Errno)>,
    /// What the system says when a directory is to be synced.
    pub unsynced: Option<Errno>,
    /// A link that is not followed, and why.
    pub distrusted: Option<(&'static str, Distrust)>,
    pub kernel: FakeKernel,
    pub host_name: String,
    /// What files were staged beside, and under which numbers.
    pub staged_beside: Vec<String>,
    pub staged_as: Vec<u8>,
    /// How many of them were removed again.
    pub discarded: usize,
    /// Whether a run that was killed has left something, and where it was looked for.
    pub left_behind: bool,
    pub tidied: Vec<(String, u8)>,
    pub kept: Option<FakeStaged>,
    /// A mount point.
    pub mounted: Option<&'static str>,
    /// What the flight recorder has.
    pub recorded: Vec<u8>,
    /// What is noted as being overwritten.
    pub half_written: Option<String>,
    /// Which file that is cannot be told.
    pub mark_unreadable: Option<Errno>,
    /// Most bytes that are read at once.
    pub piece: usize,
    /// How long a piece of a download takes, and for how many seconds each server was waited for.
    pub seconds_apiece: u64,
    /// Whether the guest is suspended meanwhile, and for how many seconds it was.
    pub is_suspended_apiece: bool,
    pub suspended: u64,
    pub patience: Vec<u32>,
    /// So many connections are refused first.
    pub refused_connections: u32,
    pub started: Vec<String>,
    /// Whether none is started.
    pub locked: bool,
    /// Processes that were ended.
    pub ended: Vec<u32>,
    /// Size and free bytes of what is mounted.
    pub spaces: BTreeMap<String, (u64, u64)>,
    held: Rc<Cell<bool>>,
    /// What servers say, one a connection.
    pub servers: Vec<Vec<u8>>,
    /// What was asked of them.
    pub asked: Vec<u8>,
    /// How a new agent's test of itself ends.
    pub self_test: Result<Ended, Errno>,
    /// How any other program ends.
    pub ends: Result<Ended, Errno>,
    pub errands: FakeErrands,
    pub notes: [u64; NOTE_WORDS],
    pub notes_last: bool,
    /// What the kernel says to a new value of an attribute.
    pub attributes_refused: Option<Errno>,
}

pub struct FakeFile {
    path: String,
    read: usize,
}

pub struct FakeStaged {
    contents: Vec<u8>,
    mode: u32,
    /// Where a new agent is once it is sealed.
    sealed: Option<String>,
}

/// Says that the lock is free again when it is dropped.
pub struct FakeLock(Rc<Cell<bool>>);

impl Drop for FakeLock {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl FakePlatform {
    /// One file more.
    pub fn put(&mut self, path: &str, contents: &str) {
        self.nodes.insert(path.to_owned(), Node::File { contents: contents.as_bytes().to_vec(), mode: 0o644 });
    }

    /// A program that can be run.
    pub fn program(&mut self, path: &str) {
        self.nodes.insert(path.to_owned(), Node::File { contents: Vec::new(), mode: 0o755 });
    }

    /// A root with /etc and these files, mode 0640.
    pub fn with(files: &[(&str, &str)]) -> FakePlatform {
        let mut nodes = BTreeMap::from([("/etc".to_owned(), Node::Directory)]);
        for (path, contents) in files {
            for parent in GuestPath::new(path).unwrap().parents() {
                nodes.insert(parent.as_str().to_owned(), Node::Directory);
            }
            nodes.insert((*path).to_owned(), Node::File { contents: contents.as_bytes().to_vec(), mode: 0o640 });
        }
        let held = Rc::new(Cell::new(false));
        FakePlatform {
            nodes,
            log: Vec::new(),
            time: 1_700_000_000,
            fail: None,
            locked: false,
            unsynced: None,
            distrusted: None,
            kernel: FakeKernel::default(),
            host_name: String::new(),
            recorded: Vec::new(),
            staged_beside: Vec::new(),
            staged_as: Vec::new(),
            discarded: 0,
            left_behind: false,
            tidied: Vec::new(),
            kept: None,
            mounted: None,
            half_written: None,
            mark_unreadable: None,
            piece: usize::MAX,
            seconds_apiece: 0,
            is_suspended_apiece: false,
            suspended: 0,
            patience: Vec::new(),
            refused_connections: 0,
            started: Vec::new(),
            ended: Vec::new(),
            spaces: BTreeMap::new(),
            held,
            servers: Vec::new(),
            asked: Vec::new(),
            self_test: Ok(Ended::Exit(0)),
            ends: Ok(Ended::Exit(0)),
            notes: [0; NOTE_WORDS],
            notes_last: true,
            attributes_refused: None,
            errands: FakeErrands {
                begun: Vec::new(),
                under_way: Vec::new(),
                linger: false,
                given_up: Vec::new(),
                refused: None,
                hangs_after: Vec::new(),
                ends_badly: Ended::Exit(1),
                says: String::new(),
                printed: Vec::new(),
            },
        }
    }

    /// What is in a file.
    pub fn text(&self, path: &str) -> &str {
        match self.nodes.get(path) {
            Some(Node::File { contents, .. }) => core::str::from_utf8(contents).unwrap(),
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Everything that was logged.
    pub fn logged(&self) -> String {
        self.log.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    fn durability(&self) -> Durability {
        self.unsynced.map_or(Durability::Synced, Durability::Unsynced)
    }

    fn operation(&mut self) -> Result<(), Errno> {
        match &mut self.fail {
            Some((0, errno)) => {
                let errno = *errno;
                self.fail = None;
                Err(errno)
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Clock for FakePlatform {
    fn unix_time(&mut self) -> u64 {
        self.time
    }

    fn uptime_ms(&mut self) -> u64 {
        (self.time - 1_700_000_000) * 1000
    }

    fn running_ms(&mut self) -> u64 {
        self.uptime_ms() - self.suspended * 1000
    }
}

impl Identity for FakePlatform {
    fn host_name(&mut self) -> Bounded<64> {
        Bounded::of(format_args!("{}", self.host_name))
    }

    fn set_host_name(&mut self, name: &str) -> Result<(), Errno> {
        self.operation()?;
        self.host_name = name.to_owned();
        Ok(())
    }

    fn kernel_release(&mut self) -> Bounded<64> {
        Bounded::of(format_args!("6.1.0-test"))
    }
}

impl Entropy for FakePlatform {
    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        self.operation()?;
        bytes.fill(0x5a);
        Ok(())
    }
}

impl Log for FakePlatform {
    fn log(&mut self, level: Level, text: fmt::Arguments<'_>) {
        self.log.push((level, text.to_string()));
    }
}

impl Recorded for FakePlatform {
    fn copy_recorded(&mut self, at: usize, room: &mut [u8]) -> bool {
        let piece = self.recorded.get(at..at + room.len());
        piece.map(|piece| room.copy_from_slice(piece)).is_some()
    }
}

impl KernelNet for FakePlatform {
    fn ask(&mut self, message: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
        self.kernel.ask(message, each)
    }
}

impl Programs for FakePlatform {
    fn are_locked(&mut self) -> bool {
        self.locked
    }

    fn start(&mut self, programs: &[Argv<'_>]) {
        for program in programs {
            let words = program.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>();
            self.started.push(words.join(" "));
        }
    }

    fn end_process(&mut self, process: u32) {
        self.ended.push(process);
    }

    fn is_program(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        match self.nodes.get(path.as_str()) {
            Some(Node::File { mode: 0o755, .. }) => Ok(()),
            Some(_) => Err(Errno::PERM),
            None => Err(Errno::NOENT),
        }
    }
}

impl Notes for FakePlatform {
    fn word(&mut self, at: usize) -> u64 {
        self.notes.get(at).copied().unwrap_or_default()
    }

    fn set_word(&mut self, at: usize, value: u64) {
        self.notes[at] = value;
    }

    fn outlives(&self) -> bool {
        self.notes_last
    }
}

impl Sysfs for FakePlatform {
    fn set_attribute(&mut self, path: GuestPath<'_>, value: &str) -> Result<(), Errno> {
        if let Some(errno) = self.attributes_refused {
            return Err(errno);
        }
        assert!(self.nodes.contains_key(path.as_str()), "an attribute is there already");
        self.put(path.as_str(), value);
        Ok(())
    }
}

impl Errands for FakePlatform {
    /// Does it at once; how it ended is told when it is asked for.
    fn begin(
        &mut self,
        errand: Errand,
        _seconds: u32,
        work: &mut dyn FnMut(&mut Self, Found<'_>) -> bool,
    ) -> Result<(), Errno> {
        self.errands.begin(errand)?;
        let (mut found, mut room) = (Vec::new(), self.errands.hangs_after.pop().unwrap_or(usize::MAX));
        let well = work(self, &mut |piece| {
            if piece.len() > room {
                return Err(Errno::IO);
            }
            room -= piece.len();
            found.extend_from_slice(piece);
            Ok(())
        });
        self.nodes.insert(FOUND.to_owned(), Node::File { contents: found, mode: 0o600 });
        let ended = if well { Ended::Exit(0) } else { self.errands.ends_badly };
        self.errands.under_way.push((errand, ended));
        Ok(())
    }

    /// Prints what is in the file, then what it gets.
    fn begin_program(
        &mut self,
        path: GuestPath<'_>,
        argument: Option<&'static core::ffi::CStr>,
        input: &[u8],
        _seconds: u32,
    ) -> Result<(), Errno> {
        self.errands.begin(Errand::Program)?;
        let ended = if argument.is_some() { self.self_test? } else { self.ends? };
        self.errands.printed = if argument.is_some() {
            self.errands.says.clone().into_bytes()
        } else {
            [self.text(path.as_str()).as_bytes(), input].concat()
        };
        self.errands.under_way.push((Errand::Program, ended));
        Ok(())
    }

    fn ended(&mut self, errand: Errand) -> Option<Ended> {
        let place = self.errands.under_way.iter().position(|(other, _)| *other == errand)?;
        (!self.errands.linger).then(|| self.errands.under_way.remove(place).1)
    }

    fn found(&mut self, _errand: Errand) -> Result<FakeFile, Errno> {
        Ok(FakeFile { path: FOUND.to_owned(), read: 0 })
    }

    fn printed(&mut self) -> &[u8] {
        &self.errands.printed
    }

    fn give_up(&mut self, errand: Errand) {
        self.errands.under_way.retain(|(other, _)| *other != errand);
        self.errands.given_up.push(errand);
    }
}

/// Where what the last errand found lies.
const FOUND: &str = "(found)";

/// Errands, which are done when they are begun.
pub struct FakeErrands {
    /// Those that were begun.
    pub begun: Vec<Errand>,
    /// Those whose end was not told.
    pub under_way: Vec<(Errand, Ended)>,
    /// Whether none is told to have ended.
    pub linger: bool,
    /// Those that were given up.
    pub given_up: Vec<Errand>,
    /// None can be begun.
    pub refused: Option<Errno>,
    /// After so many bytes an errand finds nothing more; the last of these is the next one's.
    pub hangs_after: Vec<usize>,
    /// How one ends that has not done all.
    pub ends_badly: Ended,
    /// What a program's self-test prints.
    pub says: String,
    printed: Vec<u8>,
}

impl FakeErrands {
    fn begin(&mut self, errand: Errand) -> Result<(), Errno> {
        if let Some(errno) = self.refused {
            return Err(errno);
        }
        assert!(self.under_way.iter().all(|(other, _)| *other != errand), "one of a kind at a time");
        self.begun.push(errand);
        Ok(())
    }
}

impl Download for FakePlatform {
    type Connection = Vec<u8>;

    fn connect(&mut self, _ip: Ip, _port: u16, seconds: u32) -> Result<Vec<u8>, Errno> {
        self.operation()?;
        self.patience.push(seconds);
        if self.refused_connections > 0 {
            self.refused_connections -= 1;
            return Err(Errno::IO);
        }
        if self.servers.is_empty() { Err(Errno::IO) } else { Ok(self.servers.remove(0)) }
    }

    fn resolve(&mut self, name: &str, _deadline: u64) -> Result<Addresses, FileError<'static>> {
        if name == "unreadable" {
            let path = GuestPath::literal("/etc/resolv.conf");
            return Err(FileError { action: "read", path, errno: Errno::IO });
        }
        let known: &[&str] = match name {
            "known" => &["192.0.2.1"],
            "many" => &["192.0.2.1", "192.0.2.2", "2001:db8::1"],
            _ => &[],
        };
        Ok(known.iter().map(|ip| ip.parse().unwrap()).collect())
    }

    fn send(&mut self, _connection: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Errno> {
        self.operation()?;
        self.asked.extend_from_slice(bytes);
        Ok(())
    }

    fn receive(&mut self, connection: &mut Vec<u8>, space: &mut [u8]) -> Result<usize, Errno> {
        self.operation()?;
        self.time += self.seconds_apiece;
        self.suspended += if self.is_suspended_apiece { self.seconds_apiece } else { 0 };
        let len = connection.len().min(space.len()).min(700);
        space[..len].copy_from_slice(&connection[..len]);
        connection.drain(..len);
        Ok(len)
    }

    fn own_path(&mut self) -> Result<Bounded<256>, Errno> {
        Ok(Bounded::of(format_args!("/etc/agent")))
    }
}

impl Files for FakePlatform {
    type File = FakeFile;
    type Staged = FakeStaged;
    type Lock = FakeLock;

    fn kind(&mut self, path: GuestPath<'_>) -> Result<Option<FileKind>, Errno> {
        self.operation()?;
        if self.link_not_followed(path).is_some() {
            return Err(Errno::LOOP);
        }
        Ok(self.nodes.get(path.as_str()).map(|node| match node {
            Node::Directory => FileKind::Directory,
            Node::Symlink(_) => FileKind::Symlink,
            Node::Device => FileKind::Other,
            Node::File { .. } => FileKind::Regular,
        }))
    }

    fn read_link(&mut self, path: GuestPath<'_>, room: &mut [u8]) -> Result<usize, Errno> {
        self.operation()?;
        let Some(Node::Symlink(target)) = self.nodes.get(path.as_str()) else { return Err(Errno(22)) };
        let len = target.len().min(room.len());
        room[..len].copy_from_slice(&target.as_bytes()[..len]);
        Ok(len)
    }

    fn open(&mut self, path: GuestPath<'_>) -> Result<FakeFile, Errno> {
        self.operation()?;
        self.nodes.get(path.as_str()).ok_or(Errno::NOENT)?;
        Ok(FakeFile { path: path.as_str().to_owned(), read: 0 })
    }

    fn open_linked(&mut self, path: GuestPath<'_>) -> Result<FakeFile, Errno> {
        match self.nodes.get(path.as_str()) {
            Some(Node::Symlink(to)) => self.open(GuestPath::literal(to)),
            _ => self.open(path),
        }
    }

    fn read_anew(&mut self, path: GuestPath<'_>, room: &mut [u8]) -> Result<usize, Errno> {
        let mut file = self.open_linked(path)?;
        self.read(&mut file, room)
    }

    fn exists(&mut self, path: GuestPath<'_>) -> Result<bool, Errno> {
        self.operation()?;
        Ok(match self.nodes.get(path.as_str()) {
            Some(Node::Symlink(to)) => self.nodes.contains_key(*to),
            node => node.is_some(),
        })
    }

    fn link_target(&mut self, path: GuestPath<'_>) -> Result<LinkTarget, Errno> {
        self.operation()?;
        if self.link_not_followed(path).is_some() {
            return Err(Errno::LOOP);
        }
        let Some(Node::Symlink(to)) = self.nodes.get(path.as_str()) else { return Err(Errno::NOENT) };
        match self.nodes.get(*to) {
            Some(Node::File { .. }) => LinkTarget::try_from(*to).map_err(|_| Errno::NAMETOOLONG),
            Some(Node::Directory) => Err(Errno::ISDIR),
            Some(_) => Err(Errno::NOTDIR),
            None => Err(Errno::NOENT),
        }
    }

    fn link_not_followed(&mut self, path: GuestPath<'_>) -> Option<(usize, Distrust)> {
        let (link, why) = self.distrusted?;
        let is_on_the_way = path.as_str().starts_with(&format!("{link}/"));
        (is_on_the_way || path.as_str() == link).then_some((link.len(), why))
    }

    fn read(&mut self, file: &mut FakeFile, space: &mut [u8]) -> Result<usize, Errno> {
        self.operation()?;
        let Some(Node::File { contents, .. }) = self.nodes.get(&file.path) else { return Err(Errno::IO) };
        assert!(!space.is_empty(), "a read of no bytes is taken for the end");
        let rest = &contents[file.read..];
        let len = rest.len().min(space.len()).min(self.piece);
        space[..len].copy_from_slice(&rest[..len]);
        file.read += len;
        Ok(len)
    }

    fn make_directory(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        self.operation()?;
        assert!(self.nodes.insert(path.as_str().to_owned(), Node::Directory).is_none());
        Ok(())
    }

    fn link(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno> {
        self.operation()?;
        let node = self.nodes.get(path.as_str()).ok_or(Errno::NOENT)?.clone();
        let (directory, _) = path.split();
        let new = format!("{}/{name}", directory.trim_end_matches('/'));
        if self.nodes.contains_key(&new) {
            return Err(Errno::EXIST);
        }
        self.nodes.insert(new, node);
        Ok(())
    }

    fn rename(&mut self, path: GuestPath<'_>, name: &str) -> Result<Durability, Errno> {
        self.link(path, name)?;
        self.nodes.remove(path.as_str());
        Ok(self.durability())
    }

    fn names(&mut self, path: GuestPath<'_>, each: &mut dyn FnMut(&str)) -> Result<(), Errno> {
        self.operation()?;
        let below = format!("{path}/");
        let names = self.nodes.keys().filter_map(|path| path.strip_prefix(&below));
        names.filter(|name| !name.contains('/')).for_each(each);
        Ok(())
    }

    fn stage(&mut self, path: GuestPath<'_>, number: u8) -> Result<FakeStaged, Errno> {
        self.operation()?;
        let (directory, _) = path.split();
        assert!(directory == "/" || self.nodes.get(directory) == Some(&Node::Directory), "no directory for {path}");
        self.staged_beside.push(path.as_str().to_owned());
        self.staged_as.push(number);
        let sealed = (number == UPDATE_NUMBER).then(|| format!("{directory}/{UPDATE_NAME}"));
        Ok(FakeStaged { contents: Vec::new(), mode: 0o600, sealed })
    }

    fn stage_unnamed(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        self.kept = None;
        self.kept = Some(self.stage(path, 0)?);
        Ok(())
    }

    fn append_kept(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.operation()?;
        self.kept.as_mut().ok_or(Errno::NOENT)?.contents.extend_from_slice(bytes);
        Ok(())
    }

    fn kept(&mut self) -> Option<FakeStaged> {
        self.kept.take()
    }

    fn append(&mut self, staged: &mut FakeStaged, bytes: &[u8]) -> Result<(), Errno> {
        self.operation()?;
        staged.contents.extend_from_slice(bytes);
        Ok(())
    }

    fn take_over(&mut self, staged: &mut FakeStaged, from: &FakeFile) -> Result<(), Errno> {
        self.operation()?;
        if let Some(Node::File { mode, .. }) = self.nodes.get(&from.path) {
            staged.mode = *mode;
        }
        Ok(())
    }

    fn set_mode(&mut self, staged: &mut FakeStaged, mode: u32) -> Result<(), Errno> {
        self.operation()?;
        staged.mode = mode;
        Ok(())
    }

    fn publish(&mut self, staged: &mut FakeStaged, path: GuestPath<'_>) -> Result<Durability, Errno> {
        self.operation()?;
        if self.mounted == Some(path.as_str()) {
            return Err(Errno::BUSY);
        }
        let file = Node::File { contents: staged.contents.clone(), mode: staged.mode };
        self.nodes.insert(path.as_str().to_owned(), file);
        Ok(self.durability())
    }

    fn keep_copy(&mut self, staged: &mut FakeStaged, path: GuestPath<'_>) -> Result<(), Errno> {
        self.operation()?;
        if self.half_written.is_some() {
            return Err(Errno::EXIST);
        }
        self.half_written = Some(path.as_str().to_owned());
        let file = Node::File { contents: staged.contents.clone(), mode: staged.mode };
        self.nodes.insert(copy_beside(path), file);
        Ok(())
    }

    fn overwrite(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        if let Err(errno) = self.operation() {
            if errno == Errno::NOSPC {
                self.put(path.as_str(), "half");
            }
            return Err(errno);
        }
        self.half_written = None;
        if let Some(copy) = self.nodes.remove(&copy_beside(path)) {
            self.nodes.insert(path.as_str().to_owned(), copy);
        }
        Ok(())
    }

    fn half_written(&mut self) -> Result<Option<LinkTarget>, Errno> {
        if let Some(errno) = self.mark_unreadable {
            return Err(errno);
        }
        Ok(self.half_written.as_deref().and_then(|path| LinkTarget::try_from(path).ok()))
    }

    fn remove(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno> {
        self.operation()?;
        self.nodes.remove(&format!("{}/{name}", path.split().0)).map(drop).ok_or(Errno::NOENT)
    }

    fn seal(&mut self, staged: &mut FakeStaged) -> Result<(), Errno> {
        self.operation()?;
        let path = staged.sealed.clone().expect("only a new agent is sealed");
        self.nodes.insert(path, Node::File { contents: staged.contents.clone(), mode: staged.mode });
        Ok(())
    }

    fn replace_link(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno> {
        let (directory, _) = path.split();
        self.nodes.remove(&format!("{directory}/{name}"));
        self.link(path, name)
    }

    fn replace_with(&mut self, path: GuestPath<'_>, name: &str) -> Result<Durability, Errno> {
        let (directory, _) = path.split();
        let node = self.nodes.remove(&format!("{directory}/{name}")).ok_or(Errno::NOENT)?;
        self.nodes.insert(path.as_str().to_owned(), node);
        Ok(self.durability())
    }

    fn discard(&mut self, staged: &mut FakeStaged) {
        self.discarded += 1;
        if let Some(path) = &staged.sealed {
            self.nodes.remove(path);
        }
    }

    fn tidy(&mut self, path: GuestPath<'_>, number: u8) -> bool {
        self.tidied.push((path.as_str().to_owned(), number));
        self.left_behind
    }

    fn space(&mut self, path: &str) -> Option<(u64, u64)> {
        self.spaces.get(path).copied()
    }

    fn lock(&mut self, _path: GuestPath<'_>) -> Result<FakeLock, Errno> {
        self.operation()?;
        assert!(!self.held.replace(true), "the lock was not given back");
        if self.locked { Err(Errno::AGAIN) } else { Ok(FakeLock(self.held.clone())) }
    }
}

fn copy_beside(path: GuestPath<'_>) -> String {
    format!("{}/{STAGED_NAME}.{COPY_NUMBER}", path.split().0.trim_end_matches('/'))
}

/// A kernel that knows what it is told to know, and remembers what it is asked.
#[derive(Default)]
pub struct FakeKernel {
    pub links: Vec<crate::wire::netlink::Link>,
    pub addresses: Vec<PresentAddress>,
    pub routes: Vec<PresentRoute>,
    /// Requests that are no dumps, by their type.
    pub asked: Vec<u8>,
    /// Requests of this type fail so.
    pub refuses: Option<(u8, Errno)>,
    /// Requests about this family fail so.
    pub refuses_family: Option<(u8, Errno)>,
    /// What it answers to a request to list anything.
    pub silent: Option<Errno>,
    /// Requests that are no dumps, as they came.
    pub messages: Vec<Vec<u8>>,
}

impl FakeKernel {
    pub fn ask(&mut self, message: &Message, each: &mut dyn FnMut(&Reply)) -> Result<(), Errno> {
        let bytes = message.as_bytes();
        if let (18 | 22 | 26, Some(errno)) = (bytes[4], self.silent) {
            return Err(errno);
        }
        match bytes[4] {
            18 => self.links.iter().for_each(|link| each(&Reply::Link(link.clone()))),
            22 => self.addresses.iter().for_each(|address| each(&Reply::Address(*address))),
            26 => self.routes.iter().for_each(|route| each(&Reply::Route(*route))),
            kind => {
                self.asked.push(kind);
                self.messages.push(bytes.to_vec());
                if let Some((refused, errno)) = self.refuses
                    && refused == kind
                {
                    return Err(errno);
                }
                if let Some((family, errno)) = self.refuses_family
                    && bytes[16] == family
                {
                    return Err(errno);
                }
                self.forget(kind, bytes);
            }
        }
        Ok(())
    }

    /// Removals are carried out: what has these bytes of an address in it goes.
    fn forget(&mut self, kind: u8, bytes: &[u8]) {
        let has = |ip: crate::wire::net::Ip| {
            let (octets, len) = ip.octets();
            bytes.windows(len).any(|window| *window == octets[..len])
        };
        match kind {
            21 => self.addresses.retain(|address| !has(address.address.ip)),
            25 => self.routes.retain(|route| !(has(route.to.ip) || route.to.prefix == 0 && route.via.is_some_and(has))),
            _ => {}
        }
    }
}
