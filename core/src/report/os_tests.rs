//! Release files of distributions, as they are in their images, and what XenServer's tools make of them.

use super::*;
use crate::test_platform::FakePlatform;
use proptest::prelude::{any, prop, prop_assert, proptest};

/// `file`, what is in it (lines separated by `|`), then name, distro, major and minor version.
type Row = (&'static str, &'static str, [&'static str; 4]);

const OS: &str = "/etc/os-release";

const TABLE: &[Row] = &[
    (
        OS,
        concat!(
            r#"PRETTY_NAME="Ubuntu 16.04.7 LTS"|NAME="Ubuntu"|VERSION="16.04.7 LTS (Xenial Xerus)"|ID=ubuntu|"#,
            r#"ID_LIKE=debian|VERSION_ID="16.04""#
        ),
        ["Ubuntu 16.04.7 LTS", "ubuntu", "16", "04"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Ubuntu"|VERSION="18.04.6 LTS (Bionic Beaver)"|ID=ubuntu|ID_LIKE=debian|"#,
            r#"PRETTY_NAME="Ubuntu 18.04.6 LTS"|VERSION_ID="18.04""#
        ),
        ["Ubuntu 18.04.6 LTS", "ubuntu", "18", "04"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Ubuntu"|VERSION="20.04.6 LTS (Focal Fossa)"|ID=ubuntu|PRETTY_NAME="Ubuntu 20.04.6 LTS"|"#,
            r#"VERSION_ID="20.04""#
        ),
        ["Ubuntu 20.04.6 LTS", "ubuntu", "20", "04"],
    ),
    (
        OS,
        concat!(
            r#"PRETTY_NAME="Ubuntu 22.04.3 LTS"|NAME="Ubuntu"|VERSION_ID="22.04"|"#,
            r#"VERSION="22.04.3 LTS (Jammy Jellyfish)"|ID=ubuntu"#
        ),
        ["Ubuntu 22.04.3 LTS", "ubuntu", "22", "04"],
    ),
    (
        OS,
        r#"PRETTY_NAME="Ubuntu 24.04 LTS"|NAME="Ubuntu"|VERSION_ID="24.04"|ID=ubuntu"#,
        ["Ubuntu 24.04 LTS", "ubuntu", "24", "04"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Linux Mint"|VERSION="21.2 (Victoria)"|ID=linuxmint|ID_LIKE="ubuntu debian"|"#,
            r#"PRETTY_NAME="Linux Mint 21.2"|VERSION_ID="21.2""#
        ),
        ["Linux Mint 21.2", "linuxmint", "21", "2"],
    ),
    (
        OS,
        concat!(
            r#"PRETTY_NAME="Kali GNU/Linux Rolling"|NAME="Kali GNU/Linux"|VERSION_ID="2023.4"|VERSION="2023.4"|"#,
            r#"ID=kali|ID_LIKE=debian"#
        ),
        ["Kali GNU/Linux Rolling", "kali", "2023", "4"],
    ),
    (
        OS,
        concat!(
            r#"PRETTY_NAME="Raspbian GNU/Linux 11 (bullseye)"|NAME="Raspbian GNU/Linux"|VERSION_ID="11"|ID=raspbian|"#,
            r#"ID_LIKE=debian"#
        ),
        ["Raspbian GNU/Linux 11 (bullseye)", "raspbian", "11", "unknown"],
    ),
    (
        OS,
        concat!(
            r#"PRETTY_NAME="Devuan GNU/Linux 5 (daedalus)"|NAME="Devuan GNU/Linux"|VERSION_ID="5"|ID=devuan|"#,
            r#"ID_LIKE=debian"#
        ),
        ["Devuan GNU/Linux 5 (daedalus)", "devuan", "5", "unknown"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Red Hat Enterprise Linux"|VERSION="9.3 (Plow)"|ID="rhel"|ID_LIKE="fedora"|VERSION_ID="9.3"|"#,
            r#"PLATFORM_ID="platform:el9"|PRETTY_NAME="Red Hat Enterprise Linux 9.3 (Plow)""#
        ),
        ["Red Hat Enterprise Linux 9.3 (Plow)", "rhel", "9", "3"],
    ),
    (
        OS,
        concat!(
            r#"NAME="CentOS Stream"|VERSION="9"|ID="centos"|ID_LIKE="rhel fedora"|VERSION_ID="9"|"#,
            r#"PRETTY_NAME="CentOS Stream 9""#
        ),
        ["CentOS Stream 9", "centos", "9", "unknown"],
    ),
    (
        OS,
        concat!(
            r#"NAME="AlmaLinux"|VERSION="9.3 (Shamrock Pampas Cat)"|ID="almalinux"|VERSION_ID="9.3"|"#,
            r#"PRETTY_NAME="AlmaLinux 9.3 (Shamrock Pampas Cat)""#
        ),
        ["AlmaLinux 9.3 (Shamrock Pampas Cat)", "almalinux", "9", "3"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Rocky Linux"|VERSION="9.3 (Blue Onyx)"|ID="rocky"|VERSION_ID="9.3"|"#,
            r#"PRETTY_NAME="Rocky Linux 9.3 (Blue Onyx)""#
        ),
        ["Rocky Linux 9.3 (Blue Onyx)", "rocky", "9", "3"],
    ),
    (
        OS,
        r#"NAME="Oracle Linux Server"|VERSION="8.9"|ID="ol"|VERSION_ID="8.9"|PRETTY_NAME="Oracle Linux Server 8.9""#,
        ["Oracle Linux Server 8.9", "ol", "8", "9"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Fedora Linux"|VERSION="39 (Server Edition)"|ID=fedora|VERSION_ID=39|"#,
            r#"PRETTY_NAME="Fedora Linux 39 (Server Edition)""#
        ),
        ["Fedora Linux 39 (Server Edition)", "fedora", "39", "unknown"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Fedora Linux"|VERSION="39.20231101.3.0 (CoreOS)"|ID=fedora|VERSION_ID=39|"#,
            r#"PRETTY_NAME="Fedora CoreOS 39.20231101.3.0"|VARIANT_ID=coreos"#
        ),
        ["Fedora CoreOS 39.20231101.3.0", "fedora", "39", "unknown"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Amazon Linux"|VERSION="2"|ID="amzn"|ID_LIKE="centos rhel fedora"|VERSION_ID="2"|"#,
            r#"PRETTY_NAME="Amazon Linux 2""#
        ),
        ["Amazon Linux 2", "amzn", "2", "unknown"],
    ),
    (
        OS,
        r#"NAME="Amazon Linux"|VERSION="2023"|ID="amzn"|VERSION_ID="2023"|PRETTY_NAME="Amazon Linux 2023""#,
        ["Amazon Linux 2023", "amzn", "2023", "unknown"],
    ),
    (
        OS,
        concat!(
            r#"NAME="CloudLinux"|VERSION="8.8 (Anatoly Filipchenko)"|ID="cloudlinux"|VERSION_ID="8.8"|"#,
            r#"PRETTY_NAME="CloudLinux 8.8 (Anatoly Filipchenko)""#
        ),
        ["CloudLinux 8.8 (Anatoly Filipchenko)", "cloudlinux", "8", "8"],
    ),
    (
        OS,
        concat!(
            r#"NAME="XCP-ng"|VERSION="8.2.1"|ID="xenenterprise"|ID_LIKE="centos rhel fedora"|VERSION_ID="8.2.1"|"#,
            r#"PRETTY_NAME="XCP-ng 8.2.1""#
        ),
        ["XCP-ng 8.2.1", "xenenterprise", "8", "2"],
    ),
    (
        OS,
        r#"NAME="XenServer"|VERSION="8"|ID="xenserver"|VERSION_ID="8.4.0"|PRETTY_NAME="XenServer 8""#,
        ["XenServer 8", "xenserver", "8", "4"],
    ),
    (
        OS,
        concat!(
            r#"NAME="openSUSE Leap"|VERSION="15.5"|ID="opensuse-leap"|ID_LIKE="suse opensuse"|VERSION_ID="15.5"|"#,
            r#"PRETTY_NAME="openSUSE Leap 15.5""#
        ),
        ["openSUSE Leap 15.5", "opensuse-leap", "15", "5"],
    ),
    (
        OS,
        concat!(
            r#"NAME="openSUSE Tumbleweed"|# VERSION="20231120"|ID="opensuse-tumbleweed"|ID_LIKE="opensuse suse"|"#,
            r#"VERSION_ID="20231120"|PRETTY_NAME="openSUSE Tumbleweed""#
        ),
        ["openSUSE Tumbleweed", "opensuse-tumbleweed", "20231120", "unknown"],
    ),
    (
        OS,
        r#"NAME="openSUSE MicroOS"|ID="opensuse-microos"|VERSION_ID="20231120"|PRETTY_NAME="openSUSE MicroOS""#,
        ["openSUSE MicroOS", "opensuse-microos", "20231120", "unknown"],
    ),
    (
        OS,
        concat!(
            r#"NAME="SLES"|VERSION="15-SP5"|VERSION_ID="15.5"|PRETTY_NAME="SUSE Linux Enterprise Server 15 SP5"|"#,
            r#"ID="sles"|ID_LIKE="suse""#
        ),
        ["SUSE Linux Enterprise Server 15 SP5", "sles", "15", "5"],
    ),
    (
        OS,
        r#"NAME="SLES"|VERSION="15"|VERSION_ID="15"|PRETTY_NAME="SUSE Linux Enterprise Server 15"|ID="sles""#,
        ["SUSE Linux Enterprise Server 15", "sles", "15", "0"],
    ),
    (
        OS,
        r#"NAME="SLES"|VERSION="12-SP5"|VERSION_ID="12.5"|PRETTY_NAME="SUSE Linux Enterprise Server 12 SP5"|ID="sles""#,
        ["SUSE Linux Enterprise Server 12 SP5", "sles", "12", "5"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Alpine Linux"|ID=alpine|VERSION_ID=3.18.4|PRETTY_NAME="Alpine Linux v3.18"|"#,
            r#"HOME_URL="https://alpinelinux.org/""#
        ),
        ["Alpine Linux v3.18", "alpine", "3", "18"],
    ),
    (
        OS,
        r#"NAME="Alpine Linux"|ID=alpine|VERSION_ID=3.20_alpha20231219|PRETTY_NAME="Alpine Linux edge""#,
        ["Alpine Linux edge", "alpine", "3", "20"],
    ),
    (
        OS,
        r#"NAME="Arch Linux"|PRETTY_NAME="Arch Linux"|ID=arch|BUILD_ID=rolling"#,
        ["Arch Linux", "arch", "unknown", "unknown"],
    ),
    (
        OS,
        r#"NAME="Manjaro Linux"|PRETTY_NAME="Manjaro Linux"|ID=manjaro|ID_LIKE=arch"#,
        ["Manjaro Linux", "manjaro", "unknown", "unknown"],
    ),
    (
        OS,
        r#"NAME=Gentoo|ID=gentoo|PRETTY_NAME="Gentoo Linux"|VERSION_ID="2.14""#,
        ["Gentoo Linux", "gentoo", "2", "14"],
    ),
    (OS, r#"NAME="void"|ID="void"|PRETTY_NAME="void""#, ["void", "void", "unknown", "unknown"]),
    (
        OS,
        r#"BUG_REPORT_URL="x"|ID=nixos|NAME=NixOS|PRETTY_NAME="NixOS 23.11 (Tapir)"|VERSION_ID="23.11""#,
        ["NixOS 23.11 (Tapir)", "nixos", "23", "11"],
    ),
    (
        OS,
        r#"NAME="Talos"|ID=talos|VERSION_ID=v1.6.0|PRETTY_NAME="Talos (v1.6.0)""#,
        ["Talos (v1.6.0)", "talos", "1", "6"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Flatcar Container Linux by Kinvolk"|ID=flatcar|ID_LIKE=coreos|VERSION=3602.2.3|"#,
            r#"VERSION_ID=3602.2.3|PRETTY_NAME="Flatcar Container Linux by Kinvolk 3602.2.3 (Oklo)""#
        ),
        ["Flatcar Container Linux by Kinvolk 3602.2.3 (Oklo)", "flatcar", "3602", "2"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Clear Linux OS"|VERSION=1|ID=clear-linux-os|ID_LIKE=clear-linux-os|VERSION_ID=40580|"#,
            r#"PRETTY_NAME="Clear Linux OS""#
        ),
        ["Clear Linux OS", "clear-linux-os", "40580", "unknown"],
    ),
    (
        OS,
        r#"NAME="VMware Photon OS"|VERSION="5.0"|ID=photon|VERSION_ID=5.0|PRETTY_NAME="VMware Photon OS/Linux""#,
        ["VMware Photon OS/Linux", "photon", "5", "0"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Common Base Linux Mariner"|VERSION="2.0.20231130"|ID=mariner|VERSION_ID="2.0"|"#,
            r#"PRETTY_NAME="CBL-Mariner/Linux""#
        ),
        ["CBL-Mariner/Linux", "mariner", "2", "0"],
    ),
    (
        OS,
        concat!(
            r#"NAME="Microsoft Azure Linux"|VERSION="3.0.20240727"|ID=azurelinux|VERSION_ID="3.0"|"#,
            r#"PRETTY_NAME="Microsoft Azure Linux 3.0""#
        ),
        ["Microsoft Azure Linux 3.0", "azurelinux", "3", "0"],
    ),
    (
        OS,
        r#"NAME=Slackware|VERSION="15.0"|ID=slackware|VERSION_ID=15.0|PRETTY_NAME="Slackware 15.0 x86_64""#,
        ["Slackware 15.0 x86_64", "slackware", "15", "0"],
    ),
    (
        OS,
        r#"NAME="Mageia"|VERSION="9"|ID=mageia|VERSION_ID=9|ID_LIKE="mandriva fedora mandrake"|PRETTY_NAME="Mageia 9""#,
        ["Mageia 9", "mageia", "9", "unknown"],
    ),
    (
        OS,
        r#"NAME=Buildroot|VERSION=2023.02|ID=buildroot|VERSION_ID=2023.02|PRETTY_NAME="Buildroot 2023.02""#,
        ["Buildroot 2023.02", "buildroot", "2023", "02"],
    ),
    (
        OS,
        r#"NAME="Home Assistant OS"|VERSION="11.2 (OVA)"|ID=haos|VERSION_ID=11.2|PRETTY_NAME="Home Assistant OS 11.2""#,
        ["Home Assistant OS 11.2", "haos", "11", "2"],
    ),
    (
        OS,
        concat!(
            r#"NAME=Bottlerocket|ID=bottlerocket|VERSION="1.16.1 (aws-k8s-1.28)"|"#,
            r#"PRETTY_NAME="Bottlerocket OS 1.16.1 (aws-k8s-1.28)"|VERSION_ID=1.16.1"#
        ),
        ["Bottlerocket OS 1.16.1 (aws-k8s-1.28)", "bottlerocket", "1", "16"],
    ),
    (
        OS,
        concat!(
            r#"NAME="OpenWrt"|VERSION="23.05.2"|ID="openwrt"|ID_LIKE="lede openwrt"|PRETTY_NAME="OpenWrt 23.05.2"|"#,
            r#"VERSION_ID="23.05.2""#
        ),
        ["OpenWrt 23.05.2", "openwrt", "23", "05"],
    ),
    (
        OS,
        r#"NAME="Wolfi"|ID=wolfi|PRETTY_NAME="Wolfi"|VERSION_ID="20230201""#,
        ["Wolfi", "wolfi", "20230201", "unknown"],
    ),
    // Debian's file says only half of it.
    ("/etc/debian_version", "9.13", ["Debian 9.13", "debian", "9", "13"]),
    ("/etc/debian_version", "10.13", ["Debian 10.13", "debian", "10", "13"]),
    ("/etc/debian_version", "11.8", ["Debian 11.8", "debian", "11", "8"]),
    ("/etc/debian_version", "12.5", ["Debian 12.5", "debian", "12", "5"]),
    ("/etc/debian_version", "trixie/sid", ["Debian trixie/sid", "debian", "unknown", "unknown"]),
    (
        "/etc/redhat-release",
        "Red Hat Enterprise Linux AS release 3 (Taroon Update 6)",
        ["Red Hat Enterprise Linux AS release 3 (Taroon Update 6)", "rhel", "3", "6"],
    ),
    (
        "/etc/redhat-release",
        "Red Hat Enterprise Linux AS release 4 (Nahant)",
        ["Red Hat Enterprise Linux AS release 4 (Nahant)", "rhel", "4", "0"],
    ),
    (
        "/etc/redhat-release",
        "Red Hat Enterprise Linux Server release 6.5 (Santiago)",
        ["Red Hat Enterprise Linux Server release 6.5 (Santiago)", "rhel", "6", "5"],
    ),
    (
        "/etc/centos-release",
        "CentOS Linux release 7.9.2009 (Core)",
        ["CentOS Linux release 7.9.2009 (Core)", "centos", "7", "9"],
    ),
    ("/etc/centos-release", "CentOS release 5 (Final)", ["CentOS release 5 (Final)", "centos", "5", "0"]),
    ("/etc/centos-release", "CentOS Stream release 8", ["CentOS Stream release 8", "centos", "8", "0"]),
    (
        "/etc/rocky-release",
        "Rocky Linux release 8.9 (Green Obsidian)",
        ["Rocky Linux release 8.9 (Green Obsidian)", "rocky", "8", "9"],
    ),
    (
        "/etc/almalinux-release",
        "AlmaLinux release 8.9 (Midnight Oncilla)",
        ["AlmaLinux release 8.9 (Midnight Oncilla)", "almalinux", "8", "9"],
    ),
    ("/etc/oracle-release", "Oracle Linux Server release 7.9", ["Oracle Linux Server release 7.9", "oracle", "7", "9"]),
    (
        "/etc/enterprise-release",
        "Enterprise Linux Enterprise Linux Server release 5.5 (Carthage)",
        ["Enterprise Linux Enterprise Linux Server release 5.5 (Carthage)", "oracle", "5", "5"],
    ),
    (
        "/etc/redhat-release",
        "Scientific Linux release 6.5 (Carbon)",
        ["Scientific Linux release 6.5 (Carbon)", "scientific", "6", "5"],
    ),
    (
        "/etc/redhat-release",
        "Fedora Core release 3 (Heidelberg)",
        ["Fedora Core release 3 (Heidelberg)", "fedora", "3", "0"],
    ),
    (
        "/etc/SuSE-release",
        "SUSE LINUX Enterprise Server 9 (i586)|VERSION = 9|PATCHLEVEL = 3",
        ["SUSE LINUX Enterprise Server 9", "sles", "9", "3"],
    ),
    (
        "/etc/SuSE-release",
        "SUSE Linux Enterprise Server 11 (x86_64)|VERSION = 11",
        ["SUSE Linux Enterprise Server 11", "sles", "11", "0"],
    ),
    (
        "/etc/lsb-release",
        r#"DISTRIB_ID=Ubuntu|DISTRIB_RELEASE=10.04|DISTRIB_CODENAME=lucid|DISTRIB_DESCRIPTION="Ubuntu 10.04.4 LTS""#,
        ["Ubuntu 10.04.4 LTS", "ubuntu", "10", "04"],
    ),
    // What os-release(5) says of what is missing, and a version as programs have theirs.
    (OS, r#"NAME="Tiny"|VERSION="1.2 (Thumb)"|ID=tiny|VERSION_ID=1.2"#, ["Tiny 1.2 (Thumb)", "tiny", "1", "2"]),
    (OS, "NAME=Tiny|VERSION_ID=1.2", ["Tiny 1.2", "linux", "1", "2"]),
    (OS, "NAME=Tiny", ["Tiny", "linux", "unknown", "unknown"]),
    (OS, "ID=tiny", ["Linux", "tiny", "unknown", "unknown"]),
    (OS, "PRETTY_NAME=Tiny", ["Tiny", "linux", "unknown", "unknown"]),
    (
        OS,
        r#"NAME="SLED"|VERSION="15"|VERSION_ID="15"|PRETTY_NAME="SUSE Linux Enterprise Desktop 15"|ID="sled""#,
        ["SUSE Linux Enterprise Desktop 15", "sled", "15", "0"],
    ),
    // What XenServer's script knows besides.
    ("/etc/asianux-release", "Asianux Server 4.5 (Final)", ["Asianux Server 4.5 (Final)", "asianux", "4", "5"]),
    ("/etc/asianux-release", "Asianux Server 4 (Hiranya SP2)", ["Asianux Server 4 (Hiranya SP2)", "asianux", "4", "2"]),
    (
        "/etc/turbo-release",
        "GreatTurbo Enterprise Server release 12.2 (Theseus)",
        ["GreatTurbo Enterprise Server release 12.2 (Theseus)", "turbo", "12", "2"],
    ),
    (
        "/etc/neokylin-release",
        "NeoKylin Linux Security OS V5.0 (Update8)",
        ["NeoKylin Linux Security OS V5.0 (Update8)", "neokylin", "5", "0"],
    ),
    (
        "/etc/neokylin-release",
        "Neokylin Linux Security OS Server release V5 (Santiago)",
        ["Neokylin Linux Security OS Server release V5 (Santiago)", "neokylin", "5", "0"],
    ),
    ("/etc/kylin-build", "Kylin 4.0", ["Yinhe Kylin Linux 4.0", "yinhe", "4", "0"]),
    ("/etc/linx-release", "6.0.60.4", ["Linx Linux 6.0", "linx", "6", "0"]),
    ("/etc/linx-release", "6.0.80", ["Linx Linux 8.0", "linx", "8", "0"]),
    (
        "/etc/lsb-release",
        r#"DISTRIB_ID=Gooroom|DISTRIB_RELEASE=2.0|DISTRIB_DESCRIPTION="Gooroom Platform 2.0""#,
        ["Gooroom Platform 2.0", "gooroom", "2", "0"],
    ),
    (
        "/etc/redhat-release",
        "Rio DDK release 0.5.6-2991c (xenenterprise)",
        ["Rio DDK release 0.5.6-2991c (xenenterprise)", "xe-ddk", "0.5.6", "2991c"],
    ),
    (
        "/etc/redhat-release",
        "Rio SDK release 0.5.6 (xenenterprise)",
        ["Rio SDK release 0.5.6 (xenenterprise)", "xe-sdk", "0.5.6", "0"],
    ),
    (
        "/etc/redhat-release",
        "Red Hat Enterprise Linux Server release 4.92 (Tikanga)",
        ["Red Hat Enterprise Linux Server release 4.92 (Tikanga)", "rhel", "5", "0beta"],
    ),
    (
        "/etc/redhat-release",
        "Red Hat Enterprise Linux Server release 5.1 Beta (Tikanga)",
        ["Red Hat Enterprise Linux Server release 5.1 Beta (Tikanga)", "rhel", "5", "1beta"],
    ),
    (
        "/etc/redhat-release",
        "Red Hat Enterprise Linux AS release 4 (Nahant Update 3)",
        ["Red Hat Enterprise Linux AS release 4 (Nahant Update 3)", "rhel", "4", "3"],
    ),
    (
        "/etc/redhat-release",
        "Scientific Linux SL release 5.4 (Boron)",
        ["Scientific Linux SL release 5.4 (Boron)", "scientific", "5", "4"],
    ),
    ("/etc/alpine-release", "3.4.6", ["Alpine 3.4.6", "alpine", "3", "4"]),
    ("/etc/gentoo-release", "Gentoo Base System release 2.2", ["Gentoo Base System release 2.2", "gentoo", "2", "2"]),
    ("/etc/slackware-version", "Slackware 14.2", ["Slackware 14.2", "slackware", "14", "2"]),
];

/// As the agent asks: the files of a guest, each in its turn.
fn found(files: &[(&str, &str)]) -> Option<[String; 4]> {
    let os = OperatingSystem::find(&mut FakePlatform::with(files))?;
    Some([os.name.as_str(), os.distro.as_str(), os.major.as_str(), os.minor.as_str()].map(str::to_owned))
}

type String = std::string::String;

#[test]
fn every_distribution_is_what_it_says() {
    for (file, text, expected) in TABLE {
        let text = text.replace('|', "\n") + "\n";
        assert_eq!(found(&[(file, &text)]), Some(expected.map(str::to_owned)), "{text}");
        let dos = text.replace('\n', "\r\n");
        assert_eq!(found(&[(file, &dos)]), Some(expected.map(str::to_owned)), "{dos:?}");
    }
    assert!(TABLE.iter().filter(|row| row.0 == OS).count() >= 40 && TABLE.len() >= 60);
}

#[test]
fn of_several_files_the_one_that_knows_best_counts() {
    let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";
    let both = found(&[("/etc/os-release", debian), ("/etc/debian_version", "12.5\n")]).unwrap();
    assert_eq!(both, ["Debian 12.5", "debian", "12", "5"]);
    let alone = found(&[("/etc/os-release", debian)]).unwrap();
    assert_eq!(alone, ["Debian GNU/Linux 12 (bookworm)", "debian", "12", "unknown"]);
    // Relatives of Debian have its file, too.
    let ubuntu = "PRETTY_NAME=\"Ubuntu 22.04.3 LTS\"\nID=ubuntu\nVERSION_ID=\"22.04\"\n";
    let both = found(&[("/etc/os-release", ubuntu), ("/etc/debian_version", "bookworm/sid\n")]).unwrap();
    assert_eq!(both[1], "ubuntu");
    // os-release of CentOS 7 has no minor version.
    let centos = "ID=\"centos\"\nVERSION_ID=\"7\"\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"\n";
    let both = found(&[("/etc/os-release", centos), ("/etc/centos-release", "CentOS Linux release 7.9.2009 (Core)\n")]);
    assert_eq!(both.unwrap()[2..], ["7", "9"]);
    // A child of Debian's that counts as it does; one that does not.
    let child = "PRETTY_NAME=\"Raspbian GNU/Linux 11 (bullseye)\"\nID=raspbian\nID_LIKE=debian\nVERSION_ID=\"11\"\n";
    assert_eq!(found(&[(OS, child), ("/etc/debian_version", "11.8\n")]).unwrap()[1..], ["raspbian", "11", "8"]);
    for other in ["12.1\n", "11\n", "bullseye/sid\n", ""] {
        assert_eq!(found(&[(OS, child), ("/etc/debian_version", other)]).unwrap()[3], "unknown");
    }
    // What is told by a file of Red Hat's, and is not.
    let coreos = "ID=\"rhcos\"\nVERSION_ID=\"4.12\"\nPRETTY_NAME=\"RHCOS 412.86\"\n";
    let release = ("/etc/redhat-release", "Red Hat Enterprise Linux CoreOS release 4.12\n");
    assert_eq!(found(&[(OS, coreos), release]).unwrap(), ["RHCOS 412.86", "rhcos", "4", "12"]);
    let kylin = "ID=kylin\nVERSION_ID=v10\nPRETTY_NAME=\"Kylin V10\"\n";
    for build in ["Kylin-Desktop V10-SP1\n", "Kylin 4.0.2\n", "Kylin x.0\n"] {
        assert_eq!(
            found(&[(OS, kylin), ("/etc/kylin-build", build)]).unwrap(),
            ["Kylin V10", "kylin", "10", "unknown"]
        );
    }
    // Of boot2docker one file says that it is, another which.
    let ours = ("/etc/boot2docker", "master : 740106c\n");
    let version = ("/etc/version", "17.03.1-ce\n");
    assert_eq!(found(&[ours, version]).unwrap(), ["boot2docker 17.03.1-ce", "boot2docker", "17", "03.1-ce"]);
    assert_eq!((found(&[ours]), found(&[version])), (None, None));
    assert_eq!(found(&[]), None);
}

#[test]
fn odd_files_give_printable_text_or_nothing() {
    assert_eq!(found(&[(OS, "ID=a\nID='b'\nPRETTY_NAME=\"A \\\"B\\\" \\$C\"\n")]).unwrap()[..2], ["A \"B\" $C", "b"]);
    assert_eq!(found(&[(OS, "ID=a\nPRETTY_NAME=\"unfinished\n")]).unwrap()[0], "\"unfinished");
    for none in ["", "ID=\nPRETTY_NAME=", "\0\0\0", "Some Linux release 1", "Red Hat Enterprise Linux"] {
        assert_eq!(found(&[(OS, none), ("/etc/redhat-release", none)]), None, "{none:?}");
    }
}

#[test]
fn what_holds_nothing_printable_says_nothing() {
    let suse = |file: &[u8]| OperatingSystem::of(ReleaseFormat::Suse, file);
    for none in [&b"\xcc\n"[..], b"\x01\n", b"\\\n"] {
        assert_eq!(suse(none), None, "{none:?}");
    }
    assert_eq!(OperatingSystem::of(ReleaseFormat::OsRelease(false), b"ID=\x7f\nNAME=x\n"), None);
    let odd = suse(b"SUSE\nVERSION = \x01\nPATCHLEVEL = \xff\n").unwrap();
    assert_eq!((odd.major.as_str(), odd.minor.as_str()), ("unknown", "0"));
}

proptest! {
    #[test]
    fn any_bytes_give_bounded_printable_text(
        which in 0..SOURCES.len(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Some(os) = OperatingSystem::of(SOURCES[which].1, &bytes) {
            for text in [os.name.as_str(), os.distro.as_str(), os.major.as_str(), os.minor.as_str()] {
                prop_assert!(!text.chars().any(char::is_control) && text.len() <= 128);
            }
        }
    }
}
