#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# bash's completion of xl, with this machine's bash. Usage: test_xl_completion.sh <directory where the tests were built>.
. "$(dirname -- "$0")/xl_lib.sh"

ln -s "$out/fake-xl" bin/xl
cat >complete.bash <<'END'
# complete.bash WORD...: what the last word can become, in one line
source "$COMPLETION"
COMP_WORDS=(xl "$@") COMP_CWORD=$#
_xl
echo "${COMPREPLY[*]}"
END
COMPLETION=$here/../../../dom0-tools/xl/completion/xl
export COMPLETION
# gives "text" WORD...: exactly these
gives() {
	text=$1
	shift
	got=$(PATH=$root/bin:$PATH bash complete.bash "$@" 2>&1)
	if [ "$got" = "$text" ]; then ok "xl $* -> $text"; else
		echo "($got, wanted: $text)" >output
		bad "xl $*"
	fi
}
mkdir there && touch there/guest.cfg there/guest.img
check "create" xl create -q a.cfg name=alpha
check "create" xl create -q b.cfg name=beta "vif=[]"

gives "mem-set mem-max" mem
gives "mem-set mem-max" -v mem
gives "list" lis
gives "pause" pau
gives "sysrq" help sys
all=$(PATH=$root/bin:$PATH bash complete.bash "" | wc -w)
check "all verbs" [ "$all" = "$(xl help | grep -c '^ [a-z]')" ]
gives "alpha" pause al
gives "Domain-0 alpha beta" destroy ""
gives "beta" destroy alpha be
gives "beta" mem-set be
gives "" mem-set beta ""
gives "nmi reset init power sleep s3resume" trigger alpha ""
gives "alpha" trigger a
gives "there/guest.cfg" create there/guest.c
gives "-i --ignore-host --help" vcpu-set -
gives "--cpupool" list --cp
gives "Pool-0" cpupool-list ""
gives "Pool-0" cpupool-cpu-add Po
gives "" cpupool-cpu-add Pool-0 ""
gives "alpha" cpupool-migrate al
gives "Pool-0" cpupool-migrate alpha ""
gives "there/guest.cfg" cpupool-create there/guest.c
gives "alpha" save al
gives "alpha" migrate al
gives "" migrate alpha ""
gives "--recover" migrate --re
gives "there/guest.cfg" save alpha there/guest.c
gives "there/guest.img" restore there/guest.i
gives "-c" save -c
gives "-a" shutdown -a
gives "" frobnicate ""
gives "" frobnicate -
xl destroy alpha
xl destroy beta
check "nothing is left" clean

end_of_cases
