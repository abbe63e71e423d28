//! The guest's files, below a root: one system call or a few for each operation of [`Files`].
//!
//! Every operation opens the directory of its path first and works on names in it. The way there goes through no
//! symbolic link but those that [`nanova_core::files::walk`] trusts, and never leads out of the root: openat2(2) goes
//! it in one step where there is no link, and otherwise the walk does.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use nanova_core::files::walk::{Opened, Steps, Stopped, link_target, walk};
use nanova_core::platform::Distrust;
use nanova_core::platform::{
    BACKUP_NUMBER, COPY_NUMBER, Durability, FileKind, Files, GuestPath, LINK_TARGET_MAX, LinkTarget, UPDATE_NUMBER,
};
use nanova_core::wire::errno::Errno;
use nanova_core::wire::text::Bounded;
use rustix::event::Timespec;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{
    self, AtFlags, FallocateFlags, FileType, FlockOperation, Gid, Mode, OFlags, ResolveFlags, Uid, XattrFlags,
};
use rustix::io::Errno as SystemErrno;
use rustix::thread::nanosleep;

use crate::errno::errno;
use crate::output::write_all;
use crate::paths::{terminated, with_path};
use crate::record::{self, Done};
use crate::staged::{Staged, staged_name};
use crate::system::System;

/// How often a lock that somebody else holds is tried, and how long between: 15 s, as lckpwdf(3) waits.
const LOCK_TRIES: u32 = 150;
const LOCK_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// Who has it locked has files staged: the first of these whose directory is there (the oldest distributions have no
/// /run).
pub(crate) const LOCKS: [GuestPath<'static>; 2] =
    [GuestPath::literal("/run/nanova.lock"), GuestPath::literal("/var/run/nanova.lock")];
/// A link to the file that is being overwritten.
const HALF_WRITTEN: GuestPath<'static> = GuestPath::literal("/etc/.nanova.new.for");
/// How many bytes are copied by one call.
const SENT_AT_ONCE: usize = 1 << 20;
/// Room for the names in a directory, at a time.
const NAMES_ROOM: usize = 2048;
/// Room for the names, and for one value, of extended attributes. Labels and access lists take some hundred bytes.
const ATTRIBUTES_MAX: usize = 4096;
/// What a mode has if the group or others may write.
pub(crate) const OTHERS_WRITE: u32 = 0o022;

/// Room for a name in a directory (NAME_MAX) and its zero byte.
type NameRoom = [u8; 256];
const NAME_ROOM: NameRoom = [0; 256];

impl System<'_> {
    /// Opens the directory that a path is in.
    #[inline(never)]
    fn directory_of(&self, path: GuestPath<'_>) -> Result<OwnedFd, Errno> {
        let relative = path.split().0.trim_start_matches('/');
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match self.open_unlinked(relative, flags) {
            // As `open_unlinked` says; the walk needs no such call, and knows which links are followed.
            Err(SystemErrno::LOOP | SystemErrno::NOSYS | SystemErrno::PERM) => {
                let end = walk(&mut Walk(&self.root), relative).map_err(Stopped::errno)?;
                fs::openat(end, c".", flags, Mode::empty()).map_err(errno)
            }
            directory => directory.map_err(errno),
        }
    }

    /// Opens what is at a relative path without any link on the way. That fails if there is one (LOOP), if the kernel
    /// is older than 5.6 (NOSYS), and where a sandbox does not know the call (PERM).
    fn open_unlinked(&self, relative: &str, flags: OFlags) -> Result<OwnedFd, SystemErrno> {
        let relative = if relative.is_empty() { "." } else { relative };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        with_path(relative, |relative| fs::openat2(&self.root, relative, flags, Mode::empty(), resolve))
    }

    /// Goes to a file, whatever links lead there, as far as they are followed.
    #[inline(never)]
    fn walk_to(&self, path: GuestPath<'_>) -> Result<LinkTarget, Stopped> {
        link_target(&mut Walk(&self.root), path.as_str().trim_start_matches('/'))
    }

    /// A directory, to be named to the kernel and no more.
    #[cfg(feature = "lockdown")]
    pub(crate) fn look_at(&self, directory: &str) -> Result<OwnedFd, Errno> {
        self.follow(directory, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// Opens what is at a path, wherever links lead below the root.
    fn follow(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        follow(&self.root, self.confined, path, flags)
    }

    /// The directory that a path is in, and its name there.
    #[inline(never)]
    fn place_of<'r>(&self, path: GuestPath<'_>, room: &'r mut NameRoom) -> Result<(OwnedFd, &'r CStr), Errno> {
        Ok((self.directory_of(path)?, terminated(path.split().1, room).map_err(errno)?))
    }

    /// Keeps other nanovas from staging files, with so many tries: by the lock of flock(2) on a file that root alone
    /// can open. Below a root without a place for it, such as one that is only being put together, there is nobody to
    /// keep out.
    fn keep_others_out(&mut self, tries: u32, make: OFlags) -> Result<(), Errno> {
        let make = OFlags::WRONLY | make;
        let [usual, old] = LOCKS;
        let file = match self.open_at(usual, make) {
            Err(Errno::NOENT) => self.open_at(old, make),
            opened => opened,
        };
        let Some(file) = unless_missing(file)? else { return Ok(()) };
        for _ in 0..tries {
            match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(SystemErrno::AGAIN) => drop(nanosleep(&LOCK_PAUSE)),
                locked => {
                    self.lock = Some(file);
                    return locked.map_err(errno);
                }
            }
        }
        Err(Errno::AGAIN)
    }

    /// One staged file less, if it was counted.
    fn let_others_in(&mut self, counted: bool) {
        self.staged -= u32::from(counted);
        if counted && self.staged == 0 {
            self.lock = None;
        }
    }

    /// Gives a file that was staged without a name the one of staged files, and keeps other nanovas from staging any.
    /// The directory is the one that is there now: since the file was staged somebody may have moved it away.
    fn name(&mut self, staged: &mut Staged, path: GuestPath<'_>) -> Result<(), Errno> {
        staged.directory = self.directory_of(path)?;
        if self.staged == 0 {
            self.keep_others_out(LOCK_TRIES, OFlags::CREATE)?;
        }
        self.staged += 1;
        (staged.counted, staged.unnamed) = (true, false);
        let (directory, name) = (&staged.directory, staged.name.text());
        unless_missing(unlink(directory, name))?;
        // By its number, as open(2) has it: by the descriptor itself would need CAP_DAC_READ_SEARCH.
        let path = Bounded::<32>::of(format_args!("/proc/self/fd/{}", staged.file.as_raw_fd() as u64));
        let link = |path: &CStr| fs::linkat(fs::CWD, path, directory, name, AtFlags::SYMLINK_FOLLOW);
        let linked = with_path(path.as_str(), link);
        staged.there = linked.is_ok();
        linked.map_err(errno)
    }

    /// Copies a file that can have no second name.
    fn copy(&mut self, path: GuestPath<'_>, name: &CStr) -> Result<(), Errno> {
        let old = self.open(path)?;
        let mut staged = self.stage(path, BACKUP_NUMBER)?;
        let copied = self
            .take_over(&mut staged, &old)
            .and_then(|()| send_all(&staged.file, &old))
            .and_then(|()| sync(&staged.file))
            .and_then(|()| {
                let (directory, new) = (&staged.directory, staged.name.text());
                fs::linkat(directory, new, directory, name, AtFlags::empty()).map_err(errno)
            });
        self.discard(&mut staged);
        copied
    }

    /// Overwrites a file with its copy, then removes that and the mark.
    fn write_from_copy(&self, path: GuestPath<'_>) -> Result<(), Errno> {
        let (mut name, mut mark) = (NAME_ROOM, NAME_ROOM);
        let (directory, name) = self.place_of(path, &mut name)?;
        let (marks, mark) = self.place_of(HALF_WRITTEN, &mut mark)?;
        let copy_name = staged_name(COPY_NUMBER);
        let copy = unless_missing(open_in(&directory, copy_name.text(), OFlags::RDONLY))?;
        if let Some(copy) = copy {
            let file = open_in(&directory, name, OFlags::WRONLY)?;
            let len = fs::fstat(&copy).map_err(errno)?.st_size as u64;
            send_all(&file, &copy)?;
            fs::ftruncate(&file, len).map_err(errno)?;
            sync(&file)?;
            unlink(&directory, copy_name.text())?;
        }
        unlink(&marks, mark)?;
        sync(&marks)
    }

    /// Opens what is at a path, no link followed.
    #[inline(never)]
    pub(crate) fn open_at(&self, path: GuestPath<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut room = NAME_ROOM;
        let (directory, name) = self.place_of(path, &mut room)?;
        open_in(&directory, name, flags)
    }
}

