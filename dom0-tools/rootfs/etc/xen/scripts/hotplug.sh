# SPDX-License-Identifier: BSD-2-Clause
# What hotplug scripts share; they read it with ".". Wants $verb and $XENBUS_PATH. Owns how a script
# reports: a line in the log, and for xl the reason in xenstore.

log() { echo "$(date '+%Y-%m-%d %H:%M:%S') ${0##*/} $verb $XENBUS_PATH: $*"; }

store() { xenstore-read "$XENBUS_PATH/$1" 2>/dev/null; }

# Hundredths of a second since the machine started; bounds are times, not tries, which take long on a busy machine.
now() {
	read -r up _ </proc/uptime
	# 0.08 is 8, and no octal number
	echo $((${up%.*} * 100 + 1${up#*.} - 100))
}

# The xl that started us may be dead, and another may have destroyed the domain meanwhile.
wanted() { [ "$(store online)" = 1 ]; }

# The reason goes where xl looks for it.
fail() {
	log "$*"
	wanted || exit 1
	xenstore-write "$XENBUS_PATH/hotplug-error" "$*" "$XENBUS_PATH/hotplug-status" error
	exit 1
}
