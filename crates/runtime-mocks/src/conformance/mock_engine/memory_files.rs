//! The files of a task in memory.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use runtime_worker::{ExtractError, FolderWalk, TaskFile, WalkedFile};

/// The number of links after which a path is considered circular, as in Linux.
const MAX_LINKS: usize = 40;

/// The files of a task, by the names in their paths.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryFiles(BTreeMap<Vec<String>, Node>);

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Arc<[u8]>),
    Folder,
    /// A link with its target.
    Link(String),
}

/// Returns the names in a path, or `None` if it is absolute or contains `..`.
pub(super) fn relative(path: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(names)
}

impl MemoryFiles {
    pub(super) fn insert(&mut self, path: Vec<String>, node: Node) {
        for len in 1..path.len() {
            let parent = path[..len].to_vec();
            self.0.entry(parent).or_insert(Node::Folder);
        }
        self.0.insert(path, node);
    }

    /// Returns the names of the entries of a folder.
    pub(super) fn list(&self, path: &[String]) -> Vec<&str> {
        let entries = self.0.keys();
        let entries = entries.filter(|it| it.len() == path.len() + 1 && it.starts_with(path));
        entries
            .filter_map(|it| it.last())
            .map(String::as_str)
            .collect()
    }

    /// Follows the links in a path. Returns the path without links, and the entry at that path.
    pub(super) fn find(&self, path: &str) -> Result<(Vec<String>, &Node), ExtractError> {
        let missing = || ExtractError::Missing {
            path: path.to_owned(),
        };
        let outside = || ExtractError::Outside {
            path: path.to_owned(),
        };
        let mut pending = relative(path).ok_or_else(outside)?;
        pending.reverse();
        let (mut found, mut links) = (Vec::new(), 0);
        while let Some(name) = pending.pop() {
            if name == ".." {
                found.pop().ok_or_else(outside)?;
                continue;
            }
            found.push(name);
            match self.0.get(&found).ok_or_else(missing)? {
                Node::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(missing());
                    }
                    if target.starts_with('/') {
                        return Err(outside());
                    }
                    found.pop();
                    let names = target.split('/').filter(|it| !matches!(*it, "" | "."));
                    pending.extend(names.rev().map(str::to_owned));
                }
                Node::File(_) if !pending.is_empty() => return Err(missing()),
                Node::File(_) | Node::Folder => {}
            }
        }
        let node = match found.is_empty() {
            true => &Node::Folder,
            false => self.0.get(&found).ok_or_else(missing)?,
        };
        Ok((found, node))
    }

    /// Lists the files in a folder. Links to folders are left out.
    pub(super) fn walk(
        &self,
        path: &str,
        max_entries: usize,
        open: impl Fn(&Arc<[u8]>) -> TaskFile,
    ) -> Result<FolderWalk, ExtractError> {
        let (root, Node::Folder) = self.find(path)? else {
            return Err(ExtractError::NotAFolder {
                path: path.to_owned(),
            });
        };
        let mut walk = FolderWalk::default();
        let entries = self.0.iter();
        let inside = entries.filter(|(it, _)| it.len() > root.len() && it.starts_with(&root));
        for (index, (entry, node)) in inside.enumerate() {
            if index >= max_entries {
                walk.is_truncated = true;
                break;
            }
            let relative: PathBuf = entry[root.len()..].iter().collect();
            let file = match node {
                Node::Folder => continue,
                Node::File(bytes) => bytes,
                Node::Link(_) => match self.find(&entry.join("/")) {
                    Ok((_, Node::File(bytes))) => bytes,
                    Ok(_) => {
                        let reason = "leads to a folder".to_owned();
                        walk.skipped_links.push((relative, reason));
                        continue;
                    }
                    Err(error) => {
                        walk.skipped_links.push((relative, error.to_string()));
                        continue;
                    }
                },
            };
            walk.files.push(WalkedFile {
                path: relative,
                file: Ok(open(file)),
            });
        }
        Ok(walk)
    }
}
