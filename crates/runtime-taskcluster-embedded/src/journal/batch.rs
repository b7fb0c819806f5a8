//! Batches of records, as they are written.
//!
//! A record is a line `<table> TAB <key> TAB <value>`. Key and value are JSON, which contains no unescaped tabs and
//! line breaks. The value is empty if the entity was removed. The line `commit TAB <checksum>` ends a batch.

use std::{fmt, io};

use flate2::Crc;
use serde::Serialize;

/// The start of the line that ends a batch.
pub(super) const COMMIT_START: &[u8] = b"commit\t";

/// The maximum length of a line, in bytes. Payloads have at most 10 MiB, but may be longer in the journal, which
/// formats numbers differently.
pub(super) const MAX_LINE_LEN: usize = if cfg!(test) { 1024 } else { 256 * 1024 * 1024 };

/// The name of a table whose records panic.
#[cfg(test)]
pub(crate) const PANICKING_TABLE: &str = "panics";

/// The position of a value in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueRange {
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) len: u32,
}

/// Records that are written together.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// The position of the batch in the file.
    start: u64,
}

impl Batch {
    pub(super) fn new(start: u64) -> Self {
        Self {
            bytes: Vec::new(),
            start,
        }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Returns the size in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds the value of an entity.
    pub(crate) fn put(
        &mut self,
        table: &str,
        key: &(impl Serialize + ?Sized),
        value: &impl Serialize,
    ) -> io::Result<ValueRange> {
        let record = self.start_record(table, key)?;
        let start = self.bytes.len();
        serde_json::to_writer(&mut self.bytes, value)?;
        self.end_record(record, start)
    }

    /// Adds a value in the form of JSON.
    pub(crate) fn copy(
        &mut self,
        table: &str,
        key: &(impl Serialize + ?Sized),
        value: &[u8],
    ) -> io::Result<ValueRange> {
        let record = self.start_record(table, key)?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.end_record(record, start)
    }

    /// Adds the removal of an entity.
    pub(crate) fn remove(
        &mut self,
        table: &str,
        key: &(impl Serialize + ?Sized),
    ) -> io::Result<()> {
        self.start_record(table, key)?;
        self.bytes.push(b'\n');
        Ok(())
    }

    /// Adds table and key, and returns the start of the record.
    fn start_record(&mut self, table: &str, key: &(impl Serialize + ?Sized)) -> io::Result<usize> {
        #[cfg(test)]
        assert_ne!(table, PANICKING_TABLE, "injected");
        let record = self.bytes.len();
        self.bytes.extend_from_slice(table.as_bytes());
        self.bytes.push(b'\t');
        serde_json::to_writer(&mut self.bytes, key)?;
        self.bytes.push(b'\t');
        Ok(record)
    }

    /// Ends a record whose value starts at `start`.
    fn end_record(&mut self, record: usize, start: usize) -> io::Result<ValueRange> {
        let len = u32::try_from(self.bytes.len() - start).map_err(io::Error::other)?;
        self.bytes.push(b'\n');
        if self.bytes.len() - record > MAX_LINE_LEN {
            // After a restart, the server would reject the whole journal.
            let problem = format!("a record has more than {MAX_LINE_LEN} bytes");
            return Err(io::Error::other(problem));
        }
        let offset = self.start + start as u64;
        Ok(ValueRange { offset, len })
    }

    /// Returns the bytes to write, with the line that ends the batch.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        if !self.bytes.is_empty() {
            // Detects torn and reordered writes. It does not protect against deliberate changes:
            // the file is trusted.
            let mut checksum = Crc::new();
            checksum.update(&self.bytes);
            self.bytes.extend_from_slice(COMMIT_START);
            self.bytes
                .extend_from_slice(checksum_text(&checksum).as_bytes());
            self.bytes.push(b'\n');
        }
        self.bytes
    }
}

impl fmt::Debug for Batch {
    /// Shows only the size, because the records contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("start", &self.start)
            .field("size", &self.size())
            .finish()
    }
}

/// Returns a checksum in the format of the file.
pub(super) fn checksum_text(checksum: &Crc) -> String {
    format!("{:08x}", checksum.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_records() {
        let mut batch = Batch::new(7);
        batch.put("secret", "a", &"word").unwrap();
        assert_eq!(format!("{batch:?}"), "Batch { start: 7, size: 18 }");
    }
}
