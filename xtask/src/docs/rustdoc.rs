//! The reference: rustdoc of all crates with all features, and a search for items in it.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use xshell::Shell;

use crate::workspace::{Workspace, cargo};

/// The kinds of items, as in the names of rustdoc's pages.
const KINDS: &[&str] = &["struct", "enum", "trait", "fn", "type", "constant"];

/// The kinds of members, as in the anchors of rustdoc's pages.
const MEMBER_KINDS: &[&str] = &[
    "method",
    "tymethod",
    "variant",
    "structfield",
    "associatedconstant",
];

/// The folder that rustdoc wrote.
pub(super) struct Rustdoc(PathBuf);

impl Rustdoc {
    /// Builds the reference; a warning is an error.
    pub(super) fn build(sh: &Shell, workspace: &Workspace) -> Result<Self> {
        let doc = cargo(sh).args(["doc", "--workspace", "--no-deps", "--all-features"]);
        doc.env("RUSTDOCFLAGS", "-D warnings").run()?;
        Ok(Self(workspace.target_directory.join("doc")))
    }

    /// Returns the page of the facade.
    pub(super) fn start_page(&self) -> PathBuf {
        self.0.join("runtime/index.html")
    }

    /// Returns whether an item or a member of an item exists at this path below the facade.
    ///
    /// The pages are the cheapest complete view of the public interface: they follow re-exports and include what
    /// derives and traits add.
    pub(super) fn contains(&self, path: &str) -> bool {
        contains(path, |page| fs::read_to_string(self.0.join(page)).ok())
    }
}

fn contains(path: &str, read: impl Fn(&str) -> Option<String>) -> bool {
    if item_page(path, &read).is_some() {
        return true;
    }
    let Some((item, member)) = path.rsplit_once("::") else {
        return false;
    };
    let is_member = |page: String| {
        let mut kinds = MEMBER_KINDS.iter();
        kinds.any(|kind| page.contains(&format!("id=\"{kind}.{member}\"")))
    };
    item_page(item, &read).is_some_and(is_member)
}

/// Returns the page of an item or a module.
fn item_page(path: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let path = format!("runtime::{path}");
    let (module, name) = path.rsplit_once("::")?;
    let module = module.replace("::", "/");
    // The list of the module is current, while pages of removed items stay in the folder.
    let list = read(&format!("{module}/index.html"))?;
    let pages = KINDS.iter().map(|kind| format!("{kind}.{name}.html"));
    let mut pages = pages.chain([format!("{name}/index.html")]);
    let page = pages.find(|page| list.contains(&format!("href=\"{page}\"")))?;
    read(&format!("{module}/{page}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exists(path: &str) -> bool {
        contains(path, |page| {
            let text = match page {
                "runtime/index.html" => {
                    "<a href=\"gc/index.html\"> <a href=\"struct.Monitor.html\">"
                }
                "runtime/gc/index.html" => "<a href=\"enum.Size.html\">",
                "runtime/struct.Monitor.html" => "<section id=\"method.count\">",
                "runtime/gc/enum.Size.html" => "<section id=\"variant.Known\">",
                "runtime/gc/struct.Removed.html" => "",
                _ => return None,
            };
            Some(text.to_owned())
        })
    }

    #[test]
    fn items_and_members_are_found() {
        assert!(exists("gc"));
        assert!(exists("gc::Size"));
        assert!(exists("gc::Size::Known"));
        assert!(exists("Monitor::count"));
    }

    #[test]
    fn unknown_names_are_not_found() {
        assert!(!exists("gc::Count"));
        assert!(!exists("gc::Size::Unknown"));
        assert!(!exists("caching::Cache"));
        assert!(!exists(""));
    }

    #[test]
    fn page_of_a_removed_item_does_not_count() {
        assert!(!exists("gc::Removed"));
    }
}