/// Opens what is at a path, wherever links lead; below a root that is another than the running system's, within it.
#[inline(never)]
pub(crate) fn follow(root: &OwnedFd, confined: bool, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let relative = path.trim_start_matches('/');
    let flags = flags | OFlags::CLOEXEC;
    let open = |path: &CStr| {
        if confined {
            fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
        } else {
            fs::openat(root, path, flags, Mode::empty())
        }
    };
    with_path(if relative.is_empty() { "." } else { relative }, open).map_err(errno)
}

/// The walk from a root: what is opened can be looked at and gone through, and no more.
struct Walk<'s>(&'s OwnedFd);

impl Walk<'_> {
    #[inline(never)]
    fn open_name(from: &OwnedFd, name: &CStr) -> Result<(OwnedFd, Opened), Errno> {
        let handle = open_in(from, name, OFlags::PATH)?;
        let stat = fs::fstat(&handle).map_err(errno)?;
        let found = Opened {
            kind: kind_of(stat.st_mode),
            id: (stat.st_dev, stat.st_ino),
            owner: stat.st_uid,
            others_write: stat.st_mode & OTHERS_WRITE != 0,
        };
        Ok((handle, found))
    }
}

impl Steps for Walk<'_> {
    type Handle = OwnedFd;

    fn root(&mut self) -> Result<(OwnedFd, Opened), Errno> {
        Walk::open_name(self.0, c".")
    }

    fn open(&mut self, directory: &OwnedFd, name: &str) -> Result<(OwnedFd, Opened), Errno> {
        let mut room = NAME_ROOM;
        Walk::open_name(directory, terminated(name, &mut room).map_err(errno)?)
    }

    fn read_link(&mut self, link: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
        // Of the very link that was looked at.
        fs::readlinkat_raw(link, c"", room).map_err(errno)
    }

    fn own_user(&mut self) -> u32 {
        rustix::process::geteuid().as_raw()
    }
}

