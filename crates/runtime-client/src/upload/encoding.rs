//! Decides which artifacts to compress.

use runtime_core::artifact::ContentEncoding;

/// Extensions of formats that are already compressed: compressing them again saves nothing.
const COMPRESSED_EXTENSIONS: &[&str] = &[
    "7z", "aab", "aac", "apk", "appx", "avif", "br", "bz2", "cab", "crx", "deb", "dmg", "docx",
    "egg", "flac", "gif", "gz", "heic", "ipa", "jar", "jpeg", "jpg", "lz", "lz4", "lzma", "m4a",
    "m4v", "mar", "mkv", "mov", "mp3", "mp4", "msix", "nupkg", "ogg", "opus", "pkg", "png", "pptx",
    "rar", "rpm", "snap", "tbz", "tbz2", "tgz", "txz", "tzst", "war", "webm", "webp", "whl",
    "woff", "woff2", "xlsx", "xpi", "xz", "zip", "zst",
];

/// MIME types of formats that are already compressed, without the prefixes `x-` and `vnd.`.
const COMPRESSED_TYPES: &[&str] = &[
    "application/7z-compressed",
    "application/android.package-archive",
    "application/brotli",
    "application/bzip",
    "application/bzip2",
    "application/compress",
    "application/debian.binary-package",
    "application/gzip",
    "application/java-archive",
    "application/rar",
    "application/rar-compressed",
    "application/rpm",
    "application/xpinstall",
    "application/xz",
    "application/zip",
    "application/zip-compressed",
    "application/zstd",
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/webm",
    "font/woff",
    "font/woff2",
    "image/avif",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/png",
    "image/webp",
];

/// The minimum length that is compressed by default. A shorter artifact fits into one network packet in any case.
const MIN_BYTES: u64 = 1024 + 1;

/// Returns the length from which on to compress an artifact for the upload; `None` for no length.
pub(super) fn min_compressed_length(
    name: &str,
    content_type: &str,
    encoding: ContentEncoding,
) -> Option<u64> {
    match encoding {
        ContentEncoding::Gzip => Some(0),
        ContentEncoding::Auto => {
            let is_compressed = has_compressed_extension(name) || is_compressed_type(content_type);
            (!is_compressed).then_some(MIN_BYTES)
        }
        // `Identity`, `Gzipped`, and encodings that this version does not know.
        _ => None,
    }
}

fn has_compressed_extension(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let extension = file
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| COMPRESSED_EXTENSIONS.binary_search(&&*extension).is_ok())
}

fn is_compressed_type(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let Some((group, kind)) = essence.split_once('/') else {
        return false;
    };
    let kind = ["x-", "vnd."].iter().fold(kind, |kind, prefix| {
        kind.strip_prefix(prefix).unwrap_or(kind)
    });
    // All common video formats are compressed.
    group == "video"
        || COMPRESSED_TYPES
            .binary_search(&&*format!("{group}/{kind}"))
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(COMPRESSED_EXTENSIONS.is_sorted() && COMPRESSED_TYPES.is_sorted());
    }

    #[test]
    fn extension_decides_unless_encoding_is_set() {
        let min =
            |name, encoding| min_compressed_length(name, "application/octet-stream", encoding);
        let auto = |name| min(name, ContentEncoding::Auto).is_some();
        assert!(auto("public/live.log") && auto("public/tar.gz/README") && auto("public/noending"));
        assert!(!auto("public/target.tar.gz") && !auto("public/SHOT.PNG") && !auto("a.zst"));
        assert_eq!(min("a.zip", ContentEncoding::Gzip), Some(0));
        assert_eq!(min("a.log", ContentEncoding::Identity), None);
    }

    #[test]
    fn content_type_decides_without_extension() {
        let min = |kind, encoding| min_compressed_length("public/build", kind, encoding);
        let auto = |kind| min(kind, ContentEncoding::Auto).is_some();
        for kind in [
            "text/plain; charset=utf-8",
            "image/svg+xml",
            "audio/wav",
            "",
            "zip",
            "application/x-tar",
        ] {
            assert!(auto(kind), "{kind}");
        }
        for kind in [
            "application/zip",
            "Application/X-Gzip; a=b",
            "image/png",
            "video/mp4",
            "application/vnd.rar",
        ] {
            assert!(!auto(kind), "{kind}");
        }
        assert_eq!(min("application/zip", ContentEncoding::Gzip), Some(0));
    }
}
