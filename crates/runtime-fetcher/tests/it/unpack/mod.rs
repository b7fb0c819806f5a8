//! Unpacking: valid archives, limits and attacks.

mod attacks;
mod build;
mod formats;
mod limits;

use std::path::{Path, PathBuf};

use runtime_fetcher::unpack::UnpackError;
use runtime_fetcher::{ArchiveFormat, DirectoryTarget, Target, TargetError, UnpackLimits};

/// A folder with a folder `in` for unpacking, and a sibling file that archives must not reach.
struct Site {
    outer: tempfile::TempDir,
}

const OUTSIDE: &str = "outside";

impl Site {
    fn new() -> Self {
        let outer = tempfile::tempdir().expect("disk has space");
        std::fs::write(outer.path().join(OUTSIDE), OUTSIDE).expect("disk has space");
        std::fs::create_dir(outer.path().join("in")).expect("disk has space");
        Self { outer }
    }

    /// Returns the path of the unpacked folder.
    fn path(&self) -> PathBuf {
        self.outer.path().join("in/here")
    }

    async fn unpack(
        &self,
        archive: Vec<u8>,
        format: Option<ArchiveFormat>,
        limits: UnpackLimits,
    ) -> Result<DirectoryTarget, UnpackError> {
        let mut target = DirectoryTarget::new(self.path()).with_limits(limits);
        if let Some(format) = format {
            target = target.with_format(format);
        }
        target.write(archive.into()).await.expect("disk has space");
        assert!(!self.path().exists(), "nothing is there before the commit");
        match target.commit().await {
            Ok(()) => Ok(target),
            Err(TargetError::Archive(error)) => Err(error),
            Err(other) => panic!("not an archive error: {other:?}"),
        }
    }

    /// Checks that a rejected archive left nothing inside or outside the folder.
    fn check_untouched(&self, what: &str) {
        assert_eq!(
            names(&self.outer.path().join("in")),
            [""; 0],
            "{what} left something"
        );
        assert_eq!(names(self.outer.path()), ["in", OUTSIDE], "{what} got out");
        let outside = std::fs::read_to_string(self.outer.path().join(OUTSIDE));
        assert_eq!(
            outside.expect("path exists"),
            OUTSIDE,
            "{what} wrote outside"
        );
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("folder exists");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .expect("entry is readable")
            .file_name()
            .to_string_lossy()
            .into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}