fn kind_of(mode: u32) -> FileKind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

/// Nothing there is an answer, not an error.
fn unless_missing<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Removes a name in a directory, if it is there.
#[inline(never)]
fn unlink(directory: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    fs::unlinkat(directory, name, AtFlags::empty()).map_err(errno)
}

#[inline(never)]
fn sync(file: &OwnedFd) -> Result<(), Errno> {
    fs::fsync(file).map_err(errno)
}

/// Has a file that is to be mapped be so long, if it is what an agent has made; [`Errno::PERM`] if not.
#[cfg(any(feature = "notes", feature = "recorder"))]
pub(crate) fn reserve(file: &OwnedFd, len: u64) -> Result<(), Errno> {
    let stat = fs::fstat(file).map_err(errno)?;
    if kind_of(stat.st_mode) != FileKind::Regular || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Errno::PERM);
    }
    // Where /run is full the kernel would say so only when a page is touched, by SIGBUS. What has no fallocate(2) is a
    // ramfs, which is never full.
    match fs::fallocate(file, FallocateFlags::empty(), 0, len) {
        Err(SystemErrno::NOTSUP) if stat.st_size < len as i64 => fs::ftruncate(file, len),
        Err(SystemErrno::NOTSUP) => Ok(()),
        allocated => allocated,
    }
    .map_err(errno)
}

