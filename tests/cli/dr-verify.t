#!/bin/sh
# dr-verify: its options, and --deep on backups that are wrong in one way.
. "${0%/*}/../lib.sh"
need python3

fake() {
	rm -f "$T/b" "$T/b.json" "$T/p" "$T/p.json"
	python3 "$top/tests/fakepg.py" "$T/b" "$@" &&
		dr-pack -l 1 --frame-size 64k -o "$T/p" "$T/b"
}

status 0 '--help' dr-verify --help
match 'shows an example' '^ *dr-verify --max-age' "$T/out"
status 2 'no store' dr-verify
status 2 'a file and a store' dr-verify /dev/null "$T"
status 2 '-b with a stream' dr-verify -b x -
status 2 '--max-age with a stream' dr-verify --max-age 1h -
status 2 '--passphrase-file without --deep' \
    dr-verify --passphrase-file x "$T"
status 2 'no set' dr-verify -n '../x' "$T"
status 2 'an age without unit' dr-verify --max-age 5 "$T"

for algo in CRC32C SHA224 SHA256 SHA384 SHA512 NONE; do
	fake $algo
	status 0 "$algo at rest" dr-verify --deep "$T/p"
	case $algo in
	CRC32C) want=0 ;;
	*) want=3 ;; # told beforehand only by an index
	esac
	status $want "$algo as a bare tar" dr-verify --deep "$T/b"
done
fake CRC32C encoded
status 0 'encoded paths' dr-verify --deep "$T/p"
status 0 'without --deep' dr-verify "$T/p"
match 'the line' '^- +20261120T120000Z-3f9a1c +ok' "$T/out"
status 0 'JSON' dr-verify --deep --json "$T/p"
match 'has the facts' \
    '"what":"file","status":"ok".*"kind":"pg".*"deep":true.*"members":13' \
    "$T/out"
status 0 'audit and metrics' dr-verify --deep --audit "$T/audit" \
    --metrics-dir "$T" "$T/p"
match 'an audit line' '"act":"verify".*"result":"ok"' "$T/audit"
match 'a metric' '^drtools_verify_status.* 0$' "$T/dr-verify_all_deep.prom"

fake CRC32C oddly
ok 'a stream that begins oddly' sh -c "dr-pack -d --stream '$T/p' |
    dr-verify -"
sh -c "dr-pack -d --stream '$T/p' | dr-verify --deep -" >"$T/out" 2>&1
is 'is not taken for verified' $? 3
match 'and it says so' 'did not look like what it is' "$T/out"
status 0 'at rest it is' dr-verify --deep "$T/b"

# wrong HOW REGEX: intact, but not what it should be
wrong() {
	algo=$1 how=$2 regex=$3
	fake "$algo" "$how"
	status 0 "$how ($algo): the bytes are intact" dr-verify "$T/p"
	status 4 '  what is in it is not right' dr-verify --deep "$T/p"
	match '  and it says why' "$regex" "$T/out"
	status 4 '  nor as a bare tar' dr-verify --deep "$T/b"
}
wrong CRC32C unlisted '"base/1/2000" is in the backup, but not in backup_man'
wrong CRC32C missing '"base/1/3000" is missing: backup_manifest lists it'
wrong CRC32C walmissing '"pg_wal/00000002.history" is missing'
wrong CRC32C sum '"base/1/1259" does not have the checksum'
wrong CRC32C size '"base/1/1259" has 25600 bytes, backup_manifest says 25601'
wrong CRC32C twice 'backup_manifest lists "[^"]*" twice'
wrong CRC32C same '"PG_VERSION" stands twice'
wrong CRC32C selfsum 'does not match its own checksum'
wrong CRC32C cut 'backup_manifest is damaged'
wrong CRC32C nomanifest 'has no backup_manifest'
fake SHA256 sum
status 4 'a wrong SHA-256' dr-verify --deep "$T/p"
match 'is told' 'not what backup_manifest says' "$T/out"
fake CRC32C tarcut 2>"$T/err"
status 4 'a tar cut short' dr-verify --deep "$T/b"

# A member index that does not fit its tar.
fake
python3 - "$T/p" <<'END'
import hashlib, json, subprocess, struct, sys
path = sys.argv[1]
data = open(path, "rb").read()
count, flags, magic = struct.unpack("<IBI", data[-9:])
per = 12 if flags & 128 else 8
table = data[-9 - count * per:-9]
sizes = [struct.unpack("<I", table[i * per:i * per + 4])[0]
         for i in range(count)]
at = sum(sizes[:-1])
frame = data[at:at + sizes[-1]]
raw = subprocess.run(["zstd", "-dcq"], input=frame[8:], check=True,
                     stdout=subprocess.PIPE).stdout
assert b" base/1/2000\0" in raw
raw = raw.replace(b" base/1/2000\0", b" base/1/2001\0")
new = subprocess.run(["zstd", "-cq"], input=raw, check=True,
                     stdout=subprocess.PIPE).stdout
new = frame[:4] + struct.pack("<I", len(new)) + new
table = table[:-per] + struct.pack("<I", len(new)) + table[4 - per:]
body = data[:at] + new
tail = data[at + sizes[-1]:]
body += tail[:8] + table + tail[-9:]
open(path, "wb").write(body)
m = json.load(open(path + ".json"))
m["object"]["size"] = len(body)
m["object"]["sha256"] = hashlib.sha256(body).hexdigest()
open(path + ".json", "w").write(json.dumps(m) + "\n")
END
status 0 'a forged index: the bytes are intact' dr-verify "$T/p"
status 4 'the index is not' dr-verify --deep "$T/p"
match 'it says so' 'member index does not list "base/1/2000"' "$T/out"

# --- trees and streams -------------------------------------------------------
mkdir -p "$T/src" && seq 1 100000 >"$T/src/f"
(cd "$T" && dr-snap -o tree src && dr-pack -o tree.zst tree)
status 0 'a tree' dr-verify --deep "$T/tree.zst"
ok 'a stream' sh -c "dr-snap --stdin x <'$T/src/f' | dr-verify --deep -"
sh -c "dr-snap --stdin x <'$T/src/f' | head -c 50000 | dr-verify -" \
    >"$T/out" 2>&1
is 'cut short' $? 4
for at in 100 50000 100000; do
	cp "$T/tree.zst" "$T/bad"
	sed 's/"tree.zst"/"bad"/' "$T/tree.zst.json" >"$T/bad.json"
	printf '\377\000' |
	    dd of="$T/bad" bs=1 seek=$at conv=notrunc 2>/dev/null
	status 4 "damaged at $at" dr-verify "$T/bad"
	status 4 '  with --deep too' dr-verify --deep "$T/bad"
done

done_testing
