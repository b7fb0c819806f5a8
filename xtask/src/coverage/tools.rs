//! LLVM's tools for profiles, which must be as new as the compiler's LLVM.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Two programs of one version.
pub(super) struct Tools {
    pub(super) profdata: PathBuf,
    pub(super) cov: PathBuf,
}

/// How many versions after the compiler's are looked for.
const NEWER: u32 = 4;

impl Tools {
    /// Looks for the component of rustup, and then for a distribution's package.
    pub(super) fn find(sh: &Shell) -> Result<Option<Self>> {
        let major = major(sh)?;
        let sysroot = cmd!(sh, "rustc --print target-libdir").quiet().read()?;
        let component = Path::new(&sysroot)
            .parent()
            .map(|folder| folder.join("bin"));
        let packages =
            (major..=major + NEWER).map(|major| format!("/usr/lib/llvm-{major}/bin").into());
        let folders = component.into_iter().chain(packages);
        Ok(folders
            .map(|folder: PathBuf| Self::in_folder(&folder))
            .find(Self::is_there))
    }

    fn in_folder(folder: &Path) -> Self {
        let tool = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        Self {
            profdata: tool("llvm-profdata"),
            cov: tool("llvm-cov"),
        }
    }

    fn is_there(&self) -> bool {
        self.profdata.exists() && self.cov.exists()
    }
}

/// The first number of the compiler's LLVM.
pub(super) fn major(sh: &Shell) -> Result<u32> {
    let version = cmd!(sh, "rustc -vV").quiet().read()?;
    parse_major(&version).context("`rustc -vV` tells no version of LLVM")
}

fn parse_major(version: &str) -> Option<u32> {
    let line = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_llvm_is_not_that_of_the_compiler() {
        assert_eq!(
            parse_major("rustc 1.95.0\nrelease: 1.95.0\nLLVM version: 22.1.2\n"),
            Some(22)
        );
        assert_eq!(parse_major("rustc 1.95.0\n"), None);
    }
}
