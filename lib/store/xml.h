/*
 * xml.h - replies in XML, as stores give them (expat): small, flat, and not
 * to be trusted.
 */
#ifndef DR_STORE_XML_H
#define DR_STORE_XML_H

#include <stddef.h>

#include "base/err.h"

/*
 * FN for each element when it ends, with its place ("Error/Code"; without
 * namespaces) and the text that came since the last tag, "" of one that
 * holds others.  FN's -1 ends it.  WHO sent it, for messages ("S3").  More
 * than 8 deep, 16 KiB of text in one place, a document type (entities that
 * multiply live there), or no XML: DR_EDATA.
 */
int dr_xml(const char *, size_t, const char *who,
    int (*fn)(void *, const char *place, const char *text, struct dr_err *),
    void *arg, struct dr_err *);

#endif /* !DR_STORE_XML_H */
