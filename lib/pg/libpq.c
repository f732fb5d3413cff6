/*
 * libpq under its own names, loaded by dr_libpq.  Each function here calls
 * the one of its name there; none may be called before, but those that free
 * nothing when they are given nothing.
 */
#include "pg/libpq.h"

#include "base/dl.h"
#include "pg/conn.h"

#define SONAME "libpq.so.5"

#define ALL(X)                  \
	X(PQcancel)             \
	X(PQclear)              \
	X(PQconnectPoll)        \
	X(PQconnectStartParams) \
	X(PQconninfo)           \
	X(PQconninfoFree)       \
	X(PQconninfoParse)      \
	X(PQconsumeInput)       \
	X(PQdb)                 \
	X(PQerrorMessage)       \
	X(PQescapeLiteral)      \
	X(PQfinish)             \
	X(PQflush)              \
	X(PQfname)              \
	X(PQfreeCancel)         \
	X(PQfreemem)            \
	X(PQgetCancel)          \
	X(PQgetCopyData)        \
	X(PQgetResult)          \
	X(PQgetisnull)          \
	X(PQgetlength)          \
	X(PQgetvalue)           \
	X(PQgssEncInUse)        \
	X(PQhost)               \
	X(PQisBusy)             \
	X(PQnfields)            \
	X(PQntuples)            \
	X(PQparameterStatus)    \
	X(PQport)               \
	X(PQputCopyData)        \
	X(PQputCopyEnd)         \
	X(PQresultErrorField)   \
	X(PQresultErrorMessage) \
	X(PQresultStatus)       \
	X(PQsendQuery)          \
	X(PQsendQueryParams)    \
	X(PQserverVersion)      \
	X(PQsetErrorVerbosity)  \
	X(PQsetNoticeReceiver)  \
	X(PQsetnonblocking)     \
	X(PQsocket)             \
	X(PQsslInUse)           \
	X(PQstatus)             \
	X(PQunescapeBytea)

#define MEMBER(name) __typeof__(&name) name##_;
static struct {
	ALL(MEMBER)
} pq;

#define ENTRY(name) { #name, &pq.name##_ },
static const struct dr_dl entries[] = { ALL(ENTRY) };

int
dr_libpq(struct dr_err *err)
{
	static bool loaded;

	if (!loaded && dr_dl_load(SONAME, entries,
	                   sizeof(entries) / sizeof(*entries), err) == -1)
		return -1;
	loaded = true;
	return 0;
}

int
PQcancel(PGcancel *cancel, char *errbuf, int errbufsize)
{
	return pq.PQcancel_(cancel, errbuf, errbufsize);
}

void
PQclear(PGresult *res)
{
	if (res != NULL)
		pq.PQclear_(res);
}

PostgresPollingStatusType
PQconnectPoll(PGconn *conn)
{
	return pq.PQconnectPoll_(conn);
}

PGconn *
PQconnectStartParams(const char *const *keywords, const char *const *values,
    int expand_dbname)
{
	return pq.PQconnectStartParams_(keywords, values, expand_dbname);
}

PQconninfoOption *
PQconninfo(PGconn *conn)
{
	return pq.PQconninfo_(conn);
}

void
PQconninfoFree(PQconninfoOption *connOptions)
{
	if (connOptions != NULL)
		pq.PQconninfoFree_(connOptions);
}

PQconninfoOption *
PQconninfoParse(const char *conninfo, char **errmsg)
{
	return pq.PQconninfoParse_(conninfo, errmsg);
}

int
PQconsumeInput(PGconn *conn)
{
	return pq.PQconsumeInput_(conn);
}

char *
PQdb(const PGconn *conn)
{
	return pq.PQdb_(conn);
}

char *
PQerrorMessage(const PGconn *conn)
{
	return pq.PQerrorMessage_(conn);
}

char *
PQescapeLiteral(PGconn *conn, const char *str, size_t len)
{
	return pq.PQescapeLiteral_(conn, str, len);
}

void
PQfinish(PGconn *conn)
{
	if (conn != NULL)
		pq.PQfinish_(conn);
}

int
PQflush(PGconn *conn)
{
	return pq.PQflush_(conn);
}

