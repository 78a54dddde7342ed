/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipc/mailbox.h on memory with store buffers (tso.pml): a sender puts a letter that lies on its
 * stack into the mailbox, sleeps until the owner has run it, and returns; over and over.
 *
 * The owner must not touch the letter once the sender has returned, above all not from within
 * sx_waiter_wake(); and the sender's sleep must end. The queue itself is liburcu's, and here one
 * step: its exchange is a full barrier.
 */
#define RETURN_WHEN_DONE    1
#define RELEASE_BEFORE_WAKE 2
#define NO_OWNER_FENCE      3

#ifndef MUTANT
#define MUTANT 0
#endif

/* Addresses, all in the letter. */
#define DONE      0
#define RELEASED  1
#define ASLEEP    2
#define ADDRESSES 3

#define SENDER    0
#define OWNER     1
#define ON_STORE(side, addr) assert(side == SENDER || alive)

bool alive; /* the letter's memory is still a letter */
bool ran;   /* the owner has run it */

#include "tso.pml"

chan sender_stores = [BUFFERED] of { byte, byte };
chan owner_stores = [BUFFERED] of { byte, byte };
chan mailbox = [1] of { bit };

bool queued; /* the sender waits in the kernel */

/* sx_mail_wait() */
inline wait_done()
{
	do
	:: LOAD(DONE) -> break
	:: !LOAD(DONE) ->
		STORE(sender_stores, ASLEEP, true);
		FENCE(sender_stores);
		if
		:: LOAD(DONE)
		:: !LOAD(DONE) ->
			atomic { FENCE(sender_stores) -> queued = LOAD(ASLEEP) }
			!queued
		fi;
		STORE(sender_stores, ASLEEP, false)
	od
}

proctype sender()
{
	do
	:: atomic {
		FENCE(sender_stores) ->
		LOAD(DONE) = false;
		LOAD(RELEASED) = false;
		LOAD(ASLEEP) = false;
		ran = false;
		alive = true;
		mailbox!1
	   }
	   wait_done();
	   assert(ran);
#if MUTANT != RETURN_WHEN_DONE
	   LOAD(RELEASED);
#endif
	   alive = false
	od
}

/* sx_mailbox_run() */
proctype owner()
{
end:
	do
	:: atomic { mailbox?1 -> ran = true }
	   STORE(owner_stores, DONE, true);
#if MUTANT == RELEASE_BEFORE_WAKE
	   STORE(owner_stores, RELEASED, true);
#endif
#if MUTANT != NO_OWNER_FENCE
	   FENCE(owner_stores);
#endif
	   atomic {
		assert(alive);
		if
		:: LOAD(ASLEEP) -> STORE(owner_stores, ASLEEP, false)
		:: !LOAD(ASLEEP) -> goto awake
		fi
	   }
	   atomic { FENCE(owner_stores) -> queued = false }
awake:
#if MUTANT != RELEASE_BEFORE_WAKE
	   STORE(owner_stores, RELEASED, true)
#else
	   skip
#endif
	od
}

init
{
	atomic {
		run store_buffer(sender_stores, SENDER);
		run store_buffer(owner_stores, OWNER);
		run sender();
		run owner()
	}
}
