#include "store/xml.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <expat.h>

#include "base/buf.h"

#define DEPTH_MAX 8
#define PLACE_MAX 256
#define TEXT_MAX  (16U << 10)

struct walk {
	XML_Parser parser;
	int (*fn)(void *, const char *, const char *, struct dr_err *);
	void *arg;
	const char *who;
	struct dr_err *err;
	bool failed;
	char place[PLACE_MAX];
	size_t at[DEPTH_MAX + 1]; /* the length of PLACE at each depth */
	size_t depth;
	struct dr_buf text;
};

static void
stop(struct walk *w)
{
	w->failed = true;
	(void)XML_StopParser(w->parser, XML_FALSE);
}

static void
empty(struct walk *w)
{
	w->text.len = 0;
	if (w->text.data != NULL)
		w->text.data[0] = '\0';
}

static void XMLCALL
on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct walk *w = arg;
	size_t at = w->at[w->depth], len;
	const char *colon = strchr(name, ':');

	(void)attributes;
	if (w->failed)
		return;
	if (colon != NULL)
		name = colon + 1;
	len = strlen(name);
	empty(w);
	if (w->depth == DEPTH_MAX || len > sizeof(w->place) - 2 ||
	    at > sizeof(w->place) - 2 - len) {
		dr_err_set(w->err, DR_EDATA, "a reply of %s goes too deep",
		    w->who);
		stop(w);
		return;
	}
	if (at > 0)
		w->place[at++] = '/';
	memcpy(w->place + at, name, len + 1);
	w->at[++w->depth] = at + len;
}

static void XMLCALL
on_text(void *arg, const XML_Char *s, int n)
{
	struct walk *w = arg;

	if (!w->failed && dr_buf_add(&w->text, s, (size_t)n, w->err) == -1) {
		w->err->cause = DR_EDATA;
		stop(w);
	}
}

static void XMLCALL
on_end(void *arg, const XML_Char *name)
{
	struct walk *w = arg;

	(void)name;
	if (w->failed)
		return;
	if (w->fn(w->arg, w->place, w->text.len > 0 ? w->text.data : "",
	        w->err) == -1) {
		stop(w);
		return;
	}
	w->place[w->at[--w->depth]] = '\0';
	empty(w);
}

static void XMLCALL
on_doctype(void *arg, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int internal)
{
	struct walk *w = arg;

	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	dr_err_set(w->err, DR_EDATA,
	    "a reply of %s has a document type declaration", w->who);
	stop(w);
}

int
dr_xml(const char *xml, size_t len, const char *who,
    int (*fn)(void *, const char *, const char *, struct dr_err *), void *arg,
    struct dr_err *err)
{
	struct walk w = { .fn = fn,
		.arg = arg,
		.who = who,
		.err = err,
		.text = { .max = TEXT_MAX } };
	int rc = -1;

	if (len > INT_MAX)
		return dr_err_set(err, DR_EDATA, "a reply of %s is too long",
		    who);
	if ((w.parser = XML_ParserCreate(NULL)) == NULL)
		return dr_err_set(err, DR_EFAIL, "cannot allocate a parser");
	XML_SetUserData(w.parser, &w);
	XML_SetElementHandler(w.parser, on_start, on_end);
	XML_SetCharacterDataHandler(w.parser, on_text);
	XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
	if (XML_Parse(w.parser, xml, (int)len, 1) == XML_STATUS_OK)
		rc = 0;
	else if (!w.failed)
		dr_err_set(err, DR_EDATA, "a reply of %s is no XML: %s", who,
		    XML_ErrorString(XML_GetErrorCode(w.parser)));
	XML_ParserFree(w.parser);
	dr_buf_free(&w.text);
	return rc;
}
