//! Walls around the commands of tasks, by `runtime-sandbox`.

mod ownership;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use runtime_core::TemporaryStorage;
use runtime_sandbox::{FileView, Isolation, SandboxCommand, SpawnError, UserLease, Wall};
use runtime_worker::FolderAccess;

use self::ownership::give_to;
use crate::group_limits::OwnUse;
use crate::isolation::{TaskIsolation, TaskNetwork};
use crate::settings::EngineSettings;
use crate::task_folder::TaskFolder;

/// The file with the addresses of name servers, often a link to a folder that is invisible to tasks.
const RESOLVER_FILE: &str = "/etc/resolv.conf";

/// The file in which systemd's resolver lists its upstream name servers.
const UPSTREAM_RESOLVER_FILE: &str = "/run/systemd/resolve/resolv.conf";

/// The port of proxies in the network of a command. Commands may not listen on ports below 1024, so this port cannot
/// conflict with their servers.
const PROXY_PORT: u16 = 80;

/// The processes that connect the network of a command: `pasta` and its parent.
const NETWORK_PROCESSES: u64 = 2;

/// The memory of `pasta`: 20 MiB at its start, and no more than these buffers.
const NETWORK_MEMORY: u64 = 72 << 20;

/// The walls of an engine, which this machine can have.
#[derive(Debug)]
pub(crate) struct Walls {
    isolation: Isolation,
    /// The files of the machine that all tasks see.
    view: FileView,
    network: TaskNetwork,
    /// The reason why the worker cannot listen in the network of tasks, if the test failed.
    no_proxies: Option<SpawnError>,
}

/// The walls that are configured are impossible.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WallsError {
    #[error(
        "the network of tasks cannot be `{network}` with the isolation `none`: set the isolation to `user` or `strict`"
    )]
    NetworkWithoutIsolation { network: TaskNetwork },

    #[error(
        "the worker's storage `{}` is in a folder that tasks see: move it elsewhere, for example below `/var/lib`", .storage.display()
    )]
    VisibleStorage { storage: PathBuf },

    #[error(
        "tasks cannot run with the isolation `{isolation}`{}; `cargo run -p runtime-sandbox --example probe` shows what \
         this machine can have", .source.wall().map(|it| format!(": the wall `{it}` cannot be raised")).unwrap_or_default()
    )]
    Impossible {
        isolation: TaskIsolation,
        source: SpawnError,
    },

    #[error("cannot prepare a folder to check the isolation of tasks")]
    Folder(#[from] io::Error),
}

impl Walls {
    /// Returns the configured walls, without raising them; `None` if tasks run without walls.
    pub(crate) fn of(settings: &EngineSettings) -> Result<Option<Self>, WallsError> {
        let isolation = match settings.isolation {
            TaskIsolation::None if settings.network == TaskNetwork::Host => return Ok(None),
            TaskIsolation::None => {
                let network = settings.network;
                return Err(WallsError::NetworkWithoutIsolation { network });
            }
            TaskIsolation::User => Isolation::user().with(Wall::Files),
            TaskIsolation::Strict => Isolation::strict(),
        };
        let isolation = match settings.network {
            TaskNetwork::Host => isolation.without(Wall::Network),
            TaskNetwork::Outbound => isolation.outbound_network(),
            TaskNetwork::None => isolation.with(Wall::Network),
        };
        Ok(Some(Self {
            isolation,
            view: common_view(settings),
            network: settings.network,
            no_proxies: None,
        }))
    }

    /// Tests the walls by raising them, in a folder of the storage. Returns `None` if tasks run without walls.
    pub(crate) async fn prepare(
        settings: &EngineSettings,
        storage: &TemporaryStorage,
    ) -> Result<Option<Self>, WallsError> {
        let Some(mut walls) = Self::of(settings)? else {
            return Ok(None);
        };
        walls.check_storage(storage.path())?;
        let folder = TaskFolder::create(storage)?;
        let impossible = |source| WallsError::Impossible {
            isolation: settings.isolation,
            source,
        };
        let task = walls.around(&folder).map_err(|error| match error {
            TaskWallsError::Walls(source) => impossible(source),
            TaskWallsError::Ownership(error) => WallsError::Folder(error),
        })?;
        let command = || task.apply(SandboxCommand::new("true").current_dir(folder.path()));
        if let Some(port) = walls.proxy_port() {
            match command().listen(port).check().await {
                Ok(()) => return Ok(Some(walls)),
                // Tasks can run without proxies, if the walls can be raised at all.
                Err(error) => walls.no_proxies = Some(error),
            }
        }
        command().check().await.map_err(impossible)?;
        Ok(Some(walls))
    }