/// Writes what one file holds to another, without a buffer of ours: it may be a secret.
fn send_all(to: &OwnedFd, from: &OwnedFd) -> Result<(), Errno> {
    while rustix::io::retry_on_intr(|| fs::sendfile(to, from, None, SENT_AT_ONCE)).map_err(errno)? > 0 {}
    Ok(())
}

/// Opens what has this name in a directory, no link followed. What is made is root's alone.
#[inline(never)]
fn open_in(directory: &OwnedFd, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(directory, name, flags, Mode::from_raw_mode(0o600)).map_err(errno)
}

/// Syncs a directory whose names have changed already.
fn make_durable(directory: &OwnedFd) -> Durability {
    sync(directory).map_or_else(Durability::Unsynced, |()| Durability::Synced)
}

impl Files for System<'_> {
    type File = OwnedFd;
    type Staged = Staged;
    type Lock = OwnedFd;

    fn kind(&mut self, path: GuestPath<'_>) -> Result<Option<FileKind>, Errno> {
        // One call where nothing is there, as before every command.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let stat = match self.open_unlinked(path.as_str().trim_start_matches('/'), flags) {
            // As in `directory_of`.
            Err(SystemErrno::LOOP | SystemErrno::NOSYS | SystemErrno::PERM) => {
                let mut room = NAME_ROOM;
                let Some((directory, name)) = unless_missing(self.place_of(path, &mut room))? else { return Ok(None) };
                fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
            }
            found => found.and_then(fs::fstat),
        };
        Ok(unless_missing(stat.map_err(errno))?.map(|stat| kind_of(stat.st_mode)))
    }

    fn exists(&mut self, path: GuestPath<'_>) -> Result<bool, Errno> {
        match self.follow(path.as_str(), OFlags::PATH) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(Errno::NOSYS | Errno::PERM) => Ok(self.kind(path)?.is_some()),
            Err(error) => Err(error),
        }
    }

    fn link_target(&mut self, path: GuestPath<'_>) -> Result<LinkTarget, Errno> {
        self.walk_to(path).map_err(Stopped::errno)
    }

    fn read_link(&mut self, path: GuestPath<'_>, room: &mut [u8]) -> Result<usize, Errno> {
        let mut name = NAME_ROOM;
        let (directory, name) = self.place_of(path, &mut name)?;
        fs::readlinkat_raw(directory, name, room).map_err(errno)
    }

    fn link_not_followed(&mut self, path: GuestPath<'_>) -> Option<(usize, Distrust)> {
        match self.walk_to(path) {
            // The walk does not see the slash at the beginning.
            Err(Stopped::Link(at, why)) => Some((at + 1, why)),
            Err(Stopped::Errno(_)) | Ok(_) => None,
        }
    }

    fn open(&mut self, path: GuestPath<'_>) -> Result<OwnedFd, Errno> {
        self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    fn open_linked(&mut self, path: GuestPath<'_>) -> Result<OwnedFd, Errno> {
        match self.follow(path.as_str(), OFlags::RDONLY | OFlags::NONBLOCK) {
            // As in `directory_of`.
            Err(Errno::NOSYS | Errno::PERM) => self.open(path),
            file => file,
        }
    }

    fn read_anew(&mut self, path: GuestPath<'_>, room: &mut [u8]) -> Result<usize, Errno> {
        let file = match self.figures.take() {
            Some(file) => file,
            None => self.open_linked(path)?,
        };
        let len = rustix::io::retry_on_intr(|| rustix::io::pread(&file, &mut *room, 0)).map_err(errno)?;
        // One that could not be read is opened again the next time.
        self.figures = Some(file);
        Ok(len)
    }

    fn read(&mut self, file: &mut OwnedFd, space: &mut [u8]) -> Result<usize, Errno> {
        rustix::io::retry_on_intr(|| rustix::io::read(&*file, &mut *space)).map_err(errno)
    }

    fn make_directory(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        let mut room = NAME_ROOM;
        let (directory, name) = self.place_of(path, &mut room)?;
        fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)).map_err(errno)?;
        #[cfg(feature = "selinux")]
        self.label(path);
        sync(&directory)
    }

    fn link(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno> {
        let (mut old, mut new) = (NAME_ROOM, NAME_ROOM);
        let (directory, old) = self.place_of(path, &mut old)?;
        let new = terminated(name, &mut new).map_err(errno)?;
        match fs::linkat(&directory, old, &directory, new, AtFlags::empty()) {
            Err(SystemErrno::XDEV) => self.copy(path, new),
            linked => linked.map_err(errno),
        }
    }

    fn rename(&mut self, path: GuestPath<'_>, name: &str) -> Result<Durability, Errno> {
        // Not rename(2), which would replace what has that name.
        self.link(path, name)?;
        let mut room = NAME_ROOM;
        let (directory, name) = self.place_of(path, &mut room)?;
        unlink(&directory, name)?;
        Ok(make_durable(&directory))
    }

    fn names(&mut self, path: GuestPath<'_>, each: &mut dyn FnMut(&str)) -> Result<(), Errno> {
        let opened = unless_missing(self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY))?;
        let Some(directory) = opened else { return Ok(()) };
        let mut room = [MaybeUninit::uninit(); NAMES_ROOM];
        let mut entries = fs::RawDir::new(directory, &mut room);
        while let Some(entry) = entries.next() {
            if let Ok(name) = entry.map_err(errno)?.file_name().to_str() {
                each(name);
            }
        }
        Ok(())
    }

    fn stage(&mut self, path: GuestPath<'_>, number: u8) -> Result<Staged, Errno> {
        let directory = self.directory_of(path)?;
        let (name, counted) = (staged_name(number), number != UPDATE_NUMBER);
        if counted && self.staged == 0 {
            self.keep_others_out(LOCK_TRIES, OFlags::CREATE)?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = unless_missing(unlink(&directory, name.text()))
            .and_then(|_| open_in(&directory, name.text(), flags))
            .and_then(|file| {
                // A directory may give its files a list; then the mode alone would not say who may read.
                let bare = remove_access_list(&file);
                bare.map(|()| file).inspect_err(|_| unlink(&directory, name.text()).unwrap_or_default())
            });
        self.staged += u32::from(counted);
        match file {
            Ok(file) => {
                record::done(Done::Staged, path.as_str().as_bytes(), 0);
                Ok(Staged { directory, file, name, counted, there: true, is_new: true, unnamed: false })
            }
            Err(error) => {
                self.let_others_in(counted);
                Err(error)
            }
        }
    }

    fn stage_unnamed(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        self.kept = None;
        let directory = self.directory_of(path)?;
        let file = open_in(&directory, c".", OFlags::WRONLY | OFlags::TMPFILE)?;
        remove_access_list(&file)?;
        let name = staged_name(0);
        self.kept = Some(Staged { directory, file, name, counted: false, there: false, is_new: true, unnamed: true });
        Ok(())
    }

    fn append_kept(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        write_all(&self.kept.as_ref().ok_or(Errno::NOENT)?.file, bytes).map_err(errno)
    }

    fn kept(&mut self) -> Option<Staged> {
        self.kept.take()
    }

    fn append(&mut self, staged: &mut Staged, bytes: &[u8]) -> Result<(), Errno> {
        write_all(&staged.file, bytes).map_err(errno)
    }

    fn take_over(&mut self, staged: &mut Staged, from: &OwnedFd) -> Result<(), Errno> {
        let stat = fs::fstat(from).map_err(errno)?;
        let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        // The owner first: changing it clears some bits of the mode. The mode last: until then nobody else may read.
        fs::fchown(&staged.file, Some(owner), Some(group)).map_err(errno)?;
        copy_attributes(from, &staged.file)?;
        staged.is_new = false;
        self.set_mode(staged, stat.st_mode & 0o7777)
    }

    fn set_mode(&mut self, staged: &mut Staged, mode: u32) -> Result<(), Errno> {
        fs::fchmod(&staged.file, Mode::from_raw_mode(mode)).map_err(errno)
    }

    fn publish(&mut self, staged: &mut Staged, path: GuestPath<'_>) -> Result<Durability, Errno> {
        if staged.unnamed {
            self.name(staged, path)?;
        }
        sync(&staged.file)?;
        let mut room = NAME_ROOM;
        let name = terminated(path.split().1, &mut room).map_err(errno)?;
        fs::renameat(&staged.directory, staged.name.text(), &staged.directory, name).map_err(errno)?;
        staged.there = false;
        record::done(Done::Published, path.as_str().as_bytes(), 0);
        self.let_others_in(core::mem::take(&mut staged.counted));
        #[cfg(feature = "selinux")]
        if staged.is_new {
            self.label(path);
        }
        Ok(make_durable(&staged.directory))
    }

    fn keep_copy(&mut self, staged: &mut Staged, path: GuestPath<'_>) -> Result<(), Errno> {
        let (mut name, mut mark_name) = (NAME_ROOM, NAME_ROOM);
        let name = terminated(path.split().1, &mut name).map_err(errno)?;
        let (marks, mark) = self.place_of(HALF_WRITTEN, &mut mark_name)?;
        let mut target = [0; LINK_TARGET_MAX + 1];
        let target = terminated(path.as_str(), &mut target).map_err(errno)?;
        let file = open_in(&staged.directory, name, OFlags::WRONLY)?;
        let len = fs::fstat(&staged.file).map_err(errno)?.st_size as u64;
        // Not every file system can say that there is room; one that cannot is asked by writing.
        if let Err(why @ (SystemErrno::NOSPC | SystemErrno::DQUOT)) =
            fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, len)
        {
            return Err(errno(why));
        }
        // A mark without a copy is none; so there must be no older copy when it is made.
        let copy = staged_name(COPY_NUMBER);
        unless_missing(unlink(&staged.directory, copy.text()))?;
        fs::symlinkat(target, &marks, mark).map_err(errno)?;
        let kept = fs::renameat(&staged.directory, staged.name.text(), &staged.directory, copy.text());
        staged.there = kept.is_err();
        let kept = kept.map_err(errno).and_then(|()| sync(&marks)).and_then(|()| sync(&staged.directory));
        kept.inspect_err(|_| {
            // The mark first: without one nothing is written from the copy.
            let _ = unlink(&marks, mark);
            let _ = unlink(&staged.directory, copy.text());
        })
    }

    fn overwrite(&mut self, path: GuestPath<'_>) -> Result<(), Errno> {
        if self.staged == 0 {
            self.keep_others_out(1, OFlags::empty())?;
        }
        self.staged += 1;
        let written = self.write_from_copy(path);
        self.let_others_in(true);
        written
    }

    fn half_written(&mut self) -> Result<Option<LinkTarget>, Errno> {
        let (mut name, mut room) = (NAME_ROOM, [0; LINK_TARGET_MAX]);
        let Some((directory, mark)) = unless_missing(self.place_of(HALF_WRITTEN, &mut name))? else { return Ok(None) };
        let read = fs::readlinkat_raw(&directory, mark, &mut room[..]).map_err(errno);
        let Some(len) = unless_missing(read)? else { return Ok(None) };
        let path = core::str::from_utf8(room.get(..len).unwrap_or_default()).map_err(|_| Errno::ILSEQ)?;
        LinkTarget::try_from(path).map(Some).map_err(|_| Errno::NAMETOOLONG)
    }

    fn remove(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno> {
        let mut room = NAME_ROOM;
        unlink(&self.directory_of(path)?, terminated(name, &mut room).map_err(errno)?)
    }

    fn seal(&mut self, staged: &mut Staged) -> Result<(), Errno> {
        sync(&staged.file)?;
        staged.file = open_in(&staged.directory, staged.name.text(), OFlags::RDONLY)?;
        Ok(())
    }

    fn replace_link(&mut self, path: GuestPath<'_>, name: &str) -> Result<(), Errno> {
        let mut room = NAME_ROOM;
        let directory = self.directory_of(path)?;
        unless_missing(unlink(&directory, terminated(name, &mut room).map_err(errno)?))?;
        self.link(path, name)
    }

    fn replace_with(&mut self, path: GuestPath<'_>, name: &str) -> Result<Durability, Errno> {
        let (mut old, mut new) = (NAME_ROOM, NAME_ROOM);
        let (directory, old) = self.place_of(path, &mut old)?;
        let new = terminated(name, &mut new).map_err(errno)?;
        fs::renameat(&directory, new, &directory, old).map_err(errno)?;
        Ok(make_durable(&directory))
    }

    fn discard(&mut self, staged: &mut Staged) {
        if staged.there {
            // One that cannot be removed is removed by the next who stages, or by the next start.
            let _ = unlink(&staged.directory, staged.name.text());
        }
        self.let_others_in(core::mem::take(&mut staged.counted));
    }

    fn tidy(&mut self, path: GuestPath<'_>, number: u8) -> bool {
        if self.keep_others_out(1, OFlags::empty()).is_err() {
            return false;
        }
        let removed = self.directory_of(path).is_ok_and(|at| unlink(&at, staged_name(number).text()).is_ok());
        self.staged += 1;
        self.let_others_in(true);
        removed
    }

    fn space(&mut self, path: &str) -> Option<(u64, u64)> {
        // What cannot be told is left out of what the toolstack sees.
        let directory = self.follow(path, OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
        let stat = fs::fstatvfs(directory).ok()?;
        Some((stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
    }

    fn lock(&mut self, path: GuestPath<'_>) -> Result<OwnedFd, Errno> {
        let file = self.open_at(path, OFlags::WRONLY | OFlags::CREATE)?;
        for _ in 0..LOCK_TRIES {
            match fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                Err(SystemErrno::AGAIN | SystemErrno::ACCESS) => drop(nanosleep(&LOCK_PAUSE)),
                Err(other) => return Err(errno(other)),
            }
        }
        Err(Errno::AGAIN)
    }
}

/// The extended attribute that is a file's access list (acl(5)).
const ACCESS_LIST: &CStr = c"system.posix_acl_access";
/// These speak of the contents (IMA, EVM), and would be wrong for new ones.
const OF_CONTENTS: [&CStr; 2] = [c"security.ima", c"security.evm"];

/// Removes a new file's access list. It is the one attribute that a file gets from its directory and that can be
/// removed; a label is there on every file or on none.
fn remove_access_list(file: &OwnedFd) -> Result<(), Errno> {
    match fs::fremovexattr(file, ACCESS_LIST) {
        Ok(()) | Err(SystemErrno::NODATA | SystemErrno::NOTSUP) => Ok(()),
        Err(error) => Err(errno(error)),
    }
}

/// Copies extended attributes: access lists, SELinux labels.
fn copy_attributes(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut room = [0; ATTRIBUTES_MAX];
    let len = match fs::flistxattr(from, &mut room[..]) {
        Err(SystemErrno::NOTSUP) => return Ok(()),
        len => len.map_err(errno)?,
    };
    let mut names = room.get(..len).unwrap_or_default();
    while let Ok(name) = CStr::from_bytes_until_nul(names) {
        names = names.get(name.count_bytes() + 1..).unwrap_or_default();
        if OF_CONTENTS.contains(&name) {
            continue;
        }
        let mut value = [0; ATTRIBUTES_MAX];
        let len = fs::fgetxattr(from, name, &mut value[..]).map_err(errno)?;
        fs::fsetxattr(to, name, value.get(..len).unwrap_or_default(), XattrFlags::empty()).map_err(errno)?;
    }
    Ok(())
}
