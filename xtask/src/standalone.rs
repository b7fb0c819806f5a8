//! Each library works alone: a package outside the workspace that depends on it and on nothing else compiles.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use xshell::Shell;

use crate::workspace::{Package, Workspace, cargo, root};

/// Checks the named libraries with their default features.
///
/// The packages form a workspace in the target folder, with the profile and the locked versions of this one, so that
/// only the libraries are compiled again.
pub(crate) fn check(sh: &Shell, workspace: &Workspace, libraries: &[&Package]) -> Result<()> {
    let folder = workspace.target_directory.join("standalone");
    sh.remove_path(&folder)?;
    for library in libraries {
        write_user(sh, &folder, library)?;
    }
    sh.write_file(folder.join("Cargo.toml"), ROOT_MANIFEST)?;
    sh.copy_file(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let _folder = sh.push_dir(&folder);
    for library in libraries {
        let start = Instant::now();
        let user = user_name(library);
        let check = cargo(sh).args(["check", "--quiet", "--offline", "-p", &user]);
        let check = check.env("CARGO_TARGET_DIR", &workspace.target_directory);
        check.run().with_context(|| {
            format!("`{}` does not compile outside the workspace", library.name)
        })?;
        println!(
            "{}: alone, {:.1} s",
            library.name,
            start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

const ROOT_MANIFEST: &str = "\
[workspace]
members = [\"user-of-*\"]
resolver = \"3\"

[profile.dev]
debug = \"line-tables-only\"
";

fn user_name(library: &Package) -> String {
    format!("user-of-{}", library.name)
}

/// Writes a package of two lines: a dependency, and a use of it.
fn write_user(sh: &Shell, folder: &Path, library: &Package) -> Result<()> {
    let user = user_name(library);
    let path = root().join(library.folder());
    let manifest = format!(
        "[package]\nname = \"{user}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n{} = {{ path = {path:?} }}\n",
        library.name
    );
    let code = format!("pub use {}::*;\n", library.library_name()?);
    let folder = folder.join(&user);
    sh.write_file(folder.join("Cargo.toml"), manifest)?;
    sh.write_file(folder.join("src/lib.rs"), code)?;
    Ok(())
}
