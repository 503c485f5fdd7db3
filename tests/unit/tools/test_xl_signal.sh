#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# sysrq, trigger and console's options. Usage: test_xl_signal.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

check "create" xl create -q a.cfg
check "create deaf" xl create -q deaf.cfg

# --- sysrq ---

check "sysrq" xl sysrq a h
says 0 "h" cat log/console/guest-a.log
says 2 "Usage: xl [-v] sysrq <Domain> <letter>" xl sysrq a
for key in "" hh " "; do says 1 "invalid sysrq '$key': it is one letter" xl sysrq a "$key"; done
says 1 "'nobody' is an invalid domain identifier" xl sysrq nobody h
says 1 "cannot signal domain 0" xl sysrq 0 h
says 1 "'deaf' has not taken the request for 1 s; it stays in control/sysrq" hasty sysrq deaf h
xl pause a
says 0 "'a' is paused: it sees the request when it is unpaused" xl sysrq a s
xl unpause a
taken() { [ -z "$(xenstore-read "/local/domain/$(xl domid a)/control/sysrq")" ]; }
check "it does" wait_for taken
check "the key that ends it" xl sysrq a c
check "that was its end" wait_for gone a
check "create" xl create -q a.cfg on_crash=preserve
check "a crash" xl sysrq a c
says 1 "'a' has ended already" xl sysrq a h
xl destroy a

# --- trigger ---

check "create" xl create -q a.cfg
says 2 "Usage: xl [-v] trigger <Domain> <nmi|reset" xl trigger a
says 1 "there is no trigger 'nmi' here: RISC-V has no non-maskable interrupt" xl trigger a nmi
says 1 "there is no trigger 'init' here: INIT is a signal between x86" xl trigger a init 0
says 1 "there is no trigger 'sleep' here: a guest has no ACPI" xl trigger a sleep
says 1 "there is no trigger 's3resume' here: a guest has no ACPI" xl trigger a s3resume
says 1 "'rset' is none of nmi, reset, init, power, sleep, s3resume; did you mean 'reset'?" xl trigger a rset
says 1 "'x' is no number of a vCPU" xl trigger a reset x
says 1 "'nobody' is an invalid domain identifier" xl trigger nobody reset
says 1 "cannot reset domain 0" xl trigger Domain-0 reset
"$out/fake-hv" 1
says 1 "the hypervisor does not reset 'a': Operation not permitted" xl trigger a reset
"$out/fake-hv" 0
id=$(xl domid a)
check "reset" xl trigger a reset
next_life() { now=$("$out/fake-xl" domid a) && [ "$now" != "$id" ]; }
check "its next life" wait_for next_life
id=$(xl domid deaf)
check "reset needs no answer" xl trigger deaf reset
other_life() { now=$("$out/fake-xl" domid deaf) && [ "$now" != "$id" ]; }
check "its next life" wait_for other_life
check "power" xl trigger a power
check "that was its end" wait_for gone a
says 1 "'deaf' has not taken the request for 1 s; it stays in control/shutdown" hasty trigger deaf power

# --- console ---

says 2 "Usage: xl [-v] console" xl console
says 1 "a guest has no emulated serial port" xl console -t serial deaf
says 1 "'x' is none of pv, serial" xl console -t x deaf
says 1 "has no console 1: xl channel-list shows its channels" xl console -n 1 deaf
for escape in ab ^ab "" "^ "; do
	says 1 "'$escape' is no escape character" xl console -e "$escape" deaf
done
says 1 "cannot reach the console" xl console -t pv -n 0 -e ^t deaf
xl destroy deaf
check "nothing is left" clean

end_of_cases
