//! The module graph of each library: no circles between sibling modules, no imports through the crate root.
//!
//! A folder counts as one module among its siblings, and its files are compared with each other. A `mod.rs` and its
//! children may use each other: the parent names the children in any case.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use crate::files::File;
use crate::tidy::Problem;

/// Accepted circles, as the folder and the modules in the report, each with a comment that states the reason.
const ACCEPTED: &[(&str, &str)] = &[];

/// A module as the names from the crate root, such as `["log", "reader"]`; empty for the root.
type Module = Vec<String>;

/// The modules of a crate, each with the modules that it refers to.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// Checks all libraries.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let mut crates: BTreeMap<&str, BTreeMap<Module, &File>> = BTreeMap::new();
    for file in files {
        if let Some((name, module)) = module_of(&file.path) {
            crates.entry(name).or_default().insert(module, file);
        }
    }
    let crates = crates.into_iter();
    crates
        .flat_map(|(name, modules)| check_crate(name, &modules))
        .collect()
}

/// Returns the crate and the module of a library's source; `None` for tests and models, which may import anything.
fn module_of(path: &str) -> Option<(&str, Module)> {
    let (name, source) = path.strip_prefix("crates/")?.split_once("/src/")?;
    let parts = source.strip_suffix(".rs")?.split('/');
    let mut module: Module = parts.map(str::to_owned).collect();
    module.pop_if(|last| *last == "mod" || *last == "lib");
    let is_test = |part: &String| {
        matches!(part.as_str(), "tests" | "models" | "test_backing") || part.ends_with("_tests")
    };
    (!module.iter().any(is_test)).then_some((name, module))
}

fn check_crate(name: &str, modules: &BTreeMap<Module, &File>) -> Vec<Problem> {
    let mut graph = Graph::new();
    let mut problems = Vec::new();
    for (module, file) in modules {
        let Ok(syntax) = syn::parse_file(&file.text) else {
            continue;
        };
        let mut references = References::new(module.clone());
        references.visit_file(&syntax);
        for path in &references.paths {
            if !module.is_empty() && is_reexport(path, modules) {
                let path = path.join("::");
                let message =
                    format!("imports `crate::{path}` through the root: import it from its module");
                problems.push(Problem::new(&file.path, 0, message));
            }
        }
        let targets = references.paths.iter().map(|path| nearest(path, modules));
        graph.insert(module.clone(), targets.collect());
    }
    for (folder, circle) in circles(&graph) {
        let path = format!("crates/{name}/src/{}", folder.join("/"));
        let (path, circle) = (path.trim_end_matches('/'), circle.join(", "));
        if !ACCEPTED.contains(&(path, &circle)) {
            let message = format!("module circle between {circle}");
            problems.push(Problem::new(path, 0, message));
        }
    }
    problems
}

/// Returns whether a path names a type of the crate root, which only re-exports.
fn is_reexport(path: &[String], modules: &BTreeMap<Module, &File>) -> bool {
    let is_type = |name: &String| name.starts_with(|c: char| c.is_ascii_uppercase());
    path.first().is_some_and(is_type) && !modules.contains_key(&path[..1])
}

/// Returns the longest prefix of a path that is a module.
fn nearest(path: &[String], modules: &BTreeMap<Module, &File>) -> Module {
    let mut prefixes = (0..=path.len()).rev().map(|len| &path[..len]);
    let module = prefixes.find(|prefix| modules.contains_key(*prefix));
    module.unwrap_or_default().to_vec()
}

/// Returns the circles between sibling modules, each with the folder of the siblings.
fn circles(graph: &Graph) -> Vec<(Module, Vec<String>)> {
    let mut folders: BTreeMap<&[String], BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for (from, targets) in graph {
        for to in targets {
            // The siblings are the two ancestors below the folder that both modules are in.
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if let (Some(from_name), Some(to_name)) = (from.get(common), to.get(common)) {
                let siblings = folders.entry(&from[..common]).or_default();
                siblings.entry(from_name).or_default().insert(to_name);
            }
        }
    }
    let mut found = Vec::new();
    for (folder, siblings) in folders {
        let circles = strongly_connected(&siblings).into_iter();
        found.extend(circles.map(|circle| (folder.to_vec(), circle)));
    }
    found
}

