//! Tests with processes that lead sessions.

use std::process::{Child, Command};

use rustix::process::{Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::*;

struct Session(Child);

impl Session {
    fn start(script: &str) -> Self {
        let child = Command::new("setsid").args(["sh", "-c", script]).spawn();
        let session = Self(child.expect("start `setsid`"));
        let limit = std::time::Instant::now() + Duration::from_secs(60);
        let is_leader = |stat: ProcStat| stat.session == session.pid();
        while !proc::stat(session.pid()).is_some_and(is_leader) {
            assert!(std::time::Instant::now() < limit, "no session");
            std::thread::yield_now();
        }
        session
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    fn watch(&self, sampler: &UsageSampler) -> CommandUsage {
        sampler.watch(Pid::from_raw(self.pid()).expect("not 0"))
    }

    /// Returns the pid of the child of the script.
    fn child(&self) -> i32 {
        let limit = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let mut all = proc::all_stats();
            if let Some(child) = all.find(|stat| stat.parent == self.pid()) {
                return child.pid;
            }
            assert!(std::time::Instant::now() < limit, "no child");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.pid()).expect("not 0");
        // Both fail only if the processes have ended.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
    }
}

fn sampled(sampler: &UsageSampler, session: &Session) -> Vec<i32> {
    let state = sampler.0.state.lock();
    let samples = state.sessions.get(&session.pid());
    samples.map_or_else(Vec::new, |it| it.by_process.keys().copied().collect())
}

#[tokio::test]
async fn one_pass_samples_all_commands() {
    let sampler = UsageSampler::default();
    let [a, b, unwatched] = [(); 3].map(|()| Session::start("exec sleep 600"));
    let usages = [a.watch(&sampler), b.watch(&sampler)];
    sampler.0.sample();
    assert_eq!(sampled(&sampler, &a), [a.pid()]);
    assert_eq!(sampled(&sampler, &b), [b.pid()]);
    assert!(sampled(&sampler, &unwatched).is_empty());
    let [a, _] = usages.map(|usage| usage.finish(&CgroupUsage::default()));
    assert!(a.peak_memory.is_some_and(|bytes| bytes > 0), "{a:?}");
    assert!(sampler.0.state.lock().sessions.is_empty());
}

#[tokio::test]
async fn other_processes_are_not_read_again() {
    let sampler = UsageSampler::default();
    let session = Session::start("sleep 600 & wait");
    let child = session.child();
    sampler.0.sample();
    let is_other = |pid| sampler.0.others.lock().iter().any(|key| key.pid == pid);
    assert!(is_other(session.pid()) && is_other(child));
    let _usage = session.watch(&sampler);
    sampler.0.sample();
    // The leader may have been seen before it created its session. No other process can join it.
    assert_eq!(sampled(&sampler, &session), [session.pid()]);
}

#[tokio::test]
async fn ended_leader_counts_its_children() {
    let sampler = UsageSampler::default();
    let burn = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; exit 0";
    let session = Session::start(burn);
    let usage = session.watch(&sampler);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let pid = Pid::from_raw(session.pid()).expect("not 0");
    waitid(WaitId::Pid(pid), options).expect("it is a child");
    let usage = usage.finish(&CgroupUsage::default());
    assert!(usage.cpu.is_some_and(|cpu| !cpu.is_zero()), "{usage:?}");
}

#[tokio::test(start_paused = true)]
async fn passes_end_with_the_last_command() {
    let sampler = UsageSampler::default();
    let session = Session::start("exec sleep 600");
    drop(session.watch(&sampler));
    assert!(sampler.0.state.lock().passes.is_some());
    tokio::time::sleep(MAX_DELAY).await;
    assert!(sampler.0.state.lock().passes.is_none());
}
