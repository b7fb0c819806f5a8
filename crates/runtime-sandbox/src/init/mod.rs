//! The init program of a sandbox: a static ELF file in memory that runs a list of operations.
//!
//! The file has two segments: the code, about 500 bytes of assembly without a stack, and the data of one start. The
//! data starts with a header, followed by the operations and the data that their arguments refer to. An operation is a
//! system call. The assembly has no code for namespaces, mounts or filters: the other modules of this crate compose
//! these operations in safe code, before the process exists.
//!
//! After its last operation, the program is the parent of the command: it reaps children, passes on the worker's
//! signals, and reports the command's wait status. See `docs/decisions/0040-sandbox-start.md`.

use std::arch::global_asm;
use std::slice;

/// The address of the first segment.
const CODE: u64 = 0x40_0000;

/// The offset of the data in the file. The code must fit before it.
const DATA_OFFSET: u64 = 0x1000;

/// The address of the data. Congruent to the offset for all page sizes up to 64 KiB.
pub(crate) const HEADER: u64 = 0x42_0000 + DATA_OFFSET;

/// The length of the header.
const HEADER_LEN: u64 = 256;

/// The address of the first operation.
pub(crate) const OPERATIONS: u64 = HEADER + HEADER_LEN;

/// The descriptor to which the program writes a failure. If it is closed without a failure, the command runs.
pub(crate) const FAILURE_FD: i32 = 3;

/// The descriptor of the stream to the worker: signals in one direction, the wait status in the other.
pub(crate) const CONTROL_FD: i32 = 4;

/// The address of the header's signal descriptor, which an operation has to set.
pub(crate) const SIGNAL_FD_CELL: u64 = HEADER;

/// Ends the sandbox when the command ends. A bit of the header's flags.
pub(crate) const EXIT_WITH_COMMAND: u32 = 1;

/// The length of an ELF header, and of an entry of the program header table.
const ELF_HEADER_LEN: u64 = 64;
const PROGRAM_HEADER_LEN: u64 = 56;

/// How the program treats an operation and its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OperationKind {
    /// A failure ends the start.
    Call = 0,
    /// A failure is ignored.
    Try = 1,
    /// Creates a process, which continues with the next operation. The parent jumps to the last argument.
    Fork = 2,
    /// Executes a program. If it is missing or may not be executed, the next operation follows.
    Exec = 3,
    /// Ends the start with the error of the programs that were tried.
    Fail = 4,
    /// Ends the operations: the process waits as the parent of the command.
    Serve = 5,
}

/// An operation in the format of the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) number: u32,
    pub(crate) kind: OperationKind,
    /// Bit `i` is set if argument `i` is the address of a 32-bit number instead of a value.
    pub(crate) indirect: u8,
    pub(crate) arguments: [u64; 6],
    /// The address at which the 32-bit result is stored, or 0.
    pub(crate) result: u64,
}

impl Operation {
    pub(crate) const LEN: u64 = 64;

    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        out.extend(self.number.to_ne_bytes());
        out.extend([self.kind as u8, self.indirect, 0, 0]);
        for argument in self.arguments {
            out.extend(argument.to_ne_bytes());
        }
        out.extend(self.result.to_ne_bytes());
    }
}

/// Returns the ELF file for operations and the data that follow them.
pub(crate) fn image(flags: u32, operations: &[Operation], data: &[u8]) -> Vec<u8> {
    let code = code();
    let data_len = HEADER_LEN + operations.len() as u64 * Operation::LEN + data.len() as u64;
    let mut file = Vec::with_capacity((DATA_OFFSET + data_len) as usize);
    write_elf_header(&mut file);
    let code_len = ELF_HEADER_LEN + 3 * PROGRAM_HEADER_LEN + code.len() as u64;
    write_segment(&mut file, 1, 0b101, 0, CODE, code_len);
    write_segment(&mut file, 1, 0b110, DATA_OFFSET, HEADER, data_len);
    // `PT_GNU_STACK`: without it, the kernel makes stack and data executable.
    write_segment(&mut file, 0x6474_e551, 0b110, 0, 0, 0);
    file.extend(code);
    file.resize(DATA_OFFSET as usize, 0);
    write_header(&mut file, flags);
    for operation in operations {
        operation.write_to(&mut file);
    }
    file.extend(data);
    file
}

/// Writes the header of the data: two `pollfd`, the command's pid, the flags, and room for messages.
fn write_header(file: &mut Vec<u8>, flags: u32) {
    let poll = |file: &mut Vec<u8>, descriptor: i32| {
        file.extend(descriptor.to_ne_bytes());
        file.extend(libc::POLLIN.to_ne_bytes());
        file.extend([0, 0]);
    };
    poll(file, -1);
    poll(file, CONTROL_FD);
    file.extend(0_u32.to_ne_bytes());
    file.extend(flags.to_ne_bytes());
    file.resize((DATA_OFFSET + HEADER_LEN) as usize, 0);
}

