//! The status of a worker over HTTP: a page, metrics, health checks and tasks.
//!
//! A [`StatusPage`] is a web hook handler that any web hook server can attach. It shows task names and quotes logs, so attach
//! it only to a server that operators alone can reach, such as one on the loopback interface.
//! [`StatusPage::to_probe_handler`] serves `/metrics`, `/healthz` and `/readyz` alone, for fixed paths.
//!
//! | path | response |
//! | --- | --- |
//! | `/` | the page: tasks with their logs, the machine over the last hour, caches, incidents |
//! | `/metrics` | the metrics in the OpenMetrics text format |
//! | `/healthz` | 200 while the worker is alive, otherwise 503 with the reason |
//! | `/readyz` | 200 while it is alive and accepts tasks, otherwise 503 with the reason |
//! | `/tasks` | running and finished tasks as JSON |
//! | `/tasks/<taskId>/<runId>/log.html?offset=N` | the same as markup, with colours and overwritten lines applied |
//! | `/tasks/<taskId>/<runId>/log?offset=N` | whole lines of the log of a running task; the header `x-next-offset` contains the offset for the next request |
//!
//! # Example
//!
//! ```
//! use runtime_core::webhook::WebHookServer as _;
//! use runtime_monitoring::status::{Health, StatusPage, TaskOverview};
//! use runtime_monitoring::{MonitoringConfig, from_config};
//! use runtime_webhook::LocalhostServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitoring = from_config(&MonitoringConfig::default());
//! let page = StatusPage::new("i-0123", &monitoring)
//!     .tasks(TaskOverview::new(&monitoring.metrics))
//!     .health(Health::new());
//! let server = LocalhostServer::start().await?;
//! let hook = server.attach(page.into_handler()).await?;
//! println!("status page: {}", hook.url());
//! # drop(hook);
//! # server.stop(std::time::Duration::ZERO).await;
//! # Ok(())
//! # }
//! ```

mod handler;
mod health;
mod history;
mod html;
mod log_excerpt;
mod overview;
mod page;

pub use self::health::{Health, Heartbeat};
pub use self::history::{GaugeHistory, HistoryRecorder};
pub use self::overview::{FinishedTask, HeldTaskState, RunningTask, TaskOverview};
pub use self::page::StatusPage;
