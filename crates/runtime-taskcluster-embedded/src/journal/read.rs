//! Reads a journal.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::str;

use flate2::Crc;

use super::batch::{COMMIT_START, MAX_LINE_LEN, ValueRange, checksum_text};
use super::{HEADER, HEADER_START, OpenJournalError};

/// A damaged journal.
#[derive(Debug, thiserror::Error)]
#[error("damaged at byte {offset}: {problem}")]
pub(crate) struct DamagedJournal {
    pub(crate) offset: u64,
    pub(crate) problem: String,
}

impl DamagedJournal {
    pub(crate) fn new(offset: u64, problem: impl ToString) -> Self {
        let problem = problem.to_string();
        Self { offset, problem }
    }
}

/// The last value of an entity.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The first two fields of the record.
    name: Box<[u8]>,
    pub(crate) value: ValueRange,
}

impl Entry {
    /// Returns the table and the key, which is JSON.
    pub(crate) fn table_and_key(&self) -> Result<(&str, &[u8]), DamagedJournal> {
        let damaged = || DamagedJournal::new(self.value.offset, "a record has no table");
        let tab = self.name.iter().position(|byte| *byte == b'\t');
        let (table, key) = self.name.split_at(tab.ok_or_else(damaged)?);
        let table = str::from_utf8(table).map_err(|_| damaged())?;
        Ok((table, &key[1..]))
    }
}

/// The contents of a journal.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// In the order of their position.
    pub(super) entries: Vec<Entry>,
    /// The length without an incomplete batch at the end, in bytes.
    pub(super) committed_len: u64,
    /// The length of the entries, in bytes.
    pub(super) live_len: u64,
}

/// Reads all complete batches.
pub(super) fn read(reader: &mut impl BufRead) -> Result<Contents, OpenJournalError> {
    let mut contents = Contents::default();
    let mut header = Vec::new();
    let is_complete = next_line(reader, 0, &mut header)?;
    if !is_complete && HEADER.starts_with(&header) {
        // A new file, or one whose server was killed at once. A file with another text is not a journal.
        return Ok(contents);
    }
    check_header(&header)?;
    contents.committed_len = header.len() as u64;
    // Reads whole batches, so that records that later ones replace need no allocation.
    let (mut live, mut batch, mut line_starts) = (HashMap::new(), Vec::new(), Vec::new());
    loop {
        let line_start = batch.len();
        let position = contents.committed_len + line_start as u64;
        // Complete lines may be left over as well: the server was killed between the write of its
        // records and that of the commit.
        if !next_line(reader, position, &mut batch)? {
            break;
        }
        let line = &batch[line_start..];
        if let Some(sum) = line.strip_prefix(COMMIT_START) {
            let mut checksum = Crc::new();
            checksum.update(&batch[..line_start]);
            let start = contents.committed_len;
            if sum != format!("{}\n", checksum_text(&checksum)).as_bytes() {
                let problem = "the checksum does not match the records before it";
                return Err(DamagedJournal::new(start, problem).into());
            }
            contents.committed_len += batch.len() as u64;
            line_starts.push(line_start);
            for line in line_starts.windows(2) {
                add_record(&mut live, &batch[line[0]..line[1]], start + line[0] as u64)?;
            }
            line_starts.clear();
            batch.clear();
        } else {
            // Checked here, because the last batch has no commit if its last line is damaged.
            parse(line).map_err(|problem| DamagedJournal::new(position, problem))?;
            line_starts.push(line_start);
        }
    }
    let entries = live.into_iter();
    let entries = entries.map(|(name, value)| Entry { name, value });
    contents.entries = entries.collect();
    contents
        .entries
        .sort_unstable_by_key(|entry| entry.value.offset);
    let sizes = contents.entries.iter();
    contents.live_len = sizes.map(|entry| u64::from(entry.value.len)).sum();
    Ok(contents)
}

/// Adds a record that starts at this position.
fn add_record(
    live: &mut HashMap<Box<[u8]>, ValueRange>,
    line: &[u8],
    start: u64,
) -> Result<(), DamagedJournal> {
    let (name, value) = parse(line).map_err(|problem| DamagedJournal::new(start, problem))?;
    let span = ValueRange {
        offset: start + (line.len() - 1 - value.len()) as u64,
        len: u32::try_from(value.len()).unwrap_or(u32::MAX),
    };
    if value.is_empty() {
        live.remove(name);
    } else if let Some(known) = live.get_mut(name) {
        *known = span;
    } else {
        live.insert(name.into(), span);
    }
    Ok(())
}

