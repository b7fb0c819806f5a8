//! The list of operations with which a sandbox starts, and the data that they use.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::error::{SpawnError, SpawnStep};
use crate::init::{self, OPERATIONS, Operation, OperationKind};

/// An argument of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    Value(u64),
    /// The address of data, at this offset.
    Address(usize),
    /// The number that an earlier operation stored in this cell.
    Stored(Cell),
    /// The address of the operation with this index.
    Operation(usize),
}

/// A 32-bit number in the data, at this offset, that operations store and load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell(usize);

/// The place at which the result of an operation is stored.
#[derive(Clone, Copy, Debug)]
enum Destination {
    Nowhere,
    Cell(Cell),
    Fixed(u64),
}

/// An operation whose addresses are not known yet.
#[derive(Debug)]
struct PlannedOperation {
    number: u32,
    kind: OperationKind,
    arguments: [Argument; 6],
    result: Destination,
    /// The index of its step.
    step: usize,
}

/// The operations of a start, in order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    operations: Vec<PlannedOperation>,
    data: Vec<u8>,
    /// Offsets of the data that hold the address of data, with the offset of the target.
    relocations: Vec<(usize, usize)>,
    steps: Vec<PlannedStep>,
}

/// A step of a start, which consists of one or several operations.
#[derive(Debug)]
pub(crate) struct PlannedStep {
    pub(crate) step: SpawnStep,
    pub(crate) path: Option<PathBuf>,
}

impl Plan {
    /// Starts a step, to which the following operations belong.
    pub(crate) fn step(&mut self, step: SpawnStep) {
        self.steps.push(PlannedStep { step, path: None });
    }

    /// Starts a step that concerns a path.
    pub(crate) fn step_on(&mut self, step: SpawnStep, path: &Path) {
        let path = Some(path.to_owned());
        self.steps.push(PlannedStep { step, path });
    }

    /// Adds a system call. Its failure ends the start.
    pub(crate) fn call<const N: usize>(&mut self, number: i64, arguments: [Argument; N]) {
        self.add(OperationKind::Call, number, arguments, Destination::Nowhere);
    }

    /// Adds a system call whose failure is ignored.
    pub(crate) fn attempt<const N: usize>(&mut self, number: i64, arguments: [Argument; N]) {
        self.add(OperationKind::Try, number, arguments, Destination::Nowhere);
    }

    /// Adds a system call and stores its result, a descriptor, in a cell.
    pub(crate) fn open<const N: usize>(&mut self, number: i64, arguments: [Argument; N]) -> Cell {
        let cell = Cell(self.bytes(&[0; 4]));
        self.open_to(cell, number, arguments);
        cell
    }

    /// Adds a system call and stores its result in a cell that exists.
    pub(crate) fn open_to<const N: usize>(
        &mut self,
        cell: Cell,
        number: i64,
        arguments: [Argument; N],
    ) {
        let result = Destination::Cell(cell);
        self.add(OperationKind::Call, number, arguments, result);
    }

    /// Adds a system call and stores its result at a fixed address.
    pub(crate) fn store<const N: usize>(
        &mut self,
        address: u64,
        number: i64,
        arguments: [Argument; N],
    ) {
        let result = Destination::Fixed(address);
        self.add(OperationKind::Call, number, arguments, result);
    }

    /// Adds the execution of a program, which may be missing.
    pub(crate) fn exec(&mut self, arguments: [Argument; 3]) {
        let (number, result) = (libc::SYS_execve, Destination::Nowhere);
        self.add(OperationKind::Exec, number, arguments, result);
    }

    /// Adds an operation that fails with the error of the preceding executions.
    pub(crate) fn fail(&mut self) {
        self.add(OperationKind::Fail, 0, [], Destination::Nowhere);
    }

    /// Adds the last operation of the init program, which then waits.
    pub(crate) fn serve(&mut self) {
        self.add(OperationKind::Serve, 0, [], Destination::Nowhere);
    }

    /// Adds a fork. Operations of the new process follow until [`parent`](Self::parent).
    ///
    /// Both processes continue at the same time in the same memory, which is cheaper than a copy. They need no stack,
    /// and their operations store results in different cells.
    pub(crate) fn fork(&mut self) -> usize {
        let zero = Argument::Value(0);
        let flags = libc::CLONE_VM | libc::SIGCHLD;
        let arguments = [Argument::from(flags), zero, zero, zero, zero, zero];
        self.add(
            OperationKind::Fork,
            libc::SYS_clone,
            arguments,
            Destination::Nowhere,
        );
        self.operations.len() - 1
    }

    /// Adds the operations of the parent of a fork from here on.
    pub(crate) fn parent(&mut self, fork: usize) {
        // `clone` has five arguments, so the sixth is free for the target of the jump.
        self.operations[fork].arguments[5] = Argument::Operation(self.operations.len());
    }

