//! The fetcher under test.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bench_harness::peak_rss_mib;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use runtime_core::Services;
use runtime_fetcher::{
    AddressPolicy, Combine, FetchConfig, FetchContext, Fetcher as _, FileTarget, HttpClient,
};
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use super::site::{SMALL, has_size};

/// The argument for measuring the memory of a process.
pub(crate) const MEASURE: &str = "--measure-memory";

/// The runtime, the fetcher and the context of a worker.
pub(crate) struct Ours {
    runtime: Runtime,
    fetcher: Combine,
    context: FetchContext,
}

/// The field of a reference and its hash.
pub(crate) type Hash = (&'static str, String);

impl Ours {
    pub(crate) fn new() -> Self {
        let config = FetchConfig {
            addresses: AddressPolicy::Any,
            ..FetchConfig::default()
        };
        let http = HttpClient::new(config).expect("configuration is valid");
        let runtime = Builder::new_multi_thread().enable_all().build();
        Self {
            runtime: runtime.expect("runtime starts"),
            fetcher: Combine::standard(),
            context: FetchContext::new(http, Services::disconnected()),
        }
    }

    pub(crate) fn fetch(&self, url: &str, hashes: &[Hash], to: &Path) {
        let fetch = self.start(url, hashes, to.to_owned());
        self.runtime.block_on(fetch);
    }

    /// Fetches into numbered files, 32 at a time.
    pub(crate) fn fetch_all(&self, urls: &[String], folder: &Path) {
        let one = |(number, url): (usize, &String)| {
            tokio::spawn(self.start(url, &[], folder.join(number.to_string())))
        };
        self.runtime.block_on(async {
            let fetches = stream::iter(urls.iter().enumerate()).map(one);
            let mut fetches = fetches.buffer_unordered(32);
            while let Some(fetched) = fetches.next().await {
                fetched.expect("task does not panic");
            }
        });
        assert!(has_size(&folder.join("0"), SMALL as u64));
    }

    /// Fetches one URL for a number of concurrent tasks.
    #[cfg(feature = "cache")]
    pub(crate) fn fetch_through_cache(&self, url: &str, hash: &Hash, tasks: usize, root: &Path) {
        use runtime_fetcher::{FetchCache, InputLayout};
        let reference = reference(url, std::slice::from_ref(hash));
        self.runtime.block_on(async {
            let tracker = runtime_gc::ResourceTracker::detached();
            let cache = FetchCache::builder(root).open(tracker).await;
            let cache = cache.expect("root is not locked");
            let reference = self.fetcher.resolve(&self.context, &reference).await;
            let reference = reference.expect("reference is valid");
            let want = |_| cache.require(&self.context, &reference, InputLayout::File);
            for input in join_all((0..tasks).map(want)).await {
                input.expect("fetch succeeds");
            }
        });
    }

    /// Returns a fetch that can run on any thread.
    fn start(
        &self,
        url: &str,
        hashes: &[Hash],
        to: PathBuf,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (fetcher, context) = (self.fetcher.clone(), self.context.clone());
        let reference = reference(url, hashes);
        async move {
            let reference = fetcher.resolve(&context, &reference).await;
            let reference = reference.expect("reference is valid");
            let fetched = reference.fetch(&context, &mut FileTarget::new(&to)).await;
            let bytes = fetched.expect("fetch succeeds").bytes;
            assert!(has_size(&to, bytes));
        }
    }
}

fn reference(url: &str, hashes: &[Hash]) -> Value {
    let fields = hashes.iter().map(|(name, hash)| (*name, hash.as_str()));
    let fields = fields.chain([("url", url)]);
    let fields = fields.map(|(name, text)| (name.to_owned(), text.into()));
    fields.collect::<Map<_, _>>().into()
}

/// Returns the peak memory in MiB of a process that fetches `url` `count` times at once.
pub(crate) fn memory_of(url: &str, count: usize, folder: &Path, sha256: Option<&Hash>) -> f64 {
    let mut command = Command::new(std::env::current_exe().expect("program has a path"));
    command.args([MEASURE, url, &count.to_string()]).arg(folder);
    command.args(sha256.map(|(_, hash)| hash));
    let output = command.output().expect("program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("output is a number")
}

/// Runs the fetches given by the arguments and prints the peak memory.
pub(crate) fn measure(arguments: &[String]) -> ExitCode {
    let [url, count, folder, sha256 @ ..] = arguments else {
        return ExitCode::from(2);
    };
    let count: usize = count.parse().expect("count is a number");
    let hashes: Vec<Hash> = sha256.iter().map(|hash| ("sha256", hash.clone())).collect();
    let work = || {
        let ours = Ours::new();
        let path = |number: usize| Path::new(folder).join(number.to_string());
        let fetches = (0..count).map(|number| ours.start(url, &hashes, path(number)));
        ours.runtime.block_on(join_all(fetches));
    };
    println!("{}", peak_rss_mib(work).unwrap_or(f64::NAN));
    ExitCode::SUCCESS
}