/// Reads the line at a position, including its line break. Returns `false` if the file ends before or within the line.
fn next_line(
    reader: &mut impl BufRead,
    position: u64,
    lines: &mut Vec<u8>,
) -> Result<bool, OpenJournalError> {
    let len = reader
        .take(MAX_LINE_LEN as u64 + 1)
        .read_until(b'\n', lines)?;
    if len > MAX_LINE_LEN {
        let problem = format!("the line has more than {MAX_LINE_LEN} bytes");
        return Err(DamagedJournal::new(position, problem).into());
    }
    Ok(len > 0 && lines.ends_with(b"\n"))
}

fn check_header(line: &[u8]) -> Result<(), OpenJournalError> {
    if line == HEADER {
        return Ok(());
    }
    // The end of the line is missing if the server was killed at once.
    let version = line.strip_prefix(HEADER_START).map(<[u8]>::trim_ascii_end);
    if let Some(version) = version
        && !version.is_empty()
        && version.iter().all(u8::is_ascii_digit)
    {
        let version = String::from_utf8_lossy(version).into_owned();
        return Err(OpenJournalError::OtherFormat(version));
    }
    let expected = String::from_utf8_lossy(HEADER);
    let problem = format!("the first line is not `{}`", expected.trim_end());
    Err(DamagedJournal::new(0, problem).into())
}

