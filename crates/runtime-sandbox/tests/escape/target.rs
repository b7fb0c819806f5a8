//! The targets of the attempts: only decoys of the test.

use std::env;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// The decoys as the attempts find them, in environment variables of the sandboxed command.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// A process outside, by its number on the machine.
    pub(crate) pid: usize,
    /// A file outside with the secret, readable by all users.
    pub(crate) file: PathBuf,
    /// A listening socket outside, as of a container daemon.
    pub(crate) socket: PathBuf,
    /// A listening socket with an abstract name.
    pub(crate) abstract_name: String,
    /// A listening TCP port of the machine's loopback interface, and an UDP port.
    pub(crate) tcp_port: u16,
    pub(crate) udp_port: u16,
    /// A System V shared memory segment, semaphore and message queue by key.
    pub(crate) ipc_key: usize,
    /// A file in `/dev/shm`.
    pub(crate) shared_file: PathBuf,
    /// A POSIX message queue. Ends with a NUL byte outside.
    pub(crate) queue: String,
    /// A key in the worker's session keyring.
    pub(crate) key: usize,
    /// A folder that the command may read only, and one that it may change, each with a `file`.
    pub(crate) read_only: PathBuf,
    pub(crate) writable: PathBuf,
    /// The content of the files, of the key and of the worker's variable.
    pub(crate) secret: String,
}

impl Target {
    /// Returns the variables for a sandboxed command.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DECOY_PID", self.pid.to_string()),
            ("DECOY_FILE", self.file.display().to_string()),
            ("DECOY_SOCKET", self.socket.display().to_string()),
            ("DECOY_ABSTRACT", self.abstract_name.clone()),
            ("DECOY_TCP", self.tcp_port.to_string()),
            ("DECOY_UDP", self.udp_port.to_string()),
            ("DECOY_IPC", self.ipc_key.to_string()),
            ("DECOY_SHARED", self.shared_file.display().to_string()),
            ("DECOY_QUEUE", self.queue.trim_end_matches('\0').to_owned()),
            ("DECOY_KEY", self.key.to_string()),
            ("DECOY_READ_ONLY", self.read_only.display().to_string()),
            ("DECOY_WRITABLE", self.writable.display().to_string()),
            ("DECOY_SECRET", self.secret.clone()),
        ]
    }

    /// Returns the path of something in the read-only folder, for system calls.
    pub(crate) fn read_only_path(&self, name: &str) -> CString {
        CString::new(self.read_only.join(name).into_os_string().into_vec()).unwrap_or_default()
    }

    /// Reads the variables.
    pub(crate) fn from_variables() -> Self {
        let text = |name: &str| env::var(name).unwrap_or_default();
        let number = |name: &str| text(name).parse().unwrap_or_default();
        Self {
            pid: number("DECOY_PID"),
            file: text("DECOY_FILE").into(),
            socket: text("DECOY_SOCKET").into(),
            abstract_name: text("DECOY_ABSTRACT"),
            tcp_port: number("DECOY_TCP") as u16,
            udp_port: number("DECOY_UDP") as u16,
            ipc_key: number("DECOY_IPC"),
            shared_file: text("DECOY_SHARED").into(),
            queue: text("DECOY_QUEUE"),
            key: number("DECOY_KEY"),
            read_only: text("DECOY_READ_ONLY").into(),
            writable: text("DECOY_WRITABLE").into(),
            secret: text("DECOY_SECRET"),
        }
    }
}
