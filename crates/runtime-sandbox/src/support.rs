//! The walls that this machine can have.

use std::error::Error as _;
use std::fmt;

use crate::child::SandboxChild;
use crate::error::SpawnError;
use crate::isolation::{Isolation, Wall};
use crate::sys;
use crate::user_mode;

/// The walls that this kernel and this user can have.
///
/// Its `Display` is a table.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use runtime_sandbox::Support;
///
/// println!("{}", Support::probe().await);
/// # }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Support {
    walls: Vec<(Wall, Result<String, SpawnError>)>,
    outbound_network: Result<String, SpawnError>,
}

impl Support {
    /// Tests each wall by raising it around a process that ends at once.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn probe() -> Self {
        let mut walls = Vec::new();
        for wall in Wall::ALL {
            let probed = SandboxChild::probe(wall).await;
            walls.push((wall, probed.map(|isolation| means(wall, &isolation))));
        }
        let isolation = Isolation::none().with(Wall::Privileges);
        let outbound_network = SandboxChild::probe_with(isolation.outbound_network()).await;
        Self {
            walls,
            outbound_network: outbound_network.map(|()| "the program `pasta`".to_owned()),
        }
    }

    /// Returns an error with the reason if this machine cannot have [`Isolation::outbound_network`].
    ///
    /// # Errors
    ///
    /// The error of a command with such a network.
    pub fn outbound_network(&self) -> Result<(), &SpawnError> {
        self.outbound_network.as_ref().map(drop)
    }

    /// Returns whether this machine can have a wall.
    pub fn has(&self, wall: Wall) -> bool {
        self.missing().all(|(missing, _)| missing != wall)
    }

    /// Returns the walls that this machine cannot have, with the reasons.
    pub fn missing(&self) -> impl Iterator<Item = (Wall, &SpawnError)> {
        self.walls
            .iter()
            .filter_map(|(wall, result)| Some((*wall, result.as_ref().err()?)))
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:<9} by", "wall", "available")?;
        let walls = self
            .walls
            .iter()
            .map(|(wall, result)| (wall.to_string(), result));
        let outbound = ("outbound network".to_owned(), &self.outbound_network);
        for (name, result) in walls.chain([outbound]) {
            match result {
                Ok(means) => writeln!(f, "{name:<16} {:<9} {means}", "yes")?,
                Err(error) => {
                    write!(f, "{name:<16} {:<9} {error}", "no")?;
                    if let Some(source) = error.source() {
                        write!(f, ": {source}")?;
                    }
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns a description of how an isolation raised a wall.
fn means(wall: Wall, isolation: &Isolation) -> String {
    match wall {
        Wall::Network if isolation.has_socket_filter() => {
            "a filter that refuses all sockets but local ones".to_owned()
        }
        Wall::User if user_mode::is_privileged() => "a user for each command".to_owned(),
        Wall::User => "a user namespace with the worker's user".to_owned(),
        Wall::Privileges => "no capabilities, no new privileges".to_owned(),
        Wall::Files => "a mount namespace".to_owned(),
        Wall::SystemCalls => "a seccomp filter".to_owned(),
        Wall::Landlock => format!("Landlock version {}", sys::landlock_version()),
        _ => "a namespace".to_owned(),
    }
}
