//! Which archive it is, and how to get at what is in it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UnpackError;

/// A format of archives.
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
    /// Has a look at the first bytes.
    pub(super) fn of(archive: &mut File) -> Result<Self, UnpackError> {
        archive.rewind().map_err(UnpackError::read)?;
        let mut start = Vec::new();
        let mut head = archive.take(512);
        head.read_to_end(&mut start).map_err(UnpackError::read)?;
        Self::by_magic(&start).ok_or(UnpackError::UnknownFormat)
    }

    fn by_magic(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::TarGz),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::TarXz),
            // A frame, or one of those that decoders skip.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                Some(Self::TarZst)
            }
            // The first file, or the end of an archive without any.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ if start.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            // An archive without any entry is zeros.
            _ if start.len() == 512 && start.iter().all(|byte| *byte == 0) => Some(Self::Tar),
            _ => None,
        }
    }
}

type Input<'a> = BufReader<&'a mut File>;

/// Takes the compression from around a tar.
pub(super) enum Decoder<'a> {
    Plain(Input<'a>),
    Gzip(MultiGzDecoder<Input<'a>>),
    Xz(Box<XzReader<Input<'a>>>),
    Zstd(zstd::Decoder<'a, Input<'a>>),
}

impl<'a> Decoder<'a> {
    pub(super) fn new(archive: &'a mut File, format: ArchiveFormat) -> Result<Self, UnpackError> {
        /// The dictionary of `xz -9` is 64 MiB, and its decoder needs a bit more.
        const XZ_MEMORY_KIB: u32 = 80 * 1024;
        /// 128 MiB, which is what `zstd --long` makes and the largest that `zstd -d` takes unasked.
        const ZSTD_WINDOW_LOG: u32 = 27;

        let input = BufReader::with_capacity(128 * 1024, archive);
        Ok(match format {
            ArchiveFormat::TarGz => Self::Gzip(MultiGzDecoder::new(input)),
            ArchiveFormat::TarXz => Self::Xz(Box::new(XzReader::new_mem_limit(
                input,
                true,
                XZ_MEMORY_KIB,
            ))),
            ArchiveFormat::TarZst => {
                let mut decoder = zstd::Decoder::with_buffer(input).map_err(UnpackError::read)?;
                let limited = decoder.window_log_max(ZSTD_WINDOW_LOG);
                limited.map_err(UnpackError::read)?;
                Self::Zstd(decoder)
            }
            ArchiveFormat::Tar | ArchiveFormat::Zip => Self::Plain(input),
        })
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Xz(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
