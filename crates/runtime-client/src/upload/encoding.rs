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

/// Whether the bytes of an artifact are to be compressed on their way.
pub(super) fn wants_gzip(name: &str, encoding: ContentEncoding) -> bool {
    match encoding {
        ContentEncoding::Gzip => true,
        ContentEncoding::Auto => !is_compressed(name),
        // A kind of encoding that this version does not know is not guessed.
        _ => false,
    }
}

fn is_compressed(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let ending = file
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| COMPRESSED.binary_search(&&*ending).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_the_search() {
        assert!(COMPRESSED.is_sorted());
    }

    #[test]
    fn a_name_tells_whether_to_compress_unless_the_artifact_does() {
        let auto = |name| wants_gzip(name, ContentEncoding::Auto);
        assert!(auto("public/live.log") && auto("public/tar.gz/README") && auto("public/noending"));
        assert!(!auto("public/target.tar.gz") && !auto("public/SHOT.PNG") && !auto("a.zst"));
        assert!(wants_gzip("a.zip", ContentEncoding::Gzip));
        assert!(!wants_gzip("a.log", ContentEncoding::Identity));
    }
}
