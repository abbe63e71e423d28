//! Places for what is large: memory of their own, so that no frame of the stack is.
//!
//! A frame of more than a page is touched page by page when it is entered, used or not; of a place only those pages
//! take memory that something is written to. What lies there stays there: neither a forked child has it, so that keys
//! and requests are in no process that does something else, nor a dump, nor the swap.
//!
//! # Invariants
//! A [`Filled`] is the only access to the value in its [`Place`], and drops it.

use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::null_mut;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MlockFlags, ProtFlags, madvise, mlock_with, mmap_anonymous};

/// A place for one value at a time, for as long as the process runs.
pub(crate) struct Place<'p, T>(&'p mut MaybeUninit<T>);

impl<T> Place<'_, T> {
    /// Makes one: an anonymous mapping, which is never given back.
    pub(crate) fn new() -> Result<Self, Errno> {
        const { assert!(align_of::<T>() <= 4096, "a mapping begins with a page") };
        let len = size_of::<T>();
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of anybody's.
        let start = unsafe { mmap_anonymous(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }?;
        // A forked child finds zeros there: it has no business there, as what it does for its parent it does with what
        // is on its stack, and it ends without coming back. Neither a dump nor the swap has what lies there. Each is
        // as the kernel, or the limit of locked memory, lets it.
        for advice in [Advice::LinuxWipeOnFork, Advice::LinuxDontDump] {
            // SAFETY: advice about the new mapping alone.
            let _ = unsafe { madvise(start, len, advice) };
        }
        // SAFETY: as above. Pages are locked when they are written to, and take no memory before.
        let _ = unsafe { mlock_with(start, len, MlockFlags::ONFAULT) };
        // SAFETY: the mapping is large enough and aligned (above), is never unmapped, and nobody else knows where it
        // is. Any bytes are a valid `MaybeUninit`.
        Ok(Place(unsafe { &mut *start.cast() }))
    }

    /// Puts a value there, without a copy on the stack on its way: whatever makes it is inlined here.
    #[inline(always)]
    pub(crate) fn fill(&mut self, value: T) -> Filled<'_, T> {
        self.0.write(value);
        Filled(self.0)
    }
}

impl<T> Place<'static, T> {
    /// A place that is made for this value and has it for good. It is made there: a value that came as one would have
    /// been on the stack before.
    #[inline(always)]
    pub(crate) fn holding(make: impl FnOnce() -> T) -> Result<Filled<'static, T>, Errno> {
        let place = Place::new()?;
        place.0.write(make());
        Ok(Filled(place.0))
    }
}

impl<const N: usize> Place<'_, [u8; N]> {
    /// A place for bytes, filled with zeros; none of them takes memory yet.
    pub(crate) fn zeros() -> Result<Filled<'static, [u8; N]>, Errno> {
        // A new mapping holds zeros.
        Place::new().map(|place| Filled(place.0))
    }
}

/// A value in its place.
pub(crate) struct Filled<'f, T>(&'f mut MaybeUninit<T>);

impl<T> Deref for Filled<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `fill` has written the value, or it is bytes, of which a new mapping holds zeros (`zeros`); it is
        // dropped with `self` at the earliest.
        unsafe { self.0.assume_init_ref() }
    }
}

impl<T> DerefMut for Filled<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { self.0.assume_init_mut() }
    }
}

impl<T> Drop for Filled<'_, T> {
    fn drop(&mut self) {
        // SAFETY: as in `deref`; nobody uses the value afterwards.
        unsafe { self.0.assume_init_drop() }
    }
}
