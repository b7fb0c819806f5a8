//! The filters for system calls: a list of refused calls, as a program for the kernel's packet filter machine.
//!
//! No crate is used for the filter, because it needs three features in one program: different errors, tests of
//! arguments, and the refusal of the second call table of x86-64 ("x32"), whose numbers a list of refused calls would
//! not contain.

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
    let mut program = first_instructions();
    refuse_sockets(&mut program, &[libc::AF_UNIX]);
    // Requests in its rings create sockets without the call.
    let rings = libc::SYS_io_uring_setup as u32;
    program.extend([jump(BPF_JEQ, rings, 0, 1), refuse(libc::EPERM), allow()]);
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

/// Jumps skip up to 255 instructions.
const _: () = assert!(REFUSED.len() < 255);

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

/// Refuses the sockets of other families.
fn refuse_sockets(program: &mut Vec<libc::sock_filter>, families: &[i32]) {
    let mut sockets = vec![load(argument(0))];
    for family in families {
        sockets.extend([jump(BPF_JEQ, *family as u32, 0, 1), allow()]);
    }
    sockets.push(refuse(libc::EAFNOSUPPORT));
    on_call(program, libc::SYS_socket, &sockets);
}

fn program() -> Vec<libc::sock_filter> {
    let mut program = first_instructions();
    // A filter cannot read the structure of `clone3`. Programs fall back to `clone`.
    let clone3 = libc::SYS_clone3 as u32;
    program.extend([jump(BPF_JEQ, clone3, 0, 1), refuse(libc::ENOSYS)]);
    for number in [libc::SYS_clone, libc::SYS_unshare] {
        let test = [load(argument(0)), jump(BPF_JSET, NAMESPACES, 0, 1)];
        on_call(
            &mut program,
            number,
            &[&test[..], &[refuse(libc::EPERM)]].concat(),
        );
    }
    refuse_sockets(&mut program, &SOCKET_FAMILIES);
    // Only the low 32 bits, as in the kernel. A comparison of all 64 would let a request pass whose
    // high bits are set.
    let mut requests = vec![load(argument(1))];
    for request in TERMINAL_REQUESTS {
        requests.extend([jump(BPF_JEQ, request, 0, 1), refuse(libc::EPERM)]);
    }
    on_call(&mut program, libc::SYS_ioctl, &requests);
    // One instruction for each call: the kernel translates the program at each start.
    for (index, number) in REFUSED.iter().enumerate() {
        let to_refusal = REFUSED.len() - index;
        program.push(jump(BPF_JEQ, *number as u32, to_refusal as u8, 0));
    }
    program.extend([allow(), refuse(libc::EPERM)]);
    program
}

/// Adds instructions for one call, which is allowed if they do not decide.
fn on_call(program: &mut Vec<libc::sock_filter>, number: i64, instructions: &[libc::sock_filter]) {
    let skip = instructions.len() as u8 + 1;
    program.push(jump(BPF_JEQ, number as u32, 0, skip));
    program.extend(instructions);
    program.push(allow());
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
