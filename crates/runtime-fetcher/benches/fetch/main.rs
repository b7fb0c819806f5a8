//! Fetching compared with curl, openssl and aria2c, from a server in a separate process.

mod ours;
mod peers;
mod server;
mod site;

use std::path::Path;
use std::process::ExitCode;

use bench_harness::{AtLeast, AtMost, Bench, time_ms};

use ours::{Hash, Ours};
use peers::Peer;
use server::{Role, Server};
use site::Site;

const MIB: u64 = 1 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        // This program also runs as the server, and as the process whose memory is measured.
        Some(server::SERVE) => return server::serve(),
        Some(ours::MEASURE) => return ours::measure(&arguments[1..]),
        _ => {}
    }
    Bench::main("fetch", |bench| {
        let site = Site::new(bench.pick(1024, 512) * MIB);
        let server = Server::start(Role::Files, &site);
        let our_server = Server::start(Role::Special, &site);
        eprintln!("files come from {}", server.name());
        large(bench, &site, &server);
        hashes(bench, &site, &server);
        slow_connections(bench, &site, &our_server);
        small(bench, &site, &server);
        memory(bench, &site, &server);
        #[cfg(feature = "cache")]
        herd(bench, &site, &our_server);
    })
}

fn large(bench: &mut Bench, site: &Site, server: &Server) {
    let case = "a large body to a file";
    let url = server.url("big");
    let Some(curl) = Peer::find("curl") else {
        return bench.skip(case, "curl is not installed");
    };
    let ours = Ours::new();
    bench
        .case(case, "ms")
        .bar(AtMost(1.1))
        .peer("curl -o", || {
            site.time("curl", |to| curl.download(&url, to))
        })
        .ours(|| site.time("ours", |to| ours.fetch(&url, &[], to)));
}

fn hashes(bench: &mut Bench, site: &Site, server: &Server) {
    let url = server.url("big");
    let ours = Ours::new();
    let both = [site.sha256(), site.sha512()];
    let one = &both[..1];
    let alone = || site.time("ours", |to| ours.fetch(&url, &[], to));
    let with = |hashes: &[Hash]| site.time("ours", |to| ours.fetch(&url, hashes, to));
    let case = "a large body with sha256";
    if let (Some(curl), Some(openssl)) = (Peer::find("curl"), Peer::find("openssl")) {
        let one_by_one = |to: &Path| {
            curl.download(&url, to);
            openssl.digest("-sha256", to);
        };
        bench
            .case(case, "ms")
            .bar(AtMost(0.85))
            .peer("curl -o, then openssl dgst", || {
                site.time("curl", one_by_one)
            })
            .ours(|| with(one));
    } else {
        bench.skip(case, "curl or openssl is not installed");
    }
    bench
        .case(
            "a large body with sha256, compared with the slower half",
            "ms",
        )
        .bar(AtMost(1.2))
        .peer("the slower of fetch and hash alone", || {
            alone().max(time_ms(|| site.hash(one)))
        })
        .ours(|| with(one));
    bench
        .case("a large body with sha256 and sha512", "ms")
        .bar(AtMost(0.85))
        .peer(
            "the fetch, then the same hashes one after the other",
            || alone() + time_ms(|| site.hash(&both)),
        )
        .ours(|| with(&both));
}

/// Measures a server that limits each connection to 32 MiB/s.
fn slow_connections(bench: &mut Bench, site: &Site, server: &Server) {
    let case = "256 MiB from a server that is slow on each connection";
    let Some(curl) = Peer::find("curl") else {
        return bench.skip(case, "curl is not installed");
    };
    let url = server.url("slow");
    let ours = Ours::new();
    let rounds = bench.pick(3, 1);
    bench
        .case(case, "ms")
        .rounds(rounds)
        .bar(AtMost(0.6))
        .peer("curl -o", || {
            site.time("curl", |to| curl.download(&url, to))
        })
        .ours(|| site.time("ours", |to| ours.fetch(&url, &[], to)));
}

fn small(bench: &mut Bench, site: &Site, server: &Server) {
    let count = site.small_files(bench.pick(10_000, 5_000));
    let rate = |ms: f64| count as f64 / ms * 1e3;
    let ours = Ours::new();
    for (name, words) in [("curl", "curl --parallel"), ("aria2c", "aria2c -j 32")] {
        let case = format!("small files, 32 at a time, compared with {name}");
        let Some(peer) = Peer::find(name) else {
            bench.skip(&case, &format!("{name} is not installed"));
            continue;
        };
        let urls = server.small_urls(count);
        bench
            .case(&case, "files/s")
            .bar(AtLeast(1.0))
            .peer(words, || {
                let (folder, list) = (site.fresh("peer"), peer.list(&urls, site));
                rate(time_ms(|| peer.download_all(&list, &folder)))
            })
            .ours(|| {
                let folder = site.fresh("ours");
                rate(time_ms(|| ours.fetch_all(&urls, &folder)))
            });
    }
}

fn memory(bench: &mut Bench, site: &Site, server: &Server) {
    let sha256 = site.sha256();
    for (case, file, count, hash, bar) in [
        (
            "memory for a large body with sha256",
            "big",
            1,
            Some(&sha256),
            64.0,
        ),
        (
            "memory for 32 concurrent bodies of 64 MiB",
            "medium",
            32,
            None,
            128.0,
        ),
    ] {
        if cfg!(not(target_os = "linux")) {
            bench.skip(case, "only Linux reports the peak memory of a process");
            continue;
        }
        let url = server.url(file);
        bench
            .case(case, "MiB")
            .rounds(1)
            .bar(AtMost(bar))
            .ours(|| ours::memory_of(&url, count, &site.fresh("ours"), hash));
    }
}

#[cfg(feature = "cache")]
fn herd(bench: &mut Bench, site: &Site, server: &Server) {
    let ours = Ours::new();
    let url = server.url("counted");
    bench
        .case(
            "downloads when 100 tasks request the same large body",
            "downloads",
        )
        .rounds(1)
        .bar(AtMost(1.0))
        .ours(|| {
            let before = server.count();
            ours.fetch_through_cache(&url, &site.sha256(), 100, &site.fresh("ours"));
            server.count() - before
        });
}
