#include "flow/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tap.h"
#include "tests/tmp.h"

static unsigned serial;

/*
 * Take MAP with MOVE (or none): the cause, the new map in OUT and the place
 * of the first tablespace in WHERE.
 */
static int
map(const char *text, const char *move, char out[512], char where[512])
{
	struct dr_place p = DR_PLACE_INIT;
	struct dr_strs moves = { NULL, 0 };
	struct dr_buf buf = { .max = 65536 };
	struct dr_err err = { 0 };
	char dir[64], at[64], link[512] = "";
	int rc = -1;

	out[0] = where[0] = '\0';
	if (move != NULL)
		(void)dr_strs_add(&moves, move, &err);
	(void)snprintf(dir, sizeof(dir), "%s/p%u", tmp_dir, serial++);
	if (dr_place_open(&p, dir, false, &moves, &err) == 0 &&
	    dr_place_map(&p, text, strlen(text), &err) == 0 &&
	    dr_place_moves_used(&p, &err) == 0)
		rc = dr_place_links(&p, &buf, &err);
	if (rc == 0 && p.n > 0) {
		(void)snprintf(at, sizeof(at), "pg_tblspc/%s", p.space[0].oid);
		(void)snprintf(out, 512, "%s", buf.data);
		if (readlinkat(p.fd, at, link, sizeof(link) - 1) > 0)
			(void)snprintf(where, 512, "%s", link);
	}
	if (err.cause != DR_OK)
		printf("# %s\n", err.msg);
	dr_buf_free(&buf);
	dr_strs_free(&moves);
	dr_place_close(&p);
	return (int)err.cause;
}

static void
maps(void)
{
	char text[512], want[512], move[512], out[512], where[512];

	(void)snprintf(text, sizeof(text), "16384 %s/old\n", tmp_dir);
	OK(map(text, NULL, out, where) == 0 && strcmp(out, text) == 0,
	    "to where it was, which is not in use");
	(void)snprintf(want, sizeof(want), "%s/old/x", tmp_dir);
	(void)mkdir(want, 0700);
	OK(map(text, NULL, out, where) == DR_EUSAGE,
	    "not when it is in use by now");
	(void)snprintf(move, sizeof(move), "16384=%s/by\noid", tmp_dir);
	(void)snprintf(want, sizeof(want), "16384 %s/by\\\noid\n", tmp_dir);
	OK(map(text, move, out, where) == 0 && strcmp(out, want) == 0 &&
	        strcmp(where, strchr(move, '=') + 1) == 0,
	    "moved by its OID; a newline is escaped in the map alone");
	(void)snprintf(move, sizeof(move), "%s/old=%s/by path", tmp_dir,
	    tmp_dir);
	OK(map(text, move, out, where) == 0 &&
	        strcmp(where, strchr(move, '=') + 1) == 0,
	    "moved by its path");
	(void)snprintf(text, sizeof(text), "1 %s/a=b\\\\c\\\nd\n", tmp_dir);
	(void)snprintf(move, sizeof(move), "%s/a\\=b\\c\nd=%s/odd", tmp_dir,
	    tmp_dir);
	OK(map(text, move, out, where) == 0, "a path with =, \\ and newline");
	OK(map(text, "2=/x", out, where) == DR_EUSAGE, "an unknown one");
	(void)snprintf(want, sizeof(want), "%s/a=b\\c\nd", tmp_dir);
	OK(access(want, F_OK) == -1, "which leaves nothing behind");
	OK(map(text, "1=x", out, where) == DR_EUSAGE, "a relative place");
	OK(map(text, "1", out, where) == DR_EUSAGE, "no place");
	(void)snprintf(text, sizeof(text), "1 %s/q\r\n2 %s/r\n", tmp_dir,
	    tmp_dir);
	OK(map(text, NULL, out, where) == 0 && strstr(out, "/q\n2 ") != NULL,
	    "two, with a carriage return");
	(void)snprintf(text, sizeof(text), "1 %s/s\n2 %s/s\n", tmp_dir,
	    tmp_dir);
	OK(map(text, NULL, out, where) == DR_EUSAGE, "two in one place");
	OK(map("1 /x", NULL, out, where) == DR_EDATA, "an open last line");
	OK(map("x /x\n", NULL, out, where) == DR_EDATA, "no OID");
	OK(map("12345678901 /x\n", NULL, out, where) == DR_EDATA,
	    "too long an OID");
	OK(map("1 x\n", NULL, out, where) == DR_EDATA, "a relative path");
	OK(map("1\n", NULL, out, where) == DR_EDATA, "no path");
}

static void
paths(void)
{
	struct dr_place p = DR_PLACE_INIT;
	struct dr_err err = { 0 };
	char dir[64], text[128];
	const char *rest;
	struct stat st;
	int fd;

	(void)snprintf(dir, sizeof(dir), "%s/d/e/f", tmp_dir);
	OK(dr_place_open(&p, dir, true, NULL, &err) == 0 &&
	        stat(dir, &st) == 0 && (st.st_mode & 07777) == 0750,
	    "what is missing on the way is made");
	(void)snprintf(text, sizeof(text), "77 %s/ts\n", tmp_dir);
	OK(dr_place_map(&p, text, strlen(text), &err) == 0, "a tablespace");
	dr_place_find(&p, "pg_tblspc/77/PG_15/1/2", &fd, &rest);
	OK(fd == p.space[0].fd && strcmp(rest, "PG_15/1/2") == 0,
	    "its files go there");
	dr_place_find(&p, "pg_tblspc/777/PG_15", &fd, &rest);
	OK(fd == p.fd && strcmp(rest, "pg_tblspc/777/PG_15") == 0,
	    "those of another do not");
	dr_place_find(&p, "pg_tblspc/77", &fd, &rest);
	OK(fd == p.space[0].fd && *rest == '\0', "the directory itself");
	OK(dr_place_mkdir(&p, p.fd, "a/b/c", false, &err) == 0 &&
	        dr_place_mkdir(&p, p.fd, "a/b/c", false, &err) == 0 &&
	        dr_place_mkdir(&p, p.fd, "a/b/x", true, &err) == 0 &&
	        faccessat(p.fd, "a/b/x", F_OK, 0) == -1,
	    "directories, and what holds a file");
	OK(symlinkat("/tmp", p.fd, "out") == 0 &&
	        dr_place_mkdir(&p, p.fd, "out", false, &err) == -1 &&
	        err.cause == DR_EDATA,
	    "a link is no directory");
	dr_err_clear(&err);
	OK(dr_place_create(&p, p.fd, "out", &err) == -1 &&
	        err.cause == DR_EDATA,
	    "nor a file");
	dr_place_close(&p);
	dr_err_clear(&err);
	OK(dr_place_open(&p, dir, false, NULL, &err) == -1 &&
	        err.cause == DR_EUSAGE && strstr(err.hint, "earlier") != NULL,
	    "a directory with the marker in it");
	dr_place_close(&p);
}

int
main(void)
{
	tmp_make();
	maps();
	paths();
	tmp_leave();
	return DONE();
}
