//! nginx with one worker per core and a fixed response.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running nginx, stopped on drop.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) url: String,
    _folder: TempDir,
}

impl Nginx {
    /// Starts nginx on a free port. The error is the reason to skip the case.
    pub(crate) fn start(text: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let config = folder.path().join("nginx.conf");
        let config_text = format!(
            "daemon off; worker_processes auto; pid nginx.pid; error_log stderr crit;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; keepalive_requests 1000000000;\n\
             server {{ listen 127.0.0.1:{port}; default_type text/plain;\n\
             location / {{ return 200 \"{text}\"; }} }} }}\n"
        );
        std::fs::write(&config, config_text).map_err(|error| error.to_string())?;
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nginx does not start ({error}); apt-get install nginx"))?;
        let nginx = Self {
            child,
            url: format!("http://127.0.0.1:{port}/"),
            _folder: folder,
        };
        nginx.wait(port)
    }

    /// Returns the CPU time of the worker processes in microseconds; NaN except on Linux.
    pub(crate) fn cpu_us(&self) -> f64 {
        let pid = self.child.id();
        let Ok(workers) = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        else {
            return f64::NAN;
        };
        // User and system time follow the name, in ticks of 10 ms.
        let ticks = |worker: &str| -> Option<f64> {
            let stat = std::fs::read_to_string(format!("/proc/{worker}/stat")).ok()?;
            let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
            fields.map(|field| field.parse::<f64>().ok()).sum()
        };
        let ticks: Option<f64> = workers.split_whitespace().map(ticks).sum();
        ticks.map_or(f64::NAN, |ticks| ticks * 1e4)
    }

    fn wait(self, port: u16) -> Result<Self, String> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(self);
            }
            std::thread::yield_now();
        }
        Err("nginx does not listen".to_owned())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would leave the worker processes running. An error means that nginx has ended.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}
