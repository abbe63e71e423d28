//! Builds: which there are, and the twin of one, with symbols and line numbers, by cargo and with what cargo tells of
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{
    Artifact, CargoOpt, DependencyKind, Message, Metadata, MetadataCommand, Package, PackageId, TargetKind,
};
use nanova_tests::agent::{TELL, cargo, target_dir};

/// What is built.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What it is called in `.ci/run`.
    pub name: String,
    /// Cargo features; none for all that there are by default.
    pub features: Option<String>,
}

impl Profile {
    /// All that `.ci/run` names.
    pub fn all(workspace: &Path) -> Result<Vec<Profile>> {
        let script = std::fs::read_to_string(workspace.join(".ci/run"))?;
        let (_, list) = script.split_once("\nPROFILES=(").context(".ci/run has no PROFILES")?;
        let list = list.split_once(')').map_or(list, |(list, _)| list);
        let profiles = list.split('"').skip(1).step_by(2).map(|words| {
            let [name, _, features] = words.split(' ').collect::<Vec<_>>()[..] else { bail!("PROFILES: {words}") };
            let features = Some(features.to_owned()).filter(|features| features != "default");
            Ok(Profile { name: name.to_owned(), features })
        });
        profiles.collect()
    }

    fn options(&self) -> Vec<String> {
        match &self.features {
            None => Vec::new(),
            Some(features) => vec!["--no-default-features".into(), "--features".into(), features.clone()],
        }
    }
}

/// A twin that was built.
#[derive(Debug)]
pub struct Build {
    /// Where the workspace is.
    pub workspace: PathBuf,
    /// The program, with symbols and line numbers.
    pub binary: PathBuf,
    pub(crate) metadata: Metadata,
    /// What was compiled, of each package.
    pub(crate) artifacts: BTreeMap<PackageId, Vec<Artifact>>,
    /// The packages that are linked into the program.
    pub(crate) linked: BTreeSet<PackageId>,
    /// The packages that ours name.
    pub(crate) direct: BTreeSet<PackageId>,
}

/// The workspace that this program was built in.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tests/audit is in the workspace")
}

