//! The module graph of each library: no circles between sibling modules, no imports through the crate root.
//!
//! Modules are compared with their siblings: a folder counts as one module towards its siblings, and its
//! files are compared with each other. A `mod.rs` and its own children may use each other.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use super::Problem;
use super::files::File;

/// Accepted circles: the crate, the folder, a module of the circle, and the reason.
const ACCEPTED: &[(&str, &str, &str, &str)] = &[];

/// A module as the names from the crate root, such as `["log", "reader"]`; empty for the root.
type Module = Vec<String>;

/// The modules of a crate, each with the modules that it refers to.
#[derive(Default)]
struct Graph {
    edges: BTreeMap<Module, BTreeSet<Module>>,
}

/// Checks all libraries.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let mut crates: BTreeMap<&str, Vec<(Module, &File)>> = BTreeMap::new();
    for file in files {
        if let Some((name, module)) = module_of(&file.path) {
            crates.entry(name).or_default().push((module, file));
        }
    }
    crates
        .into_iter()
        .flat_map(|(name, files)| check_crate(name, &files))
        .collect()
}

/// Returns the crate and the module of a library's source file; `None` for tests and models.
fn module_of(path: &str) -> Option<(&str, Module)> {
    let (name, source) = path.strip_prefix("crates/")?.split_once("/src/")?;
    let mut module: Module = source
        .strip_suffix(".rs")?
        .split('/')
        .map(str::to_owned)
        .collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        module.pop();
    }
    let is_test = |part: &String| {
        matches!(part.as_str(), "tests" | "models" | "test_backing") || part.ends_with("_tests")
    };
    (!module.iter().any(is_test)).then_some((name, module))
}

fn check_crate(name: &str, files: &[(Module, &File)]) -> Vec<Problem> {
    let modules: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let mut graph = Graph::default();
    let mut problems = Vec::new();
    for (module, file) in files {
        let Ok(syntax) = syn::parse_file(&file.text) else {
            continue;
        };
        let mut references = References::new(module.clone());
        references.visit_file(&syntax);
        for path in references.paths {
            if !module.is_empty() && is_reexport(&path, &modules) {
                let message = format!(
                    "imports `crate::{}` through the crate root; import it from its module",
                    path.join("::")
                );
                problems.push(Problem::new(&file.path, 0, message));
            }
            graph.add(module, nearest(&path, &modules));
        }
    }
    problems.extend(graph.circles().into_iter().filter_map(|(folder, circle)| {
        let accepted = |(of, at, module, _): &(&str, &str, &str, &str)| {
            *of == name && *at == folder.join("/") && circle.iter().any(|name| name == module)
        };
        if ACCEPTED.iter().any(accepted) {
            return None;
        }
        let path = format!("crates/{name}/src/{}", folder.join("/"));
        let message = format!("module circle between {}", circle.join(", "));
        Some(Problem::new(path.trim_end_matches('/'), 0, message))
    }));
    problems
}

/// Returns whether a path names an item of the crate root, which only re-exports.
fn is_reexport(path: &[String], modules: &BTreeSet<Module>) -> bool {
    path.first().is_some_and(|first| {
        first.starts_with(|letter: char| letter.is_ascii_uppercase())
            && !modules.contains(&vec![first.clone()])
    })
}

/// Returns the longest prefix of a path that is a module.
fn nearest(path: &[String], modules: &BTreeSet<Module>) -> Module {
    (0..=path.len())
        .rev()
        .map(|len| path[..len].to_vec())
        .find(|prefix| modules.contains(prefix))
        .unwrap_or_default()
}

impl Graph {
    fn add(&mut self, from: &Module, to: Module) {
        self.edges.entry(from.clone()).or_default().insert(to);
    }

    /// Returns the circles of sibling modules, each with the folder of the siblings.
    fn circles(&self) -> Vec<(Module, Vec<String>)> {
        let mut folders: BTreeMap<Module, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
        for (from, targets) in &self.edges {
            for to in targets {
                let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
                if let (Some(from_name), Some(to_name)) = (from.get(common), to.get(common)) {
                    let siblings = folders.entry(from[..common].to_vec()).or_default();
                    siblings.entry(from_name).or_default().insert(to_name);
                }
            }
        }
        let circles = folders.into_iter().flat_map(|(folder, siblings)| {
            let found = strongly_connected(&siblings);
            found
                .into_iter()
                .map(move |circle| (folder.clone(), circle))
        });
        circles.collect()
    }
}

/// Returns the groups of two or more nodes that reach each other.
fn strongly_connected(graph: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<Vec<String>> {
    let reach = |start: &str| {
        let mut seen = BTreeSet::new();
        let mut pending: Vec<&str> = graph.get(start).into_iter().flatten().copied().collect();
        while let Some(node) = pending.pop() {
            if seen.insert(node.to_owned()) {
                pending.extend(graph.get(node).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<String>> =
        graph.keys().map(|node| (*node, reach(node))).collect();
    let mut circles = BTreeSet::new();
    for (node, seen) in &reached {
        let circle: Vec<String> = seen
            .iter()
            .filter(|other| {
                reached
                    .get(other.as_str())
                    .is_some_and(|back| back.contains(*node))
            })
            .cloned()
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// Collects the crate-local paths of a file, from the crate root.
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

    /// Resolves `crate`, `self` and `super`; other paths are not local.
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
    /// Skips unit tests, which may use anything, and inline modules, whose `super` is another one.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.add(&names);
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_files(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File {
                path: format!("crates/demo/src/{path}"),
                text: (*text).to_owned(),
            })
            .collect();
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
        let problems = check_files(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B; pub struct A;"),
            (
                "b.rs",
                "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }",
            ),
        ]);
        assert!(problems.is_empty(), "{problems:?}");
    }
}