    /// Adds data and returns their offset. They are aligned to 8 bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> usize {
        // For the 64-bit fields of the kernel's structures, and for lists of pointers.
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        self.data.extend(bytes);
        self.data.len() - bytes.len()
    }

    /// Adds data and returns their address as an argument.
    pub(crate) fn address(&mut self, bytes: &[u8]) -> Argument {
        Argument::Address(self.bytes(bytes))
    }

    /// Adds a list of addresses that ends with a null pointer.
    pub(crate) fn pointers(&mut self, addresses: &[Argument]) -> Argument {
        let list = self.bytes(&vec![0; (addresses.len() + 1) * 8]);
        for (index, address) in addresses.iter().enumerate() {
            self.point(list + index * 8, *address);
        }
        Argument::Address(list)
    }

    /// Lets the 8 bytes at an offset of the data hold an address.
    pub(crate) fn point(&mut self, at: usize, address: Argument) {
        if let Argument::Address(target) = address {
            self.relocations.push((at, target));
        }
    }

    /// Returns the address of data.
    pub(crate) fn address_of(&self, offset: usize) -> Argument {
        Argument::Address(offset)
    }

    /// Returns a cell within data.
    pub(crate) fn cell_at(&self, offset: usize) -> Cell {
        Cell(offset)
    }

    /// Adds a path.
    pub(crate) fn string(&mut self, path: impl AsRef<OsStr>) -> Result<Argument, SpawnError> {
        self.text("path", path)
    }

    /// Adds a C string. An error names its kind.
    pub(crate) fn text(
        &mut self,
        kind: &'static str,
        text: impl AsRef<OsStr>,
    ) -> Result<Argument, SpawnError> {
        let text = CString::new(text.as_ref().as_bytes());
        let text = text.map_err(|_| SpawnError::NulByte { kind })?;
        Ok(self.address(text.as_bytes_with_nul()))
    }

    /// Returns the program file, and the step of each operation.
    pub(crate) fn finish(mut self, flags: u32) -> (Vec<u8>, PlannedSteps) {
        // The data follow the operations. Their address depends on the number of these, and is
        // known only now.
        let data = OPERATIONS + self.operations.len() as u64 * Operation::LEN;
        for (at, target) in self.relocations {
            let address = data + target as u64;
            self.data[at..at + 8].copy_from_slice(&address.to_ne_bytes());
        }
        let operations: Vec<Operation> =
            self.operations.iter().map(|it| it.resolve(data)).collect();
        let file = init::image(flags, &operations, &self.data);
        let of_operation = self.operations.iter().map(|it| it.step).collect();
        let steps = self.steps;
        (
            file,
            PlannedSteps {
                of_operation,
                steps,
            },
        )
    }

    fn add<const N: usize>(
        &mut self,
        kind: OperationKind,
        number: i64,
        arguments: [Argument; N],
        result: Destination,
    ) {
        let mut all = [Argument::Value(0); 6];
        all[..N].copy_from_slice(&arguments);
        self.operations.push(PlannedOperation {
            number: number as u32,
            kind,
            arguments: all,
            result,
            step: self.steps.len().saturating_sub(1),
        });
    }
}

impl PlannedOperation {
    fn resolve(&self, data: u64) -> Operation {
        let mut operation = Operation {
            number: self.number,
            kind: self.kind,
            indirect: 0,
            arguments: [0; 6],
            result: match self.result {
                Destination::Nowhere => 0,
                Destination::Cell(cell) => data + cell.0 as u64,
                Destination::Fixed(address) => address,
            },
        };
        for (index, argument) in self.arguments.iter().enumerate() {
            operation.arguments[index] = match *argument {
                Argument::Value(value) => value,
                Argument::Address(offset) => data + offset as u64,
                Argument::Operation(index) => OPERATIONS + index as u64 * Operation::LEN,
                Argument::Stored(cell) => {
                    operation.indirect |= 1 << index;
                    data + cell.0 as u64
                }
            };
        }
        operation
    }
}

/// The steps of a plan, to explain the failure of an operation.
#[derive(Debug)]
pub(crate) struct PlannedSteps {
    of_operation: Vec<usize>,
    steps: Vec<PlannedStep>,
}

impl PlannedSteps {
    /// Returns the step that an operation is part of.
    pub(crate) fn of(&self, operation: u32) -> Option<&PlannedStep> {
        let step = self.of_operation.get(operation as usize)?;
        self.steps.get(*step)
    }
}

impl From<Cell> for Argument {
    fn from(cell: Cell) -> Self {
        Self::Stored(cell)
    }
}

impl From<i32> for Argument {
    fn from(value: i32) -> Self {
        Self::Value(i64::from(value).cast_unsigned())
    }
}

impl From<u32> for Argument {
    fn from(value: u32) -> Self {
        Self::Value(value.into())
    }
}

impl From<u64> for Argument {
    fn from(value: u64) -> Self {
        Self::Value(value)
    }
}

impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Self::Value(value as u64)
    }
}