impl Build {
    /// Builds the twin of a release build.
    pub fn of(profile: &Profile, triple: Option<&str>) -> Result<Build> {
        let workspace = workspace();
        let mut command = cargo();
        command.env("RUSTC_WRAPPER", workspace.join(".cargo/symbols"));
        command.args(["build", "--quiet", "--release", "--package", "nanova", TELL]).args(profile.options());
        if let Some(triple) = triple {
            command.args(["--target", triple]);
            // Where a triple has no core that comes with the compiler.
            if std::env::var_os("RUSTC_BOOTSTRAP").is_some() {
                command.arg("-Zbuild-std=core,compiler_builtins");
            }
        }
        // What cargo compiles it compiles once for all profiles but for what features change.
        command.arg("--target-dir").arg(target_dir().join("audit"));
        // From the build on until its program is kept nobody else builds.
        std::fs::create_dir_all(target_dir())?;
        let lock = File::create(target_dir().join("audit.lock"))?;
        lock.lock()?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("cargo's output")?);
        let (mut artifacts, mut binary) = (BTreeMap::<PackageId, Vec<Artifact>>::new(), None);
        for message in Message::parse_stream(output) {
            if let Message::CompilerArtifact(artifact) = message? {
                if artifact.target.is_bin() {
                    binary = artifact.executable.clone();
                }
                artifacts.entry(artifact.package_id.clone()).or_default().push(artifact);
            }
        }
        ensure!(child.wait()?.success(), "{command:?} failed");
        let metadata = metadata(workspace, profile, triple)?;
        let binary = kept(binary.context("cargo does not say what it built")?.as_std_path(), &profile.name)?;
        drop(lock);
        let mut build = Build {
            workspace: workspace.to_owned(),
            binary,
            metadata,
            artifacts,
            linked: BTreeSet::new(),
            direct: BTreeSet::new(),
        };
        build.link()?;
        Ok(build)
    }

    /// Follows what is needed at run time from the agent on, as far as it was compiled.
    fn link(&mut self) -> Result<()> {
        let resolve = self.metadata.resolve.as_ref().context("cargo resolves nothing")?;
        let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
        let agent = self.metadata.packages.iter().find(|package| package.name.as_str() == "nanova");
        let mut waiting = vec![agent.context("there is no nanova")?.id.clone()];
        while let Some(id) = waiting.pop() {
            if !self.artifacts.contains_key(&id)
                || self.package(&id).is_none_or(is_macro)
                || !self.linked.insert(id.clone())
            {
                continue;
            }
            let is_ours = self.is_ours(&id);
            for needed in nodes.get(&id).map(|node| node.deps.as_slice()).unwrap_or_default() {
                if needed.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal) {
                    waiting.push(needed.pkg.clone());
                    if is_ours {
                        self.direct.insert(needed.pkg.clone());
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn package(&self, id: &PackageId) -> Option<&Package> {
        self.metadata.packages.iter().find(|package| package.id == *id)
    }

    /// The version of ours.
    pub(crate) fn version(&self) -> Result<String> {
        let agent = self.metadata.packages.iter().find(|package| package.name.as_str() == "nanova");
        Ok(agent.context("there is no nanova")?.version.to_string())
    }

    pub(crate) fn is_ours(&self, id: &PackageId) -> bool {
        self.metadata.workspace_members.contains(id)
    }

    /// The compiler's list of the sources of what was compiled of a package: of what is linked, or runs while building.
    pub(crate) fn dep_infos(&self, id: &PackageId) -> Vec<PathBuf> {
        let of = |artifact: &Artifact| {
            // A program's own is beside it, a library's beside the library, without the `lib`.
            if artifact.target.is_bin() {
                return Some(self.binary.with_extension("d"));
            }
            let file = artifact.filenames.iter().find(|file| file.extension().is_some_and(|end| end != "rmeta"))?;
            let name = file.file_stem()?.strip_prefix("lib")?;
            Some(file.with_file_name(format!("{name}.d")).into_std_path_buf())
        };
        let artifacts = self.artifacts.get(id).map(Vec::as_slice).unwrap_or_default();
        artifacts.iter().filter(|artifact| !artifact.target.is_custom_build()).filter_map(of).collect()
    }

    /// The features that a package was compiled with.
    pub(crate) fn features(&self, id: &PackageId) -> BTreeSet<String> {
        self.artifacts.get(id).into_iter().flatten().flat_map(|artifact| artifact.features.iter().cloned()).collect()
    }
}

/// The same in a place where the next build does not overwrite it.
fn kept(binary: &Path, name: &str) -> Result<PathBuf> {
    let folder = binary.with_file_name("twins").join(name);
    std::fs::create_dir_all(&folder)?;
    let kept = folder.join("nanova");
    for end in ["", "d"] {
        // Beside it first: an older one may be running.
        let new = folder.join("new");
        std::fs::copy(binary.with_extension(end), &new)?;
        std::fs::rename(&new, kept.with_extension(end))?;
    }
    Ok(kept)
}

fn metadata(workspace: &Path, profile: &Profile, triple: Option<&str>) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command.manifest_path(workspace.join("agent/Cargo.toml"));
    if let Some(features) = &profile.features {
        command.features(CargoOpt::NoDefaultFeatures);
        command.features(CargoOpt::SomeFeatures(features.split(',').map(str::to_owned).collect()));
    }
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    command.other_options(vec!["--filter-platform".into(), triple.unwrap_or(&host).to_owned(), "--locked".into()]);
    Ok(command.exec()?)
}

pub(crate) fn is_macro(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.contains(&TargetKind::ProcMacro))
}

pub(crate) fn has_build_script(package: &Package) -> bool {
    package.targets.iter().any(|target| target.kind.contains(&TargetKind::CustomBuild))
}
