//! Linux's /dev/xen/xenbus as one open file sees it, strictly.
//!
//! Guarantees: write and read behave as `xenbus_dev_frontend.c` does (facts C6): a buffer of 4096 bytes for header and
//! payload together, one message for each write, WATCH and UNWATCH done by the kernel with a token of its own, some
//! replies made by the kernel itself. Where the kernel leaves something to chance, this does the worst: the header of
//! an event carries the number of the request that is being answered and the id of an open transaction.
//!
//! Whatever a careful client never does is noted in [`Device::violations`], even where the kernel would let it pass.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::daemon::Hub;
use super::outbox::Outbox;
use super::wire::{Errno, HEADER, Packet, announced_len, decode, op, strings};

/// The kernel's buffer for a message, header included.
const BUFFER: usize = 4096;

/// Where the kernel's own request numbers begin, when the caller's are not kept.
const FIRST_FOREIGN_ID: u32 = 66813;

/// Which kernel it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel {
    /// Replies carry the kernel's own number instead of the caller's (4.11 to 4.15).
    pub foreign_req_id: bool,
    /// The replies to WATCH and UNWATCH carry the number 0 (before 4.11).
    pub zero_watch_ack: bool,
}

/// A watch that the kernel holds for the file.
#[derive(Debug)]
struct Adapter {
    /// What the kernel calls it: in Linux, the address of a structure.
    kernel_token: Vec<u8>,
    path: Vec<u8>,
    token: Vec<u8>,
}

/// One open file.
#[derive(Debug)]
pub struct Device {
    hub: Arc<Hub>,
    kernel: Kernel,
    /// Whose kernel this is; the guest's, if nobody says so.
    domid: Option<u32>,
    connection: u64,
    outbox: Arc<Outbox>,
    /// The beginning of a message whose rest was not written yet.
    partial: Vec<u8>,
    /// What read(2) will give.
    replies: VecDeque<u8>,
    /// How many bytes of that are to be read until the last request is answered.
    unread: usize,
    watches: Vec<Adapter>,
    /// The open transactions, each with the suspend generation it began in.
    transactions: BTreeMap<u32, u32>,
    suspends: u32,
    last_token: u64,
    last_foreign_id: u32,
    last_req_id: u32,
    violations: Vec<String>,
}

impl Device {
    /// Opens the device.
    pub(super) fn open(hub: Arc<Hub>, kernel: Kernel, domid: Option<u32>) -> io::Result<Device> {
        let outbox = Arc::new(Outbox::new()?);
        let connection = connect(&hub, &outbox, domid);
        Ok(Device {
            hub,
            kernel,
            domid,
            connection,
            outbox,
            partial: Vec::new(),
            replies: VecDeque::new(),
            unread: 0,
            watches: Vec::new(),
            transactions: BTreeMap::new(),
            suspends: 0,
            last_token: 0xffff_8880_0000_0000,
            last_foreign_id: FIRST_FOREIGN_ID,
            last_req_id: 0,
            violations: Vec::new(),
        })
    }

