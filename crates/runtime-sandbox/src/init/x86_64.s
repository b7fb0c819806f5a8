// The init program of a sandbox on x86-64, see `mod.rs` for the formats. Intel syntax.
//
// rbx: the current operation. rbp: the header of the data. r12d: the error of the programs that were tried.
// The kernel preserves all registers but rax, rcx and r11. No stack is used.

    .pushsection .text.runtime_sandbox_init, "ax", @progbits
    .globl runtime_sandbox_init_start
    .globl runtime_sandbox_init_end
    .hidden runtime_sandbox_init_start
    .hidden runtime_sandbox_init_end
runtime_sandbox_init_start:
    mov     ebx, {operations}
    mov     ebp, {header}
    xor     r12d, r12d

2:  // Runs an operation.
    movzx   ecx, byte ptr [rbx + 4]
    cmp     ecx, {serve}
    je      7f
    mov     eax, r12d
    cmp     ecx, {fail}
    je      6f
    .irp    argument, 0, 1, 2, 3, 4, 5
    mov     rax, [rbx + 8 + 8 * \argument]
    bt      dword ptr [rbx + 4], 8 + \argument
    jnc     3f
    movsxd  rax, dword ptr [rax]
3:
    .if     \argument == 0
    mov     rdi, rax
    .elseif \argument == 1
    mov     rsi, rax
    .elseif \argument == 2
    mov     rdx, rax
    .elseif \argument == 3
    mov     r10, rax
    .elseif \argument == 4
    mov     r8, rax
    .else
    mov     r9, rax
    .endif
    .endr
    mov     eax, [rbx]
    syscall
    movzx   ecx, byte ptr [rbx + 4]
    cmp     rax, -4095
    jae     5f
    // Success: stores the result, and continues elsewhere in the parent of a new process.
    mov     rdx, [rbx + 56]
    test    rdx, rdx
    jz      3f
    mov     [rdx], eax
3:  cmp     ecx, {fork}
    jne     4f
    test    eax, eax
    jz      4f
    mov     [rbp + {command}], eax
    mov     rbx, [rbx + 48]
    jmp     2b
4:  add     rbx, 64
    jmp     2b

5:  // A system call failed.
    neg     eax
    cmp     ecx, {attempt}
    je      4b
    cmp     ecx, {exec}
    jne     6f
    cmp     eax, {eacces}
    je      3f
    cmp     eax, {enoent}
    je      5f
    cmp     eax, {enotdir}
    jne     6f
5:  cmp     r12d, {eacces}
    je      4b
3:  mov     r12d, eax
    jmp     4b

6:  // Reports the operation and the error, and exits.
    mov     [rbp + {failure} + 4], eax
    sub     ebx, {operations}
    shr     ebx, 6
    mov     [rbp + {failure}], ebx
    mov     eax, {sys_write}
    mov     edi, {failure_fd}
    lea     rsi, [rbp + {failure}]
    mov     edx, 8
    syscall
    mov     edi, 127
    jmp     9f

7:  // Waits for the worker and for children.
    mov     eax, {sys_ppoll}
    mov     rdi, rbp
    mov     esi, 2
    xor     edx, edx
    xor     r10d, r10d
    mov     r8d, 8
    syscall
    cmp     word ptr [rbp + 14], 0
    je      3f
    // A byte from the worker is a signal for the command's process group. The end of the stream ends the sandbox.
    xor     eax, eax
    mov     edi, {control_fd}
    lea     rsi, [rbp + {byte}]
    mov     edx, 1
    syscall
    movzx   esi, byte ptr [rbp + {byte}]
    cmp     eax, 1
    je      4f
    mov     esi, 9
4:  mov     r13d, eax
    mov     edi, [rbp + {command}]
    neg     edi
    jz      4f
    mov     eax, {sys_kill}
    syscall
    test    eax, eax
    jns     4f
    // The command has not created its group yet.
    neg     edi
    mov     eax, {sys_kill}
    syscall
4:  cmp     r13d, 1
    je      3f
    // The end of a namespace's first process ends and reaps all others. Elsewhere the command is reaped first: its new
    // parent may never reap it, and a process that has not been reaped keeps its namespace.
    test    dword ptr [rbp + {flags}], 1
    jnz     8f
    mov     edi, [rbp + {command}]
    test    edi, edi
    jz      8f
    mov     eax, {sys_wait4}
    lea     rsi, [rbp + {status}]
    mov     edx, {any_child}
    xor     r10d, r10d
    syscall
    jmp     8f
3:  cmp     word ptr [rbp + 6], 0
    je      7b
    xor     eax, eax
    mov     edi, [rbp]
    lea     rsi, [rbp + {signal}]
    mov     edx, 128
    syscall
3:  // Reaps children until none has ended.
    mov     eax, {sys_wait4}
    mov     edi, -1
    lea     rsi, [rbp + {status}]
    mov     edx, {wait_options}
    xor     r10d, r10d
    syscall
    test    eax, eax
    jle     7b
    cmp     eax, [rbp + {command}]
    jne     3b
    mov     dword ptr [rbp + {command}], 0
    mov     eax, {sys_write}
    mov     edi, {control_fd}
    lea     rsi, [rbp + {status}]
    mov     edx, 4
    syscall
    test    dword ptr [rbp + {flags}], 1
    jz      3b

8:  xor     edi, edi
9:  mov     eax, {sys_exit_group}
    syscall
    ud2
runtime_sandbox_init_end:
    .popsection
