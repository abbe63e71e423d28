//! Debian's Xen, kernels and toolstack, fetched once and unpacked below the lab folder; nothing is installed.
//!
//! Guarantees: what is unpacked is complete (a stamp is written last, and holds the list of packages it stands for, so
//! a changed list fetches again); a second call costs nothing. Refuses: other sources than Debian's, by [`Apt`].

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use super::apt::Apt;
use super::tools;

/// The two builds of Debian's kernel that guests are started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// linux-image-amd64: the ordinary one.
    Amd64,
    /// linux-image-cloud-amd64: fewer drivers, the one in cloud images.
    Cloud,
}

impl Flavour {
    /// Both of them.
    pub const ALL: [Flavour; 2] = [Flavour::Amd64, Flavour::Cloud];

    /// The name used in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Flavour::Amd64 => "amd64",
            Flavour::Cloud => "cloud",
        }
    }

    fn metapackage(self) -> &'static str {
        match self {
            Flavour::Amd64 => "linux-image-amd64",
            Flavour::Cloud => "linux-image-cloud-amd64",
        }
    }
}

/// The releases of Xen that there are, each with the toolstack and the kernels of the Debian that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Xen {
    /// Debian 12's, with Linux 6.1 in dom0 and in guests.
    V4_17,
    /// Debian 13's, with Linux 6.12.
    V4_20,
}

impl Xen {
    /// All of them.
    pub const ALL: [Xen; 2] = [Xen::V4_17, Xen::V4_20];

    /// Its version, as in the names of packages and files.
    pub fn version(self) -> &'static str {
        match self {
            Xen::V4_17 => "4.17",
            Xen::V4_20 => "4.20",
        }
    }

    /// The code name of its Debian.
    pub fn debian(self) -> &'static str {
        match self {
            Xen::V4_17 => "bookworm",
            Xen::V4_20 => "trixie",
        }
    }

    /// Everything dom0 runs but its busybox, with every shared library of it.
    fn toolstack(self) -> Vec<String> {
        let named = ["xen-hypervisor-VERSION-amd64", "xen-utils-VERSION", "libxenmiscVERSION"];
        let named = named.iter().map(|name| name.replace("VERSION", self.version()));
        named.chain(TOOLSTACK.iter().map(|name| (*name).to_owned())).collect()
    }
}

/// What has the same name with every Xen.
const TOOLSTACK: &[&str] = &[
    "xen-utils-common",
    "xenstore-utils",
    "libxencall1",
    "libxendevicemodel1",
    "libxenevtchn1",
    "libxenforeignmemory1",
    "libxengnttab1",
    "libxenhypfs1",
    "libxenstore4",
    "libxentoolcore1",
    "libxentoollog1",
    "libyajl2",
    "libncurses6",
    "libtinfo6",
    "libuuid1",
    "libnl-3-200",
    "libnl-route-3-200",
    "libzstd1",
    "liblzma5",
    "liblzo2-2",
    "libbz2-1.0",
    "zlib1g",
    "libgcrypt20",
    "libgpg-error0",
    "libc6",
    "libgcc-s1",
];

/// What systemd needs to boot, with ifupdown and logins.
const DEBIAN: &str = "base-files base-passwd bash coreutils dash dbus dbus-bin dbus-daemon dbus-session-bus-common \
    dbus-system-bus-common debianutils findutils grep ifupdown iproute2 kmod libacl1 libapparmor1 libargon2-1 libattr1 libaudit1 \
    libblkid1 libbpf1 libbsd0 libc6 libcap-ng0 libcap2 libcrypt1 libcryptsetup12 libdbus-1-3 libdevmapper1.02.1 libelf1 \
    libexpat1 libfdisk1 libgcc-s1 libgcrypt20 libgmp10 libgpg-error0 libip4tc2 libjson-c5 libkmod2 liblz4-1 liblzma5 \
    libmd0 libmnl0 libmount1 libp11-kit0 libpam0g libpcre2-8-0 libseccomp2 libselinux1 libsmartcols1 libssl3 \
    libsystemd-shared libsystemd0 libtinfo6 libtirpc3 libudev1 libuuid1 libxtables12 libzstd1 login mount libpam-modules sed \
    systemd systemd-sysv udev util-linux zlib1g";
