//! Uploads artifacts.
//!
//! A source of bytes is opened once and read in one pass per attempt, which computes the hashes while it sends. An
//! artifact that needs compression is compressed before the first attempt, since a store needs the length in advance.

mod body_stream;
mod deliver;
mod digests;
mod encoding;
mod gzip;
mod named_source;
mod object;
mod object_declaration;
mod plain_file;
mod s3;
mod source;
mod uploader;
