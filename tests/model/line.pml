/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line of an L1 that shares its core with its L2 (nested/nested.c, nested/l1_line.c), on memory
 * with store buffers (tso.pml). L1 sends one message after the other and waits for each reply. A
 * sidecore looks at them; an entry that is good it hands over to the thread of L1's core, which L1
 * has kicked, and which runs L2 and replies.
 *
 * The thread waits until the sidecore has made up its mind, and tells that by the number of the
 * next message. A kick that is lost shows as an invalid end state: the sidecore has handed over,
 * L1 waits for the reply, and nobody runs L2.
 */
#define REPLY_BEFORE_POSITION 1
#define NO_EXIT_FENCE         2
#define NO_PATIENCE           3

#ifndef MUTANT
#define MUTANT 0
#endif

#define SIZE       2
#define NUMBERS    (4 * SIZE)
#define CELL(n)    ((n) % SIZE)
#define ADD(a, b)  (((a) + (b)) % NUMBERS)
#define REQUEST(n) ((2 * (n) + 1) % NUMBERS)
#define REPLY(n)   ((2 * (n) + 2) % NUMBERS)

#define POLLER 0
#define RUNNER 1

/* Addresses: the turn words come first. */
#define POSITION  SIZE
#define OWNER     (SIZE + 1)
#define ENTRY     (SIZE + 2) /* the message is one */
#define ADDRESSES (SIZE + 3)

#include "tso.pml"

chan l1_stores = [BUFFERED] of { byte, byte };
chan sidecore_stores = [BUFFERED] of { byte, byte };

/* publish_reply() */
inline reply(stores, n)
{
#if MUTANT == REPLY_BEFORE_POSITION
	STORE(stores, CELL(n), REPLY(n));
	STORE(stores, POSITION, ADD(n, 1))
#else
	STORE(stores, POSITION, ADD(n, 1));
	STORE(stores, CELL(n), REPLY(n))
#endif
}

/* run_here(), and undecided() */
inline run_here(n)
{
	do
	:: LOAD(OWNER) == RUNNER ->
		reply(l1_stores, n);
		STORE(l1_stores, OWNER, POLLER);
		break
	:: LOAD(OWNER) != RUNNER ->
		position = LOAD(POSITION);
#if MUTANT == NO_PATIENCE
		break
#else
		if
		:: LOAD(CELL(position)) == REQUEST(position)
		:: LOAD(CELL(position)) != REQUEST(position) -> break
		fi
#endif
	od;
	position = 0
}

/* L1, and the thread of its core */
proctype l1()
{
	byte next, position;

	do
	:: true ->
		if
		:: STORE(l1_stores, ENTRY, false);
		   STORE(l1_stores, CELL(next), REQUEST(next))
		:: STORE(l1_stores, ENTRY, true);
		   STORE(l1_stores, CELL(next), REQUEST(next));
		   /* The kick exits. */
#if MUTANT != NO_EXIT_FENCE
		   FENCE(l1_stores);
#endif
		   run_here(next)
		fi;
		LOAD(CELL(next)) == REPLY(next);
		next = ADD(next, 1)
	od
}

/* sx_l1_poll() */
proctype sidecore()
{
	byte next;

end:
	do
	:: LOAD(OWNER) == POLLER && LOAD(CELL(next)) == REQUEST(next) ->
		if
		:: LOAD(ENTRY) ->
			STORE(sidecore_stores, OWNER, RUNNER);
			FENCE(sidecore_stores);
			LOAD(OWNER) == POLLER
		:: true -> /* no entry, or a bad one */
			reply(sidecore_stores, next)
		fi;
		next = ADD(next, 1)
	od
}

init
{
	byte i;

	atomic {
		do
		:: i < SIZE ->
			mem[i] = REPLY((i + NUMBERS - SIZE) % NUMBERS);
			i++
		:: else -> break
		od;
		run store_buffer(l1_stores, 0);
		run store_buffer(sidecore_stores, 1);
		run l1();
		run sidecore()
	}
}
