//! The space that disposing of a resource frees.

/// An amount of space, which may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Size {
    /// Nothing: evicting the resource frees none of it.
    #[default]
    None,
    /// An unknown amount. The collector reads the system's statistics after the disposal.
    Unknown,
    /// A known amount.
    Known(u64),
}

impl Size {
    /// Returns the amount, or 0 if it is unknown.
    #[must_use]
    pub const fn known(self) -> u64 {
        match self {
            Self::Known(amount) => amount,
            Self::None | Self::Unknown => 0,
        }
    }
}

/// The disk space, memory and inodes that a resource occupies.
///
/// ```
/// use runtime_gc::{Footprint, Size};
///
/// let download = Footprint::disk(Size::Known(4096)).with_inodes(Size::Known(1));
/// assert_eq!(download.memory, Size::None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footprint {
    /// Bytes on disk.
    pub disk: Size,
    /// Bytes of memory.
    pub memory: Size,
    /// Files and folders. [`Unknown`](Size::Unknown) by default for a resource on disk.
    pub inodes: Size,
}

impl Footprint {
    /// Creates the footprint of a resource on disk only.
    #[must_use]
    pub const fn disk(bytes: Size) -> Self {
        let inodes = match bytes {
            Size::None => Size::None,
            Size::Unknown | Size::Known(_) => Size::Unknown,
        };
        Self {
            disk: bytes,
            memory: Size::None,
            inodes,
        }
    }

    /// Creates the footprint of a resource in memory only.
    #[must_use]
    pub const fn memory(bytes: Size) -> Self {
        Self {
            disk: Size::None,
            memory: bytes,
            inodes: Size::None,
        }
    }

    /// Sets the number of files and folders.
    #[must_use]
    pub const fn with_inodes(mut self, count: Size) -> Self {
        self.inodes = count;
        self
    }

    /// Sets the memory in bytes.
    #[must_use]
    pub const fn with_memory(mut self, bytes: Size) -> Self {
        self.memory = bytes;
        self
    }
}