    /// write(2). A reply is there to be read when this returns, which in Linux it need not be yet.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if self.partial.len() + bytes.len() > BUFFER {
            self.violation(format!("{} bytes do not fit the buffer of 4096", self.partial.len() + bytes.len()));
            self.partial.clear();
            return Err(Errno::Einval);
        }
        self.partial.extend_from_slice(bytes);
        let Some(len) = announced_len(&self.partial) else { return Ok(bytes.len()) };
        if HEADER + len > BUFFER {
            self.violation(format!("a payload of {len} bytes, more than 4080"));
            self.partial.clear();
            return Err(Errno::E2big);
        }
        let Some(request) = decode(&self.partial) else { return Ok(bytes.len()) };
        let trailing = self.partial.len() - HEADER - len;
        if trailing > 0 {
            self.violation(format!("{trailing} bytes behind a {} were discarded", op::name(request.kind)));
        }
        self.partial.clear();
        if self.unread > 0 {
            // Linux sends that from the buffer that this one lies in (facts C6).
            self.violation(format!("a {} before the answer to the request before it was read", op::name(request.kind)));
        }
        self.perform(&request).map(|()| bytes.len())
    }

    /// read(2).
    pub fn read(&mut self, buffer: &mut [u8], nonblocking: bool) -> Result<usize, Errno> {
        if buffer.is_empty() {
            // On an empty queue the kernel waits, on another one it loops for ever.
            self.violation("a read of no bytes".to_owned());
            return Ok(0);
        }
        while !self.readable() {
            if nonblocking {
                return Err(Errno::Eagain);
            }
            self.outbox.wait();
        }
        let len = buffer.len().min(self.replies.len());
        for (slot, byte) in buffer.iter_mut().zip(self.replies.drain(..len)) {
            *slot = byte;
        }
        self.unread = self.unread.saturating_sub(len);
        Ok(len)
    }

    /// Whether poll(2) says POLLIN.
    pub fn readable(&mut self) -> bool {
        self.take_events();
        !self.replies.is_empty()
    }

    /// What the client did that it must not do, in order.
    pub fn violations(&self) -> Vec<String> {
        self.violations.clone()
    }

    /// A suspend and its resume, after a migration perhaps: the kernel connects anew, for whichever domain it is in
    /// now, and registers every watch again, so each fires. Transactions are lost, which their commit will say.
    pub fn resume(&mut self) {
        self.take_events();
        self.hub.lock().disconnect(self.connection);
        self.connection = connect(&self.hub, &self.outbox, self.domid);
        self.suspends += 1;
        let requests: Vec<Vec<u8>> =
            self.watches.iter().map(|watch| pair_payload(&watch.path, &watch.kernel_token)).collect();
        for payload in requests {
            self.kernel_request(op::WATCH, payload);
        }
        self.take_events();
    }

    /// The client closed the file and another one will open it: transactions, watches and replies are gone. The
    /// violations stay.
    pub(super) fn reopen(&mut self) {
        self.hub.lock().disconnect(self.connection);
        self.outbox.clear();
        self.connection = connect(&self.hub, &self.outbox, self.domid);
        self.partial.clear();
        self.replies.clear();
        self.unread = 0;
        self.watches.clear();
        self.transactions.clear();
    }

    /// Whose bell rings when [`Device::readable`] may have become true by what others did.
    pub(super) fn outbox(&self) -> Arc<Outbox> {
        self.outbox.clone()
    }

    /// Answers a request with an ERROR packet, for a client that cannot be given the errno of write(2).
    pub(super) fn refuse(&mut self, request: &Packet, errno: Errno) {
        self.reply(&request.refusal(errno));
    }

    /// Acts on a complete message.
    fn perform(&mut self, request: &Packet) -> Result<(), Errno> {
        self.last_req_id = request.req_id;
        match request.kind {
            op::WATCH | op::UNWATCH => return self.watch(request),
            op::RESET_WATCHES => {
                self.violation("RESET_WATCHES, which takes the kernel's own watches away".to_owned());
            }
            _ => {}
        }
        match self.kernels_answer(request) {
            Some(answer) => self.reply(&answer),
            None => self.pass_on(request),
        }
        Ok(())
    }

    /// What the kernel answers without asking xenstored.
    fn kernels_answer(&mut self, request: &Packet) -> Option<Packet> {
        if request.kind == op::TRANSACTION_START {
            return None;
        }
        if request.tx_id != 0 && !self.transactions.contains_key(&request.tx_id) {
            return Some(request.refusal(Errno::Enoent));
        }
        if request.kind != op::TRANSACTION_END {
            return None;
        }
        let commit = match request.payload.as_slice() {
            b"T\0" => true,
            b"F\0" => false,
            _ => return Some(request.refusal(Errno::Einval)),
        };
        if self.transactions.get(&request.tx_id).is_none_or(|began| *began == self.suspends) {
            return None;
        }
        self.transactions.remove(&request.tx_id);
        let ok = request.reply(op::TRANSACTION_END, b"OK\0".to_vec());
        Some(if commit { request.refusal(Errno::Eagain) } else { ok })
    }

    /// Sends a request to xenstored as it is, and its reply to the client.
    fn pass_on(&mut self, request: &Packet) {
        self.hub.lock().handle(self.connection, request);
        let mut reply = self.take_events().expect("every request is answered");
        match (request.kind, reply.kind) {
            (op::TRANSACTION_START, op::TRANSACTION_START) => {
                let id = strings(&reply.payload)[0];
                let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()).expect("a number");
                self.transactions.insert(id, self.suspends);
            }
            (op::TRANSACTION_END, _) => drop(self.transactions.remove(&request.tx_id)),
            _ => {}
        }
        if self.kernel.foreign_req_id {
            self.last_foreign_id += 1;
            reply.req_id = self.last_foreign_id;
        }
        self.reply(&reply);
    }

    /// WATCH and UNWATCH are the kernel's business; what goes wrong is the errno of write(2).
    fn watch(&mut self, request: &Packet) -> Result<(), Errno> {
        let strings = strings(&request.payload);
        let [path, token, ..] = strings[..] else { return Err(Errno::Eilseq) };
        if request.kind == op::WATCH {
            self.last_token += 0x40;
            let kernel_token = format!("{:X}", self.last_token).into_bytes();
            let payload = pair_payload(path, &kernel_token);
            // Known before it is registered: its first event comes at once.
            self.watches.push(Adapter { kernel_token, path: path.to_vec(), token: token.to_vec() });
            let reply = self.kernel_request(op::WATCH, payload);
            if reply.kind == op::ERROR {
                self.watches.pop();
                return Err(Errno::from_payload(&reply.payload));
            }
        } else if let Some(at) = self.watches.iter().position(|watch| watch.path == path && watch.token == token) {
            let watch = self.watches.remove(at);
            self.kernel_request(op::UNWATCH, pair_payload(&watch.path, &watch.kernel_token));
        }
        let mut reply = request.reply(request.kind, b"OK\0".to_vec());
        if self.kernel.zero_watch_ack {
            reply.req_id = 0;
        }
        self.reply(&reply);
        Ok(())
    }

    /// A request of the kernel's own. Events that wait reach the client before what this leads to, as they can in
    /// Linux.
    fn kernel_request(&mut self, kind: u32, payload: Vec<u8>) -> Packet {
        let request = Packet { kind, req_id: 0, tx_id: 0, payload };
        self.hub.lock().handle(self.connection, &request);
        self.take_events().expect("every request is answered")
    }

    /// Moves the events that wait to the client's queue, and gives back the reply that was among them.
    fn take_events(&mut self) -> Option<Packet> {
        let mut reply = None;
        while let Some(packet) = self.outbox.pop() {
            if packet.kind == op::WATCH_EVENT {
                self.event(&packet);
            } else {
                reply = Some(packet);
            }
        }
        reply
    }

    /// Gives an event its caller's token. One whose watch is gone is dropped, as by the kernel.
    fn event(&mut self, packet: &Packet) {
        let strings = strings(&packet.payload);
        let Some(watch) = self.watches.iter().find(|watch| watch.kernel_token == strings[1]) else { return };
        let payload = pair_payload(strings[0], &watch.token);
        // In Linux these two are whatever was on the stack. This is the most confusing it could have been.
        let tx_id = self.transactions.keys().next().copied().unwrap_or(0x5a5a_5a5a);
        let event = Packet { kind: op::WATCH_EVENT, req_id: self.last_req_id, tx_id, payload };
        self.replies.extend(event.to_bytes());
    }

    fn reply(&mut self, packet: &Packet) {
        self.replies.extend(packet.to_bytes());
        self.unread = self.replies.len();
    }

    fn violation(&mut self, what: String) {
        self.violations.push(what);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.hub.lock().disconnect(self.connection);
    }
}

/// A connection for this domain, or the one that the guest is at present.
fn connect(hub: &Hub, outbox: &Arc<Outbox>, domid: Option<u32>) -> u64 {
    let mut daemon = hub.lock();
    let domid = domid.unwrap_or(daemon.options.domid);
    daemon.connect(domid, outbox.clone())
}

fn pair_payload(first: &[u8], second: &[u8]) -> Vec<u8> {
    [first, b"\0", second, b"\0"].concat()
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
