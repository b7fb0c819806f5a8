//! The ways to share a resource among its users.

/// The number of concurrent users of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Any number of users. Each key has one resource, which is not modified.
    Shared,
    /// One user, who may modify the resource. A key has one copy per concurrent user.
    Exclusive(Uncommitted),
}

/// The action on an exclusive resource whose handle is dropped without a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uncommitted {
    /// Dispose of it, since its task may have been killed halfway through a change.
    #[default]
    Dispose,
    /// Keep it.
    Keep,
}

impl Sharing {
    /// Returns whether a resource remains valid if its handle is dropped without a commit.
    pub(crate) fn keeps_uncommitted(self) -> bool {
        match self {
            Self::Shared | Self::Exclusive(Uncommitted::Keep) => true,
            Self::Exclusive(Uncommitted::Dispose) => false,
        }
    }
}
