//! A simulated machine with settable statistics, and resources on it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use runtime_gc::{
    CostClass, Disk, Disposable, DisposableResource, DisposeError, Footprint, Memory, Size, Stat,
    Stats, SystemStats,
};

pub(crate) const TOTAL: u64 = 1000;

/// A machine with a disk and memory of 1000 bytes each. Disposing of a resource frees its footprint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    state: Arc<MachineState>,
}

#[derive(Debug, Default)]
struct MachineState {
    free: AtomicU64,
    available: AtomicU64,
    stall: AtomicU64,
    inodes: AtomicU64,
    free_inodes: AtomicU64,
    reads: AtomicUsize,
    broken: AtomicUsize,
    is_stall_hidden: AtomicBool,
    disposals: AtomicUsize,
    order: Mutex<Vec<String>>,
    _watchdog: Watchdog,
}

/// Ends the test program if a test hangs. A timeout of tokio is not sufficient: a loop without an await may never
/// return to tokio.
#[derive(Debug)]
struct Watchdog {
    /// Dropped at the end of the test.
    _test: mpsc::Sender<()>,
}

impl Default for Watchdog {
    fn default() -> Self {
        let (test, ended) = mpsc::channel::<()>();
        let name = thread::current().name().unwrap_or("a test").to_owned();
        thread::spawn(move || {
            if ended.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{name} hangs");
                std::process::abort();
            }
        });
        Self { _test: test }
    }
}

impl Machine {
    pub(crate) fn new(free: u64) -> Self {
        let machine = Self::default();
        machine.set_free(free);
        machine.set_available(TOTAL);
        machine
    }

    pub(crate) fn set_free(&self, bytes: u64) {
        self.state.free.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn use_disk(&self, bytes: u64) {
        self.state.free.fetch_sub(bytes, Ordering::SeqCst);
    }

    pub(crate) fn free(&self) -> u64 {
        self.state.free.load(Ordering::SeqCst)
    }

    pub(crate) fn set_available(&self, bytes: u64) {
        self.state.available.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn set_stall(&self, percent: u64) {
        self.state.stall.store(percent, Ordering::SeqCst);
    }

    pub(crate) fn hide_stall(&self) {
        self.state.is_stall_hidden.store(true, Ordering::SeqCst);
    }

    pub(crate) fn set_inodes(&self, total: u64, free: u64) {
        self.state.inodes.store(total, Ordering::SeqCst);
        self.state.free_inodes.store(free, Ordering::SeqCst);
    }

    pub(crate) fn break_stats(&self) {
        self.state.broken.store(1, Ordering::SeqCst);
    }

    pub(crate) fn reads(&self) -> usize {
        self.state.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn disposals(&self) -> usize {
        self.state.disposals.load(Ordering::SeqCst)
    }

    /// Returns the names of the resources disposed of so far, in order.
    pub(crate) fn order(&self) -> Vec<String> {
        self.state.order.lock().unwrap().clone()
    }

    pub(crate) fn resource(&self, name: &str) -> TestResource {
        TestResource {
            machine: self.clone(),
            resource: DisposableResource::new(),
            name: name.to_owned(),
            footprint: Mutex::new(Footprint::disk(Size::Known(100))),
            class: CostClass::Moderate,
            behaviour: Behaviour::Succeeds,
            then: None,
            calls: AtomicUsize::new(0),
        }
    }
}

impl SystemStats for Machine {
    fn read(&self) -> Stats {
        self.state.reads.fetch_add(1, Ordering::SeqCst);
        if self.state.broken.load(Ordering::SeqCst) > 0 {
            let failed = || "the disk is on fire".to_owned();
            return Stats::new(Stat::Failed(failed()), Stat::Failed(failed()));
        }
        let available = self.state.available.load(Ordering::SeqCst);
        let stall = self.state.stall.load(Ordering::SeqCst);
        let inodes = self.state.inodes.load(Ordering::SeqCst);
        let free_inodes = self.state.free_inodes.load(Ordering::SeqCst);
        let memory = if self.state.is_stall_hidden.load(Ordering::SeqCst) {
            Memory::new(TOTAL, available)
        } else {
            Memory::new(TOTAL, available).with_stall(f64::from(stall as u32))
        };
        Stats::new(
            Stat::Known(Disk::new(TOTAL, self.free()).with_inodes(inodes, free_inodes)),
            Stat::Known(memory),
        )
    }
}

/// The behaviour of a resource's disposal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    Succeeds,
    Fails(usize),
    Hangs,
    HangsAtFirst,
    Panics,
    UsedElsewhere,
    Takes(Duration),
}

pub(crate) struct TestResource {
    machine: Machine,
    resource: DisposableResource,
    name: String,
    footprint: Mutex<Footprint>,
    class: CostClass,
    behaviour: Behaviour,
    then: Option<Box<dyn Fn() + Send + Sync>>,
    calls: AtomicUsize,
}

impl TestResource {
    pub(crate) fn class(mut self, class: CostClass) -> Self {
        self.class = class;
        self
    }

    pub(crate) fn footprint(self, footprint: Footprint) -> Self {
        self.resize(footprint);
        self
    }

    pub(crate) fn resize(&self, footprint: Footprint) {
        *self.footprint.lock().unwrap() = footprint;
    }

    /// Sets a function to call at the end of the disposal.
    pub(crate) fn after_disposal(mut self, then: impl Fn() + Send + Sync + 'static) -> Self {
        self.then = Some(Box::new(then));
        self
    }

    pub(crate) fn behaviour(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    pub(crate) fn with_idle_time(mut self, seconds: u64) -> Self {
        self.resource = DisposableResource::with_idle_time(Duration::from_secs(seconds));
        self
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl TestResource {
    fn free_footprint(&self) {
        // An unknown size is 100.
        let amount = |size| match size {
            Size::None => 0,
            Size::Unknown => 100,
            Size::Known(amount) => amount,
        };
        let (state, footprint) = (&self.machine.state, *self.footprint.lock().unwrap());
        state
            .free
            .fetch_add(amount(footprint.disk), Ordering::SeqCst);
        state
            .available
            .fetch_add(amount(footprint.memory), Ordering::SeqCst);
        state
            .free_inodes
            .fetch_add(amount(footprint.inodes), Ordering::SeqCst);
    }
}

impl std::fmt::Debug for TestResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestResource")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Disposable for TestResource {
    fn resource(&self) -> &DisposableResource {
        &self.resource
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn footprint(&self) -> Footprint {
        *self.footprint.lock().unwrap()
    }

    fn class(&self) -> CostClass {
        self.class
    }

    async fn dispose(&self) -> Result<(), DisposeError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.resource.users(), 0, "{} is in use", self.name);
        match self.behaviour {
            Behaviour::Fails(times) if call < times => {
                return Err(std::io::Error::other("the folder is stuck").into());
            }
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::HangsAtFirst if call == 0 => std::future::pending().await,
            Behaviour::Panics => panic!("the resource is broken"),
            Behaviour::UsedElsewhere => return Err(DisposeError::InUseElsewhere),
            Behaviour::Takes(time) => tokio::time::sleep(time).await,
            Behaviour::Succeeds | Behaviour::Fails(_) | Behaviour::HangsAtFirst => {}
        }
        let state = &self.machine.state;
        state.disposals.fetch_add(1, Ordering::SeqCst);
        self.free_footprint();
        state.order.lock().unwrap().push(self.name.clone());
        if let Some(then) = &self.then {
            then();
        }
        Ok(())
    }
}
