//! Inputs that are fetched once.

use std::path::Path;
use std::time::{Duration, SystemTime};

use futures_util::future::{join, join_all};
use runtime_caching::Lookup;
use runtime_core::{ExceptionReason, ScopeSet, Services, TaskError, error_chain};
use runtime_fetcher::{
    CachedInput, FetchCache, FetchCacheError, FetchContext, HttpClient, InputLayout, Stage,
};
use runtime_gc::{
    Disk, GarbageCollector, GcConfig, HostStats, ResourceTracker, Stat, Stats, SystemStats,
};
use serde_json::{Value, json};

use crate::support::{
    FakeServices, Server, Step, Told, body, config, context, context_with, resolve,
};

const LENGTH: usize = 300_000;
const TASK: &str = "RmzTkg-8Qj614ea9fI9Jmg";

pub(crate) async fn open(root: &Path) -> FetchCache {
    let cache = FetchCache::builder(root)
        .open(ResourceTracker::detached())
        .await;
    cache.expect("nobody else has it")
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
    cache.require(context, &reference, InputLayout::File).await
}

pub(crate) fn url(server: &Server) -> Value {
    json!({ "url": server.url("/file") })
}

pub(crate) fn check_content(input: &CachedInput) {
    assert!(std::fs::read(input.path()).expect("it is there") == body(LENGTH));
}

#[tokio::test]
async fn an_input_is_fetched_once_however_many_tasks_want_it() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    let cache = open(root.path()).await;
    let inputs = join_all((0..100).map(|_| require(&cache, url(&server)))).await;
    for input in inputs {
        check_content(&input.expect("it is there"));
    }
    assert_eq!(server.requests().len(), 1);
    let again = require(&cache, url(&server)).await.expect("it is there");
    assert_eq!(again.lookup(), Lookup::Hit);
    assert_eq!(cache.len(), 1);
}

#[tokio::test]
async fn the_next_process_finds_it_again() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    let cache = open(root.path()).await;
    drop(require(&cache, url(&server)).await.expect("it is there"));
    drop(cache);
    let cache = open(root.path()).await;
    let input = require(&cache, url(&server)).await.expect("it is there");
    check_content(&input);
    assert_eq!(input.lookup(), Lookup::Hit);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_failed_fetch_is_told_to_all_and_not_kept() {
    let root = tempfile::tempdir().expect("there is room");
    let server = Server::start(|request| match request.number {
        0 => Step::answer("404 Not Found", &[], b"no such file"),
        _ => Step::answer("200 OK", &[], &body(LENGTH)),
    })
    .await;
    let cache = open(root.path()).await;
    let (first, second) = join(require(&cache, url(&server)), require(&cache, url(&server))).await;
    for error in [first, second].map(|result| result.expect_err("it is not there")) {
        assert!(
            error
                .fetch_error()
                .expect("it was fetched")
                .is_broken_reference()
        );
        assert_eq!(error.exception_reason(), ExceptionReason::MalformedPayload);
        let error = TaskError::from(error);
        let malformed = error
            .as_malformed_payload()
            .expect("the payload is to blame");
        assert!(
            malformed.to_string().contains("no such file"),
            "{malformed}"
        );
    }
    assert!(cache.is_empty());
    check_content(
        &require(&cache, url(&server))
            .await
            .expect("it is there now"),
    );
}

