//! This machine as the root of a Debian with nanova's hooks and another kernel, to build images in.

use std::path::Path;

use nanova_tests::machine::kernel;

use super::hooks;

/// Runs a script as the root of a namespace, with hooks, a nanova that does nothing and a kernel in place, and without
/// any of this machine's network managers that the hooks look for; $S is a scratch directory that is gone afterwards,
/// $V the kernel's version, and it begins in `home`. What it prints.
pub(crate) fn in_a_system_with_nanova(home: &Path, script: &str) -> String {
    let prepare = format!(
        "cd {home}; V=$(ls {kernel}/lib/modules); S={home}/scratch; mkdir $S; mount -t tmpfs scratch $S
        for top in usr etc boot; do
            mkdir $S/$top $S/$top.work
            mount -t overlay overlay -o lowerdir=/$top,upperdir=$S/$top,workdir=$S/$top.work /$top
        done
        rm -f /usr/sbin/netplan /usr/sbin/NetworkManager /usr/sbin/ifup
        cp -r {home}/hooks/* /
        printf '#!/bin/sh\\n' >/usr/sbin/nanova; chmod 755 /usr/sbin/nanova
        mkdir -p /usr/lib/modules; cp -r {kernel}/lib/modules/$V /usr/lib/modules; depmod $V
        # What the kernel can decompress; mkinitramfs asks it.
        cp {kernel}/boot/config-$V /boot/
        {script}",
        home = home.display(),
        kernel = kernel().display()
    );
    hooks::install(&home.join("hooks"));
    let output = hooks::run("unshare", &["--map-root-user", "--mount", "sh", "-ec", &prepare]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
