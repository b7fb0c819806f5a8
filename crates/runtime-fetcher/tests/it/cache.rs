//! The cache of inputs.

use std::path::Path;
use std::time::{Duration, SystemTime};

use futures_util::future::{join, join_all};
use runtime_caching::LookupOutcome;
use runtime_core::{ExceptionReason, ScopeSet, Services, TaskError, error_chain};
use runtime_fetcher::{
    CachedInput, FetchCache, FetchCacheError, FetchContext, FetchStage, HttpClient, InputLayout,
};
use runtime_gc::{
    Disk, GarbageCollector, GcConfig, HostStats, ResourceTracker, Stat, Stats, SystemStats,
};
use serde_json::{Value, json};

use crate::support::{
    FakeServices, RecordedProgress, Server, Step, body, config, context, context_with, resolve,
    soon,
};

const LENGTH: usize = 300_000;
const TASK: &str = "RmzTkg-8Qj614ea9fI9Jmg";

pub(crate) async fn open(root: &Path) -> FetchCache {
    let cache = FetchCache::builder(root)
        .open(ResourceTracker::detached())
        .await;
    cache.expect("root is not locked")
}

pub(crate) async fn serve() -> Server {
    Server::start(|_| Step::answer("200 OK", &[], &body(LENGTH))).await
}

pub(crate) async fn require(
    cache: &FetchCache,
    reference: Value,
) -> Result<CachedInput, FetchCacheError> {
    require_in(cache, &context(), reference).await
}

async fn require_in(
    cache: &FetchCache,
    context: &FetchContext,
    reference: Value,
) -> Result<CachedInput, FetchCacheError> {
    let reference = resolve(context, reference).await;
    soon(cache.require(context, &reference, InputLayout::File)).await
}

pub(crate) fn url(server: &Server) -> Value {
    json!({ "url": server.url("/file") })
}

pub(crate) fn check_content(input: &CachedInput) {
    assert!(std::fs::read(input.path()).expect("path exists") == body(LENGTH));
}

#[tokio::test]
async fn concurrent_requests_share_one_fetch() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    let cache = open(root.path()).await;
    let inputs = join_all((0..100).map(|_| require(&cache, url(&server)))).await;
    for input in inputs {
        check_content(&input.expect("fetch succeeds"));
    }
    assert_eq!(server.requests().len(), 1);
    let again = require(&cache, url(&server)).await.expect("fetch succeeds");
    assert_eq!(again.lookup(), LookupOutcome::Hit);
    assert_eq!(cache.len(), 1);
}

#[tokio::test]
async fn inputs_survive_a_restart() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    let cache = open(root.path()).await;
    drop(require(&cache, url(&server)).await.expect("fetch succeeds"));
    drop(cache);
    let cache = open(root.path()).await;
    let input = require(&cache, url(&server)).await.expect("fetch succeeds");
    check_content(&input);
    assert_eq!(input.lookup(), LookupOutcome::Hit);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn failure_reaches_all_waiters_and_is_not_cached() {
    let root = tempfile::tempdir().expect("disk has space");
    let server = Server::start(|request| match request.number {
        0 => Step::answer("404 Not Found", &[], b"no such file"),
        _ => Step::answer("200 OK", &[], &body(LENGTH)),
    })
    .await;
    let cache = open(root.path()).await;
    let (first, second) = join(require(&cache, url(&server)), require(&cache, url(&server))).await;
    for error in [first, second].map(|result| result.expect_err("server returns 404")) {
        assert!(
            error
                .fetch_error()
                .expect("error comes from the fetch")
                .is_broken_reference()
        );
        assert_eq!(error.exception_reason(), ExceptionReason::MalformedPayload);
        let error = TaskError::from(error);
        let malformed = error
            .as_malformed_payload()
            .expect("error is a malformed payload");
        assert!(
            malformed.to_string().contains("no such file"),
            "{malformed}"
        );
    }
    assert!(cache.is_empty());
    check_content(
        &require(&cache, url(&server))
            .await
            .expect("second fetch succeeds"),
    );
}

