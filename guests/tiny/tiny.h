/*
 * tiny: what the files of the kernel and its program share.
 *
 * Addresses are 64 bits; the kernel sees all RAM at its physical address (gigapages in every page
 * table), a process sees its program at USER_BASE and its stack below USER_STACK. Units: bytes,
 * unless a name says pages.
 */
#ifndef TINY_H
#define TINY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096UL

/* 128 GiB: far from any RAM's physical address, so that a process and the kernel share one table.
 */
#define USER_BASE        0x2000000000UL
#define USER_STACK       0x2000200000UL
#define USER_STACK_PAGES 2

#define HARTS_MAX     8
#define PROCESSES_MAX 16

/* System calls: number in a7, arguments in a0 to a2, result in a0 (negative: it failed). */
enum syscall {
    SYS_EXIT,     /* (status) */
    SYS_WRITE,    /* (text, length): to the console, in one piece */
    SYS_READ,     /* (buffer, length): what the console has, without waiting */
    SYS_YIELD,    /* () */
    SYS_GETPID,   /* () */
    SYS_SPAWN,    /* (argument): a new process of the same program; its number */
    SYS_SEND,     /* (pid, message): MESSAGE_SIZE bytes into its mailbox; -1 while that is full */
    SYS_RECEIVE,  /* (message): waits for a message; the sender's number */
    SYS_TIME,     /* (): milliseconds since the start */
    SYS_MACHINE,  /* (struct machine_info *) */
    SYS_PROCESS,  /* (index, struct process_info *): -1 if there is no such process */
    SYS_SHUTDOWN, /* (failed): powers the machine off */
};

#define MESSAGE_SIZE 64

struct machine_info {
    char command_line[512];
    uint64_t memory;
    uint32_t harts;
};

struct process_info {
    uint32_t pid;
    uint32_t hart; /* where it runs, or ran last */
    char state;    /* 'R' running, 'r' ready, 'W' waiting for a message */
    uint64_t slices;
};

#endif
