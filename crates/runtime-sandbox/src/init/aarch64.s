// The init program of a sandbox on AArch64, see `mod.rs` for the formats.
//
// x19: the current operation. x20: the header of the data. w21: the error of the programs that were tried.
// The kernel preserves all registers but x0. No stack is used.

    .pushsection .text.runtime_sandbox_init, "ax", @progbits
    .globl runtime_sandbox_init_start
    .globl runtime_sandbox_init_end
    .hidden runtime_sandbox_init_start
    .hidden runtime_sandbox_init_end
runtime_sandbox_init_start:
    movz    x20, #({header} & 0xffff)
    movk    x20, #({header} >> 16), lsl #16
    add     x19, x20, #({operations} - {header})
    mov     w21, wzr

2:  // Runs an operation.
    ldrb    w9, [x19, #4]
    cmp     w9, #{serve}
    b.eq    7f
    mov     w0, w21
    cmp     w9, #{fail}
    b.eq    6f
    ldrb    w10, [x19, #5]
    .irp    argument, 0, 1, 2, 3, 4, 5
    ldr     x\argument, [x19, #(8 + 8 * \argument)]
    tbz     w10, #\argument, 3f
    ldrsw   x\argument, [x\argument]
3:
    .endr
    ldr     w8, [x19]
    svc     #0
    ldrb    w9, [x19, #4]
    cmn     x0, #4095
    b.hs    5f
    // Success: stores the result, and continues elsewhere in the parent of a new process.
    ldr     x10, [x19, #56]
    cbz     x10, 3f
    str     w0, [x10]
3:  cmp     w9, #{fork}
    b.ne    4f
    cbz     w0, 4f
    str     w0, [x20, #{command}]
    ldr     x19, [x19, #48]
    b       2b
4:  add     x19, x19, #64
    b       2b

5:  // A system call failed.
    neg     w0, w0
    cmp     w9, #{attempt}
    b.eq    4b
    cmp     w9, #{exec}
    b.ne    6f
    cmp     w0, #{eacces}
    b.eq    3f
    cmp     w0, #{enoent}
    b.eq    5f
    cmp     w0, #{enotdir}
    b.ne    6f
5:  cmp     w21, #{eacces}
    b.eq    4b
3:  mov     w21, w0
    b       4b

6:  // Reports the operation and the error, and exits.
    str     w0, [x20, #({failure} + 4)]
    sub     x19, x19, x20
    sub     x19, x19, #({operations} - {header})
    lsr     x19, x19, #6
    str     w19, [x20, #{failure}]
    mov     x8, #{sys_write}
    mov     x0, #{failure_fd}
    add     x1, x20, #{failure}
    mov     x2, #8
    svc     #0
    mov     x0, #127
    b       9f

7:  // Waits for the worker and for children.
    mov     x8, #{sys_ppoll}
    mov     x0, x20
    mov     x1, #2
    mov     x2, xzr
    mov     x3, xzr
    mov     x4, #8
    svc     #0
    ldrh    w9, [x20, #14]
    cbz     w9, 3f
    // A byte from the worker is a signal for the command's process group. The end of the stream ends the sandbox.
    mov     x8, #{sys_read}
    mov     x0, #{control_fd}
    add     x1, x20, #{byte}
    mov     x2, #1
    svc     #0
    mov     x22, x0
    ldrb    w1, [x20, #{byte}]
    cmp     x22, #1
    b.eq    4f
    mov     w1, #9
4:  ldr     w0, [x20, #{command}]
    cbz     w0, 4f
    mov     w23, w0
    neg     w0, w0
    mov     x8, #{sys_kill}
    svc     #0
    tbz     w0, #31, 4f
    // The command has not created its group yet.
    mov     w0, w23
    svc     #0
4:  cmp     x22, #1
    b.eq    3f
    // The end of a namespace's first process ends and reaps all others. Elsewhere the command is reaped first: its new
    // parent may never reap it, and a process that has not been reaped keeps its namespace.
    ldr     w9, [x20, #{flags}]
    tbnz    w9, #0, 8f
    ldrsw   x0, [x20, #{command}]
    cbz     w0, 8f
    mov     x8, #{sys_wait4}
    add     x1, x20, #{status}
    movz    x2, #({any_child} & 0xffff)
    movk    x2, #({any_child} >> 16), lsl #16
    mov     x3, xzr
    svc     #0
    b       8f
3:  ldrh    w9, [x20, #6]
    cbz     w9, 7b
    mov     x8, #{sys_read}
    ldrsw   x0, [x20]
    add     x1, x20, #{signal}
    mov     x2, #128
    svc     #0
3:  // Reaps children until none has ended.
    mov     x8, #{sys_wait4}
    mov     x0, #-1
    add     x1, x20, #{status}
    movz    x2, #({wait_options} & 0xffff)
    movk    x2, #({wait_options} >> 16), lsl #16
    mov     x3, xzr
    svc     #0
    cmp     w0, #0
    b.le    7b
    ldr     w9, [x20, #{command}]
    cmp     w0, w9
    b.ne    3b
    str     wzr, [x20, #{command}]
    mov     x8, #{sys_write}
    mov     x0, #{control_fd}
    add     x1, x20, #{status}
    mov     x2, #4
    svc     #0
    ldr     w9, [x20, #{flags}]
    tbz     w9, #0, 3b

8:  mov     x0, xzr
9:  mov     x8, #{sys_exit_group}
    svc     #0
    udf     #0
runtime_sandbox_init_end:
    .popsection
