/*
 * Functions that run at each exit of a guest, or for most of the time until its first instruction.
 * The link of type 1 makes sequences of instructions that occur again and again into functions
 * (Makefile), which costs two instructions each time; functions that ask for a section are left
 * whole.
 */
#ifndef CORE_HOT_H
#define CORE_HOT_H

#define HOT __attribute__((section(".text.hot")))

#endif