    /// Returns the port of a task's proxies in the network of its commands, unless they use the network of the machine.
    pub(crate) fn proxy_port(&self) -> Option<u16> {
        (self.network != TaskNetwork::Host).then_some(PROXY_PORT)
    }

    /// Returns the reason why tasks cannot have proxies on this machine.
    pub(crate) fn no_proxies(&self) -> Option<&SpawnError> {
        self.no_proxies.as_ref()
    }

    fn check_storage(&self, storage: &Path) -> Result<(), WallsError> {
        let real = fs::canonicalize(storage)?;
        if self.view.shows(storage) || self.view.shows(&real) {
            return Err(WallsError::VisibleStorage { storage: real });
        }
        Ok(())
    }

    /// Returns the walls around a task with this folder, and changes the owner of the files to the task's user. Blocks
    /// while it visits the files.
    pub(crate) fn around(&self, folder: &TaskFolder) -> Result<TaskWalls, TaskWallsError> {
        let user = self.isolation.lease_user()?;
        let mut view = self.view.clone();
        // The paths are those of the machine, so that links and variables lead to the same files as without walls.
        let attached = folder.attached().iter();
        let attached = attached.map(|(path, access)| (path.as_path(), *access));
        let own = (folder.path(), FolderAccess::ReadWrite);
        for (path, access) in [own].into_iter().chain(attached) {
            if access == FolderAccess::ReadOnly {
                // Its owner remains: tasks of several users may share it.
                view = view.read_only(path, path);
                continue;
            }
            if let Some(user) = &user {
                give_to(path, user.id())?;
            }
            view = view.read_write(path, path);
        }
        Ok(TaskWalls {
            isolation: self.isolation.clone(),
            view,
            user,
            network: self.network,
        })
    }

    /// Returns a description for the log.
    pub(crate) fn describe(&self) -> String {
        let walls = Wall::ALL.into_iter().filter(|it| self.isolation.has(*it));
        let walls: Vec<_> = walls.map(|wall| wall.to_string()).collect();
        let network = match self.network {
            TaskNetwork::Host => ", the network of the machine",
            TaskNetwork::Outbound => ", connections to other machines",
            TaskNetwork::None => "",
        };
        format!(
            "walls ({}){network}; the end of a command ends all its processes",
            walls.join(", ")
        )
    }
}

/// The walls cannot be raised around a task.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskWallsError {
    #[error(transparent)]
    Walls(#[from] SpawnError),

    #[error("cannot give the files of the task to its user")]
    Ownership(#[from] io::Error),
}

/// The walls around the commands of one task.
#[derive(Debug)]
pub(crate) struct TaskWalls {
    isolation: Isolation,
    view: FileView,
    /// The user of all commands, if it is not the worker's.
    user: Option<UserLease>,
    network: TaskNetwork,
}

impl TaskWalls {
    /// Returns whether a file is visible to the task. Links are followed; a link without a target is not visible.
    pub(crate) fn show(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|path| self.view.shows(path))
    }

    /// Returns the use of the sandbox itself in the control group of each command.
    pub(crate) fn own_use(&self) -> OwnUse {
        // The init process is smaller than a page table.
        let (processes, memory) = match self.network {
            TaskNetwork::Outbound => (1 + NETWORK_PROCESSES, NETWORK_MEMORY),
            TaskNetwork::Host | TaskNetwork::None => (1, 0),
        };
        OwnUse { processes, memory }
    }

    /// Returns a command of the task behind the walls.
    pub(crate) fn apply(&self, command: SandboxCommand) -> SandboxCommand {
        let command = command.isolation(self.isolation.clone().files(self.view.clone()));
        match &self.user {
            Some(user) => command.user(user.id(), user.id()),
            None => command,
        }
    }
}

/// Returns the files of the machine that all tasks see.
fn common_view(settings: &EngineSettings) -> FileView {
    let mut view = FileView::system();
    for path in &settings.visible_paths {
        view = view.read_only(path, path);
    }
    for path in &settings.hidden_paths {
        view = view.hide(path);
    }
    if settings.network != TaskNetwork::None
        && let Ok(resolver) = fs::canonicalize(RESOLVER_FILE)
    {
        // The resolver of the machine is not reachable there, but those that it asks are.
        let upstream = Path::new(UPSTREAM_RESOLVER_FILE);
        if settings.network == TaskNetwork::Outbound && upstream.exists() {
            view = view.read_only(upstream, &resolver);
        } else if !view.shows(&resolver) {
            view = view.read_only(&resolver, &resolver);
        }
    }
    view
}