/// Returns the groups of two or more nodes that reach each other.
///
/// Computes all reachable nodes of each node. Tarjan's algorithm would be faster, but folders have few modules.
fn strongly_connected<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<Vec<String>> {
    let reachable_from = |start: &'a str| {
        let mut seen = BTreeSet::new();
        let mut pending = vec![start];
        while let Some(node) = pending.pop() {
            let targets = graph.get(node).into_iter().flatten().copied();
            pending.extend(targets.filter(|target| seen.insert(*target)));
        }
        seen
    };
    let reachable: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|node| (*node, reachable_from(node)))
        .collect();
    let reaches = |from: &str, to: &str| reachable.get(from).is_some_and(|seen| seen.contains(to));
    let groups = reachable.iter().map(|(node, seen)| {
        let group = seen.iter().filter(|other| reaches(other, node));
        group.map(ToString::to_string).collect()
    });
    groups
        .filter(|group: &Vec<String>| group.len() > 1)
        .collect()
}

/// Collects the crate-local paths of a file, as names from the crate root.
struct References {
    module: Module,
    paths: BTreeSet<Vec<String>>,
}

impl References {
    fn new(module: Module) -> Self {
        Self {
            module,
            paths: BTreeSet::new(),
        }
    }

    /// Resolves `crate`, `self` and `super`; ignores paths that start with other names.
    fn add(&mut self, path: &[String]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let mut resolved = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().saturating_sub(1)].to_vec(),
            _ => return,
        };
        for part in rest {
            if part == "super" {
                resolved.pop();
            } else {
                resolved.push(part.clone());
            }
        }
        self.paths.insert(resolved);
    }

    fn add_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => self.add(prefix),
            syn::UseTree::Name(name) => self.add(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.add(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.add(prefix),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(prefix, tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for References {
    /// Skips unit tests, which may import anything, and other inline modules, whose `super` is this module.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        let names: Vec<String> = segments.map(|it| it.ident.to_string()).collect();
        self.add(&names);
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_files(files: &[(&str, &str)]) -> Vec<String> {
        let file =
            |(path, text): &(&str, &str)| File::new(format!("crates/demo/src/{path}"), *text);
        let files: Vec<File> = files.iter().map(file).collect();
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn circle_of_siblings_is_found() {
        let problems = check_files(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", "pub struct B; fn f(_: super::a::A) {}"),
        ]);
        assert_eq!(problems, ["crates/demo/src: module circle between a, b"]);
    }

    #[test]
    fn circle_of_three_is_found_once() {
        let problems = check_files(&[
            ("a/mod.rs", "mod x; mod y; mod z;"),
            ("a/x.rs", "use super::y::Y;"),
            ("a/y.rs", "use super::z::Z;"),
            ("a/z.rs", "use super::x::X;"),
        ]);
        assert_eq!(
            problems,
            ["crates/demo/src/a: module circle between x, y, z"]
        );
    }

    #[test]
    fn folders_count_as_one_module() {
        let problems = check_files(&[
            ("lib.rs", "mod a; mod b;"),
            ("a/mod.rs", "mod x; mod y;"),
            ("a/x.rs", "use crate::b::B;"),
            ("a/y.rs", "pub struct Y;"),
            ("b.rs", "use crate::a::y::Y; pub struct B;"),
        ]);
        assert_eq!(problems, ["crates/demo/src: module circle between a, b"]);
    }

    #[test]
    fn parent_and_child_may_use_each_other() {
        let problems = check_files(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod x; pub use x::X; pub struct A;"),
            ("a/x.rs", "use super::A; pub struct X;"),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn import_through_the_root_is_found() {
        let problems = check_files(&[
            ("lib.rs", "mod a; mod b; pub use a::A;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "use crate::A;"),
        ]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("imports `crate::A`"), "{problems:?}");
    }

    #[test]
    fn unit_tests_are_ignored() {
        let test = "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }";
        let problems = check_files(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            ("b.rs", test),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
    }
}
