//! Targets on disk and in memory.

#[cfg(feature = "unpack")]
mod directory;
mod file;
mod memory;
mod temp_file;

#[cfg(feature = "unpack")]
pub use directory::DirectoryTarget;
pub use file::FileTarget;
pub use memory::MemoryTarget;