/// Splits a record into table and key, and the value.
fn parse(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut tabs = (0..line.len()).filter(|at| line[*at] == b'\t');
    match (tabs.next(), tabs.next()) {
        (Some(_), Some(end)) => Ok((&line[..end], &line[end + 1..])),
        _ => Err("the line is not a record"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Batch;
    use super::*;

    /// A number of keys and values, some removed.
    fn changes() -> impl Strategy<Value = Vec<Vec<(u8, Option<String>)>>> {
        let change = (0..6_u8, proptest::option::of(".{0,8}"));
        proptest::collection::vec(proptest::collection::vec(change, 1..4), 1..6)
    }

    /// Returns the bytes of a journal, and the length and the live keys after each batch.
    fn write(batches: &[Vec<(u8, Option<String>)>]) -> (Vec<u8>, Vec<(usize, Vec<u8>)>) {
        let (mut bytes, mut live) = (HEADER.to_vec(), std::collections::BTreeSet::new());
        let mut states = vec![(bytes.len(), Vec::new())];
        for changes in batches {
            let mut batch = Batch::new(bytes.len() as u64);
            for (key, value) in changes {
                match value {
                    Some(value) => {
                        batch.put("things", key, value).unwrap();
                        live.insert(*key);
                    }
                    None => {
                        batch.remove("things", key).unwrap();
                        live.remove(key);
                    }
                }
            }
            bytes.extend(batch.into_bytes());
            states.push((bytes.len(), live.iter().copied().collect()));
        }
        (bytes, states)
    }

    fn key(entry: &Entry) -> u8 {
        let (_, key) = entry.table_and_key().unwrap();
        serde_json::from_slice(key).unwrap()
    }

    fn keys(contents: &Contents) -> Vec<u8> {
        let mut keys: Vec<u8> = contents.entries.iter().map(key).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn longest_record_is_read() {
        let mut batch = Batch::new(HEADER.len() as u64);
        // The key has three bytes, and so have quotes and line break.
        let rest = MAX_LINE_LEN - "things\t\"a\"\t".len() - 3;
        batch.put("things", "a", &"x".repeat(rest)).unwrap();
        let bytes = [HEADER, &batch.into_bytes()].concat();
        assert_eq!(read(&mut &bytes[..]).unwrap().entries.len(), 1);
    }

    #[test]
    fn longer_record_is_not_written() {
        let mut batch = Batch::new(HEADER.len() as u64);
        let rest = MAX_LINE_LEN - "things\t\"a\"\t".len() - 2;
        let error = batch.put("things", "a", &"x".repeat(rest)).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }

    #[test]
    fn long_line_is_damage_at_its_start() {
        let mut batch = Batch::new(HEADER.len() as u64);
        batch.put("things", "a", &1).unwrap();
        let start = [HEADER, &batch.into_bytes()].concat();
        let bytes = [&start[..], &[b'x'; 2 * MAX_LINE_LEN]].concat();
        match read(&mut &bytes[..]) {
            Err(OpenJournalError::Damaged(error)) => assert_eq!(error.offset, start.len() as u64),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn cut_journal_has_complete_batches(batches in changes(), at in 0.0..1.0_f64) {
            let (bytes, states) = write(&batches);
            let end = (bytes.len() as f64 * at) as usize;
            let contents = read(&mut &bytes[..end]).unwrap();
            let complete = states.iter().rev().find(|(len, _)| *len <= end);
            let (len, live) = complete.cloned().unwrap_or_default();
            prop_assert_eq!(contents.committed_len, len as u64);
            prop_assert_eq!(keys(&contents), live);
        }

        #[test]
        fn last_value_is_read(batches in changes()) {
            let (bytes, _) = write(&batches);
            for entry in read(&mut &bytes[..]).unwrap().entries {
                let key = key(&entry);
                let written = batches.iter().flatten().rev().find(|change| change.0 == key);
                let start = entry.value.offset as usize;
                let value = &bytes[start..start + entry.value.len as usize];
                let value: String = serde_json::from_slice(value).unwrap();
                prop_assert_eq!(Some(value), written.unwrap().1.clone());
            }
        }

        #[test]
        fn damage_is_an_error_or_a_cut(batches in changes(), at in 0.0..1.0_f64, byte: u8) {
            let (mut bytes, states) = write(&batches);
            let at = (bytes.len() as f64 * at) as usize;
            prop_assume!(bytes[at] != byte);
            bytes[at] = byte;
            // Only the last batch may be taken for one that was never complete.
            let last = states[states.len() - 2].0;
            match read(&mut &bytes[..]) {
                Ok(contents) => {
                    prop_assert!(at >= last, "byte {} is {}", at, byte);
                    prop_assert_eq!(contents.committed_len, last as u64);
                }
                // Behind a new line break, the rest of the value is a line that is not a record.
                Err(OpenJournalError::Damaged(error)) => prop_assert!(error.offset <= at as u64 + 1),
                // Another digit in the first line is another version.
                Err(OpenJournalError::OtherFormat(_)) => prop_assert_eq!(at, HEADER_START.len()),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }

        #[test]
        fn any_bytes_without_commit_are_dropped_or_rejected(bytes: Vec<u8>) {
            let with_header = [HEADER, &bytes].concat();
            match read(&mut &with_header[..]) {
                Ok(contents) => {
                    prop_assert_eq!(contents.committed_len, HEADER.len() as u64);
                    prop_assert!(contents.entries.is_empty());
                }
                Err(OpenJournalError::Damaged(error)) => {
                    prop_assert!(error.offset < with_header.len() as u64);
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
        }

        #[test]
        fn any_committed_lines_are_read_or_rejected(
            lines in proptest::collection::vec("[ab\t]{0,6}", 1..6),
        ) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut checksum = Crc::new();
            checksum.update(text.as_bytes());
            let commit = format!("commit\t{}\n", checksum_text(&checksum));
            let bytes = [HEADER, text.as_bytes(), commit.as_bytes()].concat();
            let damaged = lines.iter().position(|line| line.matches('\t').count() < 2);
            match (read(&mut &bytes[..]), damaged) {
                (Ok(contents), None) => {
                    prop_assert_eq!(contents.committed_len, bytes.len() as u64);
                    // The last value of each name, unless it is empty.
                    let mut live = std::collections::BTreeMap::new();
                    for line in &lines {
                        let at = line.match_indices('\t').nth(1).map_or(0, |(at, _)| at);
                        live.insert(&line[..at], &line[at + 1..]);
                    }
                    live.retain(|_, value| !value.is_empty());
                    prop_assert_eq!(contents.entries.len(), live.len());
                }
                (Err(OpenJournalError::Damaged(error)), Some(line)) => {
                    let before: usize = lines[..line].iter().map(|line| line.len() + 1).sum();
                    prop_assert_eq!(error.offset, (HEADER.len() + before) as u64);
                }
                (result, _) => prop_assert!(false, "{:?}", result.map(|it| it.entries)),
            }
        }
    }
}
