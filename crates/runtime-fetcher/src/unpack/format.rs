//! Archive formats: detection by the first bytes, and decompression.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _};

use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::UnpackError;

/// An archive format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum ArchiveFormat {
    /// `.tar`
    #[serde(rename = "tar")]
    Tar,
    /// `.tar.gz`, `.tgz`
    #[serde(rename = "tar.gz")]
    TarGz,
    /// `.tar.xz`, `.txz`
    #[serde(rename = "tar.xz")]
    TarXz,
    /// `.tar.zst`
    #[serde(rename = "tar.zst")]
    TarZst,
    /// `.zip`, `.whl`, `.jar`
    #[serde(rename = "zip")]
    Zip,
}

impl ArchiveFormat {
    /// Determines the format of an archive by its first bytes, and by the expected format if there is one.
    ///
    /// Names and content types are unreliable: mirrors serve archives under any of them.
    pub(super) fn detect(archive: &mut File, expected: Option<Self>) -> Result<Self, UnpackError> {
        archive.rewind().map_err(UnpackError::Read)?;
        let mut start = Vec::new();
        let mut head = archive.take(512);
        head.read_to_end(&mut start).map_err(UnpackError::Read)?;
        match expected {
            // A compression that the server declared as a content encoding has been decoded.
            Some(Self::TarGz | Self::TarXz | Self::TarZst) if has_tar_magic(&start) => {
                Ok(Self::Tar)
            }
            Some(format) => Ok(format),
            None => Self::by_magic(&start).ok_or(UnpackError::UnknownFormat),
        }
    }

    fn by_magic(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::TarGz),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::TarXz),
            // A zstd frame, or a skippable frame.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Some(Self::TarZst)
            }
            // The header of the first entry, or the end record of an empty archive.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ if has_tar_magic(start) => Some(Self::Tar),
            // An empty tar consists of zeros.
            _ if start.len() == 512 && start.iter().all(|byte| *byte == 0) => Some(Self::Tar),
            _ => None,
        }
    }
}

fn has_tar_magic(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

/// Returns a reader of the uncompressed tar, or of the unchanged zip.
pub(super) fn decompress(
    archive: &mut File,
    format: ArchiveFormat,
) -> Result<Box<dyn Read + '_>, UnpackError> {
    /// The decoder of `xz -9` needs a little more than its dictionary of 64 MiB. An archive may declare up to 4 GiB.
    const XZ_MEMORY_KIB: u32 = 80 * 1024;
    /// 128 MiB: the window of `zstd --long`, and the largest that `zstd -d` accepts by default.
    const ZSTD_WINDOW_LOG: u32 = 27;

    let input = BufReader::with_capacity(128 * 1024, archive);
    Ok(match format {
        // The multi-member decoders: `cat a.tar.gz b.tar.gz` and parallel compressors write several streams.
        ArchiveFormat::TarGz => Box::new(GzipMembers(Some(GzDecoder::new(input)))),
        ArchiveFormat::TarXz => Box::new(XzReader::new_mem_limit(input, true, XZ_MEMORY_KIB)),
        ArchiveFormat::TarZst => {
            let mut decoder = zstd::Decoder::with_buffer(input).map_err(UnpackError::Read)?;
            let limited = decoder.window_log_max(ZSTD_WINDOW_LOG);
            limited.map_err(UnpackError::Read)?;
            Box::new(decoder)
        }
        ArchiveFormat::Tar | ArchiveFormat::Zip => Box::new(input),
    })
}

/// A decoder of all members of a gzip file. NULs after a member are skipped, as gzip does: tools that write in blocks pad
/// their files.
struct GzipMembers<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.0 else {
                return Ok(0);
            };
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let input = self.0.take().map(GzDecoder::into_inner);
            self.0 = input.map(next_member).transpose()?.flatten();
        }
    }
}

/// Skips NULs and returns the decoder of the next member, if any.
fn next_member<R: BufRead>(mut input: R) -> io::Result<Option<GzDecoder<R>>> {
    loop {
        let bytes = input.fill_buf()?;
        let (available, nuls) = (
            bytes.len(),
            bytes.iter().take_while(|byte| **byte == 0).count(),
        );
        input.consume(nuls);
        match available {
            0 => return Ok(None),
            _ if nuls < available => return Ok(Some(GzDecoder::new(input))),
            _ => {}
        }
    }
}