fn write_elf_header(file: &mut Vec<u8>) {
    let endianness = if cfg!(target_endian = "little") { 1 } else { 2 };
    file.extend([0x7f, b'E', b'L', b'F', 2, endianness, 1, 0]);
    file.extend([0; 8]);
    // An executable file for this machine, version 1.
    file.extend(2_u16.to_ne_bytes());
    file.extend(ELF_MACHINE.to_ne_bytes());
    file.extend(1_u32.to_ne_bytes());
    let entry = CODE + ELF_HEADER_LEN + 3 * PROGRAM_HEADER_LEN;
    for number in [entry, ELF_HEADER_LEN, 0] {
        file.extend(number.to_ne_bytes());
    }
    file.extend(0_u32.to_ne_bytes());
    for number in [
        ELF_HEADER_LEN as u16,
        PROGRAM_HEADER_LEN as u16,
        3,
        64,
        0,
        0,
    ] {
        file.extend(number.to_ne_bytes());
    }
}

fn write_segment(file: &mut Vec<u8>, kind: u32, access: u32, offset: u64, at: u64, len: u64) {
    file.extend(kind.to_ne_bytes());
    file.extend(access.to_ne_bytes());
    // The alignment is the largest page size of AArch64, 64 KiB.
    for number in [offset, at, at, len, len, 0x1_0000] {
        file.extend(number.to_ne_bytes());
    }
}

/// Returns the machine code of the program.
fn code() -> &'static [u8] {
    #[expect(unsafe_code, reason = "the labels of assembly are foreign items")]
    // SAFETY: both labels are defined below, in this order in one section, and what is between them is never written.
    unsafe {
        let start = &raw const runtime_sandbox_init_start;
        let end = &raw const runtime_sandbox_init_end;
        slice::from_raw_parts(start, end.addr() - start.addr())
    }
}

#[expect(unsafe_code, reason = "the labels of assembly are foreign items")]
// SAFETY: the assembly below defines both as bytes of a read-only section.
unsafe extern "C" {
    static runtime_sandbox_init_start: u8;
    static runtime_sandbox_init_end: u8;
}

/// The number of this machine in ELF headers.
#[cfg(target_arch = "x86_64")]
const ELF_MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const ELF_MACHINE: u16 = 183;

macro_rules! init_program {
    ($file:literal $(, $name:ident = $number:expr)*) => {
        global_asm!(
            include_str!($file),
            header = const HEADER,
            operations = const OPERATIONS,
            attempt = const OperationKind::Try as u8,
            fork = const OperationKind::Fork as u8,
            exec = const OperationKind::Exec as u8,
            fail = const OperationKind::Fail as u8,
            serve = const OperationKind::Serve as u8,
            command = const 16,
            flags = const 20,
            failure = const 24,
            status = const 32,
            byte = const 36,
            signal = const 64,
            failure_fd = const FAILURE_FD,
            control_fd = const CONTROL_FD,
            wait_options = const libc::WNOHANG | libc::__WALL,
            any_child = const libc::__WALL,
            eacces = const libc::EACCES,
            enoent = const libc::ENOENT,
            enotdir = const libc::ENOTDIR,
            sys_write = const libc::SYS_write,
            sys_ppoll = const libc::SYS_ppoll,
            sys_kill = const libc::SYS_kill,
            sys_wait4 = const libc::SYS_wait4,
            sys_exit_group = const libc::SYS_exit_group,
            $($name = const $number,)*
        );
    };
}

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "the program runs without the worker's memory, so it cannot be Rust"
)]
mod machine {
    use super::*;
    // On this machine the number of `read` is 0, which the code writes as a cleared register.
    const _: () = assert!(libc::SYS_read == 0);
    init_program!("x86_64.s");
}

#[cfg(target_arch = "aarch64")]
#[expect(
    unsafe_code,
    reason = "the program runs without the worker's memory, so it cannot be Rust"
)]
mod machine {
    use super::*;
    init_program!("aarch64.s", sys_read = libc::SYS_read);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_fits_before_the_data() {
        let room = DATA_OFFSET - ELF_HEADER_LEN - 3 * PROGRAM_HEADER_LEN;
        assert!(
            !code().is_empty() && code().len() as u64 <= room,
            "{}",
            code().len()
        );
    }

    #[test]
    fn operations_have_a_fixed_length() {
        let mut bytes = Vec::new();
        let operation = Operation {
            number: 1,
            kind: OperationKind::Call,
            indirect: 0,
            arguments: [0; 6],
            result: 0,
        };
        operation.write_to(&mut bytes);
        assert_eq!(bytes.len() as u64, Operation::LEN);
    }
}
