//! Archives: what comes out of good ones, and what is refused.

mod attacks;
mod build;
mod formats;
mod limits;

use std::path::{Path, PathBuf};

use runtime_fetcher::{
    ArchiveFormat, DirectoryTarget, Target, TargetError, UnpackError, UnpackLimits,
};

/// A folder with a folder `in` for archives to be unpacked, and a file beside that they must not reach.
struct Site {
    outer: tempfile::TempDir,
}

const OUTSIDE: &str = "outside";

impl Site {
    fn new() -> Self {
        let outer = tempfile::tempdir().expect("there is room");
        std::fs::write(outer.path().join(OUTSIDE), OUTSIDE).expect("there is room");
        std::fs::create_dir(outer.path().join("in")).expect("there is room");
        Self { outer }
    }

    /// Where an archive is unpacked.
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
        target.write(archive.into()).await.expect("there is room");
        assert!(!self.path().exists(), "nothing is there before the commit");
        match target.commit().await {
            Ok(()) => Ok(target),
            Err(TargetError::Archive(error)) => Err(error),
            Err(other) => panic!("it is about the archive: {other:?}"),
        }
    }

    /// Checks that a refused archive left nothing, neither in the folder nor beside it.
    fn check_untouched(&self, what: &str) {
        assert_eq!(
            names(&self.outer.path().join("in")),
            [""; 0],
            "{what} left something"
        );
        assert_eq!(names(self.outer.path()), ["in", OUTSIDE], "{what} got out");
        let outside = std::fs::read_to_string(self.outer.path().join(OUTSIDE));
        assert_eq!(
            outside.expect("it is there"),
            OUTSIDE,
            "{what} wrote outside"
        );
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry
            .expect("it is readable")
            .file_name()
            .to_string_lossy()
            .into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}
