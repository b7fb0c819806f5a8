//! A task context for tests of engines and plugins.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use runtime_core::queue::{TaskDefinition, TaskMetadata};
use runtime_core::{Run, ScopeSet, Services, TaskContext, TaskContextController, TaskId, TaskInfo};
use serde_json::Value;
use tempfile::TempDir;

use crate::authorizer::MockAuthorizer;

/// A task context with its controller and its captured log.
///
/// ```
/// use runtime_mocks::TestTask;
/// use serde_json::json;
///
/// let task = TestTask::new(json!({ "command": ["true"] }));
/// task.context().log("hello");
/// assert!(task.log().ends_with("] hello\n"));
/// ```
pub struct TestTask {
    context: TaskContext,
    controller: TaskContextController,
    /// The folder of the log. It is the last field, so that it is removed after the context, which writes the
    /// log.
    _folder: TempDir,
}

impl TestTask {
    /// Creates run 0 of a task with this payload, without services except a [`MockAuthorizer`].
    ///
    /// # Panics
    ///
    /// Panics if no temporary file can be created.
    #[must_use]
    pub fn new(payload: Value) -> Self {
        Self::with_definition(definition(payload))
    }

    /// Creates run 0 of a task with this payload and these scopes.
    ///
    /// # Panics
    ///
    /// Panics if no temporary file can be created.
    #[must_use]
    pub fn with_scopes(payload: Value, scopes: &[&str]) -> Self {
        let mut definition = definition(payload);
        definition.scopes = ScopeSet::new(scopes.iter().copied());
        Self::with_definition(definition)
    }

    /// Creates run 0 of a task with this definition.
    ///
    /// # Panics
    ///
    /// Panics if no temporary file can be created.
    #[must_use]
    pub fn with_definition(definition: TaskDefinition) -> Self {
        let run = Run {
            task_id: TaskId::random(),
            run_id: 0,
        };
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let (context, controller) = TaskContext::create(
            &folder.path().join("task.log"),
            TaskInfo::new(run, definition),
        )
        .expect("a folder for temporary files");
        controller.set_services(Services {
            authorizer: Arc::new(MockAuthorizer::new(controller.credentials())),
            ..Services::disconnected()
        });
        Self {
            context,
            controller,
            _folder: folder,
        }
    }

    /// Sets the services of the task, for example those of a [`MockQueue`](crate::MockQueue).
    #[must_use]
    pub fn with_services(self, services: Services) -> Self {
        self.controller.set_services(services);
        self
    }

    /// Returns the context, for the code under test.
    #[must_use]
    pub fn context(&self) -> &TaskContext {
        &self.context
    }

    /// Returns the controller, which a worker keeps to stop the task or replace its services.
    #[must_use]
    pub fn controller(&self) -> &TaskContextController {
        &self.controller
    }

    /// Returns the text of the log so far.
    ///
    /// # Panics
    ///
    /// Panics if the log cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.context.followed_log();
        // Recent writes may still be in memory.
        log.writer().flush().expect("a writable log");
        let bytes = std::fs::read(log.path()).expect("a readable log");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl fmt::Debug for TestTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestTask")
            .field("run", self.context.run())
            .finish_non_exhaustive()
    }
}

/// Returns a task definition with this payload and a deadline in one hour.
#[must_use]
pub fn definition(payload: Value) -> TaskDefinition {
    let now = Timestamp::now();
    let after = |hours| {
        now.checked_add(SignedDuration::from_hours(hours))
            .unwrap_or(now)
    };
    TaskDefinition {
        task_queue_id: "test/worker".to_owned(),
        task_group_id: None,
        scheduler_id: None,
        project_id: None,
        dependencies: Vec::new(),
        routes: Vec::new(),
        priority: None,
        retries: None,
        created: now,
        deadline: after(1),
        expires: Some(after(24)),
        scopes: ScopeSet::default(),
        payload,
        metadata: TaskMetadata {
            name: "test".to_owned(),
            description: "A task of a test.".to_owned(),
            owner: "nobody@example.com".to_owned(),
            source: "https://example.com/".to_owned(),
        },
        tags: Default::default(),
        extra: Value::Null,
    }
}