char *
PQfname(const PGresult *res, int field_num)
{
	return pq.PQfname_(res, field_num);
}

void
PQfreeCancel(PGcancel *cancel)
{
	if (cancel != NULL)
		pq.PQfreeCancel_(cancel);
}

void
PQfreemem(void *ptr)
{
	if (ptr != NULL)
		pq.PQfreemem_(ptr);
}

PGcancel *
PQgetCancel(PGconn *conn)
{
	return pq.PQgetCancel_(conn);
}

int
PQgetCopyData(PGconn *conn, char **buffer, int async)
{
	return pq.PQgetCopyData_(conn, buffer, async);
}

PGresult *
PQgetResult(PGconn *conn)
{
	return pq.PQgetResult_(conn);
}

int
PQgetisnull(const PGresult *res, int tup_num, int field_num)
{
	return pq.PQgetisnull_(res, tup_num, field_num);
}

int
PQgetlength(const PGresult *res, int tup_num, int field_num)
{
	return pq.PQgetlength_(res, tup_num, field_num);
}

char *
PQgetvalue(const PGresult *res, int tup_num, int field_num)
{
	return pq.PQgetvalue_(res, tup_num, field_num);
}

int
PQgssEncInUse(PGconn *conn)
{
	return pq.PQgssEncInUse_(conn);
}

char *
PQhost(const PGconn *conn)
{
	return pq.PQhost_(conn);
}

int
PQisBusy(PGconn *conn)
{
	return pq.PQisBusy_(conn);
}

int
PQnfields(const PGresult *res)
{
	return pq.PQnfields_(res);
}

int
PQntuples(const PGresult *res)
{
	return pq.PQntuples_(res);
}

const char *
PQparameterStatus(const PGconn *conn, const char *paramName)
{
	return pq.PQparameterStatus_(conn, paramName);
}

char *
PQport(const PGconn *conn)
{
	return pq.PQport_(conn);
}

int
PQputCopyData(PGconn *conn, const char *buffer, int nbytes)
{
	return pq.PQputCopyData_(conn, buffer, nbytes);
}

int
PQputCopyEnd(PGconn *conn, const char *errormsg)
{
	return pq.PQputCopyEnd_(conn, errormsg);
}

char *
PQresultErrorField(const PGresult *res, int fieldcode)
{
	return pq.PQresultErrorField_(res, fieldcode);
}

char *
PQresultErrorMessage(const PGresult *res)
{
	return pq.PQresultErrorMessage_(res);
}

ExecStatusType
PQresultStatus(const PGresult *res)
{
	return pq.PQresultStatus_(res);
}

int
PQsendQuery(PGconn *conn, const char *query)
{
	return pq.PQsendQuery_(conn, query);
}

int
PQsendQueryParams(PGconn *conn, const char *command, int nParams,
    const Oid *paramTypes, const char *const *paramValues,
    const int *paramLengths, const int *paramFormats, int resultFormat)
{
	return pq.PQsendQueryParams_(conn, command, nParams, paramTypes,
	    paramValues, paramLengths, paramFormats, resultFormat);
}

int
PQserverVersion(const PGconn *conn)
{
	return pq.PQserverVersion_(conn);
}

PGVerbosity
PQsetErrorVerbosity(PGconn *conn, PGVerbosity verbosity)
{
	return pq.PQsetErrorVerbosity_(conn, verbosity);
}

PQnoticeReceiver
PQsetNoticeReceiver(PGconn *conn, PQnoticeReceiver proc, void *arg)
{
	return pq.PQsetNoticeReceiver_(conn, proc, arg);
}

int
PQsetnonblocking(PGconn *conn, int arg)
{
	return pq.PQsetnonblocking_(conn, arg);
}

int
PQsocket(const PGconn *conn)
{
	return pq.PQsocket_(conn);
}

int
PQsslInUse(PGconn *conn)
{
	return pq.PQsslInUse_(conn);
}

ConnStatusType
PQstatus(const PGconn *conn)
{
	return pq.PQstatus_(conn);
}

unsigned char *
PQunescapeBytea(const unsigned char *strtext, size_t *retbuflen)
{
	return pq.PQunescapeBytea_(strtext, retbuflen);
}
