//! One emulated machine: QEMU with Xen and dom0 in it.
//!
//! Guarantees: the machine is gone when the value is dropped, and when the test itself was killed (the kernel ends it
//! with the thread that started it). The emulated CPU lacks SMAP, XSAVE and AVX on purpose: QEMU 7.2 treats a ring-3
//! iret as a supervisor access under SMAP, and Xen's lazy FPU switching loses AVX state there. More than one virtual
//! CPU makes everything slower.

use std::fs::File;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::images::Disk;
use super::lab::Lab;
use super::packages::Flavour;
use super::tools;

const CPU: &str = "max,-smap,-xsave,-avx,-avx2,-f16c,-fma,-xsaveopt,-xsavec,-xsaves";
const DOM0_MEMORY: u32 = 768;
const XEN_MEMORY: u32 = 256;
/// How long QEMU may take to open its end of the channel.
const QEMU_START: Duration = Duration::from_secs(300);

/// What a machine has for guests.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The disks that dom0 has, /dev/vda and on.
    pub disks: &'static [Disk],
    /// Memory for all guests together, in MB.
    pub memory: u32,
}

/// A running QEMU.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
}

impl Machine {
    /// Starts Xen and dom0; what they print goes to `out`/dom0.log, and `out` is dom0's /out.
    ///
    /// Disks begin as they were made, and keep what is written as long as the machine runs.
    pub fn boot(lab: &Lab, out: &Path, size: Size) -> Result<(Machine, UnixStream)> {
        let socket_dir = tempfile::tempdir()?;
        let socket = socket_dir.path().join("channel");
        let listener = UnixListener::bind(&socket)?;
        let mut command = tools::command("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(tools::find("qemu-system-x86_64").context("there is no QEMU")?);
        arguments(&mut command, lab, out, &socket, size.memory)?;
        for disk in size.disks {
            let file = disk.file();
            command.arg("-drive").arg(format!("file={file},if=virtio,format=raw,cache=unsafe,snapshot=on"));
        }
        let log = File::create(out.join("qemu.log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let qemu = command.spawn().context("cannot start qemu-system-x86_64")?;
        let mut machine = Machine { qemu };
        let stream = machine.accept(&listener).with_context(|| {
            let said = std::fs::read_to_string(out.join("qemu.log")).unwrap_or_default();
            format!("QEMU did not start: {}", tools::last_lines(&said, 5))
        })?;
        Ok((machine, stream))
    }

    fn accept(&mut self, listener: &UnixListener) -> Result<UnixStream> {
        listener.set_nonblocking(true)?;
        let start = Instant::now();
        while start.elapsed() < QEMU_START {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(stream);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = self.qemu.try_wait()? {
                bail!("it ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("it never opened the channel")
    }
}

impl Machine {
    /// Switches it off.
    pub fn end(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}

/// File names are relative to the lab folder: QEMU gives blanks and commas in them a meaning.
fn arguments(command: &mut Command, lab: &Lab, out: &Path, socket: &Path, guests: u32) -> Result<()> {
    let out = out.strip_prefix(lab.dir()).context("the output folder is not in the lab folder")?.display();
    let memory = DOM0_MEMORY + guests + XEN_MEMORY;
    let xen = format!(
        "console=com1 com1=115200,8n1 dom0_mem={DOM0_MEMORY}M,max:{DOM0_MEMORY}M dom0_max_vcpus=1 loglvl=info \
         guest_loglvl=info smap=0 spec-ctrl=eager-fpu"
    );
    let kernel = lab.kernel_name(Flavour::Amd64);
    let dom0 = format!("{kernel} console=hvc0 panic=-1 quiet loglevel=4 mitigations=off,dom0.cpio");
    command.current_dir(lab.dir());
    command.args(["-machine", "pc", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", CPU, "-smp", "1"]);
    command.args(["-nic", "none", "-display", "none", "-vga", "none", "-monitor", "none", "-no-reboot"]);
    command.arg("-m").arg(memory.to_string());
    command.arg("-serial").arg(format!("file:{out}/dom0.log"));
    for (id, path, mode) in [("out", out.to_string(), ""), ("lab", ".".to_owned(), ",readonly=on")] {
        command.arg("-fsdev").arg(format!("local,id={id},path={path},security_model=none{mode}"));
        command.arg("-device").arg(format!("virtio-9p-pci,fsdev={id},mount_tag={id}"));
    }
    command.arg("-chardev").arg(format!("socket,id=channel,path={}", socket.display()));
    command.args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=channel,name=channel"]);
    command.args(["-kernel", "xen", "-append", &xen, "-initrd", &dom0]);
    Ok(())
}
