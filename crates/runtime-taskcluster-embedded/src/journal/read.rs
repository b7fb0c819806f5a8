//! Reads a journal.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::str;

use flate2::Crc;

use super::batch::{COMMIT, Span, checksum_text};
use super::{HEADER, OpenJournalError};

/// The longest line. Payloads have at most 10 MiB, which escapes can multiply.
const MAX_LINE_LEN: u64 = 256 * 1024 * 1024;

/// A journal that is not as it was written.
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
    pub(crate) table: Box<str>,
    /// As JSON.
    pub(crate) key: Box<str>,
    pub(crate) value: Span,
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

/// A record of a batch: table and key, and the value unless it was removed.
type Record = ((Box<str>, Box<str>), Option<Span>);

/// Reads all complete batches.
pub(super) fn read(reader: &mut impl BufRead) -> Result<Contents, OpenJournalError> {
    let mut contents = Contents::default();
    let mut live: HashMap<(Box<str>, Box<str>), Span> = HashMap::new();
    let (mut batch, mut checksum): (Vec<Record>, _) = (Vec::new(), Crc::new());
    let (mut line, mut offset) = (Vec::new(), 0);
    while next_line(reader, &mut line)? {
        let start = offset;
        offset += line.len() as u64;
        if start == 0 {
            check_header(&line)?;
            contents.committed_len = offset;
            continue;
        }
        let damaged = |problem| DamagedJournal::new(start, problem);
        let text = &line[..line.len() - 1];
        match parse(text).map_err(damaged)? {
            Line::Commit(sum) if sum == checksum_text(&checksum) => {
                for (key, value) in batch.drain(..) {
                    match value {
                        Some(value) => live.insert(key, value),
                        None => live.remove(&key),
                    };
                }
                contents.committed_len = offset;
                checksum.reset();
            }
            Line::Commit(_) => {
                let start = contents.committed_len;
                let problem = "the checksum does not match the records before it";
                return Err(DamagedJournal::new(start, problem).into());
            }
            Line::Record { table, key, value } => {
                let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
                let offset = start + (text.len() - value.len()) as u64;
                let value = (!value.is_empty()).then_some(Span { offset, len });
                batch.push(((table.into(), key.into()), value));
                checksum.update(&line);
            }
        }
    }
    contents.entries = live
        .into_iter()
        .map(|((table, key), value)| Entry { table, key, value })
        .collect();
    contents
        .entries
        .sort_unstable_by_key(|entry| entry.value.offset);
    let sizes = contents.entries.iter();
    contents.live_len = sizes.map(|entry| u64::from(entry.value.len)).sum();
    Ok(contents)
}

/// Reads a line with its end. Returns `false` at the end of the file, or if it ends within the line.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    reader.take(MAX_LINE_LEN).read_until(b'\n', line)?;
    if line.len() as u64 == MAX_LINE_LEN {
        return Err(io::Error::other("the journal has a line that is too long"));
    }
    Ok(line.ends_with(b"\n"))
}

fn check_header(line: &[u8]) -> Result<(), DamagedJournal> {
    if line == HEADER {
        return Ok(());
    }
    let expected = String::from_utf8_lossy(HEADER);
    let problem = format!("the first line is not `{}`", expected.trim_end());
    Err(DamagedJournal::new(0, problem))
}

#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// With the checksum of the batch.
    Commit(&'a str),
    Record {
        table: &'a str,
        key: &'a str,
        value: &'a str,
    },
}

fn parse(line: &[u8]) -> Result<Line<'_>, &'static str> {
    let text = str::from_utf8(line).map_err(|_| "the line is not UTF-8")?;
    let mut fields = text.split('\t');
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(COMMIT), Some(sum), None, None) => Ok(Line::Commit(sum)),
        (Some(table), Some(key), Some(value), None) => Ok(Line::Record { table, key, value }),
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

    fn keys(contents: &Contents) -> Vec<u8> {
        let mut keys: Vec<u8> = contents
            .entries
            .iter()
            .map(|entry| entry.key.parse().unwrap())
            .collect();
        keys.sort_unstable();
        keys
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
                let key: u8 = entry.key.parse().unwrap();
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
                Err(OpenJournalError::Damaged(error)) => prop_assert!(error.offset <= at as u64),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }

        #[test]
        fn any_bytes_are_read_or_rejected(bytes: Vec<u8>) {
            let with_header = [HEADER, &bytes].concat();
            let _ = read(&mut &with_header[..]);
        }
    }
}
