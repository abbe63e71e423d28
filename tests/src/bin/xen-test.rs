//! t
use nanova_tests::xen::*;
fn main() -> anyhow::Result<()> {
    tools::require()?;
    let lab = lab::Lab::prepare()?;
    eprintln!("{:?}", lab);
    let out = lab.dir().join("out/try");
    std::fs::create_dir_all(&out)?;
    let t = std::time::Instant::now();
    let mut dom0 = dom0::Dom0::boot(&lab, &out, dom0::Xenstored::Oxenstored)?;
    eprintln!("{:?}", t.elapsed());
    for _ in 0..5 { let t = std::time::Instant::now(); dom0.sh("true")?; eprintln!("{:?}", t.elapsed()); }
    let t = std::time::Instant::now();
    eprintln!("{}", dom0.sh("ls -l /lab; xl list; free; df; dmesg | tail -5")?);
    eprintln!("{:?}", t.elapsed());
    eprintln!("{}", dom0.sh("time cp /lab/vmlinux-amd64 /tmp; time cat /lab/vmlinux-amd64 >/dev/null")?);
    eprintln!("{:?}", t.elapsed());
    dom0.xenstore_write("/foo/bar", "it's\n\"x\" ü")?;
    eprintln!("{:?} {:?}", dom0.xenstore_read("/foo/bar")?, dom0.xenstore_read("/foo/baz")?);
    eprintln!("{:?}", t.elapsed());
    Ok(())
}
