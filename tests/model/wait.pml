/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sx_waiter of ipc/wait.h on memory with store buffers (tso.pml): one thread sleeps on a futex,
 * two others give it work and wake it.
 *
 * Each waker's work is a bit that it turns over, and waits until the sleeper has answered with
 * the same bit. A wake-up that is lost shows as an invalid end state.
 *
 * The futex calls are as futex(2) says: FUTEX_WAIT compares and goes to sleep as one step,
 * and a system call does not start before earlier stores are visible: the kernel takes a lock.
 */
#define NO_WAKER_FENCE     1
#define NO_SLEEPER_FENCE   2
#define NO_SECOND_LOOK     3
#define SLEEP_UNCOMPARED   4
#define WAKE_UNCLEARED     5
#define WAKE_BEFORE_WORK   6

#ifndef MUTANT
#define MUTANT 0
#endif

/* Addresses. */
#define WORK(i)   (i)
#define ANSWER(i) (2 + (i))
#define ASLEEP    4
#define ADDRESSES 5

#include "tso.pml"

chan stores[3] = [BUFFERED] of { byte, byte };
#define SLEEPER 2

bool queued; /* the sleeper waits in the kernel */

/* sx_waiter_wake() */
inline wake(me)
{
#if MUTANT != NO_WAKER_FENCE
	FENCE(stores[me]);
#endif
	if
	:: LOAD(ASLEEP) ->
#if MUTANT != WAKE_UNCLEARED
		STORE(stores[me], ASLEEP, false);
#endif
		atomic { FENCE(stores[me]) -> queued = false }
	:: !LOAD(ASLEEP)
	fi
}

proctype waker(byte me)
{
	bit work;

	do
	:: work = 1 - work;
#if MUTANT == WAKE_BEFORE_WORK
		wake(me);
		STORE(stores[me], WORK(me), work);
#else
		STORE(stores[me], WORK(me), work);
		wake(me);
#endif
		LOAD(ANSWER(me)) == work
	od
}

#define NEW(i) (LOAD(WORK(i)) != answered[i])
#define ANY    (NEW(0) || NEW(1))

inline answer(i)
{
	atomic {
		NEW(i) ->
		answered[i] = 1 - answered[i];
		STORE(stores[SLEEPER], ANSWER(i), answered[i])
	}
}

proctype sleeper()
{
	bit answered[2];

awake:
	do
	:: answer(0)
	:: answer(1)
	:: !ANY -> goto sleep
	od;
sleep:
	/* sx_waiter_arm() */
	STORE(stores[SLEEPER], ASLEEP, true);
#if MUTANT != NO_SLEEPER_FENCE
	FENCE(stores[SLEEPER]);
#endif
	if
#if MUTANT != NO_SECOND_LOOK
	:: ANY
	:: !ANY ->
#else
	:: true ->
#endif
		/* sx_waiter_sleep() */
		atomic {
			FENCE(stores[SLEEPER]) ->
#if MUTANT == SLEEP_UNCOMPARED
			queued = true
#else
			queued = LOAD(ASLEEP)
#endif
		}
		!queued
	fi;
	/* sx_waiter_disarm() */
	STORE(stores[SLEEPER], ASLEEP, false);
	goto awake
}

init
{
	atomic {
		run store_buffer(stores[0], 0);
		run store_buffer(stores[1], 1);
		run store_buffer(stores[SLEEPER], SLEEPER);
		run waker(0);
		run waker(1);
		run sleeper()
	}
}
