//! An OCI image from scratch: one file, for both processors, as an archive that skopeo, podman and umoci read
//! (<https://github.com/opencontainers/image-spec>, image-layout.md, image-index.md, config.md, annotations.md).
//!
//! Tags: the version is the image of the processor that asks; VERSION-amd64 and VERSION-arm64 are each alone.
//!
//! And one of the same kind that is an extension of Talos Linux's (its documentation: System Extensions): what is below
//! `rootfs` comes into its root file system, and the agent runs as an extension service.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::options::Options;
use crate::stage::{Release, Stage};
use crate::tools;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Containers.
    Containers,
    /// Talos Linux, as an extension.
    Talos,
}

/// Makes `nanova-VERSION-oci.tar`, or `nanova-VERSION-talos.tar`.
pub(crate) fn build(options: &Options, release: &Release, stages: &[Stage], purpose: For) -> Result<()> {
    let home = tempfile::tempdir()?;
    let created = timestamp(release)?;
    let mut manifests = Vec::new();
    for stage in stages {
        manifests.push(image(home.path(), release, stage, &created, purpose)?);
    }
    let both = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": about(release, &created)});
    let mut tagged = vec![named(blob(home.path(), INDEX, &bytes(&both)?)?, release.version)];
    for (stage, manifest) in stages.iter().zip(manifests) {
        tagged.push(named(manifest, &format!("{}-{}", release.version, stage.processor.debian)));
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": tagged});
    tools::write(home.path(), "index.json", &bytes(&index)?, 0o644)?;
    tools::write(home.path(), "oci-layout", &bytes(&json!({"imageLayoutVersion": "1.0.0"}))?, 0o644)?;
    fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let archive = tools::tar(home.path(), ".", release.time)?;
    let kind = if purpose == For::Talos { "talos" } else { "oci" };
    tools::write(&options.output, &format!("nanova-{}-{kind}.tar", release.version), &archive, 0o644)?;
    Ok(())
}

/// Writes one processor's image; its descriptor.
fn image(home: &Path, release: &Release, stage: &Stage, created: &str, purpose: For) -> Result<Value> {
    let root = tempfile::tempdir()?;
    let (top, own) = fill(root.path(), release, stage, purpose)?;
    let plain = tools::tar(root.path(), top, release.time)?;
    let layer = blob(home, "application/vnd.oci.image.layer.v1.tar+gzip", &tools::gzip(&plain)?)?;
    let mut config = json!({
        "created": created,
        "architecture": stage.processor.debian,
        "os": "linux",
        "config": own,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", tools::sha256(&plain))]},
        "history": [{"created": created, "created_by": "cargo package-nanova"}],
    });
    config["config"]["Labels"] = about(release, created);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(home, "application/vnd.oci.image.config.v1+json", &bytes(&config)?)?,
        "layers": [layer],
        "annotations": about(release, created),
    });
    let mut descriptor = blob(home, MANIFEST, &bytes(&manifest)?)?;
    descriptor["platform"] = json!({"architecture": stage.processor.debian, "os": "linux"});
    Ok(descriptor)
}

/// Puts the files of an image below a folder; what of that folder is packed, and how a container of it begins.
fn fill(root: &Path, release: &Release, stage: &Stage, purpose: For) -> Result<(&'static str, Value)> {
    let read = |name| fs::read(stage.folder.join(name));
    match purpose {
        For::Containers => {
            tools::write(root, "usr/sbin/nanova", &read("nanova")?, 0o755)?;
            tools::write(root, "usr/share/doc/nanova/copyright", &read("copyright")?, 0o644)?;
            Ok(("usr", json!({"Entrypoint": ["/usr/sbin/nanova"], "Cmd": ["agent"]})))
        }
        For::Talos => {
            let author = release.maintainer.split(" <").next().unwrap_or_default();
            let manifest = format!(
                "version: v1alpha1\nmetadata:\n  name: nanova\n  version: \"{}\"\n  author: \"{author}\"\n  \
                 description: guest agent of Xen virtual machines\n  compatibility:\n    talos:\n      \
                 version: \">= v1.5.0\"\n",
                release.version
            );
            let local = |path| format!("rootfs/usr/local/{path}");
            tools::write(root, "manifest.yaml", manifest.as_bytes(), 0o644)?;
            tools::write(root, &local("etc/containers/nanova.yaml"), &read("files/talos.yaml")?, 0o644)?;
            tools::write(root, &local("lib/containers/nanova/nanova"), &read("nanova")?, 0o755)?;
            tools::write(root, &local("lib/containers/nanova/copyright"), &read("copyright")?, 0o644)?;
            // What is mounted over in a root that nobody writes to.
            tools::write(root, &local("lib/containers/nanova/etc/os-release"), b"", 0o644)?;
            tools::directory(root, &local("lib/containers/nanova/dev/xen"))?;
            tools::directory(root, ".")?;
            Ok((".", json!({})))
        }
    }
}

fn about(release: &Release, created: &str) -> Value {
    json!({
        "org.opencontainers.image.title": "nanova",
        "org.opencontainers.image.description": "The guest agent of Xen virtual machines",
        "org.opencontainers.image.version": release.version,
        "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
        "org.opencontainers.image.authors": release.maintainer,
        "org.opencontainers.image.created": created,
    })
}

/// Keeps bytes under their sum; their descriptor.
fn blob(home: &Path, kind: &str, bytes: &[u8]) -> Result<Value> {
    let sum = tools::sha256(bytes);
    tools::write(home, &format!("blobs/sha256/{sum}"), bytes, 0o644)?;
    Ok(json!({"mediaType": kind, "digest": format!("sha256:{sum}"), "size": bytes.len()}))
}

fn named(mut descriptor: Value, name: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    descriptor
}

fn bytes(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("JSON")
}

/// As RFC 3339 has it.
fn timestamp(release: &Release) -> Result<String> {
    let date = format!("--date=@{}", release.time);
    let printed = tools::run(tools::command("date", release.time).args(["--utc", &date, "+%Y-%m-%dT%H:%M:%SZ"]))?;
    Ok(String::from_utf8(printed)?.trim().to_owned())
}
