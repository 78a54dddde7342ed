// SPDX-License-Identifier: BSD-3-Clause
/*
 * Where the control sockets of `splitx run` are: PID.sock, in a folder that nobody but its user
 * can enter. That is splitx/ in $XDG_RUNTIME_DIR or in /run/user/UID, /run/splitx/ of root, or
 * /tmp/splitx-UID/, whichever can be had first.
 */
#ifndef SX_CLI_CONTROL_FOLDER_H
#define SX_CLI_CONTROL_FOLDER_H

#include <sys/types.h>
#include <sys/un.h>

#include "ipc/error.h"

#define SX_CONTROL_PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

/*
 * A socket that listens for this process, in a folder made for it if need be; its path is stored
 * at @path, SX_CONTROL_PATH_SIZE bytes. What dead processes left in that folder is removed.
 * Returns the descriptor, which never blocks, or a negative errno.
 */
int sx_control_listen(char *path, struct sx_error *err);

/*
 * Connect to the run @pid. Returns a descriptor, or -ESRCH when no such run is there, -EACCES when
 * it is another user's, or another negative errno; each with its sentence.
 */
int sx_control_connect(pid_t pid, struct sx_error *err);

/* The runs that are there, of this user, or for root of all: stores at most @max, returns how many
 * there are. */
unsigned sx_control_list(pid_t *pid, unsigned max);

#endif
