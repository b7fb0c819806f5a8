//! A task context that is ready for tests of engines and plugins.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use runtime_core::queue::{TaskDefinition, TaskMetadata};
use runtime_core::{Run, ScopeSet, Services, TaskContext, TaskContextController, TaskId, TaskInfo};
use serde_json::Value;
use tempfile::TempDir;

/// A task that runs only in a test: its context, its controller and its captured log.
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
    /// Holds the log; last, so that it is removed when nobody writes any more.
    _folder: TempDir,
}

impl TestTask {
    /// Makes run 0 of a new task with this payload, connected to no deployment.
    ///
    /// # Panics
    ///
    /// Panics if there can be no temporary file.
    #[must_use]
    pub fn new(payload: Value) -> Self {
        Self::with_definition(definition(payload))
    }

    /// Makes run 0 of a new task with this payload and these scopes.
    ///
    /// # Panics
    ///
    /// Panics if there can be no temporary file.
    #[must_use]
    pub fn with_scopes(payload: Value, scopes: &[&str]) -> Self {
        let mut definition = definition(payload);
        definition.scopes = ScopeSet::new(scopes.iter().copied());
        Self::with_definition(definition)
    }

    /// Makes run 0 of a new task with this definition.
    ///
    /// # Panics
    ///
    /// Panics if there can be no temporary file.
    #[must_use]
    pub fn with_definition(definition: TaskDefinition) -> Self {
        let run = Run {
            task_id: TaskId::random(),
            run_id: 0,
        };
        let folder = tempfile::tempdir().expect("tests need a place for temporary files");
        let (context, controller) = TaskContext::create(
            &folder.path().join("task.log"),
            TaskInfo::new(run, definition),
        )
        .expect("tests need a place for temporary files");
        Self {
            context,
            controller,
            _folder: folder,
        }
    }

    /// Connects the task to services, for example those of a [`MockQueue`](crate::MockQueue).
    #[must_use]
    pub fn with_services(self, services: Services) -> Self {
        self.controller.set_services(services);
        self
    }

    /// What the code under test gets.
    #[must_use]
    pub fn context(&self) -> &TaskContext {
        &self.context
    }

    /// What the worker keeps.
    #[must_use]
    pub fn controller(&self) -> &TaskContextController {
        &self.controller
    }

    /// The log so far.
    ///
    /// # Panics
    ///
    /// Panics if the log cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        let log = self.context.followed_log();
        // What was written just now may be in memory still.
        log.writer().flush().expect("the log of a test is whole");
        let bytes = std::fs::read(log.path()).expect("the log of a test can be read");
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

/// A definition with this payload, which was created just now and has an hour.
#[must_use]
pub fn definition(payload: Value) -> TaskDefinition {
    let now = Timestamp::now();
    let later = |hours| {
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
        deadline: later(1),
        expires: Some(later(24)),
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
