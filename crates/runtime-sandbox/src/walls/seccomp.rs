//! The filters for system calls: a list of refused calls, as a program for the kernel's packet filter machine.
//!
//! No crate is used for the filter, because it needs three features in one program: different errors, tests of
//! arguments, and the refusal of the second call table of x86-64 ("x32"), whose numbers a list of refused calls would
//! not contain.

use std::collections::BTreeMap;

use libc::{BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};

use crate::error::SpawnStep;
use crate::plan::Plan;

/// `libc` does not have it for all C libraries.
const KEXEC_FILE_LOAD: i64 = if cfg!(target_arch = "x86_64") {
    320
} else {
    294
};

/// Refused calls. The kernel refuses many of them anyway without capabilities: these are a second wall.
const REFUSED: &[i64] = &[
    // Keys, which belong to a user and not to a namespace.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Kernel programs, events and memory: large parts of the kernel with a history of escapes.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_kcmp,
    libc::SYS_lookup_dcookie,
    // The kernel itself.
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_nfsservctl,
    libc::SYS_quotactl,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Mounts and namespaces, which would open the way to code that only root reaches otherwise.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_fanotify_init,
    // Files by number instead of by path.
    libc::SYS_open_by_handle_at,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Flags of `clone` and `unshare` that create namespaces, including that of times.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32
    | 0x80;

/// The families of sockets that are not refused: local, internet, and the kernel's own (for lists of interfaces).
///
/// Others, such as `AF_VSOCK` to the virtual machine's host, ignore network namespaces or are rarely tested code.
const SOCKET_FAMILIES: [i32; 4] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];

/// Requests that write to the input of a terminal, which the user's shell would read after the command.
const TERMINAL_REQUESTS: [u32; 2] = [libc::TIOCSTI as u32, 0x541c];

/// `AUDIT_ARCH_X86_64` and `AUDIT_ARCH_AARCH64`.
const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else {
    0xc000_00b7
};

/// The bit of the numbers in the second table of x86-64.
const X32: u32 = 0x4000_0000;

/// Offsets in `struct seccomp_data`, whose arguments have 64 bits with the low half first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// Adds the filter to the process and to those that it creates.
pub(crate) fn filter(plan: &mut Plan) {
    plan.step(SpawnStep::SystemCallFilter);
    add(plan, &program());
}

/// Adds a filter that refuses all sockets except Unix sockets: the wall around the network where network namespaces are
/// not allowed.
///
/// The filter covers all protocols, while Landlock supports only TCP. Netlink sockets cannot reach other machines, but
/// show the interfaces of this machine.
pub(crate) fn filter_sockets(plan: &mut Plan) {
    plan.step(SpawnStep::SocketFilter);
    let mut decisions = Decisions::default();
    decisions.add(&[libc::SYS_socket], &socket_test(&[libc::AF_UNIX]));
    // Requests in its rings create sockets without the call.
    decisions.add(&[libc::SYS_io_uring_setup], &[refuse(libc::EPERM)]);
    let mut program = first_instructions();
    program.extend(decisions.search());
    add(plan, &program);
}

fn add(plan: &mut Plan, program: &[libc::sock_filter]) {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    let instructions = plan.address(&bytes);
    // `struct sock_fprog`: the number of instructions, and at offset 8 their address.
    let mut header = [0; 16];
    header[..2].copy_from_slice(&(program.len() as u16).to_ne_bytes());
    let header = plan.bytes(&header);
    plan.point(header + 8, instructions);
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    let header = plan.address_of(header);
    plan.call(libc::SYS_seccomp, [mode.into(), 0.into(), header]);
}

/// Refuses the calls of other tables, and loads the number of the call.
fn first_instructions() -> Vec<libc::sock_filter> {
    let mut program = vec![
        load(ARCH),
        // Numbers mean something only within one table. A 64-bit program reaches that of 32 bits
        // with `int 0x80`, where the numbers below are other calls.
        jump(BPF_JEQ, ARCHITECTURE, 1, 0),
        refuse(libc::ENOSYS),
        load(NUMBER),
    ];
    if cfg!(target_arch = "x86_64") {
        program.extend([jump(BPF_JGE, X32, 0, 1), refuse(libc::ENOSYS)]);
    }
    program
}

