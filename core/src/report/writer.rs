//! Writing many keys to xenstore: a refusal is remembered and the rest is written; what cannot go on ends it.

use core::fmt;

use crate::wire::text::Bounded;
use crate::xenstore::{Client, Error, Path, Refusal, Transaction, Transport};

/// Writes keys, inside of a transaction or not. What cannot go on is remembered, and nothing more is written: whoever
/// writes a score of keys need not look after each.
pub(crate) struct KeyWriter<'w, T> {
    pub(crate) client: &'w mut Client<T>,
    transaction: Transaction,
    /// The first refusal.
    pub(crate) refused: Option<Bounded<160>>,
    /// The connection is lost, or the transaction must be repeated.
    pub(crate) failed: Option<Error>,
}

impl<'w, T: Transport> KeyWriter<'w, T> {
    /// Nothing is written yet.
    pub(crate) fn new(client: &'w mut Client<T>) -> KeyWriter<'w, T> {
        KeyWriter { client, transaction: Transaction::NONE, refused: None, failed: None }
    }

    /// A key and its value.
    #[inline(never)]
    pub(crate) fn put(&mut self, path: &str, value: &str) {
        if let (Ok(path), None) = (Path::new(path), &self.failed) {
            let result = self.client.write(self.transaction, path, value.as_bytes());
            self.take(path, result);
        }
    }

    /// The same, put together here.
    #[inline(never)]
    pub(crate) fn put_at(&mut self, path: fmt::Arguments<'_>, value: fmt::Arguments<'_>) {
        let (path, value) = (Bounded::<128>::of(path), Bounded::<256>::of(value));
        self.put(path.as_str(), value.as_str());
    }

    /// A key, and all below it, goes.
    #[inline(never)]
    pub(crate) fn remove(&mut self, path: fmt::Arguments<'_>) {
        let path = Bounded::<128>::of(path);
        if let (Ok(path), None) = (Path::new(path.as_str()), &self.failed) {
            match self.client.rm(self.transaction, path) {
                // There is no directory that it could be in.
                Err(error) if error.is(Refusal::NOENT) => {}
                result => self.take(path, result),
            }
        }
    }

    #[inline(never)]
    fn take(&mut self, path: Path<'_>, result: Result<(), Error>) {
        match result {
            Err(Error::Refused(refusal)) if refusal != Refusal::AGAIN => {
                let text = format_args!("{}: {refusal}", path.as_str());
                self.refused.get_or_insert_with(|| Bounded::of(text));
            }
            result => self.failed = result.err(),
        }
    }

    /// Runs `body` in a transaction of its own; where none can be had, nothing is written.
    #[inline(never)]
    pub(crate) fn in_transaction(&mut self, body: &mut dyn FnMut(&mut KeyWriter<'_, T>)) {
        if self.failed.is_some() {
            return;
        }
        let mut refused = self.refused.take();
        let result = self.client.transaction(|client, transaction| {
            let mut inner = KeyWriter { client, transaction, refused: refused.take(), failed: None };
            body(&mut inner);
            refused = inner.refused;
            inner.failed.map_or(Ok(()), Err)
        });
        self.refused = refused;
        match result {
            Err(Error::Refused(refusal)) => {
                let text = format_args!("a transaction: {refusal}");
                self.refused.get_or_insert_with(|| Bounded::of(text));
            }
            result => self.failed = result.err(),
        }
    }
}
