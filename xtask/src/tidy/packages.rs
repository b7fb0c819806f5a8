//! Rules for what the packages contain: the licences, and one place for the URL of the repository.

use crate::files::{self, File};
use crate::tidy::Problem;

const LICENCES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];
const ROOT_MANIFEST: &str = "Cargo.toml";

/// Checks all files.
pub(super) fn check(files: &[File]) -> Vec<Problem> {
    let mut problems = missing_licences(files);
    problems.extend(copied_repository_urls(files));
    problems
}

/// Finds crates without the licences: cargo packages only files of the crate's folder, where they are symlinks.
fn missing_licences(files: &[File]) -> Vec<Problem> {
    let text = |path: &str| files::text(files, path).ok();
    let manifests = files.iter().filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        let is_library = folder.starts_with("crates/") && folder.matches('/').count() == 1;
        is_library.then_some((file, folder))
    });
    let mut problems = Vec::new();
    for (manifest, folder) in manifests {
        for licence in LICENCES {
            if text(&format!("{folder}/{licence}")) != text(licence) {
                let message = format!(
                    "the package lacks the licence: `ln -s ../../{licence} {folder}/{licence}`"
                );
                problems.push(Problem::new(&manifest.path, 0, message));
            }
        }
    }
    problems
}

/// Finds copies of the URL of the repository, which the owner sets in the root manifest.
fn copied_repository_urls(files: &[File]) -> Vec<Problem> {
    let manifest = files::text(files, ROOT_MANIFEST).unwrap_or_default();
    let mut lines = manifest.lines();
    let Some(url) = lines.find_map(|line| line.strip_prefix("repository = \"")) else {
        return vec![Problem::new(ROOT_MANIFEST, 0, "lacks `repository`")];
    };
    let url = url.trim_end_matches('"');
    let mut problems = Vec::new();
    for file in files.iter().filter(|file| file.path != ROOT_MANIFEST) {
        for (number, _) in (1..)
            .zip(file.text.lines())
            .filter(|(_, line)| line.contains(url))
        {
            let message = "repeats the URL of the repository: use a relative link or no link";
            problems.push(Problem::new(&file.path, number, message));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> String {
        let root = "[workspace.package]\nrepository = \"https://git.example/worker\"\n";
        let mut all = vec![File::new(ROOT_MANIFEST, root)];
        all.extend(LICENCES.iter().map(|name| File::new(*name, "free")));
        all.extend(files.iter().map(|(path, text)| File::new(*path, *text)));
        let problems = check(&all).into_iter().map(|problem| problem.to_string());
        problems.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn package_needs_current_licences() {
        let manifest = ("crates/a/Cargo.toml", "");
        let mit = ("crates/a/LICENSE-MIT", "free");
        let apache = ("crates/a/LICENSE-APACHE", "free");
        assert_eq!(messages(&[manifest, mit, apache]), "");
        assert!(messages(&[manifest, mit]).contains("LICENSE-APACHE"));
        let outdated = ("crates/a/LICENSE-MIT", "old");
        assert!(messages(&[manifest, outdated, apache]).contains("LICENSE-MIT"));
        assert_eq!(messages(&[("crates/a/fuzz/Cargo.toml", "")]), "");
    }

    #[test]
    fn repository_url_is_only_in_the_root() {
        let page = (
            "docs/a.md",
            "\nsee https://git.example/worker/blob/main/a.md\n",
        );
        assert!(messages(&[page]).starts_with("docs/a.md:2: repeats"));
        assert_eq!(messages(&[("docs/a.md", "https://git.example/other")]), "");
    }

    #[test]
    fn missing_repository_is_found() {
        assert_eq!(check(&[File::new(ROOT_MANIFEST, "")]).len(), 1);
    }
}
