/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The consumer of a ring sleeps and its producer kicks it awake: SX_RING_KICK in
 * ipc/wire/ring.h, on memory with store buffers (tso.pml). Posts only, without payload: ring.pml
 * looks after those.
 *
 * A wake-up that is lost shows as an invalid end state: the consumer sleeps with messages in the
 * ring, and the producer waits for it in vain. The consumer sleeps whenever it finds nothing, or
 * spins a little longer; the producer sends one message or several, and kicks once for all.
 *
 * The doorbell keeps a ring until it is answered, as an eventfd does. It passes no store on: it
 * is the fences that count.
 */
#define NO_PRODUCER_FENCE   1
#define NO_CONSUMER_FENCE   2
#define NO_SECOND_LOOK      3
#define ARM_AFTER_LOOK      4
#define SLEEP_IN_DEBT       5
#define FORGETFUL_DOORBELL  6
#define KICK_BEFORE_PUBLISH 7

#ifndef SIZE
#define SIZE 2
#endif
#ifndef LAZY
#define LAZY 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define NUMBERS    (4 * SIZE)
#define CELL(n)    ((n) % SIZE)
#define ADD(a, b)  (((a) + (b)) % NUMBERS)
#define SUB(a, b)  (((a) + NUMBERS - (b)) % NUMBERS)
#define REQUEST(n) ((2 * (n) + 1) % NUMBERS)
#define REPLY(n)   ((2 * (n) + 2) % NUMBERS)

/* Addresses: the turn words come first. */
#define CREDIT     SIZE
#define ASLEEP     (SIZE + 1)
#define ADDRESSES  6 /* enough for four cells */

#include "tso.pml"

chan producer_stores = [BUFFERED] of { byte, byte };
chan consumer_stores = [BUFFERED] of { byte, byte };

bool doorbell;
bool napping; /* the consumer waits at the doorbell */

inline kick()
{
	atomic {
		if
		:: LOAD(ASLEEP) ->
#if MUTANT == FORGETFUL_DOORBELL
			doorbell = napping
#else
			doorbell = true
#endif
		:: else
		fi
	}
}

proctype producer()
{
	byte next, finished, burst, i;

	do
	:: finished != next -> /* wait until the ring is drained */
		LOAD(CREDIT) == next -> finished = next
	:: SUB(next, finished) == SIZE -> /* wait for room */
		atomic { LOAD(CREDIT) != finished -> finished = LOAD(CREDIT) }
	:: SUB(next, finished) < SIZE ->
		atomic { select(burst : 1 .. SIZE - SUB(next, finished)); i = burst }
#if MUTANT == KICK_BEFORE_PUBLISH
		kick();
#endif
		do
		:: atomic {
			i > 0 ->
			i--;
			STORE(producer_stores, CELL(ADD(next, i)), REQUEST(ADD(next, i)))
		   }
		:: else -> break
		od;
		atomic { next = ADD(next, burst); burst = 0 }
		/* sx_producer_must_kick() */
#if MUTANT != NO_PRODUCER_FENCE
		FENCE(producer_stores);
#endif
#if MUTANT != KICK_BEFORE_PUBLISH
		kick()
#endif
	od
}

#define MESSAGE (LOAD(CELL(next)) == REQUEST(next))

proctype consumer()
{
	byte next, credited;

awake:
	do
	:: atomic {
		MESSAGE ->
		next = ADD(next, 1);
		if
		:: SUB(next, credited) > LAZY ->
			credited = next;
			STORE(consumer_stores, CREDIT, next)
		:: else
		fi
	   }
	:: !MESSAGE ->
#if MUTANT != SLEEP_IN_DEBT
		/* sx_consumer_idle() */
		atomic {
			if
			:: credited != next ->
				credited = next;
				STORE(consumer_stores, CREDIT, next)
			:: else
			fi
		}
#endif
		if
		:: MESSAGE
		:: true -> goto sleep
		fi
	od;
sleep:
	/* sx_consumer_arm() */
#if MUTANT != ARM_AFTER_LOOK
	STORE(consumer_stores, ASLEEP, true);
#endif
#if MUTANT != NO_CONSUMER_FENCE
	FENCE(consumer_stores);
#endif
	if
#if MUTANT != NO_SECOND_LOOK
	:: MESSAGE
	:: !MESSAGE ->
#else
	:: true ->
#endif
#if MUTANT == ARM_AFTER_LOOK
		STORE(consumer_stores, ASLEEP, true);
#endif
		napping = true;
		atomic { doorbell -> doorbell = false; napping = false }
	fi;
	/* sx_consumer_disarm() */
	STORE(consumer_stores, ASLEEP, false);
	goto awake
}

init
{
	byte i;

	atomic {
		do
		:: i < SIZE ->
			mem[i] = REPLY(SUB(i, SIZE));
			i++
		:: else -> break
		od;
		run store_buffer(producer_stores, 0);
		run store_buffer(consumer_stores, 1);
		run producer();
		run consumer()
	}
}