/// What Debian 13 calls by other names than 12, and what it has in packages of its own.
const RENAMED: [&str; 3] = ["libelf1", "libssl3", "libtirpc3"];
const MORE: &str = "libdb5.3t64 liblastlog2-2 libpam-modules-bin login.defs";

/// OpenRC, with the libraries that it needs.
const OPENRC: &str = "libaudit1 libc6 libcap-ng0 libcap2 libeinfo1 libpam0g libpcre2-8-0 librc1 libselinux1 openrc";

/// A DHCP server for dom0, with the libraries that the toolstack does not bring.
const DNSMASQ: &str = "dnsmasq-base libcap2 libdbus-1-3 libgmp10 libhogweed6 libidn2-0 libjansson4 liblz4-1 libmnl0 \
    libnetfilter-conntrack3 libnettle8 libnfnetlink0 libnftables1 libnftnl11 libsystemd0 libunistring2 libxtables12";

/// The unpacked packages of one Xen.
#[derive(Clone, Debug)]
pub struct Packages {
    dir: PathBuf,
}

impl Packages {
    /// Fetches and unpacks what is not there yet.
    pub fn fetch(lab: &Path, xen: Xen) -> Result<Packages> {
        let packages = Packages { dir: lab.join("packages") };
        let (stamp, toolstack) = (packages.stamp(), xen.toolstack());
        let wanted = format!("{}\n{}\n", toolstack.join(" "), Flavour::ALL.map(Flavour::metapackage).join(" "));
        if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
            return Ok(packages);
        }
        if packages.dir.exists() {
            fs::remove_dir_all(&packages.dir).context("cannot remove a half-made package folder")?;
        }
        packages.fill(lab, xen, &toolstack).with_context(|| {
            format!("Xen {} could not be fetched; the test needs a mirror of Debian's {}", xen.version(), xen.debian())
        })?;
        fs::write(&stamp, wanted)?;
        Ok(packages)
    }

    fn fill(&self, lab: &Path, xen: Xen, toolstack: &[String]) -> Result<()> {
        let apt = Apt::release(lab, xen.debian())?;
        let kernels = kernel_packages(&apt, &Flavour::ALL)?;
        let count = toolstack.len() + kernels.len();
        eprintln!("xen-test: fetching {count} packages of Debian's {} (once)", xen.debian());
        unpack(&apt, &self.toolstack(), toolstack)?;
        let mut kernels = Flavour::ALL.iter().zip(kernels);
        kernels.try_for_each(|(flavour, kernel)| unpack(&apt, &self.kernel(*flavour), &[kernel]))
    }

    /// The file that was written last: newer than all of the contents.
    pub fn stamp(&self) -> PathBuf {
        self.dir.join("complete")
    }

    /// The root of Xen and its tools.
    pub fn toolstack(&self) -> PathBuf {
        self.dir.join("toolstack")
    }

    /// The root of one kernel package.
    pub fn kernel(&self, flavour: Flavour) -> PathBuf {
        self.dir.join(flavour.name())
    }
}

/// One kernel's package without any of Xen, unpacked below `dir`: its root. Several tests may ask at once.
pub fn kernel_alone(dir: &Path, flavour: Flavour) -> Result<PathBuf> {
    let names = kernel_packages(&Apt::own(), &[flavour])?;
    once(dir, &names.concat(), |root| unpack(&Apt::own(), root, &names))
}

