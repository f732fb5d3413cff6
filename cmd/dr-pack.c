/*
 * dr-pack - compress a snapshot stream, or undo it (see dr-pack(1)).
 */
#include "base/msg.h"
#include "base/opt.h"
#include "codec/pack.h"
#include "flow/options.h"
#include "flow/packing.h"

#define NOT_GIVEN UINT64_MAX

struct options {
	bool decode;
	struct dr_input_opts in;
	struct dr_output_opts out;
	struct dr_packing packing;
};

static int
check(struct options *o, struct dr_err *err)
{
	struct dr_packing *p = &o->packing;

	if (o->decode && (p->level != 0 || p->frame_size != NOT_GIVEN)) {
		dr_err_set(err, DR_EUSAGE, "%s does not go with -d",
		    p->level != 0 ? "-l" : "--frame-size");
		return dr_err_hint(err, "try 'dr-pack --help'");
	}
	if (p->workers == 0)
		p->workers = dr_default_workers();
	if (p->level == 0)
		p->level = 3;
	if (p->frame_size == NOT_GIVEN)
		p->frame_size = DR_FRAME_SIZE;
	if (p->frame_size < DR_FRAME_SIZE_MIN ||
	    p->frame_size > DR_FRAME_SIZE_MAX)
		return dr_err_set(err, DR_EUSAGE,
		    "--frame-size must be from 64k to 16M");
	p->foreign = o->in.foreign;
	o->in.state = dr_common.state;
	return 0;
}

static int
run(const struct options *o, struct dr_err *err)
{
	struct dr_input *in = NULL;
	struct dr_output *out = NULL;
	int rc = -1;

	if ((out = dr_output_open(&o->out, err)) == NULL ||
	    (in = dr_input_open(&o->in, err)) == NULL)
		goto out;
	if (o->decode)
		rc = dr_unpack_stream(in, out, o->packing.workers,
		    o->in.foreign, err);
	else
		rc = dr_pack_stream(in, out, &o->packing, err);

out:
	dr_input_free(in);
	dr_output_free(out);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o = { .packing.frame_size = NOT_GIVEN };
	const struct dr_opt opts[] = {
		{ "decode", 'd', DR_OPT_FLAG, &o.decode, 0, 0, NULL,
		    "unpack instead of packing", NULL },
		{ "workers", 'j', DR_OPT_INT, &o.packing.workers, 1, 64, "N",
		    "work on N frames at once (the processors, at most 4)",
		    NULL },
		{ "level", 'l', DR_OPT_INT, &o.packing.level, 1, 19, "LEVEL",
		    "compression level, 1 to 19 (3)", NULL },
		{ "frame-size", 0, DR_OPT_SIZE, &o.packing.frame_size, 0, 0,
		    "SIZE", "input of a frame, 64k to 16M (2M)", NULL },
		{ "foreign", 0, DR_OPT_FLAG, &o.in.foreign, 0, 0, NULL,
		    "the input has no end mark: any bytes; with -d, a zstd file",
		    NULL },
		DR_OPTS_OUTPUT(&o.out,
		    "write to FILE, and the manifest to FILE.json"),
		DR_OPTS_TRUST(&o.in.verify_key, &o.in.no_signature),
		{ 0 },
	};
	const struct dr_cmd cmd = { "dr-pack",
		"[-j N] [-l LEVEL] [--frame-size SIZE] [--foreign] [-o FILE] "
		"[FILE]\n"
		"       dr-pack -d [-j N] [--foreign] [--body] [-o FILE] [FILE]",
		"Compress a snapshot stream, or unpack it again.",
		"dr-snap -d service=main | dr-pack -l 6 | dr-push -n main --plain "
		"/backup\n"
		"dr-pack -d -o base.tar base.tar.zst\n",
		opts };
	struct dr_err err = { 0 };

	dr_main_begin(cmd.name);
	if (dr_opt_operand(&cmd, argc, argv, &o.in.path, &err) == 0 &&
	    check(&o, &err) == 0)
		run(&o, &err);
	return dr_main_end(&err);
}
