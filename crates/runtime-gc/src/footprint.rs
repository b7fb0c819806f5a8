//! What disposing of a resource gives back.

/// An amount that may not be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Size {
    /// It takes none of it, so disposing of it does not help.
    #[default]
    None,
    /// It takes some, nobody knows how much. The system is asked after it is gone.
    Unknown,
    /// It takes so much.
    Known(u64),
}

impl Size {
    /// The amount, 0 if there is none or it is not known.
    #[must_use]
    pub const fn known(self) -> u64 {
        match self {
            Self::Known(amount) => amount,
            Self::None | Self::Unknown => 0,
        }
    }
}

/// What a resource takes of each thing that can run low.
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
    /// Files and folders. Unknown, unless said otherwise, for what is on disk.
    pub inodes: Size,
}

impl Footprint {
    /// Something on disk only.
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

    /// Something in memory only.
    #[must_use]
    pub const fn memory(bytes: Size) -> Self {
        Self {
            disk: Size::None,
            memory: bytes,
            inodes: Size::None,
        }
    }

    /// The same with so many files and folders.
    #[must_use]
    pub const fn with_inodes(mut self, count: Size) -> Self {
        self.inodes = count;
        self
    }

    /// The same with so much memory.
    #[must_use]
    pub const fn with_memory(mut self, bytes: Size) -> Self {
        self.memory = bytes;
        self
    }
}
