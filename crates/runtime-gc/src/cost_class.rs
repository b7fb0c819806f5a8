//! The cost of recreating a resource, which decides the order of eviction.

use std::fmt;

/// The cost of recreating a resource. Cheap resources are evicted first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum CostClass {
    /// Can be fetched again, such as a download.
    Cheap,
    /// Takes some work to recreate, such as an unpacked image.
    #[default]
    Moderate,
    /// Takes long to recreate, such as a build folder kept between tasks.
    Expensive,
}

impl CostClass {
    /// All classes in the order of eviction.
    pub const ALL: [Self; 3] = [Self::Cheap, Self::Moderate, Self::Expensive];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for CostClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cheap => "cheap",
            Self::Moderate => "moderate",
            Self::Expensive => "expensive",
        })
    }
}