#[tokio::test]
async fn one_who_leaves_does_not_end_the_fetch_for_others() {
    let root = tempfile::tempdir().expect("there is room");
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
    while server.requests().is_empty() {
        let step = Duration::from_millis(1);
        assert!(
            tokio::time::timeout(step, join(&mut first, &mut second))
                .await
                .is_err()
        );
    }
    drop(first);
    go.send(true).expect("the server waits for it");
    check_content(&second.await.expect("it comes all the same"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_copy_is_given_only_to_those_who_may_have_it() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    let mut fake = FakeServices::new();
    let content = json!({ "storageType": "s3", "url": server.url("/") });
    fake.artifacts.insert("private/key".into(), content);
    let reference = json!({ "taskId": TASK, "artifact": "private/key" });
    let of = |scopes: &[&str]| {
        let http = HttpClient::new(config()).expect("the configuration is good");
        FetchContext::new(http, fake.services()).with_scopes(ScopeSet::new(scopes.iter().copied()))
    };
    let cache = open(root.path()).await;
    let good = of(&["queue:get-artifact:private/*"]);
    let held = require_in(&cache, &good, reference.clone())
        .await
        .expect("it may");
    for scopes in [&[][..], &["queue:get-artifact:public/*"]] {
        let error = require_in(&cache, &of(scopes), reference.clone()).await;
        let error = error.expect_err("it may not");
        assert!(matches!(error, FetchCacheError::Scopes { .. }), "{error:?}");
        assert!(
            error.to_string().contains("queue:get-artifact:private/key"),
            "{error}"
        );
        assert_eq!(error.exception_reason(), ExceptionReason::MalformedPayload);
    }
    let again = require_in(&cache, &good, reference).await.expect("it may");
    assert_eq!(again.path(), held.path());
}

#[tokio::test]
async fn a_file_that_somebody_removed_is_fetched_again() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    let cache = open(root.path()).await;
    let input = require(&cache, url(&server)).await.expect("it is there");
    std::fs::remove_file(input.path()).expect("it is there");
    drop(input);
    check_content(&require(&cache, url(&server)).await.expect("it comes again"));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_collector_frees_what_nobody_uses() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    let collector = GarbageCollector::new(GcConfig::default(), HostStats::new(root.path()));
    let cache = FetchCache::builder(root.path().join("inputs"))
        .open(collector.tracker())
        .await;
    let cache = cache.expect("nobody else has it");
    let input = require(&cache, url(&server)).await.expect("it is there");
    collector.collect_all().await;
    check_content(&input);
    let path = input.path().to_owned();
    drop(input);
    collector.collect_all().await;
    assert!(!path.exists());
    assert!(cache.is_empty());
}

/// A disk with so many bytes free.
#[derive(Debug)]
struct Free(u64);

impl SystemStats for Free {
    fn read(&self) -> Stats {
        Stats::new(Stat::Known(Disk::new(1 << 40, self.0)), Stat::Absent)
    }
}

/// A cache on a disk with 5 MiB free, and a context that takes more.
async fn on_a_small_disk(root: &Path) -> (GarbageCollector, FetchCache, FetchContext) {
    let collector = GarbageCollector::new(GcConfig::default(), Free(5 << 20));
    let cache = FetchCache::builder(root).open(collector.tracker()).await;
    let mut config = config();
    config.max_bytes = 1 << 30;
    let cache = cache.expect("nobody else has it");
    (collector, cache, context_with(config))
}

#[tokio::test]
async fn an_input_that_has_no_room_fails_before_a_byte_of_it_comes() {
    let root = tempfile::tempdir().expect("there is room");
    let steps = [
        Step::head("200 OK", &[("Content-Length", "8388608")]),
        Step::Stall,
    ];
    let server = Server::start(move |_| steps.to_vec()).await;
    let (_collector, cache, context) = on_a_small_disk(root.path()).await;
    let error = require_in(&cache, &context, url(&server)).await;
    let error = error.expect_err("5 MiB are free");
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
    assert_eq!(server.requests().len(), 1, "it is not tried again");
    assert!(cache.is_empty());
}

#[tokio::test]
async fn what_an_input_had_reserved_is_given_back() {
    let (root, length) = (tempfile::tempdir().expect("there is room"), 3 << 20);
    let server = Server::start(move |request| {
        let mut steps = Step::answer("200 OK", &[], &body(length));
        if request.number == 0 {
            steps[1] = Step::Close;
        }
        steps
    })
    .await;
    let (_collector, cache, context) = on_a_small_disk(root.path()).await;
    // The second attempt needs the room of the first, and the second input that of the first input.
    for name in ["/one", "/two"] {
        let input = require_in(&cache, &context, json!({ "url": server.url(name) })).await;
        input.expect("there is room for one at a time");
    }
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn inputs_that_are_too_old_can_be_purged() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    let cache = open(root.path()).await;
    let fetched = require(&cache, url(&server))
        .await
        .expect("it is there")
        .fetched();
    assert_eq!(cache.purge_before(fetched), 0);
    assert_eq!(
        cache.purge_before(SystemTime::now() + Duration::from_secs(1)),
        1
    );
    require(&cache, url(&server)).await.expect("it comes again");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn every_one_who_waits_hears_how_far_it_is() {
    let (root, server) = (tempfile::tempdir().expect("there is room"), serve().await);
    let cache = open(root.path()).await;
    let told = [Told::default(), Told::default()];
    let mut config = config();
    config.progress_interval = Duration::from_secs(3600);
    let http = HttpClient::new(config).expect("the configuration is good");
    let contexts = told.each_ref().map(|told| {
        FetchContext::new(http.clone(), Services::disconnected()).with_listener(told.clone())
    });
    let [first, second] = contexts
        .each_ref()
        .map(|context| require_in(&cache, context, url(&server)));
    let (first, second) = join(first, second).await;
    drop((first.expect("it is there"), second.expect("it is there")));
    for told in told {
        // The interval was never over.
        assert_eq!(told.stages(), [Stage::Started, Stage::Finished]);
        let events = told.events();
        let last = events.last().expect("there is one");
        assert_eq!(
            (last.bytes, last.total),
            (LENGTH as u64, Some(LENGTH as u64))
        );
        assert!(last.subject.starts_with("http://127.0.0.1"));
    }
    let quiet = Told::default();
    let context = FetchContext::new(http, Services::disconnected()).with_listener(quiet.clone());
    require_in(&cache, &context, url(&server))
        .await
        .expect("it is there");
    assert!(quiet.events().is_empty(), "what is there is not fetched");
}

#[cfg(feature = "unpack")]
#[tokio::test]
async fn an_archive_is_unpacked_once() {
    use std::io::Write as _;

    use crate::verified::open_verifying;

    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o755);
    archive
        .append_data(&mut header, "bin/tool", &b"hello"[..])
        .expect("memory takes it");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&archive.into_inner().expect("memory takes it"))
        .expect("memory takes it");
    let archive = gzip.finish().expect("memory takes it");
    let server = Server::start(move |_| Step::answer("200 OK", &[], &archive)).await;

    let root = tempfile::tempdir().expect("there is room");
    let context = context();
    for _ in 0..2 {
        let cache = open_verifying(root.path()).await;
        let reference = resolve(&context, url(&server)).await;
        let input = cache
            .require(&context, &reference, InputLayout::Directory(None))
            .await;
        let input = input.expect("it is an archive");
        assert_eq!(
            std::fs::read(input.path().join("bin/tool")).expect("it is there"),
            b"hello"
        );
        // The archive itself is another input.
        cache
            .require(&context, &reference, InputLayout::File)
            .await
            .expect("it is there");
    }
    assert_eq!(server.requests().len(), 2);
}
