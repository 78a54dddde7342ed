/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring of ipc/wire/ring.h: one producer, one consumer, for ever.
 *
 * Every load and store of shared memory is a step of its own; what is private to a side happens
 * along with it. Message numbers and turn words count modulo NUMBERS, which stands for 2^32, so
 * all wraps are passed again and again. A spin loop is a wait for the condition it looks for:
 * two sides that wait for each other show up as an invalid end state.
 *
 * What is checked:
 *  - the messages arrive whole, each once, in order; a burst is seen only when it is complete;
 *  - a reply is whole and belongs to its request;
 *  - the producer never writes a cell that the consumer has not finished with;
 *  - the consumer never sees a turn word that it must take for garbage;
 *  - a producer that waits for a reply, for room or for the ring to be drained gets it;
 *  - CLOSE: whenever the consumer closes the ring, `credit` then says exactly what was finished.
 *
 * SIZE: cells of the ring. LAZY: how many finished messages the consumer may owe, mask / 4 in
 * ring.h. MUTANT: one deliberate fault, to see that it is caught.
 */
#define PUBLISH_BEFORE_PAYLOAD 1
#define REPLY_BEFORE_PAYLOAD   2
#define ROOM_OFF_BY_ONE        3
#define CREDIT_BEFORE_READS    4
#define CREDIT_BEFORE_REPLY    5
#define REPLY_OWES_FOR_EVER    6
#define IDLE_GIVES_NO_CREDIT   7
#define LEARN_ANYTHING         8
#define BURST_FORWARD          9
#define FORMAT_ZERO            10
#define CLOSE_BEFORE_CREDIT    11

#ifndef SIZE
#define SIZE 2
#endif
#ifndef LAZY
#define LAZY 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define NUMBERS     (4 * SIZE)
#define CELL(n)     ((n) % SIZE)
#define ADD(a, b)   (((a) + (b)) % NUMBERS)
#define SUB(a, b)   (((a) + NUMBERS - (b)) % NUMBERS)
#define REQUEST(n)  ((2 * (n) + 1) % NUMBERS)
#define REPLY(n)    ((2 * (n) + 2) % NUMBERS)

/* Either word of a payload says which message it is of and what kind. */
#define POSTED      0
#define ASKED       1
#define ANSWERED    2
#define STAMP(n, k) (3 * (n) + (k))

#define OPEN        0
#define STOPPED     1

/* What both sides see. */
byte turn[SIZE];
byte word0[SIZE];
byte word1[SIZE];
byte credit;
byte state = OPEN;

/* For the assertions only. */
byte finished;    /* messages that the consumer touches no more */
byte burst_first; /* first message of the burst being published */
byte burst_left;  /* its messages not published yet */

/* ---- producer ---- */

inline learn(count)
{
	if
#if MUTANT == LEARN_ANYTHING
	:: true -> p_finished = count
#else
	:: SUB(count, p_finished) <= SUB(p_next, p_finished) -> p_finished = count
#endif
	:: else
	fi
}

/* Room for @want is known of. */
#if MUTANT == ROOM_OFF_BY_ONE
#define ROOM(want) (SIZE + 1 - SUB(p_next, p_finished) >= (want))
#else
#define ROOM(want) (SUB(SIZE, SUB(p_next, p_finished)) >= (want))
#endif
#define NEWS (credit != p_finished && SUB(credit, p_finished) <= SUB(p_next, p_finished))

inline wait_room(want)
{
	do
	:: ROOM(want) -> break
	:: atomic { !ROOM(want) && state == STOPPED -> goto closed }
#if MUTANT == LEARN_ANYTHING
	:: d_step { !ROOM(want) && credit != p_finished -> learn(credit) }
#else
	:: d_step { !ROOM(want) && NEWS -> learn(credit) }
#endif
	od
}

inline wait_drained()
{
	do
	:: p_finished == p_next -> break
	:: atomic { p_finished != p_next && state == STOPPED -> goto closed }
	:: d_step { p_finished != p_next && NEWS -> learn(credit) }
	od
}

/* Wait for the reply to request @n and read it. */
inline take_reply(n)
{
	if
	:: d_step { turn[CELL(n)] == REPLY(n) -> learn(ADD(n, 1)) }
	:: atomic { turn[CELL(n)] != REPLY(n) && state == STOPPED -> goto closed }
	fi;
	assert(word0[CELL(n)] == STAMP(n, ANSWERED));
	d_step {
		assert(word1[CELL(n)] == STAMP(n, ANSWERED));
		awaits[CELL(n)] = false
	}
}

inline fill(n)
{
	if
	:: kind = POSTED
	:: kind = ASKED
	fi;
	d_step {
		assert(SUB(n, finished) < SIZE);
		word0[CELL(n)] = STAMP(n, kind)
	}
#if MUTANT == PUBLISH_BEFORE_PAYLOAD
	turn[CELL(n)] = REQUEST(n);
#endif
	d_step {
		assert(SUB(n, finished) < SIZE);
		word1[CELL(n)] = STAMP(n, kind);
		awaits[CELL(n)] = (kind == ASKED);
		kind = POSTED
	}
}

