#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A guest's supervisor and the service manager's scope for it. Usage: test_xl_scope.sh <directory where the tests were built>.
# Owns the proof that the process that stays is the one that is put there, and that a guest starts whatever becomes of that.
. "$(dirname -- "$0")/xl_lib.sh"

log=log/xl-a.log
# of the process that stays with guest a
alone() { ! grep -q "it lives no longer" $log; }
stays() { [ -e "/proc/$1/fd" ] && [ "$(stat -c %s "$root/said")" -gt 0 ]; }

check "without such a program: create" xl create -q a.cfg
check "nothing is said of it" alone
check "destroy" xl destroy a

cat >scope <<END
#!/bin/sh
echo "\$# \$1 \$2 \$(readlink /proc/\$PPID/exe) \$(ls /proc/self/fd | wc -l)" >$root/said
END
chmod +x scope
rm -f $log
check "create" xl create -q a.cfg
pid=$(cut -d ' ' -f 2 said)
check "it is told which process, and of whom" grep -q "^2 [0-9]* a $(readlink -f "$out/fake-xl") " said
check "that process stays" stays "$pid"
check "the program has none of xl's descriptors" grep -q ' [345]$' said
check "nothing is said of it" alone
check "destroy" xl destroy a

echo 'echo "no manager" >&2; exit 1' >scope
sed -i '1i #!/bin/sh' scope
rm -f $log
check "create when the program fails" xl create -q a.cfg
check "the log says what that means" grep -q "it lives no longer than what xl create was run from: $root/scope failed" $log
check "and why" grep -q "no manager" $log
check "destroy" xl destroy a

printf '#!/bin/sh\nexec sleep 100\n' >scope
rm -f $log
check "create when it hangs" xl create -q a.cfg
check "the log says so" grep -q "it lives no longer" $log
check "destroy" xl destroy a
check "nothing is left" clean
end_of_cases
