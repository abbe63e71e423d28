//! Which file of a crate of ours imports which: a small reading of `use` declarations and of paths that begin with
//! `crate`.
//!
//! Guarantees: tests are left out; an import of a name that a `mod.rs` only hands on is one of the file that the name
//! is from. Refuses: files that it cannot place. It does not know macros, nor `use` inside of functions' bodies by
//! other roots.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::code::code;

/// A file's path below `src`.
pub type File = String;

/// A crate's files, with what each imports and how long it is.
#[derive(Debug)]
pub struct Imports {
    edges: BTreeMap<File, BTreeSet<File>>,
    lines: BTreeMap<File, usize>,
}

impl Imports {
    /// Reads the crate whose sources are below this folder.
    pub fn of(src: &Path) -> Result<Imports> {
        let mut texts = BTreeMap::new();
        for file in rust_files(src)? {
            let name = file.strip_prefix(src)?.to_str().context("a file's name is text")?.to_owned();
            if !is_test(&name) {
                texts.insert(name, code(&std::fs::read_to_string(&file)?));
            }
        }
        let modules: BTreeMap<Vec<String>, File> = texts.keys().map(|name| (module(name), name.clone())).collect();
        let mut handed_on = BTreeMap::new();
        for (name, text) in texts.iter().filter(|(name, _)| is_door(name)) {
            for path in imports(text, true) {
                if let (Some((target, _)), Some(last)) = (resolve(&modules, &module(name), &path), path.last()) {
                    handed_on.insert((module(name), last.clone()), target);
                }
            }
        }
        let mut edges = BTreeMap::new();
        for (name, text) in &texts {
            let mut of_file = BTreeSet::new();
            let mut paths = imports(text, false);
            if !is_door(name) {
                paths.extend(imports(text, true));
            }
            for path in paths {
                let Some((mut target, rest)) = resolve(&modules, &module(name), &path) else { continue };
                if let Some(from) = rest.first().and_then(|item| handed_on.get(&(target.clone(), item.clone()))) {
                    target.clone_from(from);
                }
                let file = &modules[&target];
                if file != name {
                    of_file.insert(file.clone());
                }
            }
            edges.insert(name.clone(), of_file);
        }
        let lines = texts.iter().map(|(name, text)| (name.clone(), text.lines().count())).collect();
        Ok(Imports { edges, lines })
    }

    /// The files that this one needs, itself among them.
    pub fn closure(&self, file: &str) -> BTreeSet<File> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![file.to_owned()];
        while let Some(file) = waiting.pop() {
            if found.insert(file.clone()) {
                waiting.extend(self.edges.get(&file).into_iter().flatten().cloned());
            }
        }
        found
    }

    /// The lines of code of these files: no tests, no comments, no blanks.
    pub fn code_lines<'f>(&self, files: impl IntoIterator<Item = &'f File>) -> usize {
        files.into_iter().filter_map(|file| self.lines.get(file)).sum()
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.lines.keys()
    }

    /// These files in the order in which they can be read: each behind what it imports.
    pub fn reading_order(&self, files: &BTreeSet<File>) -> Vec<File> {
        // A crate's root names all others.
        let (roots, others): (BTreeSet<&File>, BTreeSet<&File>) =
            files.iter().partition(|file| module(file).is_empty());
        let (mut order, mut seen) = (Vec::new(), roots.iter().copied().cloned().collect());
        for file in others {
            self.read(file, files, &mut seen, &mut order);
        }
        order.extend(roots.into_iter().cloned());
        order
    }

    fn read(&self, file: &File, files: &BTreeSet<File>, seen: &mut BTreeSet<File>, order: &mut Vec<File>) {
        if files.contains(file) && seen.insert(file.clone()) {
            for needed in self.edges.get(file).into_iter().flatten() {
                self.read(needed, files, seen, order);
            }
            order.push(file.clone());
        }
    }

    /// Sets of files that import each other, in whatever way around.
    pub fn circles(&self) -> Vec<BTreeSet<File>> {
        circles(&self.edges)
    }

    /// The same of the modules at the top.
    pub fn module_circles(&self) -> Vec<BTreeSet<String>> {
        let top = |file: &File| module(file).first().cloned();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in &self.edges {
            let Some(from) = top(from) else { continue };
            edges.entry(from.clone()).or_default().extend(to.iter().filter_map(top).filter(|to| *to != from));
        }
        circles(&edges)
    }
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || matches!(name, "test_platform.rs" | "test_xenstore.rs")
}

/// Whether a file only hands on what its folder holds.
fn is_door(name: &str) -> bool {
    name.ends_with("mod.rs") || name == "lib.rs"
}

fn module(name: &str) -> Vec<String> {
    let parts = name.trim_end_matches(".rs").split('/');
    parts.filter(|part| !matches!(*part, "mod" | "lib" | "main")).map(str::to_owned).collect()
}

