//! Serves logs, a shell (on Unix) and a page over TLS, and prints their URLs. Also used by `cargo xtask e2e webhook`.
//!
//! `cargo run -p runtime-webhook --features public,shell --example hooks`

use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use runtime_core::webhook::{Handler, WebHookServer as _};
use runtime_ioext::FollowedLog;
use runtime_webhook::{LiveLog, LocalhostServer, PublicServer, StaticPage};
#[cfg(unix)]
use runtime_webhook::{Shell, ShellCommand, WebHook};
use tokio::time::{interval, sleep};

/// The time for requests in progress when the server stops.
const GRACE: Duration = Duration::from_secs(1);

/// Escape sequences of terminals, and the prompt of a waiting program.
const COLOURS: &str = "\
    \x1b[1mbold\x1b[0m \x1b[2mdim\x1b[0m \x1b[3mitalic\x1b[0m \x1b[4munderlined\x1b[0m \x1b[7minverse\x1b[0m\n\
    \x1b[31mred \x1b[32mgreen \x1b[33myellow \x1b[34mblue \x1b[35mmagenta \x1b[36mcyan \x1b[37mwhite\x1b[0m\n\
    \x1b[91mred \x1b[92mgreen \x1b[93myellow \x1b[94mblue \x1b[95mmagenta \x1b[96mcyan \x1b[97mwhite\x1b[0m\n\
    \x1b[41mred\x1b[0m \x1b[1;37;44mbold white on blue\x1b[0m \x1b[38;5;208m256\x1b[0m \x1b[38;2;120;80;200m16 million\x1b[0m\n\
    10 %\r50 %\r100 %\n\
    \x1b]0;a title\x07<b>no markup</b> & no entity\n\
    \x1b[32mgoes on\n\
    to the next line\x1b[0m\n\
    Continue? [y/n] ";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let server = LocalhostServer::start().await?;

    let done = FollowedLog::create(folder.path().join("done.log"))?;
    done.writer().write_all(b"0123456789\nthe end\n")?;
    done.close()?;
    let done = server.attach(follow(&done)).await?;
    println!("export LOG_URL={}", done.url());

    let live = FollowedLog::create(folder.path().join("live.log"))?;
    let live_hook = server.attach(follow(&live)).await?;
    println!("export LIVE_URL={}", live_hook.url());

    let asking = FollowedLog::create(folder.path().join("asking.log"))?;
    asking.writer().write_all(COLOURS.as_bytes())?;
    let asking_hook = server.attach(follow(&asking)).await?;
    println!("export ASKING_URL={}", asking_hook.url());

    #[cfg(unix)]
    let shell = attach_shell(&server).await?;

    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (chain, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&chain, certificate.cert.pem())?;
    std::fs::write(&key, certificate.signing_key.serialize_pem())?;
    let public = PublicServer::builder("localhost")
        .address(Ipv4Addr::LOCALHOST.into())
        .tls(&chain, &key);
    let public = public.start().await?;
    let page = public
        .attach(Arc::new(StaticPage::text("over TLS\n")))
        .await?;
    println!("export TLS_URL={}", page.url());
    println!("export TLS_ADDRESS={}", public.local_addr());
    println!("export TLS_CERTIFICATE={}", chain.display());

    tokio::select! {
        result = write_lines(&live) => result?,
        result = stop_signal() => result?,
    }
    live.close()?;
    asking.close()?;
    // Lets viewers read the end of the log.
    sleep(Duration::from_millis(100)).await;
    drop((done, live_hook, asking_hook, page));
    #[cfg(unix)]
    drop(shell);
    server.stop(GRACE).await;
    public.stop(GRACE).await;
    Ok(())
}

fn follow(log: &FollowedLog) -> Arc<dyn Handler> {
    let log = log.clone();
    Arc::new(LiveLog::new(move |offset| log.reader_at(offset)))
}

#[cfg(unix)]
async fn attach_shell(server: &LocalhostServer) -> Result<WebHook, Box<dyn Error>> {
    let shell = Shell::new(|| ShellCommand::new("/bin/sh").env("PS1", "$ "))?;
    let path = shell.path();
    let hook = server.attach(Arc::new(shell)).await?;
    println!("export SHELL_URL={}{path}", hook.url());
    Ok(hook)
}

#[cfg(unix)]
async fn stop_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

#[cfg(not(unix))]
async fn stop_signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// Writes ten lines per second in different colours, some of them long.
async fn write_lines(log: &FollowedLog) -> Result<(), Box<dyn Error>> {
    let writer = log.writer();
    let mut ticks = interval(Duration::from_millis(100));
    for number in 1.. {
        ticks.tick().await;
        let colour = 31 + number % 6;
        let flags = " --with-another-flag".repeat(if number % 10 == 0 { 20 } else { 0 });
        writeln!(
            writer,
            "step {number}: \x1b[{colour}mcompiling\x1b[0m something{flags}"
        )?;
    }
    Ok(())
}
