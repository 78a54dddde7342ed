/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory as x86 has it (SDM Vol. 3A, "Memory Ordering in P6 and More Recent Processor Families"):
 * the stores of each side pass through a first-in first-out buffer before the other side sees
 * them, loads go ahead of them, a fence waits until the buffer is empty. A side that loads a word
 * it has itself stored would have to look into its buffer first; no model here does so without a
 * fence or a system call between.
 *
 * The including file defines ADDRESSES and, if it wants to hear of each store that becomes
 * visible, ON_STORE(side, addr).
 */
#ifndef ON_STORE
#define ON_STORE(side, addr) skip
#endif

#define BUFFERED 3 /* stores that fit; more make the side wait */

byte mem[ADDRESSES];

#define STORE(buffer, addr, value) buffer!addr,value
#define LOAD(addr)                 mem[addr]
#define FENCE(buffer)              (len(buffer) == 0)

/* Runs for each side's buffer. */
proctype store_buffer(chan buffer; byte side)
{
	byte addr, value;

end:
	do
	:: atomic {
		buffer?addr,value ->
		mem[addr] = value;
		ON_STORE(side, addr);
		addr = 0;
		value = 0
	   }
	od
}