/// The paths that a file imports: those that it hands on, or the others.
fn imports(code: &str, handed_on: bool) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    let mut others = String::new();
    while let Some((before, after)) = rest.split_once("use ") {
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        if !(line.is_empty() || line.starts_with("pub")) || line.contains("//") {
            others.push_str(before);
            rest = after;
            continue;
        }
        others.push_str(before);
        let (tree, after) = after.split_once(';').unwrap_or((after, ""));
        if line.starts_with("pub") == handed_on {
            leaves(&tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut found);
        }
        rest = after;
    }
    others.push_str(rest);
    if !handed_on {
        for root in ["crate::", "super::"] {
            for (place, _) in others.match_indices(root) {
                let path: String =
                    others[place..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
                found.push(path.trim_end_matches(':').to_owned());
            }
        }
    }
    found.iter().map(|path| path.split("::").map(str::to_owned).collect()).collect()
}

/// The paths of a `use` tree.
fn leaves(tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else {
        found.push(tree.split(" as ").next().unwrap_or_default().to_owned());
        return;
    };
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut start) = (0, 0);
    for (place, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..place].trim().is_empty() {
                    leaves(&format!("{prefix}{}", inner[start..place].trim()), found);
                }
                start = place + 1;
            }
            _ => {}
        }
    }
}

/// The module that a path leads to, and what is named in it.
fn resolve(
    modules: &BTreeMap<Vec<String>, File>,
    here: &[String],
    path: &[String],
) -> Option<(Vec<String>, Vec<String>)> {
    let mut rest = path;
    let mut at = match rest.first()?.as_str() {
        "crate" => {
            rest = &rest[1..];
            Vec::new()
        }
        "self" => {
            rest = &rest[1..];
            here.to_vec()
        }
        "super" => {
            let mut at = here.to_vec();
            while rest.first().is_some_and(|part| part == "super") {
                at.pop();
                rest = &rest[1..];
            }
            at
        }
        name => {
            let child = [here, &[name.to_owned()]].concat();
            modules.contains_key(&child).then(|| here.to_vec())?
        }
    };
    while let Some((part, after)) = rest.split_first() {
        at.push(part.clone());
        if !modules.contains_key(&at) {
            at.pop();
            break;
        }
        rest = after;
    }
    modules.contains_key(&at).then(|| (at, rest.to_vec()))
}

/// The strongly connected parts of more than one.
fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reach = |from: &str| {
        let mut found = BTreeSet::new();
        let mut waiting: Vec<&String> = edges.get(from).into_iter().flatten().collect();
        while let Some(next) = waiting.pop() {
            if found.insert(next.clone()) {
                waiting.extend(edges.get(next).into_iter().flatten());
            }
        }
        found
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = edges.keys().map(|name| (name, reach(name))).collect();
    let mut found = Vec::<BTreeSet<String>>::new();
    for (name, to) in &reached {
        let circle = to.iter().filter(|other| reached.get(other).is_some_and(|back| back.contains(*name)));
        let circle: BTreeSet<String> = circle.cloned().collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_of(files: &[(&str, &str)]) -> Imports {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Imports::of(home.path()).unwrap()
    }

    #[test]
    fn a_circle_is_found_however_it_goes() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
            ("a.rs", "use crate::b::{self, B};\n"),
            ("b/mod.rs", "mod inner;\npub use inner::B;\n"),
            ("b/inner.rs", "pub fn f() {\n    crate::c::g();\n}\n"),
            ("c.rs", "//! A file.\n\nuse super::a::A;\n"),
        ];
        let imports = crate_of(&files);
        let circle: BTreeSet<String> = ["a.rs", "b/inner.rs", "c.rs"].map(str::to_owned).into();
        assert_eq!(imports.circles(), [circle]);
        assert_eq!(imports.module_circles(), [BTreeSet::from(["a", "b", "c"].map(str::to_owned))]);
        assert_eq!(imports.code_lines(&imports.closure("c.rs")), 7);
        let all: BTreeSet<String> = ["a.rs", "b/inner.rs", "b/mod.rs", "lib.rs"].map(str::to_owned).into();
        assert_eq!(imports.reading_order(&all), ["b/inner.rs", "b/mod.rs", "a.rs", "lib.rs"]);
    }

    #[test]
    fn tests_and_doors_are_no_imports() {
        let files = [
            ("lib.rs", "pub mod a;\npub mod b;\n"),
            ("a.rs", "use crate::b::inner::B;\n"),
            ("b/mod.rs", "pub mod inner;\npub mod other;\npub use crate::a::A;\n"),
            ("b/inner.rs", "pub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"),
            ("b/other.rs", "use super::A;\n"),
        ];
        let imports = crate_of(&files);
        assert_eq!(imports.circles(), Vec::<BTreeSet<String>>::new());
        assert_eq!(imports.closure("b/other.rs").into_iter().collect::<Vec<_>>(), ["a.rs", "b/inner.rs", "b/other.rs"]);
    }
}
