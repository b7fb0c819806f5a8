//! The served files, and folders for the results.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bench_harness::time_ms;
use sha2::{Digest as _, Sha256};

use super::MIB;

/// A folder of served files, and a folder of results.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    size: u64,
    sha256: String,
    sha512: String,
    folders: AtomicUsize,
}

/// The size of a small file.
pub(crate) const SMALL: usize = 1024;

impl Site {
    pub(crate) fn new(size: u64) -> Self {
        let folder = tempfile::tempdir().expect("disk has space");
        for name in ["www", "www/small", "out"] {
            fs::create_dir(folder.path().join(name)).expect("disk has space");
        }
        let mut site = Self {
            folder,
            size,
            sha256: String::new(),
            sha512: String::new(),
            folders: AtomicUsize::new(0),
        };
        site.write("big", size);
        site.write("medium", 64 * MIB);
        site.sha256 = site.digest_of_big(
            Sha256::new(),
            |hash, bytes| hash.update(bytes),
            |hash| hash.finalize().to_vec(),
        );
        let sha512 = ring::digest::Context::new(&ring::digest::SHA512);
        site.sha512 = site.digest_of_big(
            sha512,
            |hash, bytes| hash.update(bytes),
            |hash| hash.finish().as_ref().to_vec(),
        );
        site
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("www")
    }

    pub(crate) fn big(&self) -> PathBuf {
        self.root().join("big")
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the field of a reference and its hash.
    pub(crate) fn sha256(&self) -> (&'static str, String) {
        ("sha256", self.sha256.clone())
    }

    pub(crate) fn sha512(&self) -> (&'static str, String) {
        ("sha512", self.sha512.clone())
    }

    /// Returns the time in ms for creating a large file. Removes the file of the previous round first.
    pub(crate) fn time(&self, name: &str, make: impl FnOnce(&Path)) -> f64 {
        let path = self.folder.path().join("out").join(name);
        let _ = fs::remove_file(&path);
        let time = time_ms(|| make(&path));
        assert!(fs::metadata(&path).is_ok_and(|made| made.len() > MIB));
        time
    }

    /// Creates a new folder. Folders of earlier rounds stay until the end: ext4 skips recently freed inodes when it
    /// allocates a new one, which takes longer than everything else about a small file.
    pub(crate) fn fresh(&self, name: &str) -> PathBuf {
        let number = self.folders.fetch_add(1, Ordering::Relaxed);
        let path = self
            .folder
            .path()
            .join("out")
            .join(format!("{name}-{number}"));
        fs::create_dir(&path).expect("disk has space");
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Creates small files.
    pub(crate) fn small_files(&self, count: usize) -> usize {
        for number in 0..count {
            let content = vec![b'a' + (number % 26) as u8; SMALL];
            let path = self.root().join("small").join(number.to_string());
            fs::write(path, content).expect("disk has space");
        }
        count
    }

    /// Hashes as many bytes as the large file has, from memory.
    pub(crate) fn hash(&self, hashes: &[(&'static str, String)]) {
        let block = block();
        for (name, _) in hashes {
            let blocks = self.size / block.len() as u64;
            match *name {
                "sha256" => {
                    let mut hash = Sha256::new();
                    (0..blocks).for_each(|_| hash.update(&block));
                    std::hint::black_box(hash.finalize());
                }
                _ => {
                    let mut hash = ring::digest::Context::new(&ring::digest::SHA512);
                    (0..blocks).for_each(|_| hash.update(&block));
                    std::hint::black_box(hash.finish());
                }
            }
        }
    }

    fn write(&self, name: &str, size: u64) {
        let mut file = fs::File::create(self.root().join(name)).expect("disk has space");
        let block = block();
        for _ in 0..size / block.len() as u64 {
            file.write_all(&block).expect("disk has space");
        }
    }

    fn digest_of_big<H>(
        &self,
        mut hash: H,
        update: impl Fn(&mut H, &[u8]),
        finish: impl FnOnce(H) -> Vec<u8>,
    ) -> String {
        let mut file = fs::File::open(self.big()).expect("file exists");
        let mut buffer = vec![0; MIB as usize];
        loop {
            match file.read(&mut buffer).expect("file is readable") {
                0 => break,
                read => update(&mut hash, &buffer[..read]),
            }
        }
        finish(hash)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Returns an incompressible MiB.
pub(crate) fn block() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..))
        .take(MIB as usize)
        .collect()
}

/// Returns whether a file has the expected size.
pub(crate) fn has_size(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() == size)
}
