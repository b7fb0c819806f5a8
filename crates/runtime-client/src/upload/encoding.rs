//! Which artifacts are worth compressing.

use runtime_core::artifact::ContentEncoding;

/// Endings of files that are compressed already: a second time costs time and gains nothing.
const COMPRESSED: &[&str] = &[
    "7z", "aab", "aac", "apk", "appx", "avif", "br", "bz2", "cab", "crx", "deb", "dmg", "docx",
    "egg", "flac", "gif", "gz", "heic", "ipa", "jar", "jpeg", "jpg", "lz", "lz4", "lzma", "m4a",
    "m4v", "mar", "mkv", "mov", "mp3", "mp4", "msix", "nupkg", "ogg", "opus", "pkg", "png", "pptx",
    "rar", "rpm", "snap", "tbz", "tbz2", "tgz", "txz", "tzst", "war", "webm", "webp", "whl",
    "woff", "woff2", "xlsx", "xpi", "xz", "zip", "zst",
];

/// MIME types, without `x-` and `vnd.` before the name, of what is compressed already.
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

/// Whether the bytes of an artifact are to be compressed on their way.
pub(super) fn wants_gzip(name: &str, content_type: &str, encoding: ContentEncoding) -> bool {
    match encoding {
        ContentEncoding::Gzip => true,
        ContentEncoding::Auto => !has_compressed_ending(name) && !is_compressed_type(content_type),
        // A kind of encoding that this version does not know is not guessed.
        _ => false,
    }
}

fn has_compressed_ending(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let ending = file
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| COMPRESSED.binary_search(&&*ending).is_ok())
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
    // No format of films that is in use leaves anything to gain.
    group == "video"
        || COMPRESSED_TYPES
            .binary_search(&&*format!("{group}/{kind}"))
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_for_the_search() {
        assert!(COMPRESSED.is_sorted() && COMPRESSED_TYPES.is_sorted());
    }

    #[test]
    fn a_name_tells_whether_to_compress_unless_the_artifact_does() {
        let auto = |name| wants_gzip(name, "application/octet-stream", ContentEncoding::Auto);
        assert!(auto("public/live.log") && auto("public/tar.gz/README") && auto("public/noending"));
        assert!(!auto("public/target.tar.gz") && !auto("public/SHOT.PNG") && !auto("a.zst"));
        let binary = "application/octet-stream";
        assert!(wants_gzip("a.zip", binary, ContentEncoding::Gzip));
        assert!(!wants_gzip("a.log", binary, ContentEncoding::Identity));
    }

    #[test]
    fn a_type_tells_it_where_the_name_does_not() {
        let auto = |kind| wants_gzip("public/build", kind, ContentEncoding::Auto);
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
        assert!(wants_gzip(
            "public/build",
            "application/zip",
            ContentEncoding::Gzip
        ));
    }
}
