# counts.sh - how often: at `make check` and at `make soak` (DR_SOAK=1).
#
#	count NAME		what the table below says
#	count QUICK SOAK	the one or the other
#
# One line each: the name, the quick count, the full one.

counts='
prefixes	40	1000
kills		12	500
flips		30	1000
pushes		6	100
sizes		12	200
faults		1	100000
rpo		1	25
lagrpo		3	50
clusters	1	12
races		20	500
chaos		1	20
outage		1	60
pause		2	70
long		0	1
list		300	2500
pages		2500	12000
azpages		5200	21000
'

count() {
	if [ $# -eq 1 ]; then
		# shellcheck disable=SC2046 # three words
		set -- $(printf '%s' "$counts" | grep "^$1[[:blank:]]") || return 1
		shift
	fi
	if [ "${DR_SOAK:-0}" != 0 ]; then
		echo "$2"
	else
		echo "$1"
	fi
}