/// Returns the instructions that refuse the sockets of other families.
fn socket_test(families: &[i32]) -> Vec<libc::sock_filter> {
    let mut test = vec![load(argument(0))];
    for family in families {
        test.extend([jump(BPF_JEQ, *family as u32, 0, 1), allow()]);
    }
    test.push(refuse(libc::EAFNOSUPPORT));
    test
}

fn program() -> Vec<libc::sock_filter> {
    let namespaces = [
        load(argument(0)),
        jump(BPF_JSET, NAMESPACES, 0, 1),
        refuse(libc::EPERM),
        allow(),
    ];
    // Only the low 32 bits, as in the kernel. A comparison of all 64 would let a request pass whose
    // high bits are set.
    let mut requests = vec![load(argument(1))];
    for request in TERMINAL_REQUESTS {
        requests.extend([jump(BPF_JEQ, request, 0, 1), refuse(libc::EPERM)]);
    }
    requests.push(allow());
    let mut decisions = Decisions::default();
    decisions.add(REFUSED, &[refuse(libc::EPERM)]);
    // A filter cannot read the structure of `clone3`. Programs fall back to `clone`.
    decisions.add(&[libc::SYS_clone3], &[refuse(libc::ENOSYS)]);
    decisions.add(&[libc::SYS_clone, libc::SYS_unshare], &namespaces);
    decisions.add(&[libc::SYS_socket], &socket_test(&SOCKET_FAMILIES));
    decisions.add(&[libc::SYS_ioctl], &requests);
    let mut program = first_instructions();
    program.extend(decisions.search());
    program
}

/// The calls that a filter does not allow without a test.
///
/// They are found by a binary search: the kernel runs the filter for each number when it is added, so that a list of tests
/// would cost a part of each start.
#[derive(Default)]
struct Decisions {
    /// The numbers of calls, each with the offset of its block.
    calls: BTreeMap<u32, usize>,
    /// Instructions, in blocks that end with a decision.
    blocks: Vec<libc::sock_filter>,
}

impl Decisions {
    /// Decides calls by a block of instructions.
    fn add(&mut self, calls: &[i64], block: &[libc::sock_filter]) {
        let offset = self.blocks.len();
        self.calls
            .extend(calls.iter().map(|it| (*it as u32, offset)));
        self.blocks.extend(block);
    }

    /// Returns the search for the loaded number, with the blocks.
    fn search(mut self) -> Vec<libc::sock_filter> {
        let allowed = self.blocks.len();
        self.blocks.push(allow());
        // The first number of each interval with the same block.
        let mut intervals = vec![(0, allowed)];
        for (number, block) in self.calls {
            if intervals.last().is_some_and(|last| last.0 == number) {
                intervals.pop();
            }
            if intervals.last().is_none_or(|last| last.1 != block) {
                intervals.push((number, block));
            }
            intervals.push((number + 1, allowed));
        }
        // One comparison between each two intervals.
        let mut program = Vec::new();
        compare(&mut program, &intervals, intervals.len() - 1);
        program.extend(self.blocks);
        program
    }
}

/// Adds the comparisons that find the interval of the loaded number, of at least two. The blocks start at `blocks`.
fn compare(program: &mut Vec<libc::sock_filter>, intervals: &[(u32, usize)], blocks: usize) {
    let (lower, upper) = intervals.split_at(intervals.len() / 2);
    let next = program.len() + 1;
    // A jump skips up to 255 instructions. A longer one, truncated, could end at the permission.
    let skip = |target: usize| u8::try_from(target - next).expect("a short program");
    let to = |part: &[(u32, usize)], start: usize| match part {
        [(_, block)] => skip(blocks + block),
        _ => skip(start),
    };
    // A part with several intervals has one comparison less.
    let to_upper = to(upper, next + lower.len() - 1);
    program.push(jump(BPF_JGE, upper[0].0, to_upper, to(lower, next)));
    for part in [lower, upper].into_iter().filter(|it| it.len() > 1) {
        compare(program, part, blocks);
    }
}

