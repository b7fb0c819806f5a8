//! What the tests of the collector share: a machine whose readings are set by hand, and resources on it.

#![expect(dead_code, reason = "each test program uses some of it")]

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use runtime_gc::{
    CostClass, Disk, Disposable, DisposableResource, DisposeError, Footprint, Memory, Pressure,
    Reading, Readings, Size,
};

pub(crate) const TOTAL: u64 = 1000;

/// A machine with a disk and memory of 1000 bytes each. Disposing of a resource frees what it took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    free: AtomicU64,
    available: AtomicU64,
    stall: AtomicU64,
    reads: AtomicUsize,
    broken: AtomicUsize,
    disposals: AtomicUsize,
    order: std::sync::Mutex<Vec<String>>,
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

    pub(crate) fn break_statistics(&self) {
        self.state.broken.store(1, Ordering::SeqCst);
    }

    pub(crate) fn reads(&self) -> usize {
        self.state.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn disposals(&self) -> usize {
        self.state.disposals.load(Ordering::SeqCst)
    }

    /// The names of what was disposed of so far, in order.
    pub(crate) fn order(&self) -> Vec<String> {
        self.state.order.lock().unwrap().clone()
    }

    pub(crate) fn thing(&self, name: &str) -> Thing {
        Thing {
            machine: self.clone(),
            resource: DisposableResource::new(),
            name: name.to_owned(),
            footprint: Footprint::disk(Size::Known(100)),
            frees: 100,
            class: CostClass::Moderate,
            behaviour: Behaviour::Succeeds,
            calls: AtomicUsize::new(0),
        }
    }
}

impl Pressure for Machine {
    fn read(&self) -> Readings {
        self.state.reads.fetch_add(1, Ordering::SeqCst);
        if self.state.broken.load(Ordering::SeqCst) > 0 {
            let failed = || "the disk is on fire".to_owned();
            return Readings::new(Reading::Failed(failed()), Reading::Failed(failed()));
        }
        let available = self.state.available.load(Ordering::SeqCst);
        let stall = self.state.stall.load(Ordering::SeqCst);
        Readings::new(
            Reading::Known(Disk::new(TOTAL, self.free())),
            Reading::Known(Memory::new(TOTAL, available).with_stall(f64::from(stall as u32))),
        )
    }
}

/// What a resource does when it is to go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    Succeeds,
    Fails(usize),
    Hangs,
    Panics,
    UsedElsewhere,
    Takes(Duration),
}

#[derive(Debug)]
pub(crate) struct Thing {
    machine: Machine,
    resource: DisposableResource,
    name: String,
    footprint: Footprint,
    frees: u64,
    class: CostClass,
    behaviour: Behaviour,
    calls: AtomicUsize,
}

impl Thing {
    pub(crate) fn class(mut self, class: CostClass) -> Self {
        self.class = class;
        self
    }

    pub(crate) fn footprint(mut self, footprint: Footprint) -> Self {
        self.footprint = footprint;
        self
    }

    pub(crate) fn does(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    pub(crate) fn idle_since(mut self, seconds: u64) -> Self {
        self.resource = DisposableResource::idle_since(Duration::from_secs(seconds));
        self
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Disposable for Thing {
    fn resource(&self) -> &DisposableResource {
        &self.resource
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn footprint(&self) -> Footprint {
        self.footprint
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
            Behaviour::Panics => panic!("the resource is broken"),
            Behaviour::UsedElsewhere => return Err(DisposeError::InUse),
            Behaviour::Takes(time) => tokio::time::sleep(time).await,
            Behaviour::Succeeds | Behaviour::Fails(_) => {}
        }
        let state = &self.machine.state;
        state.disposals.fetch_add(1, Ordering::SeqCst);
        state.free.fetch_add(self.frees, Ordering::SeqCst);
        state.order.lock().unwrap().push(self.name.clone());
        Ok(())
    }
}
