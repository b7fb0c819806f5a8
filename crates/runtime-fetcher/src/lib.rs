//! Turns references (URL, URL with hash, artifact, index) into bytes on disk.