/// Loads 32 bits of the call's data.
fn load(offset: u32) -> libc::sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
}

/// Compares the loaded number, and skips `if_true` or `if_false` instructions.
fn jump(comparison: u32, operand: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    instruction(BPF_JMP | comparison | BPF_K, if_true, if_false, operand)
}

fn refuse(error: i32) -> libc::sock_filter {
    let error = error.cast_unsigned();
    instruction(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | error)
}

fn allow() -> libc::sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;

    /// Runs a program as the kernel does, for a call with two arguments.
    fn decide(program: &[libc::sock_filter], arch: u32, number: u32, arguments: [u32; 2]) -> u32 {
        let mut loaded = 0;
        let mut next = 0;
        loop {
            let libc::sock_filter { code, jt, jf, k } = program[next];
            next += 1;
            let skip = |condition| usize::from(if condition { jt } else { jf });
            next += match u32::from(code) & !(BPF_JMP | BPF_K) {
                _ if u32::from(code) == BPF_LD | BPF_W | BPF_ABS => {
                    loaded = match k {
                        NUMBER => number,
                        ARCH => arch,
                        _ => arguments[(k as usize - 16) / 8],
                    };
                    0
                }
                _ if u32::from(code) == BPF_RET | BPF_K => return k,
                BPF_JEQ => skip(loaded == k),
                BPF_JGE => skip(loaded >= k),
                BPF_JSET => skip(loaded & k != 0),
                other => panic!("unknown instruction {other}"),
            };
        }
    }

    fn error(error: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | error.cast_unsigned()
    }

    #[test]
    fn each_call_is_decided() {
        let program = program();
        assert!(program.len() < 255, "jumps are too long");
        let tested = [libc::SYS_clone, libc::SYS_unshare, libc::SYS_socket];
        for number in 0..1000_u32 {
            let refused = REFUSED.contains(&i64::from(number));
            let expected = match i64::from(number) {
                _ if refused => error(libc::EPERM),
                libc::SYS_clone3 => error(libc::ENOSYS),
                libc::SYS_socket => error(libc::EAFNOSUPPORT),
                _ => ALLOWED,
            };
            let decided = decide(&program, ARCHITECTURE, number, [0, 0]);
            assert_eq!(decided, expected, "{number}");
            // Another architecture.
            assert_eq!(decide(&program, 0, number, [0, 0]), error(libc::ENOSYS));
            if cfg!(target_arch = "x86_64") {
                let decided = decide(&program, ARCHITECTURE, number | X32, [0, 0]);
                assert_eq!(decided, error(libc::ENOSYS), "{number}");
            }
            // Arguments matter only for some.
            let decided = decide(
                &program,
                ARCHITECTURE,
                number,
                [u32::MAX, libc::TIOCSTI as u32],
            );
            let depends =
                tested.contains(&i64::from(number)) || i64::from(number) == libc::SYS_ioctl;
            let expected = match i64::from(number) {
                libc::SYS_socket => error(libc::EAFNOSUPPORT),
                _ if depends => error(libc::EPERM),
                _ => expected,
            };
            assert_eq!(decided, expected, "{number}");
        }
    }

    #[test]
    fn families_and_flags_are_tested() {
        let program = program();
        let decide = |number: i64, first: i32| {
            decide(
                &program,
                ARCHITECTURE,
                number as u32,
                [first.cast_unsigned(), 0],
            )
        };
        for family in 0..50 {
            let is_allowed = SOCKET_FAMILIES.contains(&family);
            assert_eq!(decide(libc::SYS_socket, family) == ALLOWED, is_allowed);
        }
        for bit in 0..32 {
            let flag = 1_i32 << bit;
            let is_allowed = NAMESPACES & flag.cast_unsigned() == 0;
            for number in [libc::SYS_clone, libc::SYS_unshare] {
                assert_eq!(decide(number, flag) == ALLOWED, is_allowed, "{flag:#x}");
            }
        }
    }
}