/// A root with systemd below `dir`, of the Debian that this Xen is from.
pub fn debian(dir: &Path, xen: Xen) -> Result<PathBuf> {
    let mut names = words(DEBIAN);
    match xen {
        Xen::V4_17 => names.push("libdb5.3".into()),
        Xen::V4_20 => {
            names.iter_mut().filter(|name| RENAMED.contains(&name.as_str())).for_each(|name| name.push_str("t64"));
            names.extend(words(MORE));
        }
    }
    once(dir, &format!("debian-{}", xen.debian()), |root| unpack(&Apt::release(dir, xen.debian())?, root, &names))
}

/// A root with OpenRC and nothing else below `dir`, of Debian 12.
pub fn openrc(dir: &Path) -> Result<PathBuf> {
    once(dir, "openrc", |root| unpack(&Apt::release(dir, Xen::V4_17.debian())?, root, &words(OPENRC)))
}

/// dnsmasq below `dir`, for a dom0.
pub fn dnsmasq(dir: &Path) -> Result<PathBuf> {
    once(dir, "dnsmasq", |root| unpack(&Apt::release(dir, Xen::V4_17.debian())?, root, &words(DNSMASQ)))
}

fn words(names: &str) -> Vec<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

/// A folder that is made once and is complete as soon as it has its name.
fn once(dir: &Path, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let root = dir.join(name);
    if !root.exists() {
        fs::create_dir_all(dir)?;
        let half = tempfile::tempdir_in(dir)?;
        make(&half.path().join("root"))?;
        // Who comes second finds a folder that is not empty, and it is as good as this one.
        if let Err(error) = fs::rename(half.path().join("root"), &root)
            && !root.exists()
        {
            return Err(error).with_context(|| format!("cannot keep {}", root.display()));
        }
    }
    Ok(root)
}

/// Fetches packages and unpacks them below `root`, merged (/bin is a link to /usr/bin) as Debian's installers make it.
fn unpack(apt: &Apt, root: &Path, names: &[String]) -> Result<()> {
    let debs = root.with_extension("debs");
    fs::create_dir_all(&debs)?;
    for folder in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(folder))?;
        symlink(Path::new("usr").join(folder), root.join(folder))?;
    }
    tools::run(apt.command("apt-get").arg("download").args(names).current_dir(&debs))?;
    for deb in sorted_files(&debs)? {
        // Unlike `dpkg-deb --extract` this leaves a link to a folder what it is.
        let mut archive = tools::command("dpkg-deb");
        let mut archive = archive.arg("--fsys-tarfile").arg(&deb).stdout(Stdio::piped()).spawn()?;
        let mut tar = tools::command("tar");
        tar.args(["--extract", "--keep-directory-symlink", "--directory"]).arg(root);
        tools::run(tar.stdin(archive.stdout.take().context("a pipe")?))?;
        ensure!(archive.wait()?.success(), "dpkg-deb cannot read {}", deb.display());
    }
    fs::remove_dir_all(&debs)?;
    Ok(())
}

/// The files of a folder, by name.
pub fn sorted_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

/// The versioned packages behind the kernel metapackages; fetches package lists if there are none.
fn kernel_packages(apt: &Apt, flavours: &[Flavour]) -> Result<Vec<String>> {
    let find = || flavours.iter().map(|flavour| kernel_package(apt, *flavour)).collect::<Result<Vec<_>>>();
    find().or_else(|_| {
        tools::run(apt.command("apt-get").args(["update", "-qq"]))
            .context("apt knows no kernel packages, and apt-get update did not help")?;
        find()
    })
}

fn kernel_package(apt: &Apt, flavour: Flavour) -> Result<String> {
    let output = tools::run(apt.command("apt-cache").args(["depends", flavour.metapackage()]))?;
    let text = String::from_utf8_lossy(&output);
    let depends = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    match depends.into_iter().find(|name| name.starts_with("linux-image-")) {
        Some(name) => Ok(name.to_owned()),
        None => bail!("apt-cache names no kernel behind {}", flavour.metapackage()),
    }
}
