//! Builders for archives, including malformed ones.

#![cfg_attr(
    not(unix),
    expect(dead_code, reason = "the tests of links and modes are for Unix")
)]

use std::io::Write as _;

/// A builder for tar archives.
#[derive(Clone, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(b'0', name.as_bytes(), "", content.len() as u64, content)
    }

    pub(super) fn folder(self, name: &str) -> Self {
        self.entry(b'5', name.as_bytes(), "", 0, b"")
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name.as_bytes(), target, 0, b"")
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name.as_bytes(), target, 0, b"")
    }

    /// Adds an entry of any type, whose size may differ from its content.
    pub(super) fn entry(
        self,
        kind: u8,
        name: &[u8],
        target: &str,
        size: u64,
        content: &[u8],
    ) -> Self {
        self.entry_with(kind, name, target, size, content, |_| ())
    }

    pub(super) fn entry_with(
        mut self,
        kind: u8,
        name: &[u8],
        target: &str,
        size: u64,
        content: &[u8],
        change: impl FnOnce(&mut tar::Header),
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        header.set_size(size);
        header.set_entry_type(tar::EntryType::new(kind));
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name);
        old.linkname[..target.len()].copy_from_slice(target.as_bytes());
        change(&mut header);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Returns the entries without the end of the archive.
    pub(super) fn part(self) -> Vec<u8> {
        self.0
    }

    /// Returns the archive.
    pub(super) fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory suffices");
    encoder.finish().expect("memory suffices")
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 19).expect("memory suffices")
}

pub(super) fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::default();
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("options are valid");
    writer.write_all(bytes).expect("memory suffices");
    writer.finish().expect("memory suffices")
}

/// Returns an xz stream whose header declares a dictionary size, encoded as in the header.
pub(super) fn xz_with_dictionary(bytes: &[u8], dictionary: u8) -> Vec<u8> {
    const BLOCK: usize = 12;
    let mut packed = xz(bytes);
    let length = 4 * (usize::from(packed[BLOCK]) + 1);
    let header = &mut packed[BLOCK..BLOCK + length];
    assert_eq!(
        header[2..4],
        [0x21, 1],
        "LZMA2, with one byte of properties"
    );
    header[4] = dictionary;
    let (header, sum) = header.split_at_mut(length - 4);
    let mut crc = flate2::Crc::new();
    crc.update(header);
    sum.copy_from_slice(&crc.sum().to_le_bytes());
    packed
}

/// Returns a zstd frame of one raw block whose header declares a window of 2^`window` bytes.
pub(super) fn zstd_with_window(bytes: &[u8], window: u8) -> Vec<u8> {
    let block = (bytes.len() as u32) << 3 | 1;
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0, (window - 10) << 3];
    [&head, &block.to_le_bytes()[..3], bytes].concat()
}

/// A builder for zip archives with uncompressed files.
#[derive(Clone, Default)]
pub(super) struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
}

impl Zip {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name, name, 0o100_644, content)
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(name, name, 0o120_777, target.as_bytes())
    }

    /// Adds an entry, whose local header and directory header may have different names.
    pub(super) fn entry(mut self, local: &str, central: &str, mode: u32, content: &[u8]) -> Self {
        let offset = self.bytes.len() as u32;
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let (crc, size) = (crc.sum(), content.len() as u32);
        self.bytes.extend(b"PK\x03\x04\x0a\0\0\0\0\0\0\0\x21\0");
        put(&mut self.bytes, &[crc, size, size]);
        put_short(&mut self.bytes, &[local.len() as u16, 0]);
        self.bytes.extend(local.as_bytes());
        self.bytes.extend(content);

        self.directory
            .extend(b"PK\x01\x02\x0a\x03\x0a\0\0\0\0\0\0\0\x21\0");
        put(&mut self.directory, &[crc, size, size]);
        put_short(&mut self.directory, &[central.len() as u16, 0, 0, 0, 0]);
        put(&mut self.directory, &[mode << 16, offset]);
        self.directory.extend(central.as_bytes());
        self.entries += 1;
        self
    }

    /// Returns two files, one of which lies within the bytes of the other.
    pub(super) fn overlapping() -> Self {
        let inner = Self::new().file("inner", b"evil");
        let mut both = Self::new().file("outer", &inner.bytes);
        both.directory.extend(&inner.directory);
        // The offset of the inner header is stored before its name.
        let end = both.directory.len() - "inner".len();
        let header = 30 + "outer".len() as u32;
        both.directory[end - 4..end].copy_from_slice(&header.to_le_bytes());
        both.entries += 1;
        both
    }

    /// Marks the first file as encrypted.
    pub(super) fn encrypted(mut self) -> Self {
        for (bytes, flags) in [(&mut self.bytes, 6), (&mut self.directory, 8)] {
            bytes[flags] |= 1;
        }
        self
    }

    pub(super) fn bytes(self) -> Vec<u8> {
        let Self {
            mut bytes,
            directory,
            entries,
        } = self;
        let start = bytes.len() as u32;
        bytes.extend(&directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        put_short(&mut bytes, &[entries, entries]);
        put(&mut bytes, &[directory.len() as u32, start]);
        put_short(&mut bytes, &[0]);
        bytes
    }
}

fn put(bytes: &mut Vec<u8>, numbers: &[u32]) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

fn put_short(bytes: &mut Vec<u8>, numbers: &[u16]) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}