#[tokio::test]
async fn fetch_survives_its_first_caller() {
    let root = tempfile::tempdir().expect("disk has space");
    let (go, wait) = tokio::sync::watch::channel(false);
    let server = Server::start(move |_| {
        let mut steps = Step::answer("200 OK", &[], &body(LENGTH));
        steps.insert(0, Step::Wait(wait.clone()));
        steps
    })
    .await;
    let cache = open(root.path()).await;
    let mut first = Box::pin(require(&cache, url(&server)));
    let mut second = Box::pin(require(&cache, url(&server)));
    let begun = soon(async {
        while server.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    tokio::select! {
        () = begun => {}
        _ = join(&mut first, &mut second) => panic!("the server is waiting"),
    }
    drop(first);
    go.send(true).expect("server is waiting");
    check_content(&second.await.expect("fetch survives its first caller"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn cached_copy_requires_the_scopes() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    let mut fake = FakeServices::new();
    let content = json!({ "storageType": "s3", "url": server.url("/") });
    fake.artifacts.insert("private/key".into(), content);
    let reference = json!({ "taskId": TASK, "artifact": "private/key" });
    let of = |scopes: &[&str]| {
        let http = HttpClient::new(config()).expect("configuration is valid");
        FetchContext::new(http, fake.services()).with_scopes(ScopeSet::new(scopes.iter().copied()))
    };
    let cache = open(root.path()).await;
    let good = of(&["queue:get-artifact:private/*"]);
    let held = require_in(&cache, &good, reference.clone())
        .await
        .expect("scopes suffice");
    for scopes in [&[][..], &["queue:get-artifact:public/*"]] {
        let error = require_in(&cache, &of(scopes), reference.clone()).await;
        let error = error.expect_err("scopes are missing");
        assert!(matches!(error, FetchCacheError::Scopes { .. }), "{error:?}");
        assert!(
            error.to_string().contains("queue:get-artifact:private/key"),
            "{error}"
        );
        assert_eq!(error.exception_reason(), ExceptionReason::MalformedPayload);
    }
    let again = require_in(&cache, &good, reference)
        .await
        .expect("scopes suffice");
    assert_eq!(again.path(), held.path());
}

#[tokio::test]
async fn removed_file_is_fetched_again() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    let cache = open(root.path()).await;
    let input = require(&cache, url(&server)).await.expect("fetch succeeds");
    std::fs::remove_file(input.path()).expect("path exists");
    drop(input);
    check_content(&require(&cache, url(&server)).await.expect("fetch succeeds"));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn collector_evicts_idle_inputs() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    let collector = GarbageCollector::new(GcConfig::default(), HostStats::new(root.path()));
    let cache = FetchCache::builder(root.path().join("inputs"))
        .open(collector.tracker())
        .await;
    let cache = cache.expect("root is not locked");
    let input = require(&cache, url(&server)).await.expect("fetch succeeds");
    collector.collect_all().await;
    check_content(&input);
    let path = input.path().to_owned();
    drop(input);
    collector.collect_all().await;
    assert!(!path.exists());
    assert!(cache.is_empty());
}

/// Also after a restart.
#[tokio::test]
async fn collector_names_inputs_by_their_source() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    for _ in 0..2 {
        let collector = GarbageCollector::new(GcConfig::default(), HostStats::new(root.path()));
        let cache = FetchCache::builder(root.path().join("inputs"))
            .open(collector.tracker())
            .await;
        let cache = cache.expect("root is not locked");
        let input = json!({ "url": server.url("/file?token=hunter2") });
        drop(require(&cache, input).await.expect("fetch succeeds"));
        let resources = collector.explain().resources;
        let names: Vec<_> = resources.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, [format!("inputs: {}?…", server.url("/file"))]);
    }
}

/// A disk with a number of free bytes.
#[derive(Debug)]
struct Free(u64);

impl SystemStats for Free {
    fn read(&self) -> Stats {
        Stats::new(Stat::Known(Disk::new(1 << 40, self.0)), Stat::Absent)
    }
}

/// Returns a cache on a disk with 5 MiB free, and a context with a higher size limit.
async fn on_a_small_disk(root: &Path) -> (GarbageCollector, FetchCache, FetchContext) {
    let collector = GarbageCollector::new(GcConfig::default(), Free(5 << 20));
    let cache = FetchCache::builder(root).open(collector.tracker()).await;
    let mut config = config();
    config.max_bytes = 1 << 30;
    let cache = cache.expect("root is not locked");
    (collector, cache, context_with(config))
}

#[tokio::test]
async fn missing_disk_space_fails_before_the_transfer() {
    let root = tempfile::tempdir().expect("disk has space");
    let steps = [
        Step::head("200 OK", &[("Content-Length", "8388608")]),
        Step::Stall,
    ];
    let server = Server::start(move |_| steps.to_vec()).await;
    let (_collector, cache, context) = on_a_small_disk(root.path()).await;
    let error = require_in(&cache, &context, url(&server)).await;
    let error = error.expect_err("only 5 MiB are free");
    let text = error_chain(&error);
    assert!(
        text.contains("not enough disk space to reserve 8.0 MiB: 3.0 MiB missing"),
        "{text}"
    );
    assert_eq!(
        error.exception_reason(),
        ExceptionReason::ResourceUnavailable
    );
    assert!(!error.is_transient(), "nothing is in use that could go");
    assert_eq!(server.requests().len(), 1, "not retried");
    assert!(cache.is_empty());
}

#[tokio::test]
async fn reservations_are_released() {
    let (root, length) = (tempfile::tempdir().expect("disk has space"), 3 << 20);
    let server = Server::start(move |request| {
        let mut steps = Step::answer("200 OK", &[], &body(length));
        if request.number == 0 {
            steps[1] = Step::Close;
        }
        steps
    })
    .await;
    let (_collector, cache, context) = on_a_small_disk(root.path()).await;
    // The second attempt needs the space reserved for the first, and the second input that of the first input.
    for name in ["/one", "/two"] {
        let input = require_in(&cache, &context, json!({ "url": server.url(name) })).await;
        input.expect("disk has space for one input at a time");
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn old_inputs_are_purged() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    let cache = open(root.path()).await;
    let fetched = require(&cache, url(&server))
        .await
        .expect("fetch succeeds")
        .fetched_at();
    assert_eq!(cache.purge_before(fetched), 0);
    assert_eq!(
        cache.purge_before(SystemTime::now() + Duration::from_secs(1)),
        1
    );
    require(&cache, url(&server)).await.expect("fetch succeeds");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn every_waiter_receives_progress() {
    let (root, server) = (tempfile::tempdir().expect("disk has space"), serve().await);
    let cache = open(root.path()).await;
    let recorded = [RecordedProgress::default(), RecordedProgress::default()];
    let mut config = config();
    config.progress_interval = Duration::from_secs(3600);
    let http = HttpClient::new(config).expect("configuration is valid");
    let contexts = recorded.each_ref().map(|recorded| {
        FetchContext::new(http.clone(), Services::disconnected()).with_listener(recorded.listener())
    });
    let [first, second] = contexts
        .each_ref()
        .map(|context| require_in(&cache, context, url(&server)));
    let (first, second) = join(first, second).await;
    drop((
        first.expect("fetch succeeds"),
        second.expect("fetch succeeds"),
    ));
    for recorded in recorded {
        // The interval never passes.
        assert!(matches!(
            recorded.stages()[..],
            [FetchStage::Started, FetchStage::Finished]
        ));
        let events = recorded.events();
        let last = events.last().expect("events exist");
        assert_eq!(
            (last.bytes, last.total),
            (LENGTH as u64, Some(LENGTH as u64))
        );
        assert!(last.subject.starts_with("http://127.0.0.1"));
    }
    let quiet = RecordedProgress::default();
    let context = FetchContext::new(http, Services::disconnected()).with_listener(quiet.listener());
    require_in(&cache, &context, url(&server))
        .await
        .expect("fetch succeeds");
    assert!(quiet.events().is_empty(), "what is there is not fetched");
}

#[cfg(feature = "unpack")]
#[tokio::test]
async fn archive_is_unpacked_once() {
    use std::io::Write as _;

    use crate::verified::open_verifying;

    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o755);
    archive
        .append_data(&mut header, "bin/tool", &b"hello"[..])
        .expect("memory suffices");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive.into_inner().expect("memory suffices"))
        .expect("memory suffices");
    let archive = gzip.finish().expect("memory suffices");
    let server = Server::start(move |_| Step::answer("200 OK", &[], &archive)).await;

    let root = tempfile::tempdir().expect("disk has space");
    let context = context();
    for _ in 0..2 {
        let cache = open_verifying(root.path()).await;
        let reference = resolve(&context, url(&server)).await;
        let input = cache
            .require(&context, &reference, InputLayout::Directory(None))
            .await;
        let input = input.expect("archive is valid");
        assert_eq!(
            std::fs::read(input.path().join("bin/tool")).expect("path exists"),
            b"hello"
        );
        // The packed archive is another input.
        cache
            .require(&context, &reference, InputLayout::File)
            .await
            .expect("fetch succeeds");
    }
    assert_eq!(server.requests().len(), 2);
}
