/*
 * sftp_lib.h - libssh2, loaded at its first use (see base/dl.h).
 */
#ifndef DR_STORE_SFTP_LIB_H
#define DR_STORE_SFTP_LIB_H

#include <libssh2.h>
#include <libssh2_sftp.h>

#include "base/err.h"

#define SFTP_FUNCTIONS(X)           \
	X(agent_connect)            \
	X(agent_disconnect)         \
	X(agent_free)               \
	X(agent_get_identity)       \
	X(agent_init)               \
	X(agent_list_identities)    \
	X(agent_userauth)           \
	X(init)                     \
	X(session_block_directions) \
	X(session_free)             \
	X(session_handshake)        \
	X(session_hostkey)          \
	X(session_init_ex)          \
	X(session_last_errno)       \
	X(session_last_error)       \
	X(session_method_pref)      \
	X(session_set_blocking)     \
	X(sftp_close_handle)        \
	X(sftp_fsync)               \
	X(sftp_init)                \
	X(sftp_last_error)          \
	X(sftp_mkdir_ex)            \
	X(sftp_open_ex)             \
	X(sftp_read)                \
	X(sftp_readdir_ex)          \
	X(sftp_rename_ex)           \
	X(sftp_rmdir_ex)            \
	X(sftp_seek64)              \
	X(sftp_shutdown)            \
	X(sftp_stat_ex)             \
	X(sftp_statvfs)             \
	X(sftp_unlink_ex)           \
	X(sftp_write)               \
	X(userauth_publickey_frommemory)

struct sftp_lib {
#define X(name) __typeof__(libssh2_##name) *name;
	SFTP_FUNCTIONS(X)
#undef X
};

/* Of use once sftp_load has succeeded. */
extern struct sftp_lib ssh2;

/* Load it, once; from any thread. */
int sftp_load(struct dr_err *);

#endif /* !DR_STORE_SFTP_LIB_H */