inline publish_burst(count)
{
	d_step {
		burst_first = p_next;
		burst_left = count;
		p_next = ADD(p_next, count);
		i = count
	}
	do
	:: d_step {
		i > 0 ->
		i--;
#if MUTANT == BURST_FORWARD
		n = ADD(burst_first, count - 1 - i);
#else
		n = ADD(burst_first, i);
#endif
		turn[CELL(n)] = REQUEST(n);
		burst_left--
	   }
	:: else -> break
	od;
	atomic { burst_first = 0; burst = 0; n = 0; i = 0 }
}

/* Number of the last message in a cell. */
#define LAST_IN(cell) SUB(SUB(p_next, 1), SUB(SUB(p_next, 1), cell) % SIZE)

/* The consumer has said that it stopped: what `credit` says is the whole truth. */
inline check_closed()
{
	d_step {
		learn(credit);
		assert(p_finished == finished);
		i = 0;
		do
		:: i < SIZE ->
			n = LAST_IN(i);
			if
			:: awaits[i] && SUB(p_next, n) <= SUB(p_next, p_finished) ->
				assert(turn[i] == REQUEST(n))
			:: awaits[i] && SUB(p_next, n) > SUB(p_next, p_finished) ->
				assert(turn[i] == REPLY(n));
				assert(word0[i] == STAMP(n, ANSWERED));
				assert(word1[i] == STAMP(n, ANSWERED))
			:: else
			fi;
			i++
		:: else -> break
		od
	}
}

proctype producer()
{
	byte p_next, p_finished;
	bool awaits[SIZE]; /* the cell holds a request whose reply is to be read */
	byte n, i, burst;
	bit kind;

	do
	:: /* Send 1 to SIZE messages, posts and requests mixed. */
		select(burst : 1 .. SIZE);
		wait_room(burst);
		i = 0;
		do
		:: i < burst ->
			n = ADD(p_next, i);
			if
			:: awaits[CELL(n)] -> take_reply(SUB(n, SIZE))
			:: awaits[CELL(n)] = false /* Never mind the reply, if any. */
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < burst -> n = ADD(p_next, i); fill(n); i++
		:: else -> break
		od;
		publish_burst(burst)
	:: /* Read a reply, of any request on the way. */
		select(i : 0 .. SIZE - 1);
		if
		:: awaits[i] -> n = LAST_IN(i); take_reply(n)
		:: else
		fi;
		atomic { n = 0; i = 0 }
	:: wait_drained()
	od;
closed:
	check_closed()
}

/* ---- consumer ---- */

#define C_CELL CELL(c_next)
#define BEHIND SUB(REQUEST(c_next), seen)

inline give_credit()
{
	d_step {
		c_credited = c_next;
		credit = c_next
	}
}

inline idle()
{
	if
	:: c_credited != c_next -> give_credit()
	:: else
	fi
}

/* sx_consumer_done() */
inline done()
{
	c_next = ADD(c_next, 1);
	if
	:: SUB(c_next, c_credited) > LAZY -> give_credit()
	:: else
	fi
}

inline serve()
{
#if MUTANT == CREDIT_BEFORE_READS
	credit = ADD(c_next, 1);
#endif
	d_step {
		kind = word0[C_CELL] % 3;
		assert(word0[C_CELL] == STAMP(c_next, kind) && kind != ANSWERED)
	}
	assert(word1[C_CELL] == STAMP(c_next, kind));
	if
	:: kind == POSTED -> d_step { finished = ADD(finished, 1) }
	:: kind == ASKED ->
#if MUTANT == REPLY_BEFORE_PAYLOAD
		turn[C_CELL] = REPLY(c_next);
#endif
#if MUTANT == CREDIT_BEFORE_REPLY
		credit = ADD(c_next, 1);
#endif
		word0[C_CELL] = STAMP(c_next, ANSWERED);
		word1[C_CELL] = STAMP(c_next, ANSWERED);
		d_step {
			turn[C_CELL] = REPLY(c_next);
			finished = ADD(finished, 1)
		}
	fi;
#if MUTANT == REPLY_OWES_FOR_EVER
	if
	:: kind == ASKED -> c_next = ADD(c_next, 1)
	:: else -> done()
	fi
#else
	done()
#endif
}

proctype consumer()
{
	byte c_next, c_credited;
	byte seen, kind;

	do
	:: d_step {
		seen = turn[C_CELL];
		/* Garbage, had an honest producer not written it. */
		assert(BEHIND == 0 || BEHIND == 2 * SIZE - 1 || BEHIND == 2 * SIZE);
		assert(BEHIND != 0 || burst_first != c_next || burst_left == 0)
	   }
	   if
	   :: BEHIND == 0 -> serve(); atomic { seen = 0; kind = 0 }
	   :: else ->
#if MUTANT != IDLE_GIVES_NO_CREDIT
		idle();
#endif
		if
		:: turn[C_CELL] != seen -> seen = 0
#ifdef CLOSE
		:: break
#endif
		fi
	   fi
#ifdef CLOSE
	:: break
#endif
	od;
#if MUTANT != CLOSE_BEFORE_CREDIT
	idle();
#endif
	state = STOPPED;
#if MUTANT == CLOSE_BEFORE_CREDIT
	idle()
#endif
}

/* sx_ring_format() */
init
{
	byte i;

	atomic {
		do
		:: i < SIZE ->
#if MUTANT == FORMAT_ZERO
			turn[i] = 0;
#else
			turn[i] = REPLY(SUB(i, SIZE));
#endif
			i++
		:: else -> break
		od;
		run producer();
		run consumer()
	}
}
