//! The decoys of the test: a process, files, sockets, shared memory and a key, removed when the test ends.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::sys::{address, call};
use crate::target::Target;

/// The number of a descriptor that the worker leaves open for its children by mistake.
pub(crate) const LEAKED_FD: i32 = 200;

/// `KEY_SPEC_SESSION_KEYRING` and `KEYCTL_JOIN_SESSION_KEYRING`.
const SESSION_KEYRING: usize = -3_isize as usize;
const JOIN_SESSION_KEYRING: usize = 1;

/// `IPC_CREAT`, `IPC_RMID` and the rights of everybody.
const CREATE: usize = libc::IPC_CREAT as usize | 0o666;
const REMOVE: usize = libc::IPC_RMID as usize;

pub(crate) struct Decoys {
    pub(crate) target: Target,
    _folder: TempDir,
    process: Child,
    _listeners: (UnixListener, UnixListener, TcpListener, UdpSocket),
    _leaked: OwnedFd,
    ipc: [usize; 3],
}

impl Decoys {
    pub(crate) fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        let id = std::process::id();
        let secret = format!("secret-{id}");
        let file = path.join("secret");
        let shared_file = PathBuf::from(format!("/dev/shm/sandbox-decoy-{id}"));
        for file in [&file, &shared_file] {
            fs::write(file, &secret)?;
        }
        for name in ["read-only", "writable"] {
            fs::create_dir(path.join(name))?;
            fs::write(path.join(name).join("file"), "unchanged")?;
            fs::set_permissions(path.join(name).join("file"), Permissions::from_mode(0o666))?;
            fs::set_permissions(path.join(name), Permissions::from_mode(0o777))?;
        }
        let socket = path.join("daemon.sock");
        let abstract_name = format!("sandbox-decoy-{id}");
        let abstract_address = SocketAddr::from_abstract_name(&abstract_name)?;
        let listeners = (
            UnixListener::bind(&socket)?,
            UnixListener::bind_addr(&abstract_address)?,
            TcpListener::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        );
        fs::set_permissions(&socket, Permissions::from_mode(0o777))?;
        let ipc_key = 0x5b00_0000 + id as usize;
        Ok(Self {
            target: Target {
                pid: 0,
                file: file.clone(),
                socket,
                abstract_name,
                tcp_port: listeners.2.local_addr()?.port(),
                udp_port: listeners.3.local_addr()?.port(),
                ipc_key,
                shared_file,
                queue: format!("sandbox-decoy-{id}\0"),
                key: 0,
                read_only: path.join("read-only"),
                writable: path.join("writable"),
                secret,
            },
            process: process()?,
            _leaked: leak(&file)?,
            _folder: folder,
            _listeners: listeners,
            ipc: [
                call(libc::SYS_shmget, [ipc_key, 4096, CREATE])?,
                call(libc::SYS_semget, [ipc_key, 1, CREATE])?,
                call(libc::SYS_msgget, [ipc_key, CREATE])?,
            ],
        })
        .and_then(Self::finish)
    }

    fn finish(mut self) -> io::Result<Self> {
        self.target.pid = self.process.id() as usize;
        let queue = self.target.queue.as_ptr().expose_provenance();
        let flags = (libc::O_CREAT | libc::O_RDWR) as usize;
        // Neither queues nor keyrings exist in every kernel. Then the attempts have nothing to find.
        let _ = call(libc::SYS_mq_open, [queue, flags, 0o666, 0]);
        // The key lives in a keyring of this process.
        let _ = call(libc::SYS_keyctl, [JOIN_SESSION_KEYRING, 0]);
        let (kind, name) = (
            c"user".as_ptr().expose_provenance(),
            c"decoy".as_ptr().expose_provenance(),
        );
        let secret = self.target.secret.as_ptr().expose_provenance();
        let arguments = [
            kind,
            name,
            secret,
            self.target.secret.len(),
            SESSION_KEYRING,
        ];
        self.target.key = call(libc::SYS_add_key, arguments).unwrap_or(0);
        Ok(self)
    }

    /// Checks that nothing happened to the decoys.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        if let Some(status) = self.process.try_wait()? {
            return Err(io::Error::other(format!(
                "the decoy process ended: {status}"
            )));
        }
        let file = self.target.read_only.join("file");
        let content = fs::read_to_string(&file)?;
        let mode = fs::metadata(&file)?.permissions().mode() & 0o7777;
        if content != "unchanged" || mode != 0o666 {
            return Err(io::Error::other(format!(
                "a read-only file was changed: {content:?}, mode {mode:o}"
            )));
        }
        if fs::read_dir(&self.target.read_only)?.count() != 1 {
            return Err(io::Error::other("a read-only folder has new files"));
        }
        Ok(())
    }

    /// Returns whether a process still holds the lock that attempts take.
    pub(crate) fn is_lock_held(&self) -> io::Result<bool> {
        let lock = File::open(self.target.writable.join("file"))?;
        Ok(lock.try_lock().is_err())
    }
}

impl Drop for Decoys {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.target.shared_file);
        let [memory, semaphore, queue] = self.ipc;
        let mut nothing = 0_u64;
        let _ = call(libc::SYS_shmctl, [memory, REMOVE, address(&mut nothing)]);
        let _ = call(libc::SYS_semctl, [semaphore, 0, REMOVE, 0]);
        let _ = call(libc::SYS_msgctl, [queue, REMOVE, 0]);
        let name = self.target.queue.as_ptr().expose_provenance();
        let _ = call(libc::SYS_mq_unlink, [name]);
    }
}

/// Starts the decoy process: it waits until its input ends.
fn process() -> io::Result<Child> {
    Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
}

/// Opens a file with a fixed number and without the flag that closes it in children.
fn leak(path: &Path) -> io::Result<OwnedFd> {
    let file = File::open(path)?;
    let number = LEAKED_FD as usize;
    call(libc::SYS_dup3, [file.as_raw_fd() as usize, number, 0])?;
    io::stdout().flush()?;
    #[expect(unsafe_code, reason = "the number is fixed")]
    // SAFETY: the call above opened it, and nothing else uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(LEAKED_FD) })
}
